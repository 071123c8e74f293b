"""Why a row is missing: each reason with its counter, its value of `reason`, and the row itself where rows are kept."""
import json

import pytest

KEEP = "'freshet.keepRejected' = 'true'"
REASONS = ["late", "no event time", "far ahead", "duplicate", "evicted", "expectation"]


def at(minute, *rest):
    return (f"2024-01-01T{minute // 60:02}:{minute % 60:02}:00", *rest)


def aside(progress):
    """Counts by reason over all batches; those without a row are left out."""
    assert all(list(p["rowsSetAside"]) == REASONS for p in progress)
    counts = {reason: sum(p["rowsSetAside"][reason] for p in progress) for reason in REASONS}
    return {reason: n for reason, n in counts.items() if n}


@pytest.fixture
def rows(answers):
    return answers


@pytest.fixture
def kept(rows):
    return lambda table: [(reason, json.loads(row)["product"], batch) for reason, row, batch in
                          rows(f"SELECT reason, \"row\", batch FROM {table}__rejected ORDER BY ALL")]


def test_groups_late_and_without_time(clicks, run, rows, kept):
    text = f"""CREATE STREAMING TABLE t TBLPROPERTIES ({KEEP}) AS SELECT window.start AS start, product, sum(amount) AS total
      FROM {clicks.source} WATERMARK ts DELAY OF INTERVAL '10 minutes' GROUP BY window(ts, INTERVAL '5 minutes'), product;"""
    clicks("a", at(60, "new", 1, 1), (None, "timeless", 1, 1))
    assert aside(run(text)) == {"no event time": 1}
    clicks("b", at(61, "x", 1, 1))
    run(text)
    clicks("c", at(9, "late", 1, 2.5), at(62, "x", 1, 1))
    progress = run(text)
    assert aside(progress) == {"late": 1} and progress[0]["stateOperators"][0]["numRowsDroppedByWatermark"] == 1
    assert [k[:2] for k in kept("t")] == [("late", "late"), ("no event time", "timeless")]
    [(row, batch, watermark)] = rows("SELECT \"row\", batch, watermark FROM t__rejected WHERE reason = 'late'")
    assert json.loads(row) == {"ts": "2024-01-01 00:09:00", "product": "late", "amount": 2.5}
    assert batch == progress[0]["batchId"] and watermark.startswith("2024-01-01T00:5")


def test_sessions_late_and_without_time(clicks, run, kept):
    text = f"""CREATE STREAMING TABLE t TBLPROPERTIES ({KEEP}) AS SELECT session_window.start AS start, product, count(*) AS n
      FROM {clicks.source} WATERMARK ts DELAY OF INTERVAL '10 minutes' GROUP BY session_window(ts, INTERVAL '5 minutes'), product;"""
    for name, *row in [("a", at(60, "x", 1, 1)), ("b", at(61, "x", 1, 1)), ("c", at(9, "late", 1, 1), (None, "timeless", 1, 1))]:
        clicks(name, *row)
        progress = run(text)
    assert aside(progress) == {"late": 1, "no event time": 1}
    assert [k[:2] for k in kept("t")] == [("late", "late"), ("no event time", "timeless")]


def test_duplicates(clicks, run, kept):
    text = f"""CREATE STREAMING TABLE keyed TBLPROPERTIES ({KEEP}) AS SELECT DISTINCT ON (product) product, user_id FROM {clicks.source};
      CREATE STREAMING TABLE whole TBLPROPERTIES ({KEEP}) AS SELECT DISTINCT product, user_id FROM {clicks.source};
      CREATE STREAMING TABLE timed TBLPROPERTIES ({KEEP}) AS
        SELECT DISTINCT ON (product, ts) product FROM {clicks.source} WATERMARK ts DELAY OF INTERVAL '10 minutes';"""
    clicks("a", at(60, "a", 1, 1), at(60, "a", 2, 1), at(61, "b", 1, 1), at(61, "b", 1, 1))
    progress = run(text)
    assert {p["name"].split(".")[-1]: aside([p]) for p in progress} == {
        "keyed": {"duplicate": 2}, "whole": {"duplicate": 1}, "timed": {"duplicate": 2}}
    assert kept("keyed") == [("duplicate", "a", 0), ("duplicate", "b", 0)] and kept("whole") == [("duplicate", "b", 0)]
    clicks("b", at(62, "a", 1, 1), at(62, "c", 1, 1))
    run(text)
    clicks("c", at(5, "old", 1, 1), at(62, "c", 1, 1))
    progress = run(text)
    assert {p["name"].split(".")[-1]: aside([p]) for p in progress} == {
        "keyed": {"duplicate": 1}, "whole": {"duplicate": 1}, "timed": {"duplicate": 1, "late": 1}}
    assert kept("keyed")[2:] == [("duplicate", "c", 2)] or ("duplicate", "a", 1) in kept("keyed")
    assert ("late", "old", 2) in kept("timed") and ("duplicate", "c", 2) in kept("timed")


def test_joins_without_time_late_and_without_a_partner(clicks, run, kept):
    timed = f"{clicks.source} WATERMARK ts DELAY OF INTERVAL '10 minutes'"
    text = f"""CREATE STREAMING TABLE t TBLPROPERTIES ({KEEP}) AS SELECT a.product FROM {timed} AS a SEMI JOIN {timed} AS b
      ON a.user_id = b.user_id + 1 AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5 minutes';"""
    clicks("a", at(10, "partner", 1, 1), at(10, "met", 2, 1), (None, "timeless", 9, 1))
    run(text)
    clicks("b", at(60, "new", 7, 1))
    first = run(text)
    clicks("c", at(61, "new", 17, 1))
    first += run(text)
    clicks("d", at(9, "late", 1, 1), at(62, "new", 27, 1))
    second = run(text)
    found = kept("t")
    assert [k[1] for k in found if k[0] == "evicted"] == ["partner"]
    assert [k[1] for k in found if k[0] == "no event time"] == ["timeless"] * 2  # once a side
    assert [k[1] for k in found if k[0] == "late"] == ["late"] * 2
    assert aside(first + second) == {"evicted": 1, "late": 2}


def within(name, other):
    return f"{other}.ts BETWEEN {name}.ts AND {name}.ts + INTERVAL '5 minutes'"


INNER = {
    "two streams": "SELECT a.product FROM {s} AS a JOIN {s} AS b ON a.user_id = b.user_id + 1 AND {ab}",
    "where": "SELECT a.product, 1 AS one FROM {s} AS a, {s} AS b WHERE a.user_id = b.user_id + 1 AND {ab} AND one = 1",
    "a condition on both": "SELECT a.product FROM {s} AS a JOIN {s} AS b ON a.user_id = b.user_id + 1 AND {ab} "
                           "WHERE a.amount + b.amount > 5",
    "three streams": "SELECT a.product FROM {s} AS a JOIN {s} AS b ON a.user_id = b.user_id + 1 AND {ab} "
                     "JOIN {s} AS c ON b.product = c.product AND {bc}",
}


@pytest.mark.parametrize("case", INNER)
def test_inner_joins_without_a_partner(clicks, run, kept, rows, case):
    """Only where rows are kept; restarts between batches, and the partner of a row comes batches later."""
    source = f"{clicks.source} WATERMARK ts DELAY OF INTERVAL '10 minutes'"
    body = INNER[case].format(s=source, ab=within("b", "a"), bc=within("b", "c"))
    text = f"CREATE STREAMING TABLE t TBLPROPERTIES ({KEEP}) AS {body}; CREATE STREAMING TABLE plain AS {body};"
    clicks("a", at(10, "partner", 1, 1), at(10, "alone", 7, 1))
    progress = run(text)
    clicks("b", at(12, "met", 2, 1))
    progress += run(text)
    clicks("c", at(60, "new", 17, 1))
    progress += run(text)
    clicks("d", at(61, "new", 27, 1))
    progress += run(text)
    found = kept("t")
    assert {k[0] for k in found} == {"evicted"}
    counted = aside([p for p in progress if p["name"].endswith("t")])
    assert counted == {"evicted": len(found)}
    met = rows("SELECT product FROM t")
    assert met == rows("SELECT product FROM plain") == ([] if "both" in case else [("met",)])
    assert aside([p for p in progress if p["name"].endswith("plain")]) == {}
    names = sorted(k[1] for k in found)
    sides = 3 if "three" in case else 2
    assert names == sorted(["alone"] * sides + ["met"] * (sides - len(met)) + ["partner"] * (sides - len(met) * (sides - 1)))


def test_an_inner_join_keeps_the_shape_of_its_state(clicks, run, kept, rows):
    source = f"{clicks.source} WATERMARK ts DELAY OF INTERVAL '10 minutes'"
    text = f"""CREATE STREAMING TABLE t AS SELECT a.product FROM {source} AS a JOIN {source} AS b
      ON a.user_id = b.user_id + 1 AND {within("b", "a")};"""
    keeping = text.replace("t AS", f"t TBLPROPERTIES ({KEEP}) AS", 1)
    clicks("a", at(10, "partner", 1, 1), at(10, "alone", 7, 1))
    run(text)
    clicks("b", at(12, "met", 2, 1))
    run(keeping)
    assert "does not tell which rows leave the join without a partner" in run.err
    clicks("c", at(60, "new", 17, 1))
    run(keeping)
    clicks("d", at(61, "new", 17, 1))
    assert aside(run(keeping)) == {} and rows("SELECT product FROM t") == [("met",)]
    run(keeping, "--full-refresh", "t")
    clicks("e", at(62, "new", 17, 1))
    run(keeping)
    assert "without a partner" not in run.err and rows("SELECT product FROM t") == [("met",)]
    assert sorted(k[1] for k in kept("t")) == ["alone", "alone", "met", "partner"]


@pytest.mark.parametrize("stateful", [False, True])
def test_expectations(clicks, run, rows, kept, stateful):
    query = f"SELECT {'DISTINCT ON (product)' if stateful else ''} product, amount FROM {clicks.source}"
    text = f"""CREATE STREAMING TABLE t (CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION DROP ROW,
      CONSTRAINT small EXPECT (amount < 10) ON VIOLATION DROP ROW) TBLPROPERTIES ({KEEP}) AS {query};"""
    clicks("a", at(1, "ok", 1, 1), at(1, "low", 1, -1), at(1, "high", 1, 11), at(1, "none", 1, None))
    progress = run(text)
    assert aside(progress) == {"expectation": 3} and progress[0]["numInputRows"] == 4
    assert {e["name"]: e["failed"] for e in progress[0]["expectations"]} == {"positive": 2, "small": 2}
    assert rows("SELECT * FROM t") == [("ok", 1)]
    assert kept("t") == [("expectation positive", "low", 0), ("expectation positive", "none", 0), ("expectation small", "high", 0)]


def test_the_line_of_a_flow_says_why(clicks, freshet, warehouse, tmp_path):
    clicks("a", at(1, "a", 1, 1), at(1, "a", 1, 1), at(1, "b", 1, -1))
    (tmp_path / "p.sql").write_text(f"""CREATE STREAMING TABLE t (CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION DROP ROW)
      AS SELECT DISTINCT ON (product) product, amount FROM {clicks.source};""")
    done = freshet("run", tmp_path / "p.sql", "--warehouse", warehouse, "--available-now", "--progress", "plain", check=0)
    assert "2 dropped (1 duplicate, 1 expectation)" in done.err


@pytest.mark.parametrize("stateful", [False, True])
def test_rows_are_kept_once_when_a_batch_runs_again(clicks, freshet, warehouse, tmp_path, kept, rows, stateful):
    query = f"SELECT {'DISTINCT ON (product)' if stateful else ''} product, amount FROM {clicks.source}"
    (tmp_path / "p.sql").write_text(f"""CREATE STREAMING TABLE t (CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION DROP ROW)
      TBLPROPERTIES ({KEEP}) AS {query};""")
    clicks("a", at(1, "ok", 1, 1), at(1, "low", 1, -1), at(1, "low", 1, -1))
    run = ("run", tmp_path / "p.sql", "--warehouse", warehouse, "--available-now")
    assert freshet(*run, env={"FRESHET_FAILPOINT": "stream.sink.before_write=crash@1"}).code != 0
    expected = [("duplicate", "low", 0), ("expectation positive", "low", 0)] if stateful else [("expectation positive", "low", 0)] * 2
    assert kept("t") == expected  # written before the batch's own rows
    assert freshet(*run).code == 0
    assert kept("t") == expected and rows("SELECT product FROM t") == [("ok",)]
