"""Queries that remember rows, beside what is installed of freshet's peers: windows, de-duplication, joins of streams, and a restart.

    bench/run stateful [WORKLOAD..] [--rows N] [--files N] [--keys N] [--runs N] [--only NAME,..] [--folder DIR] [--json FILE]

WORKLOAD is windows, dedupe, sliding, join or restart (all); stateful_workloads.py says what each is. --keys is for restart.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

import run
from measure import Watched
from stateful_workloads import FRESHET, WORKLOADS


class Freshet(run.FreshetRun):
    workloads = WORKLOADS

    def command(self, workload, source, target):
        pipeline = f"{target}.sql"
        pathlib.Path(pipeline).write_text(f"CREATE STREAMING TABLE out AS {FRESHET[workload].format(source=source)};\n")
        return [run.PROGRAM, "run", pipeline, "--warehouse", target, "--progress", "none", "--available-now"]


class DuckdbBatch(run.DuckdbCopy):
    name, workloads, script = "DuckDB, one query", WORKLOADS, "duckdb_batch.py"


class SparkState(run.SparkStream):
    workloads, script = WORKLOADS, "spark_stateful.py"


CONTESTANTS = [Freshet(), DuckdbBatch(), SparkState()]
SHORT = {"freshet": Freshet.name, "duckdb": DuckdbBatch.name, "spark": SparkState.name}


# ---- input -----------------------------------------------------------------------------------------------------------


def freshet(*arguments):
    subprocess.run([run.PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)


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


def watch(contestant, workload, source, target, folder):
    log = folder / f"{workload}-{target.name}.log"
    os.sync()
    code, wall, cpu, peak = Watched(contestant.command(workload, str(source), str(target)), log,
                                    {**os.environ, **contestant.environment}).wait()
    if code:
        raise RuntimeError(f"{contestant.name}, {workload}: exit {code}, see {log}")
    return {"wall": wall, "cpu": cpu, "peak": peak}


def count_rows(contestant, target):
    table = contestant.table(str(target), "out")
    relation = f"read_parquet('{table}/*.parquet')" if isinstance(contestant, DuckdbBatch) else f"delta.`{table}`"
    done = subprocess.run([run.PROGRAM, "sql", "--format", "csv", "-c", f"SELECT count(*) AS n FROM {relation}"], capture_output=True,
                          text=True, check=True)
    return int(done.stdout.split()[-1])


def one_run(contestant, workload, table, folder):
    target = folder / "out" / contestant.name.split()[0].lower().strip(",")
    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    source = target.parent / "source"
    shutil.copytree(table, source, copy_function=os.link)
    result = watch(contestant, workload, source, target, folder)
    if workload == "restart" and not isinstance(contestant, DuckdbBatch):
        freshet("sql", "-c", f"INSERT INTO delta.`{source}` SELECT * REPLACE (n + 5 AS n) FROM delta.`{source}` LIMIT 10")
        result = watch(contestant, workload, source, target, folder)
    result["rows"] = count_rows(contestant, target)
    shutil.rmtree(target.parent)
    return result


def print_table(title, rows, results):
    print(f"\n### {title}\n")
    print("| | runs | wall s, min | median | × DuckDB | rows/s | CPU s | peak MB | rows out |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    median = {name: statistics.median(one["wall"] for one in runs) for name, runs in results.items()}
    least = median.get(DuckdbBatch.name)
    for name, runs in results.items():
        ratio = f"{median[name] / least:.2f}" if least else ""
        print(f"| {name} | {len(runs)} | {min(one['wall'] for one in runs):.2f} | {median[name]:.2f} | {ratio} | {rows / median[name]:,.0f} "
              f"| {statistics.median(one['cpu'] for one in runs):.2f} | {max(one['peak'] for one in runs) / 1e6:.0f} | {runs[-1]['rows']} |")
    if len({runs[-1]["rows"] for runs in results.values()}) > 1:
        print("\n**The contestants do not agree on the rows.**")


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []])
    parser.add_argument("--rows", type=int, default=4000000)
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--keys", type=int, default=10000000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", type=pathlib.Path, default=run.ROOT / "build/bench")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main():
    options = arguments()
    only = [SHORT.get(name, name) for name in options.only.split(",") if name]
    contestants = [one for one in CONTESTANTS if one.missing() is None and (not only or one.name in only)]
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    run.describe(contestants, options)
    everything = {}
    for workload in [one for one in WORKLOADS if not options.workloads or one in options.workloads]:
        rows = options.keys if workload == "restart" else options.rows
        table = keys(options.folder, rows, 10) if workload == "restart" else clicks(options.folder, rows, options.files)
        results = {}
        for _ in range(options.runs):
            for contestant in contestants:
                results.setdefault(contestant.name, []).append(one_run(contestant, workload, table, options.folder))
        print_table(f"{workload}: {rows:,} rows", rows, results)
        everything[workload] = results
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, subprocess.CalledProcessError, FileNotFoundError) as error:
        sys.exit(f"bench: {error}")
