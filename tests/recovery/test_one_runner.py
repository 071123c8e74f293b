"""Two processes, one pipeline: the second stops with a reason, and a process that slept through its end does no harm."""
import signal

from shapes import SHAPES
from sweep import judge, run_step

FILES = next(shape for shape in SHAPES if shape.name == "files")


def run_command(scenario):
    return ("run", scenario.file, "--warehouse", scenario.warehouse, "--progress", "none")


def test_second_runner_is_refused(freshet, tmp_path, read_delta, wait_until):
    scenario = FILES.begin(tmp_path / "scenario")
    scenario.feed(1)
    first = freshet.start(*run_command(scenario))
    wait_until(lambda: list(scenario.warehouse.rglob("commits/0")), what="the first batch", process=first)
    second = freshet(*run_command(scenario), "--available-now")
    assert second.code == 1
    assert "FR-STREAM-002" in second.err and str(first.pid) in second.err
    scenario.feed(1)
    wait_until(lambda: list(scenario.warehouse.rglob("commits/1")), what="the second batch", process=first)
    assert first.stop().code in (0, 143)
    judge(scenario, read_delta, "after a second runner")


def test_paused_before_its_commit(freshet, tmp_path, read_delta, wait_until):
    """The lock outlives a pause: the other process cannot run until the first is dead."""
    scenario = FILES.begin(tmp_path / "scenario")
    scenario.feed(3)
    first = freshet.start(*run_command(scenario), env={"FRESHET_FAILPOINT": "sink.append.before_commit=pause@2"})
    stat = lambda: open(f"/proc/{first.pid}/stat").read().rsplit(")", 1)[1].split()[0]
    wait_until(lambda: stat() == "T", what="the pause", process=first)
    assert freshet(*run_command(scenario), "--available-now").code == 1
    first.signal(signal.SIGCONT)
    wait_until(lambda: list(scenario.warehouse.rglob("commits/2")), what="the third batch", process=first)
    first.kill()
    run_step(freshet, scenario, (), [])
    judge(scenario, read_delta, "after a pause")
