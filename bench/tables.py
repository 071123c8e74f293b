"""Single statements on large tables: freshet beside what is installed of its peers, each a process of its own.

    bench/run tables [WORKLOAD..] [--rows N] [--commits N] [--files N] [--runs N] [--only NAME,..] [--folder DIR] [--json FILE]

WORKLOAD is open20k, open1m, scan10m, lookup, delete1pct, merge50k or changefeed (all); workloads.py says what is asked. Contestants
take turns. Those that change a table get a copy of their own each time; what they leave behind is counted and has to be the same.
"""
import json
import os
import shutil
import statistics
import subprocess

from contestants import PROGRAM, DeltaRs, Duckdb, Freshet, Peer, Spark, finish, measure, parser, prepare, run_script
from make_tables import FIRST_UPDATE, table, wide_id
from workloads import TABLE_WORKLOADS


class FreshetSql(Freshet):
    plain, workloads = False, tuple(TABLE_WORKLOADS)

    def command(self, workload, values):
        text = TABLE_WORKLOADS[workload].sql.format(**values, table=f"delta.`{values['path']}`", rows=f"read_parquet('{values['source']}/part.parquet')",
                                                    feed=f"table_changes('{values['path']}', {FIRST_UPDATE})")
        return [PROGRAM, "sql", "--format", "jsonl", "-c", text]


class OfValues:
    """A peer that is told everything as one JSON object."""

    plain = False

    def command(self, workload, values):
        return super().command(workload, json.dumps(values))


class DuckdbParquet(OfValues, Duckdb):
    """The same files without a log: the floor of a scan."""

    name, script, workloads = "DuckDB read_parquet (no log)", "tables_duckdb.py", ("scan10m", "lookup")


class DuckdbDelta(DuckdbParquet):
    name, workloads = "DuckDB delta_scan", ("open20k", "open1m", "scan10m", "lookup")
    environment = {**Peer.environment, "DELTA_SCAN": "1"}

    def missing(self):
        if absent := super().missing():
            return absent
        import duckdb

        try:
            duckdb.connect().execute("LOAD delta")
        except duckdb.Error:
            return "its extension delta is not installed"


class DeltaRsSql(OfValues, DeltaRs):
    """No deletion vectors: its tables are without."""

    name, script, plain, workloads = "delta-rs", "tables_deltars.py", True, tuple(TABLE_WORKLOADS)


class SparkSql(OfValues, Spark):
    script, workloads = "tables_spark.py", tuple(TABLE_WORKLOADS)


CONTESTANTS = {"freshet": FreshetSql(), "duckdb": DuckdbParquet(), "delta_scan": DuckdbDelta(), "delta-rs": DeltaRsSql(), "spark": SparkSql()}


def copy_of(source, target):
    """Data files are linked, since nobody changes them; the log is copied."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=os.link)
    shutil.rmtree(target / "_delta_log")
    shutil.copytree(source / "_delta_log", target / "_delta_log")


def state_of(path):
    """Rows and sum of the table, as freshet reads it."""
    query = f"SELECT count(*) AS n, sum(seq)::BIGINT AS s, sum(user_id)::BIGINT AS u FROM delta.`{path}`"
    done = subprocess.run([PROGRAM, "sql", "--format", "jsonl", "-c", query], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[0]


def size_of(workload, options):
    return {"log": options.commits, "wide": options.files}.get(TABLE_WORKLOADS[workload].table, options.rows)


def run_once(contestant, workload, options):
    what, size = TABLE_WORKLOADS[workload], size_of(workload, options)
    kind = what.table + ("_plain" if contestant.plain and what.table in ("users", "feed") else "")
    path = table(PROGRAM, options.folder, kind, size)
    source = table(PROGRAM, options.folder, "source", options.rows)
    if what.changes:
        copy_of(path, options.folder / "copy")
        path = options.folder / "copy"
    values = {"path": str(path), "source": str(source), "id": wide_id(size), "key": size * 3 // 4 + 1, "first": FIRST_UPDATE}
    try:
        result, log = measure(contestant, workload, contestant.command(workload, values), options.folder)
    except RuntimeError as error:
        return {"failed": str(error)}
    lines = log.read_text().strip().splitlines()
    told = {"work_s": result["wall"], "answer": [list(json.loads(line).values()) for line in lines]}
    if isinstance(contestant, Peer):
        told = json.loads(lines[-1])
    answer = state_of(path) if what.changes else json.dumps(sorted(told["answer"], key=str))
    return {**result, "work": told["work_s"], "answer": answer}


def print_results(workload, size, results):
    print(f"\n### {workload}: {TABLE_WORKLOADS[workload].title.format(size=f'{size:,}')}\n")
    print("| | runs | wall s, min | median | work s, median | CPU s | peak MB |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, runs in results.items():
        good = [run for run in runs if "failed" not in run]
        if not good:
            print(f"| {name} | failed: {runs[0]['failed']} | | | | | |")
            continue
        wall, work, cpu = ([run[key] for run in good] for key in ("wall", "work", "cpu"))
        print(f"| {name} | {len(good)} | {min(wall):.2f} | {statistics.median(wall):.2f} | {statistics.median(work):.2f} "
              f"| {statistics.median(cpu):.2f} | {max(run['peak'] for run in good) / 1e6:.0f} |")
    answers = {run["answer"] for runs in results.values() for run in runs if "failed" not in run}
    if len(answers) > 1:
        print(f"\n**The contestants do not agree:** {sorted(answers)}")


def arguments():
    options = parser(__doc__, TABLE_WORKLOADS, 10_000_000, "build/bench-tables")
    options.add_argument("--commits", type=int, default=20_000)
    options.add_argument("--files", type=int, default=1_000_000)
    return options.parse_args()


def main():
    options = arguments()
    contestants = prepare(options, ("tables",), CONTESTANTS)
    everything = {}
    for workload in options.workloads or TABLE_WORKLOADS:
        results = {}
        for _ in range(options.runs):
            for contestant in contestants:
                if workload in contestant.workloads:
                    results.setdefault(contestant.name, []).append(run_once(contestant, workload, options))
        print_results(workload, size_of(workload, options), results)
        everything[workload] = results
    finish(options, everything)


if __name__ == "__main__":
    run_script(main)
