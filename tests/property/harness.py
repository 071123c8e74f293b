"""Plays the cases of stateful_cases against freshet, in this process or as a program, and compares with the batch answer."""
import datetime
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import duckdb

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
import combined_cases  # noqa: E402
import stateful_cases as cases  # noqa: E402
from library import Engine, FreshetError, next_tick  # noqa: E402,F401

PROGRAM = pathlib.Path(os.environ.get("FRESHET", ROOT / "build/freshet")).absolute()


def failpoints():
    """The places around effects that a stream has."""
    lines = (ROOT / "src/base/failpoints.def").read_text().splitlines()
    names = [line.split('"')[1] for line in lines if line.startswith("FAILPOINT(")]
    own = [name for name in names if name.split(".")[0] in ("stream", "sink")]
    return 3 * own + [name for name in names if name.split(".")[0] in ("delta", "store")]


FAILPOINTS = failpoints()


class Crash(Exception):
    """The run ended at the failpoint."""


class Inside:
    """freshet in this process: a crash is a failpoint that returns. Nothing of it waits for a disk: the warehouse is in
    memory where there is such a folder, and fsync is off."""

    def __init__(self, threads=1):
        shm = pathlib.Path("/dev/shm")
        self.folder = tempfile.mkdtemp(prefix="freshet-property-", dir=shm if os.access(shm, os.W_OK) else None)
        self.engine = Engine(pathlib.Path(self.folder) / "warehouse", memory_bytes=512 << 20, threads=threads)
        self.sql = self.engine.sql
        self.sql("SET freshet.fsync = false")

    def run(self, pipeline, crash=None):
        if crash:
            self.engine.failpoint(*crash[:1], "fail", crash[1])
        try:
            return self.engine.run(pipeline)
        except FreshetError as e:
            if "failpoint" in e.message:
                raise Crash(e.message) from e
            raise
        finally:
            self.engine.failpoint()

    def close(self):
        self.sql("SET freshet.fsync = true")
        self.engine.close()
        shutil.rmtree(self.folder)


class Outside:
    """The program: a crash is a SIGKILL."""

    def __init__(self, warehouse):
        self.warehouse = self.folder = pathlib.Path(warehouse)
        self.warehouse.mkdir(parents=True, exist_ok=True)

    def _call(self, *arguments, env=None):
        return subprocess.run([PROGRAM, *arguments, "--warehouse", self.warehouse], capture_output=True, text=True,
                              timeout=120, env={**os.environ, **(env or {})}, check=False)

    def sql(self, text):
        done = self._call("sql", "--format", "jsonl", "-c", text)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def run(self, pipeline, crash=None):
        path = self.warehouse / "pipeline.sql"
        path.write_text(pipeline)
        env = {"FRESHET_FAILPOINT": f"{crash[0]}=crash@{crash[1]}"} if crash else {}
        done = self._call("run", path, "--available-now", "--progress", "json", env=env)
        if done.returncode == -9:
            raise Crash(crash)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def close(self):
        pass


# ---- rows as SQL ----


def literal(value, is_time=False):
    if value is None:
        return "NULL"
    if is_time:
        return f"make_timestamp({value}::BIGINT)"
    return f"'{value}'" if isinstance(value, str) else repr(value)


def values(rows, times=(1,)):
    return ", ".join("(" + ", ".join(literal(v, i in times) for i, v in enumerate(row)) + ")" for row in rows)


# ---- the batch answer ----


ANSWERS = duckdb.connect(config={"threads": 1})  # of the process: to open one costs as much as to ask it


def table(name, columns, rows, times):
    ANSWERS.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")
    if rows:
        ANSWERS.execute(f"INSERT INTO {name} VALUES {values(rows, times)}")


def batch_answer(case):
    second = None if case.second is None else [row for commit in case.second for row in commit]
    for name, rows in (("src", case.rows), ("src2", second)):
        if rows is not None:
            table(name, cases.DUCK_COLUMNS, rows, (1,))
        if rows is not None and case.window:
            laid = [(*row, *window) for row in rows if row[1] is not None for window in cases.windows_of(row[1], *case.window)]
            table(f"{name}_w", f"{cases.DUCK_COLUMNS}, window_start TIMESTAMP, window_end TIMESTAMP", laid, (1, 7, 8))
    final = literal(case.final_watermark, True)
    cursor = ANSWERS.execute(f"SELECT to_json(t)::VARCHAR FROM ({case.answer.replace('{final}', final)}) t")
    return [json.loads(row[0]) for row in cursor.fetchall()]


# ---- comparing ----


def plain(name, value, unordered):
    if isinstance(value, list):
        items = [plain(None, v, ()) for v in value]
        return ("list", *(sorted(items, key=repr) if name in unordered else items))
    if isinstance(value, float) and value != value:
        return "NaN"
    if isinstance(value, str):
        value = value.replace("T", " ").removesuffix("Z").removesuffix("+00")
        return re.sub(r"(:\d\d\.\d*?)0+$", r"\1", value)
    return value


def close(a, b):
    """Equal; doubles to 1e-9 of their size."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    if isinstance(a, bool) or isinstance(b, bool) or not (isinstance(a, (int, float)) and isinstance(b, (int, float))):
        return a == b
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-3)


def difference(got, want, unordered=()):
    """Rows that should not be there, rows that are missing."""
    got, want = ([tuple(plain(n, v, unordered) for n, v in row.items()) for row in rows] for rows in (got, want))
    rest, extra = list(want), []
    for row in got:
        found = next((i for i, w in enumerate(rest) if close(row, w)), None)
        if found is None:
            extra.append(row)
        else:
            rest.pop(found)
    return extra, rest


def same(got, want, unordered=()):
    extra, missing = difference(got, want, unordered)
    assert not extra and not missing, f"should not be there: {extra[:5]}\nmissing: {missing[:5]}"


# ---- playing ----


class Stream:
    """A case's pipeline over tables that grow commit by commit."""

    def __init__(self, freshet, case, rng):
        self.freshet, self.case, self.rng, self.crashes, self.batches, self.pending = freshet, case, rng, 0, 0, []
        schema = f"c{case.seed}"
        self.names = {"source": f"{schema}.src", "second": f"{schema}.src2"}
        self.out, self.pipeline = f"{schema}.out", case.pipeline.replace("STREAMING TABLE out", f"STREAMING TABLE {schema}.out")
        options = f"maxFilesPerTrigger = {case.files}" + (", startingVersion = 0" if case.from_log else "")
        for key, name in self.names.items():
            self.pipeline = self.pipeline.replace("{" + key + "}", f"{name} WITH ({options})")
            if key == "source" or case.second is not None:
                self.pending.append(f"CREATE TABLE {name} ({cases.COLUMNS})")

    def commit(self, key, rows):
        """With the next run."""
        self.pending.append(f"INSERT INTO {self.names[key]} VALUES {values(rows)}")

    def feed(self):
        """Makes the commits. Where the stream begins with the files that are there, their order is that of their times."""
        for statements in ["; ".join(self.pending)] if self.case.from_log else self.pending:
            if statements:
                self.freshet.sql(statements)
                next_tick(self.freshet.folder)
        self.pending = []

    def run(self, crash=False):
        """One available-now run; before it, when asked, one that crashes somewhere."""
        self.feed()
        if crash:
            try:
                self.freshet.run(self.pipeline, (self.rng.choice(FAILPOINTS), self.rng.randint(1, 4)))
            except Crash:
                self.crashes += 1
        self.batches += len(self.freshet.run(self.pipeline))

    def rows(self):
        return self.freshet.sql(f"SELECT * FROM {self.out}")


def play(stream, crash_share=0.4):
    """Feeds the commits in bursts, with a run after some of them; the rows at the end."""
    case, rng = stream.case, stream.rng
    first, second = ([(key, commit) for commit in commits or []] for key, commits in
                     (("source", case.commits), ("second", case.second)))
    pending = []
    while first or second:  # each stream in its own order
        pending.append((second if not first or (second and rng.random() < 0.5) else first).pop(0))
    while pending:
        for _ in range(rng.randint(1, len(pending))):
            stream.commit(*pending.pop(0))
        if rng.random() < 0.5 or not pending:
            stream.run(crash=rng.random() < crash_share)
    return stream.rows()


def certain(case, row):
    """Of a join: a pair, or a row that can no longer meet a partner. None: nobody promises when it is put out."""
    if case.bounds is None or (row["lid"] is not None and row.get("rid", 0) is not None):
        return True
    at = row["lts"] if row["lid"] is not None else row["rts"]
    if at is None:
        return None
    slack = case.bounds[1] if row["lid"] is not None else case.bounds[0]
    moment = datetime.datetime.fromisoformat(at.replace("T", " ").removesuffix("Z"))
    us = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
    return case.final_watermark is not None and us + slack <= case.final_watermark


def judge(case, got):
    if case.name == "distinct/on":  # which of the tied rows: any that was there
        there = {(row[2], row[3], row[4]) for row in case.rows}
        assert all((row["k"], row["c"], row["v"]) in there for row in got), "a row that was never in the input"
        got = [{"k": row["k"], "c": row["c"]} for row in got]
    want = [row for row in batch_answer(case) if certain(case, row)]
    same([row for row in got if certain(case, row) is not None], want, case.unordered)


def check(freshet, seed, crash_share=0.4, maker=None):
    """Plays one case and judges it; its name, the crashes and the batches that ended."""
    case = combined_cases.draw(seed, maker)
    stream = Stream(freshet, case, random.Random(seed ^ 0x5EED))
    try:
        judge(case, play(stream, crash_share))
    except (AssertionError, FreshetError) as e:
        raise AssertionError(f"FRESHET_SEED={seed} FRESHET_CASES=1: {case.name}\n{stream.pipeline}\n{case.answer}\n{e}") from e
    return case.name, stream.crashes, stream.batches
