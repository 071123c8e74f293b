"""Random queries of several steps, or over several streams: windows of windows, joins under windows, joins of three
streams and of a stream with itself, UNION, GROUPING SETS, gaps that the row says, aggregates of aggregates.

As in stateful_cases: the answer is one batch query of plain DuckDB.
"""
import random

import stateful_cases as base
from stateful_cases import MINUTE, Case, draw_rows, draw_window, in_order_within, interval, split


def stream(delay, name="source"):
    return f"STREAM {{{name}}} WATERMARK ts DELAY OF {interval(delay)}"


def flow(query, mode="append"):
    return f"CREATE STREAMING TABLE out TBLPROPERTIES ('freshet.outputMode' = '{mode}') AS {query};"


def drawn(seed, most=40, span=30, delays=(0, 1, 5)):
    """What most cases begin with: chance, a delay, rows, commits of them without a late row. Without a delay rows of the
    same time can be late where a step counts by the time itself, not by windows."""
    rng = random.Random(seed)
    delay = rng.choice(delays) * MINUTE
    rows = draw_rows(rng, rng.randint(1, most), span)
    return rng, delay, rows, split(rng, in_order_within(rng, rows, delay))


def add_second(case, rng, most=40, span=30):
    case.second = split(rng, in_order_within(rng, draw_rows(rng, rng.randint(1, most), span), case.delay))
    return case


def windows_case(seed):
    """Windows over windows: the window itself, its end, or window_time()."""
    rng, delay, rows, commits = drawn(seed, 60, 60)
    size = rng.choice([1, 2, 5]) * MINUTE
    outer, slide = rng.choice([(10, 10), (20, 20), (20, 10)])
    over = rng.choice(["w", "w", "window_time(w)", "w.end"])
    inner = f"SELECT window AS w, k, count(*) AS n, max(v) AS m FROM {stream(delay)} GROUP BY window(ts, {interval(size)}), k"
    query = (f"SELECT window.start AS ws, window.end AS we, k, count(*) AS windows, sum(n)::BIGINT AS s, max(m) AS m FROM ({inner}) "
             f"GROUP BY window({over}, {interval(outer * MINUTE)}, {interval(slide * MINUTE)}), k")
    point = "we" if over == "w.end" else "we - INTERVAL '1 microsecond'"
    starts = f"unnest(range(0, {outer // slide}))"
    laid = (f"SELECT *, time_bucket({interval(slide * MINUTE)}, {point}, TIMESTAMP '2000-01-01') - {starts} * "
            f"{interval(slide * MINUTE)} AS os FROM i")
    answer = (f"WITH i AS (SELECT window_end AS we, k, count(*) AS n, max(v) AS m FROM src_w GROUP BY ALL), o AS ({laid}) "
              f"SELECT os AS ws, os + {interval(outer * MINUTE)} AS we, k, count(*) AS windows, sum(n)::BIGINT AS s, max(m) AS m "
              "FROM o GROUP BY os, k HAVING os + " + f"{interval(outer * MINUTE)} <= {{final}}")
    return Case(seed, "chain/windows-of-windows", rows, commits, flow(query), answer, (size, size, 0), delay, closed=True)


def union_case(seed):
    """Two streams as one, below windows or DISTINCT; through a common table expression, or in place."""
    rng, delay, rows, commits = drawn(seed)
    a, b = (f"SELECT ts, k, c, v FROM {stream(delay, name)}" for name in ("source", "second"))
    kind = rng.choice(["UNION ALL", "UNION ALL", "UNION ALL BY NAME", "distinct"])
    if kind == "distinct":
        query = rng.choice(["SELECT k, c FROM STREAM {source} UNION SELECT k, c FROM STREAM {second}",
                            "SELECT DISTINCT k, c FROM (SELECT * FROM STREAM {source} UNION ALL SELECT * FROM STREAM {second})"])
        answer = "SELECT DISTINCT k, c FROM (SELECT k, c FROM src UNION ALL SELECT k, c FROM src2)"
        return add_second(Case(seed, "union/distinct", rows, commits, flow(query), answer, None, delay), rng)
    b = b.replace("ts, k, c, v", "v, c, k, ts") if kind.endswith("NAME") else b
    window, text = draw_window(rng)
    mode = rng.choice(["append", "update", "complete"])
    both = f"{a} {kind} {b}"
    select = "SELECT window.start AS ws, window.end AS we, k, count(*) AS n, count(DISTINCT c) AS cs, sum(v)::BIGINT AS s FROM"
    query = rng.choice([f"{select} ({both}) GROUP BY {text}, k", f"WITH u AS ({both}) {select} u AS U GROUP BY {text}, u.k"])
    answer = ("SELECT window_start AS ws, window_end AS we, k, count(*) AS n, count(DISTINCT c) AS cs, sum(v)::BIGINT AS s FROM "
              "(SELECT * FROM src_w UNION ALL SELECT * FROM src2_w) GROUP BY ALL")
    answer = f"SELECT * FROM ({answer})" + (" WHERE we <= {final}" if mode == "append" else "")
    return add_second(Case(seed, f"union/{mode}", rows, commits, flow(query, mode), answer, window, delay, mode, mode == "append"), rng)


def join_window_case(seed):
    """Windows over a join of two streams, also of one with itself: closed when the watermark less the bound is there."""
    rng, delay, rows, commits = drawn(seed, delays=(1, 5))
    low, high = rng.choice([0, 1, 3]) * MINUTE, rng.choice([0, 2, 5]) * MINUTE
    kind, other = rng.choice(["JOIN", "JOIN", "LEFT JOIN"]), rng.choice(["second", "second", "source"])
    window, text = draw_window(rng)
    size, slide, offset = window
    on = f"l.k = r.k AND r.ts >= l.ts - {interval(low)} AND r.ts <= l.ts + {interval(high)}"
    columns = "count(*) AS n, count(r.id) AS m, sum(r.v)::BIGINT AS s, min(r.c) AS c"
    query = (f"SELECT window.start AS ws, window.end AS we, l.k AS k, {columns} FROM {stream(delay)} AS l {kind} {stream(delay, other)} AS r "
             f"ON {on} GROUP BY {text.replace('window(ts', 'window(l.ts')}, l.k")
    answer = (f"SELECT l.window_start AS ws, l.window_end AS we, l.k AS k, {columns} FROM src_w l {kind} {'src2' if other == 'second' else 'src'} r "
              f"ON {on} GROUP BY ALL HAVING l.window_end <= {{final}}::TIMESTAMP - {interval(max(low, high))}")
    case = Case(seed, f"chain/{kind.split()[0].lower()}-window", rows, commits, flow(query), answer, window, delay, closed=True)
    return add_second(case, rng) if other == "second" else case


def three_case(seed):
    """Three streams, or one with itself twice; some conditions in WHERE; with bounds or for ever."""
    rng, delay, rows, commits = drawn(seed, 25, 20, delays=(1, 5))
    low, high = rng.choice([0, 1, 3]) * MINUTE, rng.choice([0, 2, 5]) * MINUTE
    bounded = rng.random() < 0.7
    between = f" AND {{}}.ts BETWEEN {{}}.ts - {interval(low)} AND {{}}.ts + {interval(high)}" if bounded else ""
    middle = rng.choice(["source", "second"])
    first = f"l.k = r.k AND r.id <> l.id{between.format('r', 'l', 'l')}"
    second = f"m.c = r.c{between.format('m', 'r', 'r')}"
    columns = "l.id AS a, r.id AS b, m.id AS c, m.v + l.v AS v"
    last = rng.choice(["", " WHERE m.v > 3", " WHERE l.v IS NOT NULL AND m.id > l.id"])
    mark = f" WATERMARK ts DELAY OF {interval(delay)}" if bounded or rng.random() < 0.5 else ""
    query = (f"SELECT {columns} FROM STREAM {{source}}{mark} l JOIN STREAM {{{middle}}}{mark} r ON {first} JOIN STREAM {{source}}{mark} m ON {second}{last}")
    answer = f"SELECT {columns} FROM src l JOIN {'src' if middle == 'source' else 'src2'} r ON {first} JOIN src m ON {second}{last}"
    case = Case(seed, "join/three", rows, commits, flow(query), answer, None, delay)
    return add_second(case, rng, 25, 20) if middle == "second" else case


def dedup_window_join_case(seed):
    """Each stream without duplicates, counted by windows, and the windows joined."""
    rng, delay, rows, commits = drawn(seed, 40, 20, delays=(1, 5))
    size = rng.choice([1, 5]) * MINUTE
    kind = rng.choice(["JOIN", "LEFT JOIN", "FULL JOIN"])

    def side(name):
        return (f"(SELECT window AS w, k, count(*) AS n, sum(v)::BIGINT AS s FROM (SELECT DISTINCT ts, k, v FROM {stream(delay, name)}) "
                f"GROUP BY window(ts, {interval(size)}), k)")

    columns = "coalesce(l.{0}, r.{0}) AS ws, coalesce(l.{1}, r.{1}) AS we, coalesce(l.k, r.k) AS k, l.n AS ln, r.n AS rn, l.s AS ls, r.s AS rs"
    query = f"SELECT {columns.format('w.start', 'w.end')} FROM {side('source')} AS l {kind} {side('second')} AS r ON l.w = r.w AND l.k = r.k"
    plain = ("(SELECT window_start AS s0, window_end AS e0, k, count(*) AS n, sum(v)::BIGINT AS s FROM (SELECT DISTINCT window_start, window_end, ts, k, v "
             "FROM {}) GROUP BY ALL HAVING window_end <= {{final}})")
    answer = (f"SELECT {columns.format('s0', 'e0')} FROM {plain.format('src_w')} l {kind} {plain.format('src2_w')} r "
              "ON l.s0 = r.s0 AND l.e0 = r.e0 AND l.k = r.k")
    case = Case(seed, f"chain/distinct-window-{kind.split()[0].lower()}", rows, commits, flow(query), answer, (size, size, 0), delay, closed=True)
    return add_second(case, rng, 40, 20)


def sets_case(seed):
    """GROUPING SETS, ROLLUP, CUBE: complete mode, or below a window in append mode."""
    rng, delay, rows, commits = drawn(seed, 60, 30)
    sets = rng.choice(["ROLLUP (k, c)", "CUBE (k, c)", "GROUPING SETS ((k), (c), ())", "GROUPING SETS ((k, c), (k))"])
    columns = "k, c, GROUPING(k, c)::INT AS g, count(*) AS n, sum(v)::BIGINT AS s, count(DISTINCT v) AS d, median(v) AS m"
    having = rng.choice(["", " HAVING count(*) > 1"])
    if rng.random() < 0.5:
        return Case(seed, "sets/complete", rows, commits, flow(f"SELECT {columns} FROM STREAM {{source}} GROUP BY {sets}{having}", "complete"),
                    f"SELECT {columns} FROM src GROUP BY {sets}{having}", None, delay, "complete")
    window, text = draw_window(rng)
    query = f"SELECT window.start AS ws, window.end AS we, {columns} FROM {stream(delay)} GROUP BY {text}, {sets}{having}"
    answer = (f"SELECT * FROM (SELECT window_start AS ws, window_end AS we, {columns} FROM src_w GROUP BY window_start, window_end, {sets}{having}) "
              "WHERE we <= {final}")
    return Case(seed, "sets/append", rows, commits, flow(query), answer, window, delay, "append", True)


def gap_case(seed):
    """Sessions whose gap the row says; sessions of several keys, of an expression."""
    rng, delay, rows, commits = drawn(seed, 50, 40)
    mode, key = rng.choice(["append", "complete"]), rng.choice(["k", "k, c", "upper(c)"])
    names = ", ".join(f"{e} AS g{i}" for i, e in enumerate(key.split(", ")))
    gap = rng.choice(["CASE WHEN c = 'a' THEN INTERVAL '1 minute' ELSE INTERVAL '4 minutes' END", "to_minutes(coalesce(abs(v), 3) + 1)",
                      "to_seconds(30 * (1 + coalesce(k, 0)))"])
    columns = "count(*) AS n, sum(v)::BIGINT AS s, list(id ORDER BY id) AS ids, count(DISTINCT c) AS cs"
    query = (f"SELECT session_window.start AS ws, session_window.end AS we, {names}, {columns} FROM {stream(delay)} "
             f"GROUP BY session_window(ts, {gap}), {key}")
    order = f"PARTITION BY {key} ORDER BY ts, e"
    islands = (f"SELECT *, sum(fresh) OVER ({order}, id ROWS UNBOUNDED PRECEDING) AS island FROM (SELECT *, CASE WHEN ts > max(e) OVER ({order}, id "
               f"ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 1 ELSE 0 END AS fresh FROM (SELECT *, ts + {gap} AS e FROM src WHERE ts IS NOT NULL))")
    answer = f"SELECT min(ts) AS ws, max(e) AS we, {names}, {columns} FROM ({islands}) GROUP BY {key}, island"
    answer = f"SELECT * FROM ({answer})" + (" WHERE we <= {final}" if mode == "append" else "")
    return Case(seed, f"session/gap-{mode}", rows, commits, flow(query, mode), answer, None, delay, mode, mode == "append")


def above_case(seed):
    """Complete mode: ordinary SQL above the groups."""
    rng, delay, rows, commits = drawn(seed, 60, 30)
    groups = "SELECT k, c, count(*) AS n, sum(v)::BIGINT AS s FROM {} GROUP BY k, c"
    above = rng.choice(["SELECT n, count(*) AS groups, sum(s)::BIGINT AS s FROM ({}) GROUP BY n", "SELECT * FROM ({}) ORDER BY n DESC, k, c LIMIT 3",
                        "SELECT a.k, a.n, b.n AS m FROM ({0}) a JOIN ({0}) b ON a.k = b.k AND a.n <= b.n",
                        "SELECT k, c, rank() OVER (PARTITION BY k ORDER BY n, c) AS r FROM ({})",
                        "SELECT k, c, n FROM ({}) WHERE n = (SELECT max(n) FROM ({}))",
                        "SELECT DISTINCT n FROM ({})", "SELECT k, n FROM ({}) EXCEPT SELECT 1, 2", "WITH g AS ({}) SELECT * FROM g WHERE n > (SELECT avg(n) FROM g)"])
    query, answer = (above.format(groups.format(name), groups.format(name)) for name in ("STREAM {source}", "src"))
    return Case(seed, "complete/above", rows, commits, flow(query, "complete"), answer, None, delay, "complete")


def static_case(seed):
    """A join with a table that does not change, then windows or DISTINCT."""
    rng, delay, rows, commits = drawn(seed, 50, 30)
    table = "(VALUES (0, 'zero'), (1, 'one'), (1, 'uno'), (5, 'five')) AS d(k, name)"
    kind = rng.choice(["JOIN", "LEFT JOIN", "SEMI JOIN", "ANTI JOIN"])
    name = "name" if kind in ("JOIN", "LEFT JOIN") else "s.c"
    if rng.random() < 0.4:
        query = f"SELECT DISTINCT s.k, {name} AS name FROM {{}} AS s {kind} {table} ON s.k = d.k"
        return Case(seed, "static/distinct", rows, commits, flow(query.format("STREAM {source}")), query.format("src"), None, delay)
    window, text = draw_window(rng)
    tail = f"{kind} {table} ON s.k = d.k"
    query = f"SELECT window.start AS ws, window.end AS we, {name} AS name, count(*) AS n, sum(s.v)::BIGINT AS v FROM {stream(delay)} AS s {tail} GROUP BY {text.replace('window(ts', 'window(s.ts')}, {name}"
    answer = f"SELECT window_start AS ws, window_end AS we, {name} AS name, count(*) AS n, sum(s.v)::BIGINT AS v FROM src_w AS s {tail} GROUP BY ALL HAVING window_end <= {{final}}"
    return Case(seed, f"static/{kind.split()[0].lower()}", rows, commits, flow(query), answer, window, delay, closed=True)


FEWER = ["histogram(c)", "kurtosis(v)", "skewness(v)", "corr(v, d)", "regr_slope(d, v)", "covar_pop(v, d)", "covar_samp(d, v)", "mad(v)",
         "quantile_cont(v, [0.1, 0.9])", "arg_min(v, id)", "product(d)", "string_agg(DISTINCT c, ',' ORDER BY c)", "list(DISTINCT c ORDER BY c)",
         "count(DISTINCT (c, v))", "sum(DISTINCT v) FILTER (WHERE c = 'a')", "bit_and(v)", "bit_or(v)", "count_if(v > 3)", "favg(d)", "fsum(d)", "sem(d)",
         "geomean(id + 1)", "sum(DISTINCT n)", "avg(DISTINCT v)", "arg_max(c, {'v': v, 'i': id})", "max(n)", "min(c)", "first(id ORDER BY id)", "last(c ORDER BY id)",
         "approx_count_distinct(v)", "percentile_disc(0.5) WITHIN GROUP (ORDER BY id DESC)", "regr_r2(v, d)", "regr_intercept(v, d)",
         "regr_count(v, d)", "entropy(c)", "sum(v) FILTER (WHERE c IN ('a', 'b')) / count(*)", "list(v ORDER BY id DESC) FILTER (WHERE k = 1)",
         "avg(ts)", "median(ts)", "epoch(max(ts) - min(ts))", "wavg(d, id + 1)", "sum(v) + max(id) - min(id)", "stddev_pop(v)", "var_samp(n)"]


def fewer_case(seed):
    """Aggregates that are asked for less often."""
    rng, delay, rows, commits = drawn(seed, 50, 20)
    wanted = rng.sample(FEWER, rng.randint(1, 5))
    select = ", ".join(f"{a} AS a{i}" for i, a in enumerate(wanted))
    key = rng.choice(["k", "c"])
    mode = rng.choice(["append", "update", "complete"])
    if mode == "append":
        window, text = draw_window(rng)
        query = f"SELECT window.start AS ws, window.end AS we, {key}, {select} FROM {stream(delay)} GROUP BY {text}, {key}"
        answer = f"SELECT window_start AS ws, window_end AS we, {key}, {select} FROM src_w GROUP BY window_start, window_end, {key} HAVING window_end <= {{final}}"
    else:
        window, query, answer = None, f"SELECT {key}, {select} FROM STREAM {{source}} GROUP BY {key}", f"SELECT {key}, {select} FROM src GROUP BY {key}"
    return Case(seed, f"fewer/{mode}", rows, commits, flow(query, mode), answer, window, delay, mode, mode == "append",
                tuple(f"a{i}" for i, a in enumerate(wanted) if a == "histogram(c)"))


KINDS = [*base.KINDS, (windows_case, 1), (union_case, 1), (join_window_case, 1), (three_case, 1), (dedup_window_join_case, 1), (sets_case, 1), (gap_case, 1),
         (above_case, 1), (static_case, 1), (fewer_case, 2)]


def draw(seed, maker=None):
    """The case of a seed, of that kind when it is given."""
    rng = random.Random(seed)
    case = (maker or rng.choice([maker for maker, weight in KINDS for _ in range(weight)]))(seed)
    case.files, case.from_log = rng.choice(base.FILES), rng.random() < 0.6
    return case
