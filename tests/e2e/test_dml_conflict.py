"""Statements that change the same table at the same time: all of what is reported done is there, the rest is told as a conflict."""
import json

import pytest

WRITERS, STATEMENTS = 4, 8


@pytest.mark.parametrize("vectors", ["true", "false"])
def test_updates_in_a_race(freshet, warehouse, vectors):
    """Every writer adds one to its own row and to a shared one; a conflict ends its script."""
    freshet("sql", "--warehouse", warehouse, "-c",
            f"CREATE TABLE t (id INT, n INT) TBLPROPERTIES ('delta.enableDeletionVectors' = '{vectors}'); "
            "INSERT INTO t SELECT i, 0 FROM range(10) r(i)", check=0)
    running = []
    for writer in range(WRITERS):
        script = "; ".join([f"UPDATE t SET n = n + 1 WHERE id IN (0, {writer + 1})"] * STATEMENTS)
        running.append(freshet.start("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", script))
    done = [process.wait(120) for process in running]
    counts = [sum('"num_affected_rows":2' in line for line in result.out.splitlines()) for result in done]
    for result, count in zip(done, counts):
        assert result.code == 0 if count == STATEMENTS else "DELTA_CONCURRENT" in result.err, result
    assert max(counts) > 0
    rows = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", "SELECT id, n FROM t ORDER BY id", check=0).out
    found = {row["id"]: row["n"] for row in map(json.loads, rows.splitlines())}
    assert found[0] == sum(counts) and [found[w + 1] for w in range(WRITERS)] == counts and len(found) == 10


def test_appends_and_deletes_of_other_partitions(freshet, warehouse):
    """What one writer reads, the other does not touch: nobody loses."""
    freshet("sql", "--warehouse", warehouse, "-c",
            "CREATE TABLE t (id INT, p INT) PARTITIONED BY (p); INSERT INTO t SELECT i, i % 4 FROM range(40) r(i)", check=0)
    scripts = ["; ".join(f"DELETE FROM t WHERE p = {p} AND id % 40 = {4 * i + p}" for i in range(5)) for p in range(3)]
    scripts.append("; ".join(f"INSERT INTO t VALUES ({100 + i}, 3)" for i in range(5)))
    running = [freshet.start("sql", "--warehouse", warehouse, "-c", script) for script in scripts]
    for process in running:
        result = process.wait(120)
        assert result.code == 0, result
    rows = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", "SELECT p, count(*) AS n FROM t GROUP BY p ORDER BY p", check=0).out
    assert [json.loads(line)["n"] for line in rows.splitlines()] == [5, 5, 5, 15]
