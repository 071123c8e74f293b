"""Streaming queries against their batch answers: random queries, data, splits into batches, restarts and crashes.

    FRESHET_CASES=20000 FRESHET_SEED=7 pytest tests/property -n 2       a long run from a seed of one's own

Most cases run through libfreshet in this process, where a crash is a failpoint that returns: the run ends at once and
a new one recovers. Some run the program and kill it. A failing case says its seed; FRESHET_CASES=1 FRESHET_SEED=<seed>
runs it alone.
"""
import os

import pytest
from harness import Inside, Outside, check

SEED = int(os.environ.get("FRESHET_SEED", "20240101"))
CASES = int(os.environ.get("FRESHET_CASES", "1000"))
CHUNKS = min(20, CASES)
KILLED = 30 if CASES >= 30 else 1


def many(freshet, seeds, crash_share):
    kinds, crashes = {}, 0
    try:
        for seed in seeds:
            name, crashed = check(freshet, seed, crash_share)
            kinds[name] = kinds.get(name, 0) + 1
            crashes += crashed
    finally:
        freshet.close()
    print(f"seeds {seeds}: {sum(kinds.values())} cases, {crashes} crashes, {dict(sorted(kinds.items()))}")
    return crashes


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_stateful__equals_the_batch_answer(tmp_path, chunk):
    seeds = range(SEED + chunk, SEED + CASES, CHUNKS)
    crashes = many(Inside(tmp_path / "warehouse"), seeds, 0.4)
    assert len(seeds) < 20 or crashes > 0, "no crash was played"


@pytest.mark.parametrize("chunk", range(min(6, KILLED)))
def test_stateful__equals_the_batch_answer_when_killed(tmp_path, chunk):
    many(Outside(tmp_path / "warehouse"), range(SEED + 1_000_000 + chunk, SEED + 1_000_000 + KILLED, 6), 1.0)
