"""Statements of freshet sql that do more than one thing, killed at every failpoint they pass: nothing of them is visible, and run again
they do all of it."""
import json
import pathlib
import signal

import pytest
from sweep import kill_points

# name: what is there before, the statement, a question with its answer before and after, and what the statement says when
# it was done already
STATEMENTS = {
    "deep clone": (
        "CREATE TABLE src (id INT, p INT) PARTITIONED BY (p) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true'); "
        "INSERT INTO src SELECT i, i % 3 FROM range(30) r(i); DELETE FROM src WHERE id < 4; CREATE TABLE c DEEP CLONE src; "
        "INSERT INTO src VALUES (100, 1), (100, 2); DELETE FROM src WHERE id = 7",
        "CREATE OR REPLACE TABLE c DEEP CLONE src",
        "SELECT count(*)::INT AS n, sum(id)::INT AS s FROM c",
        {"n": 26, "s": 429},
        {"n": 27, "s": 622},
        "",
    ),
    "drop feature": (
        "CREATE TABLE c (id INT) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true', 'delta.checkpointInterval' = '100', "
        "'delta.dropFeatureTruncateHistory.retentionDuration' = '0 seconds'); INSERT INTO c SELECT * FROM range(30); DELETE FROM c WHERE id < 4",
        "ALTER TABLE c DROP FEATURE deletionVectors TRUNCATE HISTORY",
        "SELECT count(*)::INT AS n, sum(id)::INT AS s FROM c",
        {"n": 26, "s": 429},
        {"n": 26, "s": 429},
        "DELTA_FEATURE_DROP_FEATURE_NOT_PRESENT",
    ),
}


def run(freshet, warehouse, statements, env=None):
    return freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", statements, env=env or {}, timeout=120)


def trace(freshet, name, folder):
    """How often the statement passes each failpoint."""
    before, statement, *_ = STATEMENTS[name]
    folder.mkdir(parents=True)
    warehouse, log = folder / "warehouse", folder / "trace"
    assert run(freshet, warehouse, before).code == 0
    result = run(freshet, warehouse, statement, {"FRESHET_FAILPOINT_TRACE": str(log)})
    assert result.code == 0, result
    names = pathlib.Path(log).read_text().split()
    return {point: names.count(point) for point in set(names)}


@pytest.mark.parametrize("name", STATEMENTS)
def test_killed_at_every_failpoint(freshet, lint, tmp_path, name):
    before, statement, question, was, becomes, done = STATEMENTS[name]
    for number, (_, point, hit) in enumerate(kill_points([trace(freshet, name, tmp_path / "trace")])):
        warehouse = tmp_path / f"{number}"
        assert run(freshet, warehouse, before).code == 0
        result = run(freshet, warehouse, statement, {"FRESHET_FAILPOINT": f"{point}=crash@{hit}"})
        assert result.code == -signal.SIGKILL, f"{point} at hit {hit} was not reached: {result!r}"
        assert json.loads(run(freshet, warehouse, question).out) in (was, becomes), (point, hit)
        result = run(freshet, warehouse, statement)
        assert result.code == 0 or (done and done in result.err), f"after {point} at hit {hit}: {result!r}"
        assert json.loads(run(freshet, warehouse, question).out) == becomes, (point, hit)
        lint(*(path.parent for path in warehouse.rglob("_delta_log")))
