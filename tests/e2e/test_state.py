"""state('table'): what a flow remembers, as a question sees it."""
import json

import pytest

from test_stateful import FIRST, SECOND, THIRD, hourly


@pytest.fixture
def ask(freshet, warehouse):
    def go(query, check=0):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", query, check=check)
        go.err = done.err
        return [json.loads(line) for line in done.out.splitlines()]

    return go


def snapshot(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


def test_groups_have_the_names_of_the_query(clicks, run, ask, warehouse):
    text = hourly(clicks.source, "append").replace("count(DISTINCT user_id) AS users, ", "")
    clicks("a", *FIRST)
    run(text)
    before = snapshot(warehouse)
    rows = ask("SELECT * FROM state('hourly') ORDER BY product")
    assert snapshot(warehouse) == before  # looking writes nothing, no lock and no registry
    assert [list(r) for r in rows] == [["step", "relation", "batch", "window_start", "product", "count(*)", "sum(amount)", "expires"]] * 2
    assert [(r["relation"], r["batch"], r["product"], r["count(*)"], float(r["sum(amount)"])) for r in rows] == [
        ("groups", 0, "a", 2, 3.0), ("groups", 0, "b", 1, 2.0)]
    assert rows[0]["window_start"].startswith("2024-01-01T00:00:00") and rows[0]["expires"].startswith("2024-01-01T01:00:00")
    clicks("b", *SECOND)
    clicks("c", *THIRD)
    run(text)  # windows that are closed have left
    assert [r["product"] for r in ask("SELECT * FROM state('default.hourly')")] == ["b"]
    assert ask("SELECT sum(\"count(*)\") AS n FROM state('hourly', batch => 0)") == [{"n": 3}]


def test_several_relations_and_what_there_is_not(clicks, run, ask):
    clicks("a", *FIRST)
    run(hourly(clicks.source, "update"))
    rows = ask("SELECT relation, key->>'product' AS product, (value->>'count(*)')::INT AS n FROM state('hourly') ORDER BY ALL")
    assert rows[:2] == [{"relation": "groups", "product": "a", "n": 2}, {"relation": "groups", "product": "b", "n": 1}]
    assert len(ask("SELECT * FROM state('hourly', step => 0, relation => 'values_0')")) == 2
    for question, fact, hint in [
            ("state('hourly', step => 1)", "no step 1", "relation => 'groups'"),
            ("state('hourly', relation => 'keys')", "no relation 'keys'", "step => 0"),
            ("state('hourly', batch => 7)", "batch 7 is not there", "batches 0 to 0"),
            ("state('hourly', flow => 'x')", "no flow 'x'", "'hourly'"),
            ("state('nothing')", "no flow has written nothing", "--warehouse"),
            ("state('hourly', stap => 1)", "no option 'stap'", "did you mean step"),
            ("state(hourly)", "name of a table", "state('gold.hourly'"),
            ("state('a/b')", "by their names", "state('gold.hourly'")]:
        ask(f"SELECT * FROM {question}", check=1)
        assert fact in ask.err and hint in ask.err, ask.err


def test_a_flow_without_state(clicks, run, ask):
    clicks("a", *FIRST)
    run(f"CREATE STREAMING TABLE raw AS SELECT * FROM {clicks.source};")
    ask("SELECT * FROM state('raw')", check=1)
    assert "raw remembers nothing" in ask.err and "FR-STREAM-010" in ask.err


def test_keys_joins_and_sessions(clicks, run, ask):
    timed = f"{clicks.source} WATERMARK ts DELAY OF INTERVAL '1 hour'"
    clicks("a", *FIRST)
    run(f"""CREATE STREAMING TABLE seen AS SELECT DISTINCT ON (product) product, user_id FROM {clicks.source};
            CREATE STREAMING TABLE pairs AS SELECT a.product AS product, b.amount AS other FROM {timed} AS a
              JOIN {timed} AS b ON a.product = b.product AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5 minutes';
            CREATE STREAMING TABLE visits AS SELECT session_window.start AS start, user_id, count(*) AS n, median(amount) AS middle
              FROM {timed} GROUP BY session_window(ts, INTERVAL '15 minutes'), user_id;""")
    assert [r["product"] for r in ask("SELECT product FROM state('seen') ORDER BY ALL")] == ["a", "b"]
    assert {r["relation"] for r in ask("SELECT * FROM state('pairs')")} == {"side0", "side1"}
    assert ask("SELECT count(*) AS n, min(product) AS p FROM state('pairs', relation => 'side0')") == [{"n": 3, "p": "a"}]
    rows = ask("SELECT * FROM state('visits') ORDER BY user_id")
    assert [(r["user_id"], r["count(*)"]) for r in rows] == [(1, 2), (2, 1)]
    assert rows[0]["session_end"].startswith("2024-01-01T00:35:00")


def test_what_is_remembered_is_seen_while_the_flow_runs(clicks, freshet, warehouse, tmp_path, ask, wait_until):
    (tmp_path / "p.sql").write_text(hourly(clicks.source, "complete", watermark=False))
    process = freshet.start("run", tmp_path / "p.sql", "--warehouse", warehouse)
    counts = "SELECT sum((value->>'count(*)')::INT)::INT AS n FROM state('hourly') WHERE relation = 'groups'"

    def sees(n):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", counts)
        return done.code == 0 and json.loads(done.out)["n"] == n

    clicks("a", *FIRST)
    wait_until(lambda: sees(3))
    clicks("b", *SECOND)
    wait_until(lambda: sees(5))
    assert process.running
    assert process.stop().code == 0


def test_a_view_over_the_state_is_refreshed_when_it_changes(clicks, run, ask):
    text = hourly(clicks.source, "update") + """CREATE MATERIALIZED VIEW biggest AS
        SELECT max((value->>'count(*)')::INT) AS n FROM state('hourly') WHERE relation = 'groups';"""
    clicks("a", *FIRST)
    run(hourly(clicks.source, "update"))
    run(text)
    assert ask("SELECT n FROM biggest") == [{"n": 2}]
    clicks("b", *SECOND)
    run(hourly(clicks.source, "update"))
    run(text)
    assert ask("SELECT n FROM biggest") == [{"n": 3}]


@pytest.mark.parametrize("failpoint", ["stream.state.before_file=crash@10", "stream.state.after_file=crash@10",
                                       "stream.state.after_file=crash@11", "stream.sink.after_write=crash@10"])
def test_a_kill_around_a_snapshot_between_batches(clicks, freshet, warehouse, tmp_path, ask, wait_until, failpoint):
    """Nine files of state make a snapshot due; it is written when their batch has been reported, and named by the next."""
    (tmp_path / "p.sql").write_text(f"""CREATE STREAMING TABLE t TBLPROPERTIES ('freshet.outputMode' = 'update') AS
      SELECT user_id, count(*) AS n FROM {clicks.source.replace("format", "maxFilesPerTrigger => 1, format")} GROUP BY user_id;""")
    for number in range(14):
        clicks(f"{number:02}", ("2024-01-01T00:00:00", "a", number, 1), ("2024-01-01T00:00:00", "a", 0, 1))
    first = freshet.start("run", tmp_path / "p.sql", "--warehouse", warehouse, env={"FRESHET_FAILPOINT": failpoint})
    wait_until(lambda: not first.running)
    state = warehouse / "_checkpoints/default/t/t/0/freshet-state/0"
    assert len(list(state.glob("groups.8.snapshot.*"))) == (0 if "before_file" in failpoint else 1)
    second = freshet.start("run", tmp_path / "p.sql", "--warehouse", warehouse)
    counts = lambda: {r["user_id"]: r["n"] for r in ask("SELECT * FROM t")}  # noqa: E731
    wait_until(lambda: len(counts()) == 14, process=second)
    assert second.stop().code == 0
    assert counts() == {0: 15, **{n: 1 for n in range(1, 14)}}
    assert ask("SELECT sum(\"count(*)\")::INT AS n FROM state('t')") == [{"n": 28}]
