"""What event time means: watermarks, late rows, windows, sessions, DISTINCT and joins, as Spark has them.

A case is a query over a stream `t` (and `u`) of rows "time k", a commit a batch, and after each run what has to be in the
table, which watermark each batch had and how many rows were late. Times stand for themselves: "12:05" is that time on
1 January 2024, with seconds where there are some.
"""
import dataclasses
import re

import pytest

from library import Engine, next_tick

DAY = "2024-01-01"
TEN = "WATERMARK ts DELAY OF INTERVAL '10 minutes'"


@dataclasses.dataclass
class Run:
    """Commits of the streams (rows as text, "-" is null), then a run until nothing is left."""

    t: list = dataclasses.field(default_factory=list)  # a list of commits, each a list of rows
    u: list = dataclasses.field(default_factory=list)
    out: list = None  # all rows of the table afterwards; None: not looked at
    watermarks: list = None  # of the run's batches; "0": none yet
    late: int = 0


@dataclasses.dataclass
class Case:
    name: str
    query: str
    runs: list
    mode: str = "append"
    properties: str = ""


def run(*rows, **facts):
    """A run after one commit of t, or after none."""
    return Run(t=[list(rows)] if rows else [], **facts)


def windows(size="10 minutes", more="", delay="10 minutes"):
    return (f"SELECT window.start AS s, window.end AS e, count(*) AS n FROM STREAM {{t}} WATERMARK ts DELAY OF INTERVAL "
            f"'{delay}' GROUP BY window(ts, INTERVAL '{size}'{more})")


SESSIONS = (f"SELECT session_window.start AS s, session_window.end AS e, k, count(*) AS n FROM STREAM {{t}} {TEN} "
            "GROUP BY session_window(ts, INTERVAL '{gap}'), k")
FIRST = f"SELECT DISTINCT ON (k) ts, k FROM STREAM {{t}} {TEN}"
WITHIN = ", 'freshet.dedupe.within' = 'watermark'"
JOIN = (f"SELECT l.ts AS lts, l.k AS k, r.ts AS rts FROM STREAM {{t}} {TEN} l {{join}} STREAM {{u}} {TEN} r "
        "ON l.k = r.k AND r.ts >= l.ts AND r.ts <= l.ts + INTERVAL '5 minutes'{more}")


def join(kind, more=""):
    return JOIN.replace("{join}", kind).replace("{more}", more)


CASES = [
    # ---- examples that can be worked out by hand ----
    Case("window of 12 minutes every 5 from 2 past, at 12:05", windows("12 minutes", ", INTERVAL '5 minutes', INTERVAL '2 minutes'"),
         [run("12:05 a", out=["11:57 12:09 1", "12:02 12:14 1"])], "complete"),
    Case("session gap of 10 s: 0 and 10 are one, 21 is not", SESSIONS.replace("{gap}", "10 seconds"),
         [run("12:00:00 a", "12:00:10 a", "12:00:21 a", out=["12:00 12:00:20 a 2", "12:00:21 12:00:31 a 1"])], "complete"),
    Case("session gap of 10 s, an event a batch, the middle one last", SESSIONS.replace("{gap}", "10 seconds"),
         [run("12:00:00 a", out=["12:00 12:00:10 a 1"]), run("12:00:21 a", out=["12:00 12:00:10 a 1", "12:00:21 12:00:31 a 1"]),
          run("12:00:10 a", out=["12:00 12:00:20 a 2", "12:00:21 12:00:31 a 1"]),
          run("12:00:20 a", out=["12:00 12:00:31 a 4"])], "complete"),
    Case("watermark of 10 minutes: 12:14, then 12:21; closes in the batch without data", windows(),
         [run("12:05 a", "12:14 a", out=[], watermarks=["0"]),
          run("12:21 a", out=["12:00 12:10 1"], watermarks=["12:04", "12:11"])]),
    Case("watermark of 10 minutes: 12:14, then 12:21; closes in the batch after them", windows(),
         [Run(t=[["12:05 a", "12:14 a"], ["12:21 a"], ["12:22 a"]], out=["12:00 12:10 1"], watermarks=["0", "12:04", "12:11"])]),
    # ---- batches ----
    Case("the watermark of a restart is that of the newest commit", windows(),
         [run("12:21 a", watermarks=["0"]), run("12:05 a", watermarks=["12:11"], out=["12:00 12:10 1"])]),
    Case("available-now ends with a batch without data, if one is due", windows(),
         [run("12:05 a", "12:20 a", watermarks=["0", "12:10"], out=["12:00 12:10 1"]), run(watermarks=[])]),
    # ---- what the modes put out ----
    Case("append gives a group once, late rows do not bring it back", windows(),
         [run("12:05 a", "12:20 a", out=["12:00 12:10 1"]), run("12:06 a", out=["12:00 12:10 1"], late=1)]),
    Case("update gives what was touched, and closes without a word", windows(),
         [run("12:05 a", "12:20 a", out=["12:00 12:10 1", "12:20 12:30 1"]),
          run("12:25 a", "12:06 a", out=["12:00 12:10 1", "12:20 12:30 2"], late=1)], "update"),
    Case("complete neither drops nor lets go", windows(),
         [run("12:05 a", "12:40 a", out=["12:00 12:10 1", "12:40 12:50 1"]), run("12:50 a"),
          run("12:06 a", out=["12:00 12:10 2", "12:40 12:50 1", "12:50 13:00 1"])], "complete"),
    # ---- watermarks ----
    Case("the watermark is floored to milliseconds", windows(),
         [run("12:05 a", "12:19:59.999999 a", out=[], watermarks=["0"]),
          run("12:20:00.000999 a", out=["12:00 12:10 1"], watermarks=["12:09:59.999", "12:10"])]),
    Case("the watermark never goes back", windows(),
         [run("12:30 a", watermarks=["0"]), run("12:25 a", watermarks=["12:20"]), run("12:31 a", watermarks=["12:20"])]),
    Case("a batch of null times moves nothing", windows(),
         [run("- a", watermarks=["0"]), run("- a", watermarks=["0"]), run("12:05 a", "- a", watermarks=["0"]),
          run("- a", watermarks=["11:55"])]),
    Case("the slowest of two streams decides, one without data holds both",
         f"SELECT window.start AS s, window.end AS e, count(*) AS n FROM (SELECT ts FROM STREAM {{t}} {TEN} UNION ALL SELECT ts FROM "
         f"STREAM {{u}} {TEN}) GROUP BY window(ts, INTERVAL '10 minutes')",
         [run("12:05 a", "12:40 a", watermarks=["0"], out=[]), run("12:41 a", watermarks=["0"]),
          Run(u=[["12:21 b"]], watermarks=["0", "12:11"], out=["12:00 12:10 1"])]),
    Case("late is what was behind the watermark of the batch before: the row between is in time", windows(),
         [Run(t=[["12:20 a"], ["12:05 a"], ["12:06 b"]], watermarks=["0", "12:10", "12:10"], out=["12:00 12:10 1"], late=1)]),
    Case("a window that ends at the watermark is closed", windows(),
         [run("12:05 a", "12:20 a", out=["12:00 12:10 1"])]),
    Case("a window that ends a millisecond later is not", windows(), [run("12:05 a", "12:19:59.999 a", out=[])]),
    Case("a row at the watermark is late, one a microsecond later is not", f"SELECT DISTINCT ts, k FROM STREAM {{t}} {TEN}",
         [Run(t=[["12:20 a"], ["12:20 b"], ["12:10 c", "12:10:00.000001 d"]],
              out=["12:10:00.000001 d", "12:20 a", "12:20 b"], late=1)]),
    Case("no batch without data where nothing would close", windows(), [run("12:05 a", "12:19 a", watermarks=["0"], out=[])]),
    # ---- windows ----
    Case("a window holds its start and not its end", windows(),
         [run("12:10 a", "12:09:59.999999 a", "12:20 a", out=["12:00 12:10 1", "12:10 12:20 1", "12:20 12:30 1"])], "complete"),
    Case("windows before 1970 round towards the past", windows(),
         [run("1969-12-31T23:55:00 a", "1969-12-31T23:50:00 a", "1969-12-31T23:49:59.999999 a",
              out=["1969-12-31T23:40 1969-12-31T23:50 1", "1969-12-31T23:50 1970-01-01T00:00 2"])], "complete"),
    Case("overlapping windows before 1970", windows("10 minutes", ", INTERVAL '5 minutes'"),
         [run("1969-12-31T23:56:00 a", out=["1969-12-31T23:50 1970-01-01T00:00 1", "1969-12-31T23:55 1970-01-01T00:05 1"])], "complete"),
    Case("days are UTC days", windows("1 day"),
         [run("00:00 a", "23:59:59 a", out=["00:00 2024-01-02T00:00 2"])], "complete"),
    Case("weeks start on the weekday of 1970-01-01", windows("7 days"),
         [run("00:00 a", out=["2023-12-28T00:00 2024-01-04T00:00 1"])], "complete"),
    Case("a row without a time is in no window", windows(), [run("- a", "12:05 a", out=["12:00 12:10 1"])], "complete"),
    Case("where windows do not divide, a row is in as many as hold it", windows("10 minutes", ", INTERVAL '4 minutes'"),
         [run("12:04 a", "12:07 a", out=["11:56 12:06 1", "12:00 12:10 2", "12:04 12:14 2"])], "complete"),
    Case("window_time is a microsecond before the end",
         f"SELECT window_time(window) AS w, count(*) AS n FROM STREAM {{t}} {TEN} GROUP BY window(ts, INTERVAL '10 minutes')",
         [run("12:05 a", "12:20 a", out=["12:09:59.999999 1"])]),
    Case("a session is put out when its end reaches the watermark", SESSIONS.replace("{gap}", "5 minutes"),
         [run("12:00 a", "12:14:59.999 b", out=[]), run("12:15 b", out=["12:00 12:05 a 1"])]),
    Case("a session grows past the watermark that would have closed its first row", SESSIONS.replace("{gap}", "5 minutes"),
         [run("12:00 a", "12:05 a", "12:15 b", out=[]), run("12:20 b", out=["12:00 12:10 a 2"])]),
    Case("whether a row is late is asked of its own session, not of the one it would join", SESSIONS.replace("{gap}", "5 minutes"),
         [Run(t=[["12:08 a", "12:20 b"], ["12:20 b"], ["12:05 a", "12:05:00.001 a"]], late=1, out=[]),
          run("12:25 b", out=["12:05:00.001 12:13 a 2"])]),
    Case("a row whose gap is null or not positive is in no session",
         f"SELECT session_window.start AS s, session_window.end AS e, count(*) AS n FROM STREAM {{t}} {TEN} GROUP BY "
         "session_window(ts, CASE k WHEN 'a' THEN INTERVAL '0 minutes' WHEN 'b' THEN NULL WHEN 'c' THEN INTERVAL '-1 minutes' "
         "ELSE INTERVAL '1 minute' END), k = 'e'",
         [run("12:00 a", "12:00 b", "12:00 c", "12:00 d", out=["12:00 12:01 1"])], "complete"),
    # ---- DISTINCT ----
    Case("within the watermark a key expires a delay after its first row, at the watermark", FIRST,
         [run("12:00 a", out=["12:00 a"]), run("12:19:59.999 b", out=["12:00 a", "12:19:59.999 b"]),
          run("12:10 a", out=["12:00 a", "12:19:59.999 b"]), run("12:20 b", out=["12:00 a", "12:19:59.999 b"]),
          run("12:15 a", out=["12:00 a", "12:15 a", "12:19:59.999 b"])], properties=WITHIN),
    Case("later copies do not make it longer", FIRST,
         [run("12:00 a"), run("12:09 a", out=["12:00 a"]), run("12:20 b"), run("12:12 a", out=["12:00 a", "12:12 a", "12:20 b"])],
         properties=WITHIN),
    Case("null keys are equal", FIRST, [run("12:00 -"), run("12:01 -", out=["12:00 -"])], properties=WITHIN),
    Case("late rows are left out, though time is no key", FIRST,
         [Run(t=[["12:20 a"], ["12:20 b"], ["12:10 c", "12:11 d"]], out=["12:11 d", "12:20 a", "12:20 b"], late=1)]),
    Case("with time among the keys a key goes with its time", f"SELECT DISTINCT ts, k FROM STREAM {{t}} {TEN}",
         [run("12:00 a"), run("12:00 a", out=["12:00 a"]), run("12:10 b"), run("12:00 a", out=["12:00 a", "12:10 b"], late=1)]),
    # ---- joins of streams ----
    Case("each pair once, whichever side comes first", join("JOIN"),
         [Run(t=[["12:00 a"]], out=[]), Run(u=[["12:05 a"]], out=["12:00 a 12:05"]), Run(t=[["12:01 a"]], out=["12:00 a 12:05", "12:01 a 12:05"])]),
    Case("the bounds belong to the pair, a microsecond further does not", join("JOIN"),
         [Run(t=[["12:00 a"]], u=[["12:00 a", "12:05 a", "11:59:59.999999 a", "12:05:00.000001 a"]], out=["12:00 a 12:00", "12:00 a 12:05"])]),
    Case("a row without a partner comes when none can follow", join("LEFT JOIN"),
         [Run(t=[["12:00 a", "12:20 b"]], u=[["12:14:59.999 c"]], out=[], watermarks=["0"]),
          Run(u=[["12:15 c"]], out=["12:00 a -"], watermarks=["12:04:59.999", "12:05"])]),
    Case("until then a partner may come", join("LEFT JOIN"),
         [Run(t=[["12:00 a", "12:20 b"]], u=[["12:14 c"]], out=[]), Run(u=[["12:05 a"]], out=["12:00 a 12:05"]),
          Run(u=[["12:19 c"]], out=["12:00 a 12:05"])]),
    Case("null keys meet nothing", join("JOIN"), [Run(t=[["12:00 -"]], u=[["12:00 -"]], out=[])]),
    Case("a row that its own condition rules out has no partner", join("LEFT JOIN", " AND l.k <> 'z'"),
         [Run(t=[["12:00 z", "12:00 a"]], u=[["12:00 z", "12:01 a"]]),
          Run(t=[["12:20 b"]], u=[["12:20 c"]], out=["12:00 a 12:01", "12:00 z -"])]),
    Case("a semi join gives a row with its first partner, once", join("SEMI JOIN").replace(", r.ts AS rts", ""),
         [Run(t=[["12:00 a"]], out=[]), Run(u=[["12:01 a", "12:02 a"]], out=["12:00 a"]), Run(u=[["12:03 a"]], out=["12:00 a"])]),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with Engine(tmp_path_factory.mktemp("time") / "warehouse", memory_bytes=256 << 20, threads=2) as engine:
        engine.sql("SET freshet.fsync = false")
        yield engine
        engine.sql("SET freshet.fsync = true")


def stamp(text):
    """The time that a text stands for."""
    return text if "T" in text else f"{DAY}T{text}"


def sql_row(row):
    at, key = row.split()
    return "(" + ("NULL" if at == "-" else f"TIMESTAMP '{stamp(at)}'") + ", " + ("NULL" if key == "-" else f"'{key}'") + ")"


def short(value):
    """As the cases write it."""
    if value is None:
        return "-"
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)Z?", value)):
        date, minutes, seconds = found.groups()
        seconds = seconds.rstrip("0").rstrip(".") if "." in seconds else seconds
        return (f"{date}T" if date != DAY else "") + minutes + (seconds if seconds != ":00" else "")
    return str(value)


def watermark(progress):
    return "0" if progress["eventTime"]["watermark"].startswith("1970-01-01T00:00:00.000") else short(progress["eventTime"]["watermark"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_time(engine, case, tmp_path):
    schema = f"time{CASES.index(case)}"
    query = case.query
    for name in ("t", "u"):
        if f"{{{name}}}" in query:
            engine.sql(f"CREATE TABLE {schema}.{name} (ts TIMESTAMP_NTZ, k STRING)")
            query = query.replace(f"{{{name}}}", f"{schema}.{name} WITH (maxFilesPerTrigger = 1)")
    pipeline = (f"CREATE STREAMING TABLE {schema}.out TBLPROPERTIES ('freshet.outputMode' = '{case.mode}'{case.properties}) AS "
                f"{query};")
    for i, step in enumerate(case.runs):
        for name in ("t", "u"):
            for commit in getattr(step, name):
                next_tick(tmp_path)
                engine.sql(f"INSERT INTO {schema}.{name} VALUES {', '.join(map(sql_row, commit))}")
        progress = engine.run(pipeline)
        where = f"run {i} of: {case.name}"
        if step.watermarks is not None:
            assert [watermark(p) for p in progress] == step.watermarks, where
        late = sum(o["numRowsDroppedByWatermark"] for p in progress for o in p["stateOperators"])
        assert late == step.late, where
        if step.out is not None:
            rows = engine.sql(f"SELECT * FROM {schema}.out")
            assert sorted(" ".join(map(short, row.values())) for row in rows) == sorted(step.out), where
