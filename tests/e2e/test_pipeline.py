"""freshet run and check: medallions, order, failures, full refresh, views, growing schemas, expectations, signals."""
import json
import signal
import subprocess

import pytest


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()

    def drop(name, records):
        """A file that appears complete: written aside and renamed."""
        aside = tmp_path / f".{name}"
        aside.write_text("".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in records))
        aside.rename(folder / name)

    drop.folder = folder
    return drop


@pytest.fixture
def pipeline(freshet, warehouse, tmp_path):
    """run(text, *flags) writes the text to a file and runs it, available-now unless told otherwise."""

    def run(text, *flags, check=0, command="run"):
        file = tmp_path / "pipeline.sql"
        file.write_text(text)
        now = ("--available-now",) if command == "run" else ()
        return freshet(command, file, "--warehouse", warehouse, *now, *flags, check=check)

    run.start = lambda text, *flags: (
        (tmp_path / "pipeline.sql").write_text(text),
        freshet.start("run", tmp_path / "pipeline.sql", "--warehouse", warehouse, *flags))[1]
    return run


@pytest.fixture
def rows(freshet, warehouse):
    def run(query):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", query, check=0)
        return [json.loads(line) for line in done.out.splitlines()]

    return run


def medallion(folder):
    return f"""
    CREATE MATERIALIZED VIEW gold.by_kind AS SELECT kind, count(*) AS n, sum(amount) AS total FROM silver.events GROUP BY kind;
    CREATE STREAMING TABLE silver.events AS
      SELECT id, kind, amount, current_timestamp AS processed_at FROM STREAM bronze.events WHERE kind IS NOT NULL;
    CREATE STREAMING TABLE bronze.events AS SELECT * FROM STREAM read_files('{folder}', format => 'json');
    """


def rows_read(process, name):
    """What a running flow has reported so far; a batch may have no rows."""
    lines = process.out.splitlines(keepends=True)
    progress = [json.loads(line) for line in lines if line.endswith("\n")]
    return sum(p["numInputRows"] for p in progress if p["name"] == name)


def test_medallion_in_any_order(pipeline, landing, rows, warehouse, read_delta):
    landing("a.json", [{"id": 1, "kind": "x", "amount": 1.5}, {"id": 2, "kind": None, "amount": 2.0}])
    pipeline(medallion(landing.folder))
    landing("b.json", [{"id": 3, "kind": "x", "amount": 4.0}])
    pipeline(medallion(landing.folder))
    pipeline(medallion(landing.folder))
    assert rows("SELECT id FROM bronze.events ORDER BY id") == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert read_delta(warehouse / "silver/events", "id", "kind") == [(1, "x"), (3, "x")]
    assert rows("SELECT * FROM gold.by_kind") == [{"kind": "x", "n": 2, "total": 5.5}]
    assert rows("SELECT count(DISTINCT processed_at) AS n FROM silver.events") == [{"n": 2}]
    # nothing new: no commit anywhere
    assert [h["version"] for h in rows("DESCRIBE HISTORY gold.by_kind")][0] <= 1
    assert "_rescued_data" in rows("SELECT * FROM bronze.events LIMIT 1")[0]


def test_a_warehouse_can_be_moved(pipeline, landing, rows, warehouse, freshet, tmp_path):
    """Tables, flows and their checkpoints are known by their place within the warehouse."""
    landing("a.json", [{"id": 1, "kind": "x", "amount": 1.5}])
    pipeline(medallion(landing.folder))
    moved = tmp_path / "moved"
    warehouse.rename(moved)
    landing("b.json", [{"id": 2, "kind": "x", "amount": 4.0}])
    freshet("run", tmp_path / "pipeline.sql", "--warehouse", moved, "--available-now", check=0)
    moved.rename(warehouse)
    assert rows("SELECT * FROM gold.by_kind") == [{"kind": "x", "n": 2, "total": 5.5}]
    pipeline(medallion(landing.folder))
    assert rows("SELECT id FROM silver.events ORDER BY id") == [{"id": 1}, {"id": 2}]


def test_continuous_run_follows_and_stops_clean(pipeline, landing, rows, wait_until):
    landing("a.json", [{"id": 1, "kind": "x", "amount": 1.0}])
    process = pipeline.start(medallion(landing.folder), "--set", "freshet.trigger=100 ms", "--progress", "json")
    wait_until(lambda: rows_read(process, "silver.events") == 1, process=process)
    landing("b.json", [{"id": 2, "kind": "y", "amount": 2.0}])
    wait_until(lambda: rows_read(process, "silver.events") == 2, process=process)
    done = process.stop()
    assert done.code == 0, done
    assert rows("SELECT id FROM silver.events ORDER BY id") == [{"id": 1}, {"id": 2}]
    progress = [json.loads(line) for line in done.out.splitlines()]
    batches = [p for p in progress if p["name"] == "bronze.events" and p["numInputRows"] > 0]
    assert sum(p["numInputRows"] for p in batches) == 2
    assert {"id", "runId", "batchId", "durationMs", "sources", "sink", "commitVersion"} <= set(batches[0])


def test_a_failing_flow_stops_alone(pipeline, landing, rows):
    landing("a.json", [{"id": 1, "v": "12"}, {"id": 2, "v": "no number"}])
    text = f"""
    CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('{landing.folder}', format => 'json');
    CREATE STREAMING TABLE silver AS SELECT id, v::INT AS v FROM STREAM bronze;
    CREATE MATERIALIZED VIEW gold AS SELECT sum(v) AS s FROM silver;
    CREATE STREAMING TABLE other AS SELECT id FROM STREAM bronze;
    """
    done = pipeline(text, check=1)
    assert "silver" in done.err and "no number" in done.err
    assert "gold" in done.err and "waits for silver" in done.err
    assert rows("SELECT id FROM other ORDER BY id") == [{"id": 1}, {"id": 2}]
    fixed = text.replace("v::INT", "TRY_CAST(v AS INT)")
    pipeline(fixed)
    assert rows("SELECT * FROM gold") == [{"s": 12}]


def test_expectations(pipeline, landing, rows):
    landing("a.json", [{"id": i, "amount": a} for i, a in enumerate([5, -1, None, 7])])
    text = f"""
    CREATE STREAMING TABLE t (
      CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION DROP ROW,
      CONSTRAINT small EXPECT (amount < 6))
    AS SELECT id, amount FROM STREAM read_files('{landing.folder}', format => 'json');
    """
    done = pipeline(text, "--progress", "json")
    assert rows("SELECT id FROM t ORDER BY id") == [{"id": 0}, {"id": 3}]
    batch = next(p for p in map(json.loads, done.out.splitlines()) if p.get("expectations"))
    counts = {e["name"]: e for e in batch["expectations"]}
    assert counts["positive"]["failed"] == 2 and counts["small"]["failed"] >= 1
    landing("b.json", [{"id": 9, "amount": 100}])
    failing = text.replace("(amount < 6)", "(amount < 50) ON VIOLATION FAIL UPDATE")
    failed = pipeline(failing, check=1)
    assert "small" in failed.err and "FR-STREAM-007" in failed.err
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 2}]


def test_new_columns_in_flight(pipeline, landing, rows):
    text = f"CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('{landing.folder}', format => 'json');"
    landing("a.json", [{"id": 1}])
    pipeline(text)
    landing("b.json", [{"id": 2, "colour": "red"}, {"id": "three"}])
    pipeline(text)
    got = rows("SELECT id, colour, _rescued_data FROM t ORDER BY id NULLS LAST")
    assert got[0] == {"id": 1, "colour": None, "_rescued_data": None}
    assert got[1] == {"id": 2, "colour": "red", "_rescued_data": None}
    assert got[2]["id"] is None and "three" in got[2]["_rescued_data"]


def test_growth_flows_downstream_in_the_same_run(pipeline, landing, rows, wait_until):
    text = f"""CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('{landing.folder}', format => 'json');
    CREATE STREAMING TABLE silver AS SELECT * FROM STREAM bronze;"""
    landing("a.json", [{"id": 1}])
    process = pipeline.start(text, "--progress", "json")
    wait_until(lambda: rows_read(process, "silver") == 1, process=process)
    landing("b.json", [{"id": 2, "size": 4}])
    wait_until(lambda: rows_read(process, "silver") == 2, process=process)
    assert process.stop().code == 0
    assert rows("SELECT id, size FROM silver ORDER BY id") == [{"id": 1, "size": None}, {"id": 2, "size": 4}]


def test_full_refresh_of_one_table(pipeline, landing, rows):
    landing("a.json", [{"id": 1, "kind": "x", "amount": 1.0}, {"id": 2, "kind": "x", "amount": 3.0}])
    text = medallion(landing.folder)
    pipeline(text)
    bronze = rows("DESCRIBE HISTORY bronze.events")
    changed = text.replace("SELECT id, kind, amount,", "SELECT id, kind, amount * 10 AS amount,")
    pipeline(changed, "--full-refresh", "silver.events")
    assert rows("SELECT id, amount FROM silver.events ORDER BY id") == [{"id": 1, "amount": 10.0}, {"id": 2, "amount": 30.0}]
    assert rows("SELECT total FROM gold.by_kind") == [{"total": 40.0}]
    assert rows("DESCRIBE HISTORY bronze.events") == bronze
    pipeline(changed)
    assert rows("SELECT count(*) AS n FROM silver.events") == [{"n": 2}]
    assert "writes no table" in pipeline(changed, "--full-refresh", "silver.nothing", check=1).err


def test_two_flows_into_one_table(pipeline, tmp_path, rows):
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.json").write_text('{"id": 1}\n{"id": 2}\n')
    text = f"""
    CREATE STREAMING TABLE all_sites;
    CREATE FLOW east AS INSERT INTO all_sites BY NAME SELECT id, 'east' AS site FROM STREAM read_files('{tmp_path}/east', format => 'json');
    CREATE FLOW west AS INSERT INTO all_sites BY NAME SELECT id, 'west' AS site FROM STREAM read_files('{tmp_path}/west', format => 'json');
    """
    pipeline(text)
    pipeline(text)
    assert rows("SELECT site, count(*) AS n FROM all_sites GROUP BY ALL ORDER BY 1") == [{"site": "east", "n": 2}, {"site": "west", "n": 2}]


def test_temporary_views_and_static_joins(pipeline, freshet, warehouse, landing, rows):
    freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE dim AS SELECT 'x' AS kind, 'Ex' AS name", check=0)
    landing("a.json", [{"id": 1, "kind": "x"}, {"id": 2, "kind": "y"}])
    text = f"""
    CREATE TEMPORARY VIEW raw AS SELECT id, kind FROM STREAM read_files('{landing.folder}', format => 'json') WHERE id IS NOT NULL;
    CREATE STREAMING TABLE named AS SELECT r.id, d.name FROM raw AS r LEFT JOIN dim AS d ON r.kind = d.kind;
    """
    pipeline(text)
    freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO dim VALUES ('y', 'Why')", check=0)
    landing("b.json", [{"id": 3, "kind": "y"}])
    pipeline(text)
    assert rows("SELECT * FROM named ORDER BY id") == [{"id": 1, "name": "Ex"}, {"id": 2, "name": None}, {"id": 3, "name": "Why"}]


def test_view_is_refreshed_only_when_something_changed(pipeline, freshet, warehouse, rows):
    freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE src AS SELECT 1 AS a", check=0)
    text = "CREATE MATERIALIZED VIEW v AS SELECT a % 2 AS odd, count(*) > 0 AS any FROM src GROUP BY ALL;"
    pipeline(text)
    pipeline(text)
    assert len(rows("DESCRIBE HISTORY v")) == 1
    freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO src VALUES (3)", check=0)  # another input, the same answer
    pipeline(text)
    assert len(rows("DESCRIBE HISTORY v")) == 1
    freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO src VALUES (4)", check=0)
    pipeline(text)
    assert rows("SELECT odd FROM v ORDER BY 1") == [{"odd": 0}, {"odd": 1}]


def test_check_explains_and_touches_nothing(pipeline, landing, warehouse):
    landing("a.json", [{"id": 1, "kind": "x", "amount": 1.0}])
    done = pipeline(medallion(landing.folder), command="check")
    assert done.out.index("bronze.events") < done.out.index("silver.events  (append") < done.out.index("gold.by_kind")
    assert "processed_at" in done.out
    assert list(warehouse.iterdir()) == []


@pytest.mark.parametrize("text, what, code", [
    ("CREATE STREAMING TABLE a AS SELECT * FROM STREAM b; CREATE STREAMING TABLE b AS SELECT * FROM STREAM a;", "circle", "FR-PIPELINE-002"),
    ("CREATE STREAMING TABLE a AS SELECT 1 AS x FROM STREAM read_rate(); CREATE STREAMING TABLE A AS SELECT 2 AS y FROM STREAM read_rate();",
     "twice", "FR-PIPELINE-001"),
    ("CREATE FLOW f AS INSERT INTO nowhere BY NAME SELECT * FROM STREAM read_rate();", "not declared", "FR-PIPELINE-003"),
    ("SELECT 1;", "not a statement of a pipeline", "FR-PIPELINE-004"),
    ("CREATE STREAMING TABLE a AS SELECT count(*) AS n FROM STREAM read_rate();", "append mode", "FR-PIPELINE-005"),
    ("CREATE STREAMING TABLE a AS SELECT value FROM STREAM read_rate() ORDER BY 1;", "ORDER BY", "FR-PIPELINE-005"),
    ("CREATE STREAMING TABLE a TBLPROPERTIES ('freshet.triger' = '1 s') AS SELECT * FROM STREAM read_rate();", "freshet.trigger", "FR-PIPELINE-006"),
    ("CREATE STREAMING TABLE \"a b\" AS SELECT * FROM STREAM read_rate();", "a b", "FR-PIPELINE-007"),
    ("CREATE STREAMING TABLE a AS SELECT * FROM read_rate();", "STREAM", "FR-PIPELINE-004"),
    ("CREATE STREAMING TABLE a AS SELECT * FROM STREAM read_rate(rowsPerSecnd => 5);", "rowsPerSecond", "FR-STREAM-001"),
    ("CREATE STREAMING TABLE a AS SELECT vlaue FROM STREAM read_rate();", "value", "FR-SQL-002"),
    ("CREATE STREAMING TABL a;", "TABLE", "FR-SQL-001"),
    ("SET freshet.fsnc = false; CREATE STREAMING TABLE a AS SELECT * FROM STREAM read_rate();", "freshet.fsync", "FR-PIPELINE-006"),
])
def test_bad_pipelines(pipeline, text, what, code):
    failed = pipeline(text, check=1)
    assert failed.err.startswith("error: ") or "error: " in failed.err
    assert what in failed.err and f"code: {code}" in failed.err
    assert "pipeline.sql:1:" in failed.err


def test_a_second_runner_is_refused(pipeline, landing, wait_until):
    landing("a.json", [{"id": 1, "kind": "x", "amount": 1.0}])
    text = medallion(landing.folder)
    process = pipeline.start(text, "--progress", "json")
    wait_until(lambda: '"bronze.events"' in process.out, process=process)
    failed = pipeline(text, check=1)
    assert "FR-STREAM-002" in failed.err
    assert process.stop().code == 0


# minutes of work that reads nothing
ENDLESS = "SELECT count(*) AS n FROM range(30000000) a, range(100000) b WHERE (a.range ^ b.range) % 7 = 3"


@pytest.mark.parametrize("node", ["flow", "view"])
def test_interrupt_twice_abandons(pipeline, landing, rows, wait_until, node):
    """A first signal lets the batch go on, a second one ends it within its statement; nothing of it is there."""
    landing("a.json", [{"id": 1}])
    stream = f"CREATE STREAMING TABLE slow AS SELECT id, ({ENDLESS}) AS n FROM STREAM read_files('{landing.folder}', format => 'json');"
    process = pipeline.start(stream if node == "flow" else f"CREATE MATERIALIZED VIEW slow AS {ENDLESS};",
                             "--progress", "plain")
    wait_until(lambda: "slow" in process.out + process.err, process=process)
    wait_until(lambda: process.cpu_seconds > 0.5, what="the statement to be at work", process=process)
    process.signal(signal.SIGINT)
    used = process.cpu_seconds
    wait_until(lambda: process.cpu_seconds > used + 0.5, what="the statement to go on", process=process)
    process.signal(signal.SIGINT)
    done = process.wait(20)
    assert done.code == 130
    assert "rror" not in done.out + done.err
    assert rows("SHOW TABLES") == [] or rows("SELECT count(*) AS n FROM slow")[0]["n"] == 0


def test_one_interrupt_finishes_the_batch(pipeline, rows, wait_until):
    text = "CREATE STREAMING TABLE slow AS SELECT * FROM STREAM read_rate(rowsPerSecond => 10);"
    process = pipeline.start(text, "--progress", "json")
    wait_until(lambda: process.out, process=process)
    process.signal(signal.SIGINT)
    assert process.wait().code == 0
    n = rows("SELECT count(*) AS n, count(DISTINCT value) AS d FROM slow")[0]
    assert n["n"] == n["d"] > 0


def test_source_changed_is_refused(pipeline, landing, tmp_path):
    landing("a.json", [{"id": 1}])
    text = f"CREATE STREAMING TABLE t AS SELECT id FROM STREAM read_files('{landing.folder}', format => 'json');"
    pipeline(text)
    (tmp_path / "other").mkdir()
    failed = pipeline(text.replace(str(landing.folder), str(tmp_path / "other")), check=1)
    assert "FR-STREAM-004" in failed.err and str(tmp_path / "other") in failed.err
    pipeline(text.replace("SELECT id", "SELECT id, id + 1 AS next"))  # a projection may change


def test_a_run_ends_when_everything_waits_for_a_failed_flow(pipeline, landing):
    landing("a.json", [{"v": "no number"}])
    done = pipeline.start(f"""
    CREATE STREAMING TABLE a AS SELECT v::INT AS v FROM STREAM read_files('{landing.folder}', format => 'json');
    CREATE STREAMING TABLE b AS SELECT * FROM STREAM a;
    CREATE STREAMING TABLE c AS SELECT * FROM STREAM b;
    """).wait()
    assert done.code == 1
    assert "waits for a" in done.err and "waits for b" in done.err


def test_fsync_can_be_switched_off(freshet, warehouse, landing, tmp_path):
    """With an fsync that ends the process: only a run that does not wait for the disk comes through."""
    (tmp_path / "fsync.c").write_text("#include <stdlib.h>\nint fsync(int fd) { (void)fd; abort(); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "fsync.c", "-o", "fsync.so"], cwd=tmp_path, check=True)
    landing("a.json", [{"id": 1}])
    text = f"CREATE STREAMING TABLE t AS SELECT id, count(*) AS n FROM STREAM read_files('{landing.folder}', format => 'json') GROUP BY id;"
    (tmp_path / "on.sql").write_text(text.replace("t AS", "t TBLPROPERTIES ('freshet.outputMode' = 'update') AS"))
    (tmp_path / "off.sql").write_text("SET freshet.fsync = false; " + (tmp_path / "on.sql").read_text())

    def go(*arguments):
        return freshet(*arguments, "--warehouse", warehouse, env={"LD_PRELOAD": tmp_path / "fsync.so"}).code

    assert go("run", tmp_path / "on.sql", "--available-now") == -signal.SIGABRT
    assert go("run", tmp_path / "off.sql", "--available-now") == 0
    assert go("sql", "-c", "SET freshet.fsync = false; INSERT INTO t VALUES (2, 1)") == 0
    assert go("sql", "-c", "INSERT INTO t VALUES (2, 1)") == -signal.SIGABRT


def test_clustered_targets(freshet, warehouse):
    """CLUSTER BY of a streaming table and a view; another one is taken over with the next run."""
    pipeline = warehouse.parent / "clustered.sql"
    landing = warehouse.parent / "clustered"
    landing.mkdir()
    (landing / "1.json").write_text('{"id": 1, "a": 2}\n')

    def run(columns):
        pipeline.write_text(f"CREATE STREAMING TABLE c CLUSTER BY ({columns}) AS SELECT * FROM STREAM read_files('{landing}', format => 'json');"
                            "CREATE MATERIALIZED VIEW m CLUSTER BY (a) AS SELECT a, count(*) AS n FROM c GROUP BY a;")
        freshet("run", pipeline, "--available-now", "--warehouse", warehouse, check=0)

    def ask(sql):
        return [json.loads(line) for line in freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", sql, check=0).out.splitlines()]

    run("id")
    run("id")
    definition = lambda name: ask(f"SHOW CREATE TABLE {name}")[0]["createtab_stmt"]
    assert "CLUSTER BY (id)" in definition("c") and "CLUSTER BY (a)" in definition("m")
    run("a, id")
    assert "CLUSTER BY (a,id)" in definition("c")
    assert [h["operation"] for h in ask("DESCRIBE HISTORY c")] == ["CLUSTER BY", "STREAMING UPDATE", "CREATE TABLE"]
    assert ask("SELECT id, a FROM c") == [{"id": 1, "a": 2}]


def test_expectations_of_a_view(pipeline, freshet, warehouse, rows):
    freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE t AS SELECT i AS id FROM range(6) r(i)")
    view = ("CREATE MATERIALIZED VIEW v (CONSTRAINT big EXPECT (id > 1) ON VIOLATION DROP ROW, CONSTRAINT even EXPECT (id % 2 = 0)) "
            "AS SELECT id FROM t;")
    progress = json.loads(pipeline(view, "--progress", "json").out)
    assert progress["expectations"] == [{"name": "big", "action": "drop", "passed": 4, "failed": 2},
                                        {"name": "even", "action": "keep", "passed": 3, "failed": 3}]
    assert [r["id"] for r in rows("SELECT id FROM v ORDER BY id")] == [2, 3, 4, 5]
    changed = view.replace("id > 1) ON VIOLATION DROP ROW", "id < 5) ON VIOLATION FAIL UPDATE")
    failed = pipeline(changed, check=1).err
    assert "1 row of the answer violates expectation big of v: id < 5" in failed and "FR-STREAM-007" in failed
    assert len(rows("SELECT id FROM v")) == 4


def test_an_equal_answer_of_declared_columns_is_no_commit(pipeline, freshet, warehouse, rows):
    freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE t AS SELECT i AS id FROM range(6) r(i)")
    view = "CREATE MATERIALIZED VIEW v (low INT COMMENT 'the least', n DECIMAL(9,2)) AS SELECT min(id) AS low, 1.5 AS n FROM t;"
    pipeline(view)
    freshet("sql", "--warehouse", warehouse, "-c", "INSERT INTO t VALUES (10)")
    pipeline(view)
    assert rows("SELECT * FROM v") == [{"low": 0, "n": 1.5}]
    assert len(rows("DESCRIBE HISTORY v")) == 1


STREAM = "CREATE STREAMING TABLE x {} AS SELECT * FROM STREAM silver.orders {};"


@pytest.mark.parametrize("text, what, hint", [
    (STREAM.format("", "WITH (startingVersoin = 1)"), "no option 'startingVersoin'", "startingVersion"),
    (STREAM.format("TBLPROPERTIES ('delta.enableChangeDataFed' = 'true')", ""), "enableChangeDataFed", "delta.enableChangeDataFeed"),
    (STREAM.format("(CONSTRAINT c EXPECT (amont > 0))", ""), '"amont" not found', "amount"),
    (STREAM.format("(CONSTRAINT c EXPECT (id > 0) ON VIOLATION QUARANTINE)", ""), "QUARANTINE", "DROP ROW"),
    (STREAM.format("PARTITIONED BY (dy)", ""), "partition column 'dy'", None),
    (STREAM.format("(amount DATE)", ""), '"amount" is date in the table', None),
    ("CREATE STREAMING TABLE x AS SELECT * FROM STREAM silver.order;", "silver.order is not a Delta table", "silver.orders"),
    ("CREATE MATERIALIZED VIEW x AS SELECT * FROM order_s;", "order_s", "silver.orders"),
    ("CREATE TEMPORARY VIEW orders_v AS SELECT 1 AS a; CREATE MATERIALIZED VIEW x AS SELECT * FROM order_v;", "order_v", "orders_v"),
])
def test_check_finds_what_run_would(pipeline, freshet, warehouse, text, what, hint):
    freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE silver.orders (id BIGINT, amount DOUBLE)")
    err = pipeline(text, command="check", check=1).err
    assert what in err and "pipeline.sql:1:" in err
    assert hint is None or hint in err[err.index("hint: "):]


def test_check_knows_the_columns_of_a_change_feed(pipeline, freshet, warehouse):
    freshet("sql", "--warehouse", warehouse, "-c",
            "CREATE TABLE t (id BIGINT) TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
    page = pipeline("CREATE STREAMING TABLE x TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true') "
                    "AS SELECT id, _change_type AS how FROM STREAM t WITH (readChangeFeed = true); "
                    "CREATE STREAMING TABLE y AS SELECT id, how, _commit_version AS at FROM STREAM x WITH (readChangeFeed = true);",
                    command="check").out
    assert "columns  id BIGINT, how VARCHAR\n" in page and "columns  id BIGINT, how VARCHAR, at BIGINT\n" in page


def test_check_of_schema_tracking_logs(pipeline, freshet, warehouse):
    """Two logs of one name, of different tables, and one that is named with its place."""
    freshet("sql", "--warehouse", warehouse, "-c", "CREATE TABLE s (id INT); CREATE TABLE t (name STRING)")
    place = warehouse / "_checkpoints/default/z/z/0/schema"
    page = pipeline("".join(f"CREATE STREAMING TABLE {name} AS SELECT * FROM STREAM {source} WITH (schemaTrackingLocation = '{at}');"
                            for name, source, at in (("x", "s", "schema"), ("y", "t", "schema"), ("z", "s", place))), command="check").out
    assert page.count("columns  id INTEGER\n") == 2 and "columns  name VARCHAR\n" in page
    assert not (warehouse / "_checkpoints").exists()
