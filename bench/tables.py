"""Single statements on large tables: freshet beside what is installed of its peers, each a process of its own.

    bench/run tables [WORKLOAD..] [--rows N] [--commits N] [--files N] [--runs N] [--only NAME,..] [--folder DIR] [--json FILE]

WORKLOAD is open20k, open1m, scan10m, lookup, delete1pct, merge50k or changefeed (all); workloads.py says what is asked. Contestants
take turns. Those that change a table get a copy of their own each time; what they leave behind is counted and has to be the same.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from make_tables import FIRST_UPDATE, table, wide_id
from measure import Watched
from run import JARS, PEERS, PROGRAM, ROOT, first_line, package
from workloads import TABLE_WORKLOADS


class Freshet:
    name, plain = "freshet", False

    def missing(self):
        return None if os.access(PROGRAM, os.X_OK) else f"{PROGRAM} is not built"

    def version(self):
        return first_line(PROGRAM, "version")

    def command(self, workload, values):
        text = TABLE_WORKLOADS[workload].sql.format(**values, table=f"delta.`{values['path']}`", rows=f"read_parquet('{values['source']}/part.parquet')",
                                                    feed=f"table_changes('{values['path']}', {FIRST_UPDATE})")
        return [PROGRAM, "sql", "--format", "jsonl", "-c", text]

    def can(self, workload):
        return True

    environment = {}


class Peer:
    script, modules, workloads, plain, environment = "", (), (), False, {}

    def missing(self):
        absent = [module for module in self.modules if importlib.util.find_spec(module) is None]
        return f"no Python module {absent[0]} (script/bootstrap --tests)" if absent else None

    def can(self, workload):
        return workload in self.workloads

    def command(self, workload, values):
        return [sys.executable, str(PEERS / self.script), workload, json.dumps(values)]


class DuckdbParquet(Peer):
    """The same files without a log: the floor of a scan."""

    name, script, modules, workloads = "DuckDB read_parquet (no log)", "tables_duckdb.py", ("duckdb",), ("scan10m", "lookup")

    def version(self):
        return f"DuckDB {package('duckdb')}"


class DuckdbDelta(DuckdbParquet):
    name, workloads, environment = "DuckDB delta_scan", ("open20k", "open1m", "scan10m", "lookup"), {"DELTA_SCAN": "1"}

    def missing(self):
        if absent := super().missing():
            return absent
        import duckdb

        try:
            duckdb.connect().execute("LOAD delta")
        except duckdb.Error:
            return "its extension delta is not installed"


class DeltaRs(Peer):
    """No deletion vectors: its tables are without."""

    name, script, modules, plain = "delta-rs", "tables_deltars.py", ("deltalake", "pyarrow"), True
    workloads = tuple(TABLE_WORKLOADS)

    def version(self):
        return f"delta-rs {package('deltalake')}, pyarrow {package('pyarrow')}"


class Spark(Peer):
    name, script, modules, workloads = "Spark local[2] + Delta", "tables_spark.py", ("pyspark",), tuple(TABLE_WORKLOADS)
    environment = {"SPARK_JARS": ",".join(map(str, JARS)), "SPARK_LOCAL_IP": "127.0.0.1"}

    def missing(self):
        if not (absent := super().missing()) and len(JARS) == 2 and shutil.which("java"):
            return None
        return (absent or "no Delta jars or no Java").replace("--tests", "--spark")

    def version(self):
        return f"Spark {package('pyspark')}, {', '.join(jar.stem for jar in JARS)}"


CONTESTANTS = [Freshet(), DuckdbParquet(), DuckdbDelta(), DeltaRs(), Spark()]
SHORT = {"freshet": "freshet", "duckdb": DuckdbParquet.name, "delta_scan": DuckdbDelta.name, "delta-rs": DeltaRs.name, "spark": Spark.name}


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
    log = options.folder / f"{workload}-{contestant.name.split()[0].lower()}.log"
    values = {"path": str(path), "source": str(source), "id": wide_id(size), "key": size * 3 // 4 + 1, "first": FIRST_UPDATE}
    os.sync()
    watched = Watched(contestant.command(workload, values), log, {**os.environ, **contestant.environment})
    code, wall, cpu, peak = watched.wait()
    lines = log.read_text().strip().splitlines()
    if code:
        return {"failed": f"exit {code}, see {log}"}
    told = json.loads(lines[-1]) if isinstance(contestant, Peer) else {"work_s": wall, "answer": [list(json.loads(line).values()) for line in lines]}
    answer = state_of(path) if what.changes else json.dumps(sorted(told["answer"], key=str))
    return {"wall": wall, "work": told["work_s"], "cpu": cpu, "peak": peak, "answer": answer}


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
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[*TABLE_WORKLOADS, []])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--commits", type=int, default=20_000)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build/bench-tables")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main():
    options = arguments()
    only = [SHORT.get(name, name) for name in options.only.split(",") if name]
    contestants = [one for one in CONTESTANTS if one.missing() is None and (not only or one.name in only)]
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"Command: bench/run tables {' '.join(sys.argv[1:])}".rstrip() + f"\nMachine: {os.cpu_count()} CPUs; load before: {os.getloadavg()[0]:.1f}")
    for contestant in CONTESTANTS:
        reason = contestant.missing()
        if contestant in contestants or (reason and not only):
            print(f"{contestant.name}: {f'not measured, {reason}' if reason else contestant.version()}")
    everything = {}
    for workload in options.workloads or TABLE_WORKLOADS:
        results = {}
        for _ in range(options.runs):
            for contestant in contestants:
                if contestant.can(workload):
                    results.setdefault(contestant.name, []).append(run_once(contestant, workload, options))
        print_results(workload, size_of(workload, options), results)
        everything[workload] = results
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, subprocess.CalledProcessError, FileNotFoundError) as error:
        sys.exit(f"bench: {error}")
