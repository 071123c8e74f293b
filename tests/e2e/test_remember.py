"""Streams that remember rows, file by file, against one query of DuckDB over all files: de-duplication and joins."""
import json
import os
import random
from datetime import datetime, timedelta

import duckdb
import pytest

START = datetime(2026, 3, 1)
COLUMNS = "id VARCHAR, k BIGINT, at TIMESTAMPTZ, tags VARCHAR[], part DOUBLE"
FILES = 6


@pytest.fixture
def chance():
    seed = int(os.environ.get("FRESHET_TEST_SEED", "20240101"))
    print(f"FRESHET_TEST_SEED={seed}")
    return random.Random(seed)


def write(folder, number, rows):
    folder.mkdir(exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f".{number}").write_text(text)
    (folder / f".{number}").rename(folder / f"{number}.json")


def moment(minutes):
    return (START + timedelta(minutes=minutes)).isoformat() + "Z"


def row(chance, number, now):
    return {
        "id": chance.choice([f"{number:08x}-0000-4000-8000-00000000000{chance.randrange(3)}", f"id {chance.randrange(20)}", None]),
        "k": chance.choice([*range(5), None]),
        "at": moment(now + chance.uniform(-8, 2)) if chance.random() > 0.05 else None,
        "tags": chance.choice([None, [], ["x"], ["x", None]]),
        "part": chance.choice([0.5, None, -1.0]),
    }


def stream(name):
    schema = COLUMNS.replace("VARCHAR", "STRING")
    return f"STREAM read_files('{name}', format => 'json', maxFilesPerTrigger => 1, schema => '{schema}')"


def answer(folder, query):
    """What DuckDB says of the files; a and b are the two streams."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    columns = {name: kind for name, kind in (column.split() for column in COLUMNS.split(", "))}
    for name in "ab":
        if (folder / name).exists():
            db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_json('{folder / name}/*.json', columns = {columns})")
    return sorted(map(repr, db.sql(query).fetchall()))


def plain(rows):
    """Comparable with what answer() gives."""
    return sorted(map(repr, rows))


def test_every_row_once(freshet, warehouse, read_delta, chance):
    """SELECT DISTINCT and DISTINCT ON, over two runs."""
    folder = warehouse.parent
    (folder / "p.sql").write_text(f"""
        CREATE STREAMING TABLE everything AS SELECT DISTINCT k, tags, part FROM {stream('a')};
        CREATE STREAMING TABLE once AS SELECT DISTINCT ON (id) id FROM {stream('a')};
        CREATE STREAMING TABLE pairs AS SELECT DISTINCT ON (lower(id), k) lower(id) AS id, k FROM {stream('a')} WHERE part IS NOT NULL;""")
    for number in range(FILES):
        write(folder / "a", number, [row(chance, number // 2, 0) for _ in range(chance.randrange(40))])
        if number % 3 == 2:
            freshet("run", "p.sql", "--warehouse", warehouse, "--available-now", cwd=folder, check=0)

    assert plain(read_delta(warehouse / "default/everything", "k", "tags", "part")) == answer(folder, "SELECT DISTINCT k, tags, part FROM a")
    assert plain(read_delta(warehouse / "default/once", "id")) == answer(folder, "SELECT DISTINCT id FROM a")
    assert plain(read_delta(warehouse / "default/pairs", "id", "k")) == answer(
        folder, "SELECT DISTINCT lower(id), k FROM a WHERE part IS NOT NULL")


JOINS = {
    "inner_": "SELECT a.id AS a, b.id AS b, epoch_us(b.at) AS at FROM {a} AS a JOIN {b} AS b ON a.k = b.k AND b.at BETWEEN a.at - INTERVAL '3 minutes' AND a.at",
    "left_": """SELECT a.id AS a, b.id AS b, epoch_us(b.at) AS at FROM {a} AS a LEFT JOIN {b} AS b
        ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL '4 minutes' AND a.part > 0""",
    "full_": """SELECT a.id AS a, b.id AS b, epoch_us(b.at) AS at FROM {a} AS a FULL JOIN {b} AS b
        ON a.k = b.k AND b.at >= a.at - INTERVAL '1 minute' AND b.at < a.at + INTERVAL '90 seconds'""",
    "semi_": "SELECT a.id AS a, a.part AS b, epoch_us(a.at) AS at FROM {a} AS a SEMI JOIN {b} AS b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL '5 minutes'",
}


def test_joins(freshet, warehouse, read_delta, chance):
    """Files of two streams arrive in turns; rows are at most ten minutes late, and the watermark waits eleven."""
    folder = warehouse.parent
    timed = {name: f"{stream(name)} WATERMARK at DELAY OF INTERVAL '11 minutes'" for name in "ab"}
    (folder / "p.sql").write_text("\n".join(f"CREATE STREAMING TABLE {name} AS {query.format(**timed)};" for name, query in JOINS.items()))
    for number in range(FILES):
        for name in "ab":
            write(folder / name, number, [row(chance, number, number * 5) for _ in range(chance.randrange(1, 25))])
        if number % 3 == 2:
            freshet("run", "p.sql", "--warehouse", warehouse, "--available-now", cwd=folder, check=0)
    for name in "ab":  # time goes on, so that rows without a partner come out; these two wait for ever
        write(folder / name, FILES, [{"id": "end", "k": 99 + ord(name), "at": moment(10000)}])
    freshet("run", "p.sql", "--warehouse", warehouse, "--available-now", cwd=folder, check=0)
    for name, query in JOINS.items():
        rows = read_delta(warehouse / "default" / name, "a", "b", "at")
        ended = "a IS NOT DISTINCT FROM 'end' OR b::VARCHAR IS NOT DISTINCT FROM 'end'"
        expected = answer(folder, f"SELECT * FROM ({query.format(a='a', b='b')}) WHERE NOT ({ended})")
        assert plain(rows) == expected, name
