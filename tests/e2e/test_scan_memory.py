"""Tables of very many files are read in slices: what the process holds does not grow with the number of files, and no row is lost."""
import json
import os

import duckdb
from conftest import PROGRAM
from test_state_memory import PROCESS_MB, peak_mb

FILES, LINKS_MAX, LIMIT_MB = 30_000, 10_000, 64
SCHEMA = {"type": "struct", "fields": [{"name": "n", "type": "long", "nullable": True, "metadata": {}}]}


def many_files(folder):
    """Each file has one row, the number of the file it is a link to; the last one is of its own."""
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    actions = [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
               {"metaData": {"id": "x", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(SCHEMA), "partitionColumns": [], "configuration": {}}}]
    for i in range(FILES):
        if i % LINKS_MAX == 0 or i == FILES - 1:
            first = folder / f"{i}.parquet"
            duckdb.execute(f"COPY (SELECT {i}::BIGINT AS n) TO '{first}' (FORMAT parquet)")
        else:
            os.link(first, folder / f"{i}.parquet")
        actions.append({"add": {"path": f"{i}.parquet", "partitionValues": {}, "size": first.stat().st_size, "modificationTime": 1, "dataChange": True}})
    (log / f"{0:020}.json").write_text("".join(json.dumps(action) + "\n" for action in actions))


def test_scan_memory__all_files(tmp_path):
    many_files(tmp_path / "t")
    out = tmp_path / "out"
    query = f"SELECT count(*) AS c, sum(n)::BIGINT AS s, max(n) AS m, count(*) FILTER (n = {FILES - 1}) AS last FROM delta.`{tmp_path / 't'}`"
    peak = peak_mb([PROGRAM, "sql", "--memory", f"{LIMIT_MB}MB", "--format", "jsonl", "-c", query], out)
    total = sum(i // LINKS_MAX * LINKS_MAX for i in range(FILES - 1)) + FILES - 1
    assert json.loads(out.read_text()) == {"c": FILES, "s": total, "m": FILES - 1, "last": 1}
    print(f"{FILES:,} files, {LIMIT_MB} MB for data: peak {peak:.0f} MB")
    assert peak <= LIMIT_MB + PROCESS_MB


def test_scan_memory__changes(freshet, tmp_path):
    """The few rows that a statement is about are found among all files, and nothing else changes."""
    many_files(tmp_path / "t")
    table = f"delta.`{tmp_path / 't'}`"
    freshet("sql", "-c", f"DELETE FROM {table} WHERE n % {LINKS_MAX} = {LINKS_MAX - 1}")
    done = freshet("sql", "--format", "jsonl", "-c", f"SELECT count(*) AS c, max(n) AS m FROM {table}")
    assert json.loads(done.out) == {"c": FILES - 1, "m": FILES - LINKS_MAX}
