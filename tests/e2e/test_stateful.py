"""Streams that remember: windows in three output modes, late rows, DISTINCT, restarts, batches without data."""
import pytest


@pytest.fixture
def rows(answers):
    return answers


def newest(rows, table):
    return rows(f"DESCRIBE HISTORY {table}")[0]


def hourly(source, mode, watermark=True):
    return f"""
    CREATE STREAMING TABLE hourly TBLPROPERTIES ('freshet.outputMode' = '{mode}') AS
      SELECT window.start AS hour, product, count(*) AS views, count(DISTINCT user_id) AS users, sum(amount) AS revenue
      FROM {source} {"WATERMARK ts DELAY OF INTERVAL '1 hour'" if watermark else ""}
      GROUP BY window(ts, INTERVAL '1 hour'), product;
    """


FIRST = [("2024-01-01T00:10:00", "a", 1, 1.5), ("2024-01-01T00:20:00", "a", 1, 1.5), ("2024-01-01T00:59:00", "b", 2, 2)]
SECOND = [("2024-01-01T01:10:00", "a", 1, 1), ("2024-01-01T00:30:00", "a", 3, 4)]  # the watermark was 23:59
THIRD = [("2024-01-01T03:00:00", "b", 4, 1)]  # closes everything before 02:00 with the batch after it
LATE = [("2024-01-01T00:40:00", "a", 9, 100), ("2024-01-01T02:30:00", "a", 9, 7)]


def test_append_gives_each_window_once(clicks, run, rows, warehouse, read_delta):
    text = hourly(clicks.source, "append")
    clicks("a", *FIRST)
    run(text)
    assert rows("SELECT count(*) FROM hourly") == [(0,)]
    clicks("b", *SECOND)
    run(text)
    clicks("c", *THIRD)
    progress = run(text)
    # the batch with the rows, and one without that lets the windows out
    assert [p["numInputRows"] for p in progress] == [1, 0]
    assert progress[1]["eventTime"]["watermark"] == "2024-01-01T02:00:00.000Z"
    assert progress[0]["eventTime"]["max"] == "2024-01-01T03:00:00.000Z"
    assert progress[1]["stateOperators"][0]["numRowsRemoved"] > 0
    closed = [("2024-01-01T00:00:00", "a", 3, 2, 7.0), ("2024-01-01T00:00:00", "b", 1, 1, 2.0),
              ("2024-01-01T01:00:00", "a", 1, 1, 1.0)]
    answer = rows("SELECT * FROM hourly ORDER BY hour, product")
    assert [(r[1], r[2], r[3], float(r[4])) for r in answer] == [r[1:] for r in closed]
    clicks("d", *LATE)
    progress = run(text)
    assert progress[0]["stateOperators"][0]["numRowsDroppedByWatermark"] == 1
    assert rows("SELECT * FROM hourly ORDER BY hour, product") == answer
    assert len(read_delta(warehouse / "default/hourly", "product")) == 3
    assert run(text) == []


def test_update_writes_the_groups_that_changed(clicks, run, rows):
    text = hourly(clicks.source, "update")
    clicks("a", *FIRST)
    run(text)
    assert rows("SELECT product, views, users FROM hourly ORDER BY product") == [("a", 2, 1), ("b", 1, 1)]
    clicks("b", *SECOND)
    progress = run(text)
    assert progress[0]["sink"]["numOutputRows"] == 2
    assert rows("SELECT strftime(hour, '%H'), product, views, users FROM hourly ORDER BY ALL") == [
        ("00", "a", 3, 2), ("00", "b", 1, 1), ("01", "a", 1, 1)]
    assert newest(rows, "hourly")["operationParameters"]["outputMode"] == "Update"


def test_update_deletes_groups_that_no_longer_pass(clicks, run, rows):
    text = f"""CREATE STREAMING TABLE few TBLPROPERTIES ('freshet.outputMode' = 'update', 'delta.enableChangeDataFeed' = 'true')
               AS SELECT product, count(*) AS n FROM {clicks.source} GROUP BY product HAVING count(*) < 3;"""
    clicks("a", *FIRST)
    run(text)
    assert rows("SELECT * FROM few ORDER BY product") == [("a", 2), ("b", 1)]
    clicks("b", *SECOND)
    run(text)
    assert rows("SELECT * FROM few ORDER BY product") == [("b", 1)]
    assert rows("SELECT product, _change_type FROM table_changes('few', 2)") == [("a", "delete")]


def test_complete_is_one_overwrite_or_none(clicks, run, rows):
    text = f"""CREATE STREAMING TABLE all_of_it TBLPROPERTIES ('freshet.outputMode' = 'complete') AS
               SELECT product, count(DISTINCT user_id) AS users FROM {clicks.source} GROUP BY product;"""
    clicks("a", *FIRST)
    run(text)
    clicks("b", *SECOND)
    run(text)
    assert rows("SELECT * FROM all_of_it ORDER BY product") == [("a", 2), ("b", 1)]
    clicks("c", ("2024-01-01T01:10:00", "a", 1, 1))
    run(text)
    last = newest(rows, "all_of_it")
    assert last["version"] == 2 and last["operationParameters"]["outputMode"] == "Complete"


def test_rejected_rows_are_kept_once(clicks, run, rows):
    text = hourly(clicks.source, "append").replace("'append'", "'append', 'freshet.keepRejected' = 'true', 'freshet.watermark.maxAhead' = '1 day'")
    clicks("a", *THIRD, ("2999-01-01T00:00:00", "z", 1, 1))
    progress = run(text)
    assert progress[0]["numRowsTooFarAhead"] == 1
    clicks("b", *LATE)  # the watermark that batch 0 moved makes rows late from batch 2 on
    run(text)
    clicks("c", *LATE)
    run(text)
    assert rows("SELECT reason, batch FROM hourly__rejected ORDER BY batch") == [("far ahead", 0), ("late", 2)]
    assert rows("SELECT row->>'product' FROM hourly__rejected WHERE reason = 'far ahead'") == [("z",)]


def test_distinct_remembers_for_ever(clicks, run, rows):
    text = f"CREATE STREAMING TABLE seen AS SELECT DISTINCT ON (product, user_id) * FROM {clicks.source};"
    clicks("a", *FIRST)
    run(text)
    clicks("b", *SECOND)
    run(text)
    assert rows("SELECT product, user_id FROM seen ORDER BY ALL") == [("a", 1), ("a", 3), ("b", 2)]


BY_PRODUCT = """CREATE STREAMING TABLE t TBLPROPERTIES ('freshet.outputMode' = 'update') AS
  SELECT c.product, count(*) AS n, sum(c.amount) AS total FROM {source} AS c GROUP BY c.product;"""

KEPT = {  # what changes above the state, or says nothing about it
    "a column from what is known": [("sum(c.amount) AS total", "sum(c.amount) AS total, sum(c.amount) / count(*) AS mean")],
    "columns in another order": [("count(*) AS n, sum(c.amount) AS total", "sum(c.amount) AS total, count(*) AS n")],
    "another expression over it": [("count(*) AS n", "count(*) + 0 AS n")],
    "a filter above it": [("GROUP BY c.product", "GROUP BY c.product HAVING count(*) > 0")],
    "another alias of the stream": [("c.", "d."), ("AS c", "AS d")],
    "names in another case": [("sum(c.amount)", "SUM(C.Amount)"), ("GROUP BY c.product", "GROUP BY C.\"PRODUCT\"")],
    "an alias below it": [("c.amount", "c.money"), ("FROM {source} AS c", "FROM (SELECT product, amount AS money FROM {source}) AS c")],
    "a filter below it, from now on": [("GROUP BY", "WHERE c.amount < 1000 GROUP BY")],
    "a second table": [("GROUP BY c.product;", "GROUP BY c.product; CREATE STREAMING TABLE u AS SELECT * FROM {source};")],
}


@pytest.mark.parametrize("edits", KEPT.values(), ids=KEPT)
def test_a_changed_query_keeps_its_state(clicks, run, rows, edits):
    text = BY_PRODUCT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    clicks("a", *FIRST)
    run(BY_PRODUCT.format(source=clicks.source))
    clicks("b", *SECOND)
    run(text.format(source=clicks.source))
    assert rows("SELECT product, n, total::DOUBLE FROM t ORDER BY product") == [("a", 4, 8.0), ("b", 1, 2.0)]


def test_renamed_output_columns_keep_the_state(clicks, run, rows):
    """The table keeps the old column, for rows that are not touched any more, and gets the new one."""
    clicks("a", *FIRST)
    run(BY_PRODUCT.format(source=clicks.source))
    clicks("b", *SECOND)
    run(BY_PRODUCT.format(source=clicks.source).replace("AS n", "AS views"))
    assert rows("SELECT product, views FROM t WHERE product = 'a'") == [("a", 4)]


ALIASES = {
    "distinct": ("SELECT DISTINCT ON (product) product, user_id FROM {s}",
                 "SELECT DISTINCT ON (q.product) q.product, q.user_id FROM {s} AS q WHERE q.amount > 0", [("a", 1), ("b", 2)]),
    "inner join": ("SELECT a.product, b.user_id FROM {w} AS a JOIN {w} AS b ON a.product = b.product AND b.ts >= a.ts AND b.user_id <> a.user_id",
                   "SELECT x.product, y.user_id FROM {w} AS x JOIN {w} AS y ON x.product = y.product AND y.ts >= x.ts AND y.user_id <> x.user_id",
                   [("a", 1), ("a", 3), ("a", 3)]),
    "left join": ("SELECT a.product, b.user_id FROM {w} AS a LEFT JOIN {w} AS b ON a.user_id = b.user_id + 2 AND b.ts BETWEEN a.ts - INTERVAL 1 HOUR AND a.ts + INTERVAL 1 HOUR",
                  "SELECT x.product, y.user_id FROM {w} AS x LEFT JOIN {w} AS y ON x.user_id = y.user_id + 2 AND y.ts BETWEEN x.ts - INTERVAL 1 HOUR AND x.ts + INTERVAL 1 HOUR",
                  [("a", 1), ("a", 1), ("a", 1)]),
    "columns of a side in another order": (
        "SELECT a.product, b.user_id FROM (SELECT ts, product, user_id, user_id + 10 AS other FROM {w}) AS a JOIN {w} AS b ON a.product = b.product AND b.ts >= a.ts AND b.user_id <> a.user_id AND a.other > 10",
        "SELECT a.product, b.user_id FROM (SELECT user_id + 10 AS Other, user_id, product, ts FROM {w}) AS a JOIN {w} AS b ON a.product = b.product AND b.ts >= a.ts AND b.user_id <> a.user_id AND a.other > 10",
        [("a", 1), ("a", 3), ("a", 3)]),
    "an aggregate over a join": (
        "SELECT window.start::VARCHAR AS w, a.product, sum(b.user_id) AS s FROM {w} AS a JOIN {w} AS b ON a.product = b.product AND b.ts = a.ts GROUP BY window(a.ts, INTERVAL '1 minute'), a.product",
        "SELECT window.start::VARCHAR AS w, X.product, sum(y.User_ID) AS s FROM {w} AS X JOIN {w} AS y ON x.product = Y.product AND y.ts = x.ts GROUP BY window(x.ts, INTERVAL '1 minute'), x.product",
        []),
    "keys in another order": ("SELECT DISTINCT product, user_id::VARCHAR AS u FROM {s}",
                              "SELECT u AS u, P AS product FROM (SELECT DISTINCT user_id::VARCHAR AS u, product AS P FROM {s})", [("a", "1"), ("a", "3"), ("b", "2")]),
}


@pytest.mark.parametrize("case", ALIASES)
def test_other_aliases_keep_the_state(clicks, run, rows, case):
    before, after, wanted = (f"CREATE STREAMING TABLE t AS {q};" if isinstance(q, str) else q for q in ALIASES[case])
    names = {"s": clicks.source, "w": f"{clicks.source} WATERMARK ts DELAY OF INTERVAL '1 hour'"}
    clicks("a", *FIRST)
    run(before.format(**names))
    clicks("b", *SECOND)
    run(after.format(**names))
    assert rows("SELECT * FROM t ORDER BY ALL") == wanted


def test_a_renamed_key_is_not_found_in_the_table(clicks, run, rows):
    text = BY_PRODUCT.format(source=clicks.source)
    clicks("a", *FIRST)
    run(text)
    clicks("b", *SECOND)
    other = text.replace("SELECT c.product", "SELECT c.product AS article")
    run(other, check=1)
    assert 'the table has no column "article", by which the rows to be replaced would be found' in run.err
    run(text)
    assert rows("SELECT product, n FROM t ORDER BY product") == [("a", 4), ("b", 1)]
    run(other, "--full-refresh", "t")
    assert rows("SELECT article, n FROM t ORDER BY article") == [("a", 4), ("b", 1)]


OVER = {  # what the same parts give: before, after, and what a group has after both files
    "avg from sum and count": ("sum(amount), count(amount)", "avg(amount), sum(amount), count(amount)", (2.0, 8.0, 4)),
    "sum and count from avg": ("avg(amount)", "sum(amount), count(amount)", (8.0, 4)),
    "doubles": ("sum(amount::DOUBLE), count(amount::DOUBLE)", "mean(amount::DOUBLE)", (2.0,)),
    "deviations": ("stddev(user_id)", "round(var_pop(user_id), 6), round(sem(user_id), 6)", (0.75, 0.433013)),
    "correlation": ("corr(user_id, amount)", "regr_count(user_id, amount), round(covar_pop(user_id, amount), 6)", (4, 1.0)),
    "values": ("median(amount)", "quantile_cont(amount, 0.5), quantile_disc(amount, 0.9)", (1.5, 4.0)),
    "distinct values": ("count(DISTINCT user_id)", "count(DISTINCT user_id) + 0", (2,)),
    "with a filter": ("sum(amount) FILTER (WHERE user_id = 1), count(amount) FILTER (user_id = 1)",
                      "avg(amount) FILTER (WHERE t.user_id = 1), count(t.amount) FILTER (user_id = 1)", (4 / 3, 3)),
}
GROUPINGS = {
    "groups": ("update", "product", "product"),
    "windows": ("append", "window(ts, INTERVAL '4 hours'), product", "window.start AS w, product"),
    "sliding": ("append", "window(ts, INTERVAL '4 hours', INTERVAL '2 hours'), product", "window.start AS w, product"),
    "sessions": ("append", "session_window(ts, INTERVAL '2 hours'), product", "session_window.start AS w, product"),
}


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_other_aggregates_over_the_same_state(clicks, run, rows, grouping):
    mode, by, keys = GROUPINGS[grouping]
    hours = mode == "append"

    def columns(calls):  # apart at commas outside of parentheses
        parts, depth = [""], 0
        for c in calls:
            depth += (c == "(") - (c == ")")
            if c == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += c
        return parts

    def text(when):
        return "".join(f"""CREATE STREAMING TABLE t{i} TBLPROPERTIES ('freshet.outputMode' = '{mode}') AS
          SELECT {keys}, {", ".join(f"({call})::DOUBLE AS {when}{k}" for k, call in enumerate(columns(both[when == "after"])))}
          FROM {clicks.source} {"WATERMARK ts DELAY OF INTERVAL '1 hour'" if hours else ""} AS t GROUP BY {by};"""
                       for i, both in enumerate(OVER.values()))

    clicks("a", *FIRST)
    run(text("before"))
    clicks("b", *SECOND)
    if hours:
        clicks("c", ("2024-01-01T09:00:00", "z", 1, 1))
    run(text("after"))
    where = "WHERE product = 'a'" + (" AND w = '2024-01-01 00:00:00'" if grouping in ("windows", "sliding") else "")
    for i, (name, (_, after, wanted)) in enumerate(OVER.items()):
        names = ", ".join(f"after{k}" for k in range(len(columns(after))))
        assert rows(f"SELECT {names} FROM t{i} {where}") == [pytest.approx(wanted)], name


REBUILT = {
    "another key": [("c.product", "upper(c.product) AS product", 1), ("GROUP BY c.product", "GROUP BY upper(c.product)", 1)],
    "an aggregate more": [("count(*) AS n", "count(*) AS n, max(c.user_id) AS m", 1)],
    "an aggregate less": [("count(*) AS n, ", "0 AS n, ", 1)],
    "another argument": [("sum(c.amount)", "sum(c.amount + 1)", 1)],
    "another column below": [("FROM {source} AS c", "FROM (SELECT * REPLACE (upper(product) AS product) FROM {source}) AS c", 1)],
    "another step": [("FROM {source} AS c", "FROM (SELECT DISTINCT ON (user_id) * FROM {source}) AS c", 1)],
}


@pytest.mark.parametrize("edits", REBUILT.values(), ids=REBUILT)
def test_a_changed_query_is_refused_with_what_would_be_rebuilt(clicks, run, rows, edits):
    text = BY_PRODUCT
    for edit in edits:
        assert edit[0] in text
        text = text.replace(*edit)
    clicks("a", *FIRST)
    run(BY_PRODUCT.format(source=clicks.source))
    before = rows("SELECT * FROM t ORDER BY ALL")
    run(text.format(source=clicks.source), check=1)
    assert "FR-STREAM-009" in run.err and "--full-refresh" in run.err
    assert "step 0 (" in run.err and "which was keys: product; aggregates: count_star(); sum(amount);" in run.err
    assert rows("SELECT * FROM t ORDER BY ALL") == before
    run(text.format(source=clicks.source), "--full-refresh", "t")
    assert len(rows("SELECT * FROM t")) == 2


def test_a_changed_window_is_refused_and_a_full_refresh_starts_anew(clicks, run, rows):
    clicks("a", *FIRST)
    run(hourly(clicks.source, "update"))
    other = hourly(clicks.source, "update").replace("INTERVAL '1 hour')", "INTERVAL '2 hours')")
    run(other, check=1)
    assert "FR-STREAM-009" in run.err and "--full-refresh" in run.err and "step 0 (window(ts, 2 hours), product)" in run.err
    run(other, "--full-refresh", "hourly")
    assert rows("SELECT product, views FROM hourly ORDER BY ALL") == [("a", 2), ("b", 1)]


def test_windows_over_dates(clicks, freshet, run, rows, tmp_path):
    text = f"""CREATE STREAMING TABLE days AS SELECT window.start AS start, window.end AS "end", count(*) AS n
      FROM {clicks.source} WATERMARK CAST(ts AS DATE) AS day DELAY OF INTERVAL '1 day' GROUP BY window(day, INTERVAL '1 day');"""
    clicks("a", *FIRST)
    run(text)
    assert [c["column_type"] for c in rows("DESCRIBE days")] == ["TIMESTAMP", "TIMESTAMP", "BIGINT"]
    (tmp_path / "other.sql").write_text(text)
    assert "start TIMESTAMP, end TIMESTAMP" in freshet("check", tmp_path / "other.sql", check=0).out.replace('"', "")


def moments():
    """A row before and after each midnight around the day on which clocks are put forward in Berlin; and one on it."""
    return [(moment, "a", 1, 1) for moment in ("2024-03-30T22:59:00Z", "2024-03-30T23:00:00Z", "2024-03-31T01:30:00Z",
                                               "2024-03-31T21:59:00Z", "2024-03-31T22:00:00Z")]


def in_zone(source, name, by, mode="append", zone="Europe/Berlin"):
    return f"""SET TimeZone = '{zone}'; CREATE STREAMING TABLE {name} TBLPROPERTIES ('freshet.outputMode' = '{mode}') AS
      SELECT {by.split("(")[0]}.start AS start, {by.split("(")[0]}.end AS "end", product, count(*) AS n
      FROM {source} WATERMARK ts DELAY OF INTERVAL '10 minutes' GROUP BY {by}, product;"""


DAYS = {  # in Berlin: what is closed when the watermark is 2024-04-01T22:00Z, midnight there
    "window(ts, INTERVAL '1 day')": [("03-29T23", "03-30T23", 1), ("03-30T23", "03-31T22", 3), ("03-31T22", "04-01T22", 1)],
    "window(ts, INTERVAL '2 days', INTERVAL '1 day')": [
        ("03-28T23", "03-30T23", 1), ("03-29T23", "03-31T22", 4), ("03-30T23", "04-01T22", 4)],
    "window(ts, INTERVAL '1 day', INTERVAL '1 day', INTERVAL '6 hours')": [("03-30T05", "03-31T04", 3), ("03-31T04", "04-01T04", 2)],
    "window(ts, INTERVAL '24 hours')": [("03-30T00", "03-31T00", 2), ("03-31T00", "04-01T00", 3)],
    "window(ts, INTERVAL '1 hour')": [
        ("03-30T22", "03-30T23", 1), ("03-30T23", "03-31T00", 1), ("03-31T01", "03-31T02", 1), ("03-31T21", "03-31T22", 1),
        ("03-31T22", "03-31T23", 1)],
    "session_window(ts, INTERVAL '1 hour')": [
        ("03-30T22:59", "03-31T00:00", 2), ("03-31T01:30", "03-31T02:30", 1), ("03-31T21:59", "03-31T23:00", 2)],
}


@pytest.mark.parametrize("by", DAYS)
def test_windows_in_a_time_zone(clicks, run, rows, by):
    """Days are those of the zone, 23 hours long where clocks are put forward; hours and sessions do not depend on it."""
    source = clicks.source.replace("TIMESTAMP", "TIMESTAMPTZ")
    clicks("a", *moments())
    run(in_zone(source, "t", by))
    clicks("b", ("2024-04-01T22:10:00Z", "b", 1, 1))
    run(in_zone(source, "t", by))
    wanted = [(*("2024-" + (t if ":" in t else t + ":00") + ":00Z" for t in (start, end)), "a", n) for start, end, n in DAYS[by]]
    assert rows("SELECT * FROM t ORDER BY start") == wanted
    assert run(in_zone(source, "t", by)) == []


def test_clocks_put_back(clicks, run, rows):
    """Windows that end in the hour that comes twice are closed once, when it is over."""
    source = clicks.source.replace("TIMESTAMP", "TIMESTAMPTZ")
    text = in_zone(source, "t", "window(ts, INTERVAL '1 day', INTERVAL '1 day', INTERVAL '150 minutes')")
    for name, moment in [("a", "26T12:00"), ("b", "27T00:45"), ("c", "27T01:05"), ("d", "27T01:15"), ("e", "27T01:45"), ("f", "27T02:30")]:
        clicks(name, (f"2024-10-{moment}:00Z", "a", 1, 1))  # on the 27th 02:45, 02:05, 02:15, 02:45 and 03:30 in Berlin
        run(text)
        if name < "e":
            assert rows("SELECT * FROM t") == [], name
    assert rows("SELECT start, n FROM t") == [("2024-10-26T00:30:00Z", 3)]


def test_another_time_zone_is_another_query(clicks, run, rows):
    source = clicks.source.replace("TIMESTAMP", "TIMESTAMPTZ")
    clicks("a", *moments())
    for name, by in [("days", "window(ts, INTERVAL '1 day')"), ("hours", "window(ts, INTERVAL '1 hour')")]:
        run(in_zone(source, name, by, "update"))
    run(in_zone(source, "days", "window(ts, INTERVAL '1 day')", "update", "UTC"), check=1)
    assert "FR-STREAM-009" in run.err and "days of Europe/Berlin" in run.err
    run(in_zone(source, "hours", "window(ts, INTERVAL '1 hour')", "update", "UTC"))


def test_keys_without_a_time_are_not_remembered_for_ever(clicks, run, rows):
    text = f"""CREATE STREAMING TABLE t TBLPROPERTIES ('freshet.dedupe.within' = 'watermark') AS SELECT DISTINCT ON (user_id) user_id, ts
      FROM {clicks.source} WATERMARK ts DELAY OF INTERVAL '1 hour';"""
    clicks("a", (None, "a", 1, 1), (None, "a", 1, 2), FIRST[0])
    progress = run(text)
    assert progress[0]["stateOperators"][0]["customMetrics"]["numDroppedDuplicateRows"] == 2
    clicks("b", *THIRD)
    assert run(text)[-1]["stateOperators"][0]["numRowsTotal"] == 1


def test_damaged_state_is_refused(clicks, run, warehouse):
    text = hourly(clicks.source, "update")
    clicks("a", *FIRST)
    run(text)
    for file in (warehouse / "_checkpoints").rglob("groups.*.parquet"):
        file.write_bytes(file.read_bytes()[:-1])
    clicks("b", *SECOND)
    run(text, check=1)
    assert "FR-STREAM-008" in run.err


def test_a_watermark_needs_a_time(clicks, freshet, run, tmp_path):
    text = f"CREATE STREAMING TABLE t AS SELECT DISTINCT ON (user_id) user_id FROM {clicks.source} WATERMARK product DELAY OF INTERVAL '1 hour';"
    clicks("a", *FIRST)
    run(text, check=1)
    assert "a WATERMARK needs a time, and product is of type VARCHAR" in run.err and "CAST(product AS TIMESTAMP)" in run.err
    (tmp_path / "p.sql").write_text(text)
    assert "a WATERMARK needs a time, and product is of type VARCHAR" in freshet("check", tmp_path / "p.sql", check=1).err


def test_a_struct_without_names_is_not_kept(clicks, run):
    clicks("a", *FIRST)
    run(f"CREATE STREAMING TABLE t AS SELECT DISTINCT ON ((product, user_id)) product FROM {clicks.source};", check=1)
    assert "give its fields names: {'a': x, 'b': y} for (x, y)" in run.err


@pytest.mark.parametrize("names", ["", "VALUES ('z', 'Z')", "VALUES ('a', 'A')"], ids=["none", "of others", "of one"])
def test_a_join_with_a_table_hides_no_time(freshet, warehouse, run, rows, names):
    """The watermark follows all rows of a stream, also those that find no partner in the table."""
    freshet("sql", "--warehouse", warehouse, "-c", f"""CREATE TABLE names (product STRING, name STRING); {"INSERT INTO names " + names if names else ""};
      CREATE TABLE bought (ts TIMESTAMP, product STRING); INSERT INTO bought VALUES ('2024-01-01 00:00:01', 'a'), ('2024-01-01 02:00:00', 'b'), (NULL, 'c')""", check=0)
    progress = run("""CREATE STREAMING TABLE t AS SELECT window.start AS w, name, count(*) AS n FROM STREAM bought WATERMARK ts DELAY OF INTERVAL '1 hour'
      AS b JOIN names AS n ON b.product = n.product GROUP BY window(b.ts, INTERVAL '1 minute'), name;""")
    assert progress[0]["eventTime"]["max"] == "2024-01-01T02:00:00.000Z" and progress[0]["numInputRows"] == 3
    assert rows("SELECT name, n FROM t") == ([("A", 1)] if "'a'" in names else [])


REFUSED = {  # what only the types say: query, message, hint, the place
    "a window over a text": ("SELECT window.start AS w, count(*) AS n FROM {s} GROUP BY window(product, INTERVAL '1 hour')",
                             "window() needs a time, and its first argument is of type VARCHAR", "cast it", "2:3"),
    "the first of no order": ("SELECT product, first(amount) AS f FROM {s} GROUP BY product", "a stream has no order of its own", "any_value(x)", "2:19"),
    "an alias that is a column": ("SELECT upper(product) AS user_id, product, count(*) AS n FROM {s} GROUP BY user_id, product",
                                  "\"user_id\" in GROUP BY is a column of the input", "give the result's column another name", "2:28"),
    "a struct without names": ("SELECT product, max((user_id, amount)) AS m FROM {s} GROUP BY product", "cannot be kept from batch to batch", "give its fields names", "2:3"),
    "a watermark over a text": ("SELECT window.start AS w, count(*) AS n FROM {s} WATERMARK product DELAY OF INTERVAL '1 hour' GROUP BY window(product, INTERVAL '1 hour')",
                                "a WATERMARK needs a time, and product is of type VARCHAR", "to_timestamp()", "2:48"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_check_finds_what_run_would_refuse(clicks, freshet, run, tmp_path, case):
    query, message, hint, place = REFUSED[case]
    clicks("a", *FIRST)
    text = f"CREATE STREAMING TABLE t TBLPROPERTIES ('freshet.outputMode' = 'update') AS\n  {query.format(s=clicks.source)};"
    (tmp_path / "p.sql").write_text(text)
    err = freshet("check", tmp_path / "p.sql", check=1).err
    assert message in err and hint in err and f"p.sql:{place}: " in err, err
    run(text, check=1)
    assert message in run.err and hint in run.err
