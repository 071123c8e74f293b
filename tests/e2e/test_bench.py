"""The benchmarks run, at a size that says nothing about speed, and freshet and DuckDB agree on what comes out."""
import os
import subprocess
import sys

import pytest

from conftest import PROGRAM, ROOT

SCRIPTS = {
    "run": ["ingest", "medallion", "tiny", "--rows", "2000", "--files", "4"],
    "stateful": ["stateful", "--rows", "4000", "--files", "8", "--keys", "2000"],
    "tables": ["tables", "scan10m", "lookup", "merge50k", "--rows", "100000"],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_bench__contestants_agree(script, tmp_path):
    if not (PROGRAM.parent / "freshet-generate").exists():
        pytest.skip("freshet-generate is not built")
    environment = {**os.environ, "FRESHET": str(PROGRAM), "PYTHON": sys.executable}
    command = [ROOT / "bench/run", *SCRIPTS[script], "--runs", "1", "--only", "freshet,duckdb", "--folder", tmp_path / "bench"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    tables = done.stdout.split("\n### ")[1:]
    assert len(tables) == (6 if script == "stateful" else 3), done.stdout
    assert "| freshet | 1 |" in done.stdout and "do not agree" not in done.stdout, done.stdout
