"""Queries that remember rows, beside what is installed of freshet's peers: windows, de-duplication, joins of streams, and a restart.

    bench/run stateful [WORKLOAD..] [--rows N] [--files N] [--keys N] [--runs N] [--only NAME,..] [--folder DIR] [--json FILE]

WORKLOAD is windows, dedupe, sliding, join, keys or restart (all); stateful_workloads.py says what each is. --keys is for the last two.
"""
import os
import pathlib
import shutil
import subprocess

import run
from contestants import PROGRAM, Duckdb, Spark, count_rows, finish, fresh_target, measure, parser, prepare, print_runs, rows_in, run_script
from stateful_workloads import FRESHET, KEYS, MEMORY, WORKLOADS


class FreshetState(run.FreshetRun):
    workloads = WORKLOADS

    def command(self, workload, source, target):
        pipeline = f"{target}.sql"
        pathlib.Path(pipeline).write_text(f"CREATE STREAMING TABLE out AS {FRESHET[workload].format(source=source)};\n")
        limit = ["--memory", MEMORY] if workload in KEYS else []
        return [PROGRAM, "run", pipeline, "--warehouse", target, "--progress", "none", "--available-now", *limit]


class DuckdbBatch(run.ToFolder, Duckdb):
    name, workloads, script = "DuckDB, one query", WORKLOADS, "duckdb_batch.py"


class SparkState(run.ToFolder, Spark):
    workloads, script = WORKLOADS, "spark_stateful.py"


FILES_OF_KEYS = 40
CONTESTANTS = {"freshet": FreshetState(), "duckdb": DuckdbBatch(), "spark": SparkState()}


# ---- input -----------------------------------------------------------------------------------------------------------


def freshet(*arguments):
    subprocess.run([PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)


def make_table(folder, name, make):
    """A Delta table, made once: make(warehouse) leaves it as the table `bronze` of that warehouse."""
    table = folder / name
    if not table.exists():
        warehouse = folder / f"{name}.part"
        shutil.rmtree(warehouse, ignore_errors=True)
        make(warehouse)
        (warehouse / "default/bronze").rename(table)
        shutil.rmtree(warehouse)
    for path in table.glob("*.parquet"):
        path.read_bytes()
    return table


def clicks(folder, rows, files):
    def make(warehouse):
        pipeline = folder / "bronze.sql"
        source = run.freshet_pipeline("ingest", run.generate(folder, rows, files))
        pipeline.write_text(source.replace("maxFilesPerTrigger => 16", "maxFilesPerTrigger => 1"))
        freshet("run", str(pipeline), "--warehouse", str(warehouse), "--available-now", "--progress", "none")

    return make_table(folder, f"bronze-{rows}-{files}", make)


def keys(folder, rows, files):
    def make(warehouse):
        statements = ["CREATE TABLE bronze (event_id VARCHAR, n BIGINT)"]
        for part in range(files):
            first, last = rows * part // files, rows * (part + 1) // files
            statements.append(f"INSERT INTO bronze SELECT md5(i::VARCHAR)::UUID::VARCHAR, i FROM range({first}, {last}) AS r(i)")
        freshet("sql", "--warehouse", str(warehouse), "-c", "; ".join(statements))

    return make_table(folder, f"keys-{rows}-{files}", make)


# ---- runs ------------------------------------------------------------------------------------------------------------


def one_run(contestant, workload, table, folder):
    target = fresh_target(contestant, folder)
    source = target.parent / "source"
    shutil.copytree(table, source, copy_function=os.link)
    command = contestant.command(workload, str(source), str(target))
    result, _ = measure(contestant, workload, command, folder)
    if workload == "restart" and not isinstance(contestant, DuckdbBatch):
        freshet("sql", "-c", f"INSERT INTO delta.`{source}` SELECT * REPLACE (n + 5 AS n) FROM delta.`{source}` LIMIT 10")
        result, _ = measure(contestant, workload, command, folder)
    result["rows"] = count_rows(contestant, target, "out")
    shutil.rmtree(target.parent)
    return result


def columns(rows):
    return {"rows/s": lambda _, median: f"{rows / median:,.0f}", "rows out": lambda runs, _: str(runs[-1]["rows"])}


def arguments():
    options = parser(__doc__, WORKLOADS, 4000000, "build/bench")
    options.add_argument("--files", type=int, default=64)
    options.add_argument("--keys", type=int, default=10000000)
    return options.parse_args()


def main():
    options = arguments()
    contestants = prepare(options, ("stateful",), CONTESTANTS)
    everything = {}
    for workload in options.workloads or WORKLOADS:
        table = keys(options.folder, options.keys, FILES_OF_KEYS) if workload in KEYS else clicks(options.folder, options.rows, options.files)
        rows = rows_in(f"delta.`{table}`")
        results = {}
        for _ in range(options.runs):
            for contestant in contestants:
                results.setdefault(contestant.name, []).append(one_run(contestant, workload, table, options.folder))
        print_runs(f"{workload}: {rows:,} rows", results, DuckdbBatch.name, columns(rows))
        everything[workload] = results
    finish(options, everything)


if __name__ == "__main__":
    run_script(main)
