"""libfreshet: what the program does, from inside another one."""
import json
import re
import subprocess

import pytest

from library import LIBRARY, ONCE, ROOT, Engine, FreshetError

PIPELINE = """
CREATE STREAMING TABLE t AS SELECT n, n * 2 AS twice FROM STREAM read_files('{}', format => 'json',
    schema => 'n BIGINT') WITH (maxFilesPerTrigger = 1);
"""


@pytest.fixture
def engine(warehouse):
    with Engine(warehouse, memory_bytes=256 << 20, threads=2) as engine:
        yield engine


@pytest.fixture
def pipeline(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        (folder / f"{i}.json").write_text(json.dumps({"n": i}) + "\n")
    return PIPELINE.format(folder)


def test_library__statements_and_rows(engine):
    assert engine.version
    rows = engine.sql("CREATE TABLE a (x BIGINT, s STRING); INSERT INTO a VALUES (9007199254740993, 'é'), (2, NULL);"
                      "SELECT * FROM a ORDER BY x")
    assert rows == [{"x": 2, "s": None}, {"x": 9007199254740993, "s": "é"}]


def test_library__errors_have_place_hint_and_code(engine):
    with pytest.raises(FreshetError) as e:
        engine.sql("SELECT 1;\nSELECT nmae FROM (SELECT 1 AS name)")
    assert e.value.code.startswith("FR-") and e.value.line == 2 and e.value.column == 8
    with pytest.raises(FreshetError):
        engine.failpoint("no.such.place")


def test_library__pipeline_runs_and_goes_on(engine, pipeline):
    batches = engine.run(pipeline)
    assert [b["numInputRows"] for b in batches if b["numInputRows"]] == [1, 1, 1]
    assert engine.run(pipeline, ONCE) == []
    assert engine.sql("SELECT sum(twice)::BIGINT AS s FROM t") == [{"s": 6}]
    assert "default" in engine.explain(pipeline) or "t" in engine.explain(pipeline)


def test_library__a_failpoint_that_returns_stops_the_flow_and_nothing_is_lost(engine, pipeline):
    engine.failpoint("sink.append.after_commit", "fail", 2)
    with pytest.raises(FreshetError) as e:
        engine.run(pipeline)
    assert "sink.append.after_commit" in e.value.message
    engine.failpoint()
    engine.run(pipeline)
    assert engine.sql("SELECT list(n ORDER BY n) AS all FROM t") == [{"all": [0, 1, 2]}]


def test_library__the_clock_is_the_callers(engine, tmp_path, pipeline):
    engine.set_clock(1_000_000_000_000_000)
    engine.run(pipeline.replace("n * 2 AS twice", "current_timestamp AS twice"))
    assert engine.sql("SELECT DISTINCT epoch_ms(twice) AS ms FROM t") == [{"ms": 1_000_000_000_000}]


def test_library__the_manuals_program_compiles_and_runs(tmp_path):
    code = re.search(r"```c\n(.*?)```", (ROOT / "docs/library.md").read_text(), re.S).group(1)
    (tmp_path / "numbers.c").write_text(code)
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming/1.json").write_text('{"a": 1}\n{"a": 2}\n')
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "include", "numbers.c", "-o", "numbers",
                    LIBRARY, f"-Wl,-rpath,{LIBRARY.parent}"], cwd=tmp_path, check=True)
    done = subprocess.run(["./numbers"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"n":2}\n', "")
