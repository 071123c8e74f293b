"""What the scripts of this folder share: who takes part, how a run is measured, the options all of them have, and the tables they print."""
import argparse
import fcntl
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys

from measure import Watched

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAM = os.environ.get("FRESHET", str(ROOT / "build/freshet"))
JARS = sorted((ROOT / ".deps/jars").glob("delta-*.jar"))


# ---- who takes part --------------------------------------------------------------------------------------------------


class Contestant:
    """`workloads`: those it knows. command() is what a run starts; what it is given is the script's own affair."""

    name, workloads, environment = "", (), {}

    def missing(self):
        """None, or why it cannot take part."""

    def version(self):
        return ""

    def command(self, workload, *arguments):
        raise NotImplementedError


class Freshet(Contestant):
    name = "freshet"

    def missing(self):
        return None if os.access(PROGRAM, os.X_OK) else f"{PROGRAM} is not built"

    def version(self):
        return subprocess.run([PROGRAM, "version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


class Peer(Contestant):
    """A script in peers/, which finds the workloads in this folder. packages: (what it is called, Python module)."""

    script, packages, environment = "", (), {"PYTHONPATH": str(HERE)}

    def missing(self):
        absent = [module for _, module in self.packages if importlib.util.find_spec(module) is None]
        return f"no Python module {absent[0]} (script/bootstrap --tests)" if absent else None

    def version(self):
        return ", ".join(f"{title} {importlib.metadata.version(module)}" for title, module in self.packages)

    def command(self, workload, *arguments):
        return [sys.executable, str(HERE / "peers" / self.script), workload, *arguments]


class Duckdb(Peer):
    packages = (("DuckDB", "duckdb"),)


class DeltaRs(Peer):
    packages = (("delta-rs", "deltalake"), ("pyarrow", "pyarrow"))


class Spark(Peer):
    name, packages = "Spark local[2] + Delta", (("Spark", "pyspark"),)
    environment = {**Peer.environment, "SPARK_JARS": ",".join(map(str, JARS)), "SPARK_LOCAL_IP": "127.0.0.1"}

    def missing(self):
        if not (absent := super().missing()) and len(JARS) == 2 and shutil.which("java"):
            return None
        return (absent or "no Delta jars or no Java").replace("--tests", "--spark")

    def version(self):
        return f"{super().version()}, {', '.join(jar.stem for jar in JARS)}"


# ---- a script --------------------------------------------------------------------------------------------------------


def parser(usage, workloads, rows, folder):
    """With the options all scripts have; WORKLOAD.. is all of them when none is named."""
    options = argparse.ArgumentParser(usage=usage)
    options.add_argument("workloads", nargs="*", choices=[*workloads, []])
    options.add_argument("--rows", type=int, default=rows)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--only", default="")
    options.add_argument("--folder", type=pathlib.Path, default=ROOT / folder)
    options.add_argument("--json", type=pathlib.Path)
    return options


def prepare(options, script, contestants):
    """contestants: short name -> contestant. Takes the folder, prints who is there, and gives those that take part."""
    only = [name for name in options.only.split(",") if name]
    chosen = [one for short, one in contestants.items() if one.missing() is None and (not only or {short, one.name} & set(only))]
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    options.lock = open(options.folder / "lock", "w")  # held until the process ends
    try:
        fcntl.flock(options.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"another run works in {options.folder}") from None
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    print(f"Command: {' '.join(['bench/run', *script, *sys.argv[1:]])}\nMachine: {os.cpu_count()} × {model}, {memory:.0f} GiB, Linux "
          f"{platform.release()}; load before: {os.getloadavg()[0]:.1f}")
    for one in contestants.values():
        if one in chosen or (one.missing() and not only):
            print(f"{one.name}: {one.version() if one in chosen else f'not measured, {one.missing()}'}")
    return chosen


def finish(options, everything):
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


def run_script(main):
    try:
        main()
    except (RuntimeError, subprocess.CalledProcessError, FileNotFoundError) as error:
        sys.exit(f"bench: {error}")


# ---- a run -----------------------------------------------------------------------------------------------------------


def environment(contestant):
    return {**os.environ, **contestant.environment}


def short_name(contestant):
    """For files of its own."""
    return contestant.name.split()[0].lower().strip(",")


def measure(contestant, workload, command, folder):
    """What the command, whose output goes to a log in `folder`, took: wall and CPU seconds, peak bytes."""
    log = folder / f"{workload}-{short_name(contestant)}.log"
    os.sync()
    code, wall, cpu, peak = Watched(command, log, environment(contestant)).wait()
    if code:
        raise RuntimeError(f"{contestant.name}, {workload}: exit {code}, see {log}")
    return {"wall": wall, "cpu": cpu, "peak": peak}, log


def fresh_target(contestant, folder):
    """An empty folder for what it makes; everything else below folder/out goes."""
    target = folder / "out" / short_name(contestant)
    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    return target


def count_rows(contestant, target, table):
    """Rows of one of its tables, as freshet reads it: contestants that did the same work have the same number."""
    path = contestant.table(str(target), table)
    return rows_in(f"read_parquet('{path}/*.parquet')" if isinstance(contestant, Duckdb) else f"delta.`{path}`")


def rows_in(relation):
    done = subprocess.run([PROGRAM, "sql", "--format", "csv", "-c", f"SELECT count(*) AS n FROM {relation}"], capture_output=True, text=True,
                          check=True)
    return int(done.stdout.split()[-1])


def print_runs(title, results, floor, columns):
    """A row per contestant. floor: whose median the others are compared with. columns: title -> text, from its runs and their median."""
    print(f"\n### {title}\n")
    print(f"| | runs | wall s, min | median | × DuckDB | CPU s | peak MB | {' | '.join(columns)} |")
    print("|---" + "|--:" * (6 + len(columns)) + "|")
    median = {name: statistics.median(run["wall"] for run in runs) for name, runs in results.items()}
    for name, runs in results.items():
        ratio = f"{median[name] / median[floor]:.2f}" if floor in median else ""
        more = " | ".join(column(runs, median[name]) for column in columns.values())
        print(f"| {name} | {len(runs)} | {min(run['wall'] for run in runs):.2f} | {median[name]:.2f} | {ratio} "
              f"| {statistics.median(run['cpu'] for run in runs):.2f} | {max(run['peak'] for run in runs) / 1e6:.0f} | {more} |")
    if len({runs[-1]["rows"] for runs in results.values()}) > 1:
        print("\n**The contestants do not agree on the rows.**")
