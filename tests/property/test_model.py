"""Late rows, de-duplication within the watermark and joins with changing tables: against models written from the rules.

The models see the commits in the order in which they were read, one a batch, and the watermark that each batch's progress
reports, which they check too.
"""
import datetime
import os
import random

import pytest
import stateful_cases as cases
from harness import Inside, next_tick, same, values

SEED = int(os.environ.get("FRESHET_SEED", "20240101"))
CASES = max(1, int(os.environ.get("FRESHET_CASES", "1000")) // 40)
CHUNK = 25
FIRST = pytest.mark.parametrize("first", range(SEED, SEED + CASES, CHUNK))


@pytest.fixture
def freshet():
    inside = Inside()
    yield inside
    inside.close()


def seeds_from(first, record_property, what, share=1):
    """Some of the seeds of a chunk; they are counted."""
    seeds = range(first, min(first + CHUNK, SEED + CASES))
    seeds = seeds[:max(1, len(seeds) // share)]
    record_property(f"model/{what}", len(seeds))
    return seeds


def micros(text):
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)


def text(us):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)
    return moment.isoformat(" ", "microseconds").rstrip("0").rstrip(".") if moment.microsecond else moment.isoformat(" ")


class Watermark:
    """max(event time) - delay, floored to milliseconds, never backwards; what was used for eviction before is what
    makes rows late now."""

    def __init__(self, delay):
        self.delay, self.now, self.late, self.evict = delay, 0, 0, 0

    def begin(self, progress):
        self.late, self.evict = self.evict, self.now
        assert micros(progress["eventTime"]["watermark"]) == self.evict, progress

    def seen(self, rows):
        times = [row[1] // 1000 * 1000 for row in rows if row[1] is not None]
        if times:
            self.now = max(self.now, max(times) - self.delay)


def bursts(rng, commits):
    while commits:
        n = rng.randint(1, len(commits))
        yield commits[:n]
        commits = commits[n:]


def stream(freshet, schema, commits, pipeline, rng, on_batch, between=lambda: None):
    """Feeds bursts and calls on_batch(progress, rows) for each batch that ran."""
    freshet.sql(f"CREATE TABLE {schema}.src ({cases.COLUMNS})")
    for burst in bursts(rng, commits):
        for rows in burst:
            freshet.sql(f"INSERT INTO {schema}.src VALUES {values(rows)}")
            next_tick(freshet.folder)
        between()
        for progress in freshet.run(pipeline):
            on_batch(progress, burst.pop(0) if progress["numInputRows"] else [])
        assert not burst, "commits that no batch has read"


@FIRST
@pytest.mark.parametrize("mode", ["append", "update"])
def test_late__rows_behind_the_watermark_are_left_out_and_counted(freshet, mode, first, record_property):
    for seed in seeds_from(first, record_property, "late"):
        rng = random.Random(seed)
        delay, (window, window_text) = rng.choice([0, 1, 5]) * cases.MINUTE, cases.draw_window(rng)
        commits = cases.split(rng, cases.draw_rows(rng, rng.randint(1, 50), 40))  # any order: rows are late
        schema, mark, groups, out, late = f"l{seed}{mode}", Watermark(delay), {}, {}, [0, 0]

        def on_batch(progress, rows):
            mark.begin(progress)
            dropped, touched = 0, set()
            for row in rows:
                for start, end in cases.windows_of(row[1], *window) if row[1] is not None else []:
                    if end <= mark.late:
                        dropped += 1
                        continue
                    n, s = groups.get((start, end, row[2]), (0, None))
                    groups[start, end, row[2]] = n + 1, s if row[4] is None else (s or 0) + row[4]
                    touched.add((start, end, row[2]))
            closed = {key for key in groups if key[1] <= mark.evict}
            for key in touched if mode == "update" else closed:
                out[key] = groups[key]
            for key in closed:
                del groups[key]
            mark.seen(rows)
            late[0] += dropped
            late[1] += sum(o["numRowsDroppedByWatermark"] for o in progress["stateOperators"])

        query = (f"SELECT window.start AS ws, window.end AS we, k, count(*) AS n, sum(v) AS s FROM STREAM {schema}.src WITH "
                 f"(maxFilesPerTrigger = 1) WATERMARK ts DELAY OF {cases.interval(delay)} GROUP BY {window_text}, k")
        stream(freshet, schema, commits, f"CREATE STREAMING TABLE {schema}.out TBLPROPERTIES ('freshet.outputMode' = "
               f"'{mode}') AS {query};", rng, on_batch)
        want = [{"ws": text(a), "we": text(b), "k": k, "n": n, "s": s} for (a, b, k), (n, s) in out.items()]
        same(freshet.sql(f"SELECT * FROM {schema}.out"), want)
        assert (late[0] == 0) == (late[1] == 0), (seed, late)


@FIRST
def test_dedup__within_the_watermark(freshet, first, record_property):
    for seed in seeds_from(first, record_property, "dedup"):
        rng = random.Random(seed)
        delay = rng.choice([1, 3]) * cases.MINUTE
        commits = cases.split(rng, [row for row in cases.draw_rows(rng, rng.randint(1, 50), 20) if row[1] is not None] or
                              [(0, cases.START, 1, "a", 1, 1.0, 1.0)])
        commits = [list({row[2]: row for row in commit}.values()) for commit in commits]  # no ties inside a batch
        schema, mark, expires, out = f"d{seed}", Watermark(delay), {}, []

        def on_batch(progress, rows):
            mark.begin(progress)
            for row in rows:
                if row[1] > mark.late and row[2] not in expires:
                    expires[row[2]] = row[1] + delay
                    out.append({"id": row[0], "k": row[2]})
            for key in [key for key, at in expires.items() if at <= mark.evict]:
                del expires[key]
            mark.seen(rows)

        query = (f"SELECT DISTINCT ON (k) id, k, ts FROM STREAM {schema}.src WITH (maxFilesPerTrigger = 1) WATERMARK ts "
                 f"DELAY OF {cases.interval(delay)}")
        stream(freshet, schema, commits, f"CREATE STREAMING TABLE {schema}.out TBLPROPERTIES ('freshet.dedupe.within' = "
               f"'watermark') AS {query};", rng, on_batch)
        same(freshet.sql(f"SELECT id, k FROM {schema}.out"), out)


@FIRST
def test_static__each_batch_reads_the_newest_version(freshet, first, record_property):
    for seed in seeds_from(first, record_property, "static", share=5):
        rng = random.Random(seed)
        commits = cases.split(rng, cases.draw_rows(rng, rng.randint(1, 40), 20))
        schema, names, out = f"s{seed}", {}, []
        freshet.sql(f"CREATE TABLE {schema}.dim (k INT, name STRING)")

        def change():
            key, name = rng.randrange(3), f"name {rng.randrange(1000)}"
            freshet.sql(f"DELETE FROM {schema}.dim WHERE k = {key}; INSERT INTO {schema}.dim VALUES ({key}, '{name}')")
            names[key] = name

        query = (f"SELECT s.id, d.name FROM STREAM {schema}.src WITH (maxFilesPerTrigger = 1) s LEFT JOIN {schema}.dim d "
                 "ON s.k = d.k")
        stream(freshet, schema, commits, f"CREATE STREAMING TABLE {schema}.out AS {query};", rng,
               lambda progress, rows: out.extend({"id": row[0], "name": names.get(row[2])} for row in rows), change)
        same(freshet.sql(f"SELECT * FROM {schema}.out"), out)
