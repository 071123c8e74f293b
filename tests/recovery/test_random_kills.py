"""A pipeline that is killed at random moments, a hundred times, while files keep coming."""
import os
import random
import time

import pytest
from shapes import SHAPES
from sweep import judge, run_step

KILLS = 100


@pytest.fixture
def chance():
    seed = int(os.environ.get("FRESHET_TEST_SEED", "20240101"))
    print(f"FRESHET_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.name in ("delta", "evolving")], ids=str)
def test_random_kills(freshet, read_delta, lint, tell, tmp_path, chance, shape):
    scenario = shape.begin(tmp_path / "scenario")
    scenario.feed(1)
    for kill in range(KILLS // 2):
        process = freshet.start("run", scenario.file, "--warehouse", scenario.warehouse, "--progress", "none", "--set",
                                "freshet.fsync=false")
        deadline = time.monotonic() + chance.uniform(0.01, 0.5)
        while time.monotonic() < deadline and process.running:
            if chance.random() < 0.1:
                scenario.feed(1)
            time.sleep(0.005)
        assert process.running, f"kill {kill}: ended by itself: {process.result()!r}"
        process.kill()
    run_step(freshet, scenario, (), [])
    judge(scenario, read_delta, f"after {KILLS // 2} random kills")
    lint(*(scenario.warehouse / table for table in shape.tables))
    tell(f"{shape}: {KILLS // 2} random kills survived, {len(scenario.records)} records")
