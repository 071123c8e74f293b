"""Random streaming queries with their batch answers: what tests/property draws from.

A case is a table of rows, a split of them into commits, a streaming query, and the same question as one batch query in
plain DuckDB over all rows (windows are laid out here, by arithmetic of its own). Nothing of freshet is used to answer.
"""
import dataclasses
import random

MINUTE = 60_000_000
START = 1_704_067_200_000_000  # 2024-01-01 00:00 UTC, microseconds

COLUMNS = "id BIGINT, ts TIMESTAMP_NTZ, k INT, c STRING, v BIGINT, d DOUBLE, n DECIMAL(12,2)"
DUCK_COLUMNS = COLUMNS.replace("TIMESTAMP_NTZ", "TIMESTAMP")

# name of the result column -> the aggregate, as both sides read it; `exact` ones compare bit by bit
AGGREGATES = [
    "count(*)", "count(v)", "sum(v)", "min(v)", "max(v)", "avg(v)", "min(ts)", "max(c)", "sum(n)", "avg(n)", "sum(d)",
    "avg(d)", "count(DISTINCT v)", "count(DISTINCT c)", "sum(DISTINCT v)", "count(*) FILTER (WHERE v > 3)",
    "sum(v) FILTER (WHERE c = 'b')", "bool_and(v > 1)", "bool_or(v > 8)", "stddev_samp(d)", "var_pop(v)", "median(v)",
    "quantile_disc(v, 0.25)", "arg_max(id, id)", "list(v)", "string_agg(c, '|' ORDER BY id)", "list(v ORDER BY id)",
    "bit_xor(v)", "count(DISTINCT c) FILTER (WHERE v IS NOT NULL)",
]
UNORDERED = ("list(v)",)


@dataclasses.dataclass
class Case:
    seed: int
    name: str
    rows: list  # tuples in the order of COLUMNS
    commits: list  # lists of rows
    pipeline: str  # with {source}
    answer: str  # DuckDB over `src` (and src_w: src with window_start, window_end)
    window: tuple = None  # size, slide, offset in microseconds
    delay: int = 0
    mode: str = "append"
    closed: bool = False  # append: only windows that end at or before the final watermark
    unordered: tuple = ()  # columns that are compared as multisets
    second: list = None  # commits of the other stream
    bounds: tuple = None  # join: the right row's time is in [left - bounds[0], left + bounds[1]]
    files: int = 1  # commits that a batch reads at most
    from_log: bool = False  # the stream begins with the first commit, not with the files that are there

    @property
    def final_watermark(self):
        """The smallest over the streams; None where one has no time."""
        streams = [self.rows] + ([[row for commit in self.second for row in commit]] if self.second is not None else [])
        latest = [max((row[1] for row in rows if row[1] is not None), default=None) for rows in streams]
        return None if None in latest else (min(latest) - self.delay) // 1000 * 1000



def windows_of(ts, size, slide, offset):
    """The windows [start, end) that hold a time."""
    start = ts - (ts - offset) % slide  # Python's % has the sign of the divisor
    found = []
    while start > ts - size:
        if start <= ts < start + size:
            found.append((start, start + size))
        start -= slide
    return found


# ---- rows and their order ----


def draw_rows(rng, n, span_minutes, nulls=True):
    rows = []
    for i in range(n):
        ts = START + rng.randrange(span_minutes * 60) * 1_000_000 + rng.choice([0, 0, 1, 999_999])
        if rng.random() < 0.2 and rows:
            ts = rng.choice(rows)[1] or ts  # ties
        if rng.random() < 0.1:
            ts = ts // MINUTE * MINUTE  # on an edge
        if nulls and rng.random() < 0.03:
            ts = None

        def maybe(value):
            return None if nulls and rng.random() < 0.1 else value

        rows.append((i, ts, maybe(rng.randrange(3)), maybe(rng.choice("abcd")), maybe(rng.randrange(-2, 12)),
                     maybe(round(rng.uniform(-5, 5), 3)), maybe(rng.randrange(-999, 999) / 100)))
    return rows


def in_order_within(rng, rows, delay):
    """A random order of arrival in which no row is late: each comes before the watermark of the rows before passes it."""
    return sorted(rows, key=lambda r: (r[1] if r[1] is not None else START) + rng.randrange(max(delay, 1)))


def split(rng, rows, most=6):
    """Commits of random sizes."""
    n = rng.randint(1, most)
    cuts = sorted(rng.randrange(len(rows) + 1) for _ in range(n - 1))
    return [c for c in (rows[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)])) if c]


def interval(micros):
    return f"INTERVAL '{micros // 1_000_000} seconds'"


# ---- queries ----


def draw_window(rng):
    size = rng.choice([1, 5, 7, 10]) * MINUTE
    kind = rng.random()
    slide = size if kind < 0.6 else rng.choice([s for s in (MINUTE, 2 * MINUTE, 5 * MINUTE, size // 2) if s <= size])
    offset = rng.choice([0, 0, 0, 30_000_000])
    offset = offset if offset < slide else 0
    text = f"window(ts, {interval(size)}"
    if slide != size or offset:
        text += f", {interval(slide)}"
    if offset:
        text += f", {interval(offset)}"
    return (size, slide, offset), text + ")"


def aggregate_case(seed):
    rng = random.Random(seed)
    delay = rng.choice([0, 1, 5, 20]) * MINUTE
    mode = rng.choice(["append", "update", "complete"])
    with_window = mode == "append" or rng.random() < 0.6
    keys = rng.choice([[], ["k"], ["c"], ["k", "c"]])
    if not with_window and not keys and mode == "update":
        keys = ["k"]
    wanted = rng.sample(AGGREGATES, rng.randint(1, 5))
    names = [f"a{i}" for i in range(len(wanted))]
    where = rng.choice(["", "", " WHERE v IS NOT NULL", " WHERE c <> 'a' OR c IS NULL"])
    having = rng.choice(["", "", " HAVING count(*) > 1"])
    rows = draw_rows(rng, rng.randint(1, 60), rng.choice([10, 60]))
    arrival = in_order_within(rng, rows, delay)
    window, window_text = draw_window(rng) if with_window else (None, "")
    group = ", ".join(([window_text] if window else []) + keys)
    select = (["window.start AS ws", "window.end AS we"] if window else []) + keys
    select += [f"{a} AS {n}" for a, n in zip(wanted, names)]
    if mode == "update" and window:
        select[0:2] = ["window.start AS ws"] if rng.random() < 0.5 else select[0:2]
    watermark = f" WATERMARK ts DELAY OF {interval(delay)}" if mode == "append" or rng.random() < 0.7 else ""
    query = f"SELECT {', '.join(select)} FROM STREAM {{source}}{watermark}{where}"
    query += (f" GROUP BY {group}" if group else "") + having
    judged = [c.replace("window.start", "window_start").replace("window.end", "window_end") for c in select]
    keyed = (["window_start", "window_end"] if window else []) + keys
    answer = f"SELECT {', '.join(judged)} FROM {'src_w' if window else 'src'}{where}"
    answer += (f" GROUP BY {', '.join(keyed)}" if keyed else "") + having
    closed = mode == "append"
    if closed:
        answer = f"SELECT * FROM ({answer}) WHERE we <= {{final}}"
    return Case(seed, f"aggregate/{mode}", rows, split(rng, arrival),
                f"CREATE STREAMING TABLE out TBLPROPERTIES ('freshet.outputMode' = '{mode}') AS {query};", answer, window,
                delay, mode, closed, tuple(n for a, n in zip(wanted, names) if a in UNORDERED))


def session_case(seed):
    rng = random.Random(seed)
    delay, gap = rng.choice([1, 5, 20]) * MINUTE, rng.choice([1, 3, 10]) * MINUTE
    mode = rng.choice(["append", "complete"])
    key = rng.choice(["k", "c"])
    wanted = rng.sample(AGGREGATES, rng.randint(1, 3))
    names = [f"a{i}" for i in range(len(wanted))]
    rows = draw_rows(rng, rng.randint(1, 50), rng.choice([10, 60]))
    select = f"{', '.join(f'{a} AS {n}' for a, n in zip(wanted, names))}"
    query = (f"SELECT session_window.start AS ws, session_window.end AS we, {key}, {select} FROM STREAM {{source}} "
             f"WATERMARK ts DELAY OF {interval(delay)} GROUP BY session_window(ts, {interval(gap)}), {key}")
    islands = (f"SELECT *, sum(fresh) OVER (PARTITION BY {key} ORDER BY ts, id) AS island FROM (SELECT *, CASE WHEN ts > "
               f"max(ts) OVER (PARTITION BY {key} ORDER BY ts, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) "
               f"+ {interval(gap)} THEN 1 ELSE 0 END AS fresh FROM src WHERE ts IS NOT NULL)")
    answer = (f"SELECT min(ts) AS ws, max(ts) + {interval(gap)} AS we, {key}, {select} FROM ({islands}) "
              f"GROUP BY {key}, island")
    if mode == "append":
        answer = f"SELECT * FROM ({answer}) WHERE we <= {{final}}"
    return Case(seed, f"session/{mode}", rows, split(rng, in_order_within(rng, rows, delay)),
                f"CREATE STREAMING TABLE out TBLPROPERTIES ('freshet.outputMode' = '{mode}') AS {query};", answer, None,
                delay, mode, mode == "append", tuple(n for a, n in zip(wanted, names) if a in UNORDERED))


def distinct_case(seed):
    rng = random.Random(seed)
    rows = draw_rows(rng, rng.randint(1, 60), 30)
    delay = rng.choice([1, 10]) * MINUTE
    shape = rng.choice(["rows", "on", "time"])
    if shape == "rows":
        query, answer = "SELECT DISTINCT k, c FROM STREAM {source}", "SELECT DISTINCT k, c FROM src"
    elif shape == "on":
        query = "SELECT DISTINCT ON (k, c) k, c, v FROM STREAM {source}"
        answer = "SELECT DISTINCT k, c FROM src"  # which v: any; the harness looks at the keys
    else:
        query = f"SELECT DISTINCT ts, k FROM STREAM {{source}} WATERMARK ts DELAY OF {interval(delay)} WHERE ts IS NOT NULL"
        answer = "SELECT DISTINCT ts, k FROM src WHERE ts IS NOT NULL"
    arrival = in_order_within(rng, rows, delay)
    return Case(seed, f"distinct/{shape}", rows, split(rng, arrival),
                f"CREATE STREAMING TABLE out AS {query};", answer, None, delay)


def join_case(seed):
    rng = random.Random(seed)
    delay = rng.choice([1, 5, 20]) * MINUTE
    low, high = rng.choice([0, 1, 5]) * MINUTE, rng.choice([0, 2, 10]) * MINUTE
    kind = rng.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN"])
    rows, second = draw_rows(rng, rng.randint(1, 40), 30), draw_rows(rng, rng.randint(1, 40), 30)
    on = f"l.k = r.k AND r.ts >= l.ts - {interval(low)} AND r.ts <= l.ts + {interval(high)}"
    columns = "l.id AS lid, l.ts AS lts, l.k AS lk" + ("" if kind == "SEMI JOIN" else ", r.id AS rid, r.ts AS rts")
    stream = "STREAM {{{}}} WATERMARK ts DELAY OF " + interval(delay)
    query = f"SELECT {columns} FROM {stream.format('source')} l {kind} {stream.format('second')} r ON {on}"
    case = Case(seed, f"join/{kind.split()[0].lower()}", rows, split(rng, in_order_within(rng, rows, delay)),
                f"CREATE STREAMING TABLE out AS {query};", f"SELECT {columns} FROM src l {kind} src2 r ON {on}", None,
                delay)
    case.second, case.bounds = split(rng, in_order_within(rng, second, delay)), (low, high)
    return case


def chain_case(seed):
    """De-duplicated, then windows over what is left, in one flow."""
    rng = random.Random(seed)
    delay = rng.choice([1, 5]) * MINUTE
    rows = draw_rows(rng, rng.randint(1, 60), 30)
    window, text = draw_window(rng)
    inner = "SELECT DISTINCT ts, k, v FROM {}"
    watermark = f"STREAM {{source}} WATERMARK ts DELAY OF {interval(delay)}"
    query = (f"SELECT window.start AS ws, window.end AS we, k, count(*) AS n, sum(v) AS s FROM ({inner.format(watermark)}) "
             f"GROUP BY {text}, k")
    answer = ("SELECT * FROM (SELECT window_start AS ws, window_end AS we, k, count(*) AS n, sum(v) AS s FROM "
              "(SELECT DISTINCT window_start, window_end, ts, k, v FROM src_w) GROUP BY ALL) WHERE we <= {final}")
    return Case(seed, "chain/distinct-window", rows, split(rng, in_order_within(rng, rows, delay)),
                f"CREATE STREAMING TABLE out AS {query};", answer, window, delay, "append", True)


FILES = [1, 1, 1, 2, 1000]
KINDS = [(aggregate_case, 6), (session_case, 2), (distinct_case, 2), (join_case, 3), (chain_case, 1)]
