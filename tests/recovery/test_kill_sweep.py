"""Every failpoint in every shape, at its first, second and last hit: killed there, started again, every row exactly once."""
import shutil

import pytest
from shapes import SHAPES
from sweep import all_failpoints, judge, kill_points, run_scenario, trace
from test_statement_sweep import STATEMENTS
from test_statement_sweep import trace as trace_statement

PARTS = 2  # a shape is swept in so many tests, for the sake of parallel runs


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(1500)
def test_killed_at_every_failpoint(freshet, read_delta, lint, tell, tmp_path, shape, part):
    scenario, counts = trace(freshet, shape, tmp_path / "trace")
    judge(scenario, read_delta, "undisturbed")
    kills = 0
    for number, (step, name, hit) in enumerate(kill_points(counts, shape.only)):
        if number % PARTS != part:
            continue
        folder = tmp_path / f"{number}"
        crash = {"FRESHET_FAILPOINT": f"{name}=crash@{hit}"}
        again = {"FRESHET_FAILPOINT": f"{name}=crash@1"}  # and once more while it recovers
        scenario, deaths = run_scenario(freshet, shape, folder, step, [crash, again] if hit == 1 else [crash])
        while deaths == 0 and hit > 1:  # flows that race pass a point now more, now less often: its last hit may be an earlier one
            shutil.rmtree(folder)
            hit -= 1
            scenario, deaths = run_scenario(freshet, shape, folder, step, [{"FRESHET_FAILPOINT": f"{name}=crash@{hit}"}])
        what = f"{shape}: {name} at hit {hit} of run {step + 1}"
        assert deaths > 0, f"{what} was not reached"
        judge(scenario, read_delta, what)
        lint(*(scenario.warehouse / table for table in shape.tables))
        kills += deaths
        shutil.rmtree(folder)
    tell(f"{shape}, part {part + 1} of {PARTS}: {kills} kills survived")


def test_no_failpoint_is_left_out(freshet, tell, tmp_path):
    """What no shape passes is not tested."""
    passed = set()
    for shape in SHAPES:
        for names in trace(freshet, shape, tmp_path / shape.name)[1]:
            passed |= names.keys()
    for number, name in enumerate(STATEMENTS):
        passed |= trace_statement(freshet, name, tmp_path / f"statement{number}").keys()
    tell(f"{len(passed)} of {len(all_failpoints())} failpoints are passed")
    assert sorted(set(all_failpoints()) - passed) == []
