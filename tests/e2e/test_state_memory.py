"""A million keys to remember where a tenth of the machine may be used: what the process holds stays near the limit, and nothing is forgotten."""
import subprocess
import time

from conftest import PROGRAM

KEYS, FILES, LIMIT_MB = 1_000_000, 5, 128
PROCESS_MB = 192  # the program, its libraries, what DuckDB does not count


def high_water_mb(pid):
    """The most memory a process has held; 0 when it is gone. (ru_maxrss would count what its parent had when it was made.)"""
    try:
        with open(f"/proc/{pid}/status") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024
    except OSError:
        return 0


def peak_mb(command, log):
    """Runs it; the most memory it ever held, looked at every few milliseconds."""
    peak = 0
    with open(log, "wb") as out:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    while started.poll() is None:
        peak = max(peak, high_water_mb(started.pid))
        time.sleep(0.005)
    assert started.returncode == 0, log.read_text()
    return peak


def test_state_memory__a_million_keys(freshet, warehouse, tmp_path):
    source = warehouse / "default/source"
    sql = ["sql", "--warehouse", warehouse, "-c"]
    part = "INSERT INTO source SELECT md5(i::VARCHAR)::UUID::VARCHAR, i FROM range({0}, {1}) AS r(i)"
    parts = [part.format(KEYS * number // FILES, KEYS * (number + 1) // FILES) for number in range(FILES)]
    again = "INSERT INTO source SELECT event_id, n + 1000000 FROM source; INSERT INTO source VALUES ('new', -1)"
    pipeline = tmp_path / "keys.sql"
    pipeline.write_text(f"CREATE STREAMING TABLE once AS SELECT DISTINCT ON (event_id) * FROM STREAM delta.`{source}` WITH (maxFilesPerTrigger = 1);\n")
    run = [PROGRAM, "run", pipeline, "--warehouse", warehouse, "--available-now", "--progress", "none", "--memory", f"{LIMIT_MB}MB"]
    for new, statement in (KEYS, "; ".join(["CREATE TABLE source (event_id VARCHAR, n BIGINT)", *parts])), (1, again):
        freshet(*sql, statement, check=0)
        begun = time.monotonic()
        peak = peak_mb(run, tmp_path / "log")
        print(f"{new:,} new keys, {LIMIT_MB} MB for data: peak {peak:.0f} MB, {time.monotonic() - begun:.1f} s")
        assert peak <= LIMIT_MB + PROCESS_MB
    count = freshet(*sql, "SELECT count(*) AS n, min(n) AS first, max(n) AS last FROM once", "--format", "csv", check=0)
    assert count.out.split()[-1] == f"{KEYS + 1},-1,{KEYS - 1}"
