"""Streaming queries against their batch answers: random queries, data, splits into batches, restarts and crashes.

    FRESHET_CASES=20000 FRESHET_SEED=7 pytest tests/property -n 2       a long run from a seed of one's own

A case is drawn from its seed. More than half are plain (stateful_cases.py): an aggregate over windows of any slide and offset,
or over none, in each output mode, with up to five of 29 aggregates, WHERE and HAVING; sessions; DISTINCT of rows, by keys,
with the event time; a join of two streams of each kind; or DISTINCT under a window. The others have several steps or streams
(combined_cases.py): windows of windows, joins under windows, of three streams and of one with itself, UNION, windows that are
joined, GROUPING SETS, gaps that the row says, SQL above groups, static tables, aggregates asked for less often. Its up to 60 rows have ties, nulls, and times on the edges of
windows; they come in up to six commits, of which a batch reads one, two or all, from the log or at first from the files. The runs fall anywhere between the commits,
and before 40 % of them one crashes at a random place.

Most cases run through libfreshet in this process, where a crash is a failpoint that returns: the run ends at once and
a new one recovers. Some run the program and kill it. A failing case says its seed; FRESHET_CASES=1 FRESHET_SEED=<seed>
runs it alone. The summary counts what was played.
"""
import os

import pytest
from combined_cases import static_case
from harness import Inside, Outside, check
from stateful_cases import session_case

SEED = int(os.environ.get("FRESHET_SEED", "20240101"))
CASES = int(os.environ.get("FRESHET_CASES", "1000"))
CHUNK = 50  # cases that share an instance and a warehouse
KILLED = max(min(30, CASES), CASES // 100)


def many(freshet, seeds, crash_share, record_property, maker=None):
    counts = {}
    try:
        for seed in seeds:
            name, crashes, batches = check(freshet, seed, crash_share, maker)
            for what, n in ((name, 1), ("batches", batches), ("crashes", crashes)):
                counts[what] = counts.get(what, 0) + n
    finally:
        freshet.close()
    for what, n in counts.items():
        record_property(what, n)
    return counts


# What rare cases have found, played every time.
FOUND = {
    20270033: session_case,  # rows of one time were put into two sessions, which then hung together
    21240107: static_case,  # a join with a table hid rows from the watermark
}


@pytest.mark.parametrize("seed", FOUND, ids=str)
def test_stateful__cases_that_once_failed(seed, record_property):
    many(Inside(1), [seed], 0.4, record_property, FOUND[seed])


@pytest.mark.parametrize("first", range(SEED, SEED + CASES, CHUNK))
def test_stateful__equals_the_batch_answer(first, record_property):
    seeds = range(first, min(first + CHUNK, SEED + CASES))
    threads = 2 if first // CHUNK % 5 == 0 else 1
    counts = many(Inside(threads), seeds, 0.4, record_property)
    assert len(seeds) < CHUNK or counts["crashes"] > 0, "no crash was played"


@pytest.mark.parametrize("first", range(SEED + 1_000_000, SEED + 1_000_000 + KILLED, 5))
def test_stateful__equals_the_batch_answer_when_killed(tmp_path, first, record_property):
    many(Outside(tmp_path / "warehouse"), range(first, min(first + 5, SEED + 1_000_000 + KILLED)), 1.0, record_property)
