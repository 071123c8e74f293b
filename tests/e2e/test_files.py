"""Files as a stream, through the program: every row once, schemas that grow, what is kept beside them."""
import gzip
import json
import os
import signal

import pytest


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
def pipeline(tmp_path, landing):
    def write(options="format => 'json'", select="*", table="t"):
        file = tmp_path / "pipeline.sql"
        file.write_text(f"CREATE STREAMING TABLE {table} AS SELECT {select} FROM STREAM read_files('{landing}', {options});\n")
        return file

    return write


@pytest.fixture
def run(freshet, warehouse):
    def once(file, check=0):
        return freshet("run", file, "--warehouse", warehouse, "--available-now", check=check)

    return once


@pytest.fixture
def rows(freshet, warehouse):
    def ask(query):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", query, check=0)
        return [json.loads(line) for line in done.out.splitlines()]

    return ask


def drop(landing, name, *records):
    """Writes a file aside and renames it into the folder."""
    aside = landing.parent / f".{name}"
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    aside.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    aside.rename(landing / name)


def sources(warehouse):
    (folder,) = (warehouse / "_checkpoints").glob("*/*/*/*/sources/0")
    return folder


def test_every_file_once_over_restarts(pipeline, run, landing, warehouse, read_delta):
    for n in range(5):
        drop(landing, f"{n}.json" + (".gz" if n % 2 else ""), *({"id": n * 10 + i} for i in range(10)))
        run(pipeline("format => 'json', maxFilesPerTrigger => 1"))
    run(pipeline())
    assert sorted(id for (id,) in read_delta(warehouse / "default/t", "id")) == list(range(50))
    entry = (sources(warehouse) / "3").read_text().splitlines()
    assert entry[0] == "v1" and json.loads(entry[1])["path"].endswith("/landing/3.json.gz") and json.loads(entry[1])["batchId"] == 3


def test_a_running_pipeline_takes_files_as_they_come(freshet, pipeline, landing, warehouse, rows, wait_until):
    drop(landing, "0.json", {"id": 0})
    process = freshet.start("run", pipeline(), "--warehouse", warehouse)

    def count(n):
        return lambda: (warehouse / "default/t/_delta_log").exists() and rows("SELECT count(*) AS n FROM t")[0]["n"] == n

    wait_until(count(1), what="the first file", process=process)
    drop(landing, "1.json", {"id": 1})
    wait_until(count(2), what="a renamed file", process=process)
    (landing / "sub").mkdir()
    (landing / "sub/2.json").write_text('{"id": 2}\n')
    wait_until(count(3), what="a file in a new folder", process=process)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait().code == 0


def test_a_column_that_appears_is_taken_up_in_the_same_run(pipeline, run, landing, rows):
    drop(landing, "a.json", {"id": 1})
    run(pipeline())
    drop(landing, "b.json", {"id": 2, "name": "x", "pos": {"lat": 1.5}})
    drop(landing, "c.json", *({"id": i} for i in range(100, 400)), {"id": 3, "deep": [1]}, {"id": 4, "pos": {"lon": 2}})
    run(pipeline())
    assert rows("SELECT id, name, pos.lat AS lat, pos.lon AS lon, deep FROM t WHERE id < 100 ORDER BY id") == [
        {"id": 1, "name": None, "lat": None, "lon": None, "deep": None},
        {"id": 2, "name": "x", "lat": 1.5, "lon": None, "deep": None},
        {"id": 3, "name": None, "lat": None, "lon": None, "deep": [1]},
        {"id": 4, "name": None, "lat": None, "lon": 2, "deep": None},
    ]
    assert rows("SELECT count(*) AS n, count(DISTINCT id) AS d, count(_rescued_data) AS r FROM t") == [{"n": 304, "d": 304, "r": 0}]


def test_a_new_column_may_be_refused_or_rescued(pipeline, run, landing, rows):
    drop(landing, "a.json", {"id": 1})
    run(pipeline())
    drop(landing, "b.json", {"id": 2, "more": 7})
    refused = run(pipeline("format => 'json', schemaEvolutionMode => 'failOnNewColumns'"), check=1)
    assert "b.json" in refused.err and '"more"' in refused.err and "UNKNOWN_FIELD_EXCEPTION" in refused.err
    run(pipeline("format => 'json', schemaEvolutionMode => 'rescue'"))
    (row,) = rows("SELECT _rescued_data AS r FROM t WHERE id = 2")
    assert json.loads(row["r"])["more"] == 7


def test_metadata_is_there_for_those_who_name_it(pipeline, run, landing, rows):
    drop(landing, "a.json", {"id": 1})
    run(pipeline(select="*, _metadata.file_name AS file, _metadata.file_size AS size"))
    assert rows("SELECT * FROM t") == [{"id": 1, "_rescued_data": None, "file": "a.json", "size": 10}]
    assert rows(f"SELECT * FROM read_files('{landing}')") == [{"id": 1, "_rescued_data": None}]
    (row,) = rows(f"SELECT _metadata FROM read_files('{landing}')")
    assert set(row["_metadata"]) == {"file_path", "file_name", "file_size", "file_modification_time"}


def test_read_files_are_cleaned_once_they_are_committed(pipeline, run, landing, rows, tmp_path):
    archive = tmp_path / "archive"
    for n in range(3):
        drop(landing, f"{n}.json", {"id": n})
        run(pipeline(f"format => 'json', cleanSource => 'archive', sourceArchiveDir => '{archive}'"))
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 3}]
    assert sorted(path.name for path in archive.iterdir()) + sorted(path.name for path in landing.iterdir()) == ["0.json", "1.json", "2.json"]


def test_csv_with_quotes_and_dates(pipeline, run, landing, rows):
    (landing / "a.csv").write_text('id,day,text\n1,31.12.2024,"a ""b"", c"\n2,soon,"two\nlines"\n')
    run(pipeline("format => 'csv', schemaHints => 'day DATE', dateFormat => 'dd.MM.yyyy'"))
    got = rows("SELECT id, day, text, _rescued_data->>'day' AS bad FROM t ORDER BY id")
    assert got == [
        {"id": 1, "day": "2024-12-31", "text": 'a "b", c', "bad": None},
        {"id": 2, "day": None, "text": "two\nlines", "bad": "soon"},
    ]


def test_parquet_files_of_two_schemas(freshet, warehouse, pipeline, run, landing, rows):
    freshet("sql", "-c", f"COPY (SELECT 1 AS id, 'x' AS s) TO '{landing}/a.parquet'; COPY (SELECT 2 AS id, true AS more) TO '{landing}/b.parquet'", check=0)
    run(pipeline("format => 'parquet'"))
    assert rows("SELECT id, s, more FROM t ORDER BY id") == [{"id": 1, "s": "x", "more": None}, {"id": 2, "s": None, "more": True}]


@pytest.mark.parametrize("point", ["source.log.before_put", "source.log.after_put", "source.schema.before_put", "source.schema.after_put"])
def test_killed_around_its_logs(freshet, pipeline, run, landing, warehouse, rows, point):
    drop(landing, "a.json", {"id": 1})
    killed = freshet("run", pipeline(), "--warehouse", warehouse, "--available-now", env={"FRESHET_FAILPOINT": f"{point}=crash@1"})
    assert killed.code == -signal.SIGKILL
    drop(landing, "b.json", {"id": 2})
    run(pipeline())
    run(pipeline())
    assert rows("SELECT id FROM t ORDER BY id") == [{"id": 1}, {"id": 2}]
