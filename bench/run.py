"""The speed table: freshet beside what is installed of its peers, on the same generated input.

    bench/run [WORKLOAD..] [--rows N] [--files N] [--runs N] [--only NAME,..] [--seconds N] [--folder DIR] [--json FILE]

WORKLOAD is ingest, medallion, tiny, latency or idle (all). Contestants take turns, so that a busy moment hits everybody.
bench/README.md says what is measured and what is not.
"""
import argparse
import fcntl
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

from measure import Watched
from workloads import freshet_pipeline

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = pathlib.Path(__file__).resolve().parent / "peers"
PROGRAM = os.environ.get("FRESHET", str(ROOT / "build/freshet"))
GENERATE = str(ROOT / "build/freshet-generate")
JARS = sorted((ROOT / ".deps/jars").glob("delta-*.jar"))
BATCH = ("ingest", "medallion", "tiny")


# ---- contestants -----------------------------------------------------------------------------------------------------


class Contestant:
    name, workloads, environment = "", (), {}

    def missing(self):
        """None, or why it cannot take part."""

    def version(self):
        return ""

    def command(self, workload, source, target):
        raise NotImplementedError


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def package(name):
    from importlib.metadata import version

    return version(name)


class FreshetRun(Contestant):
    name, workloads = "freshet", ("ingest", "medallion", "tiny", "latency", "idle")

    def missing(self):
        return None if os.access(PROGRAM, os.X_OK) else f"{PROGRAM} is not built"

    def version(self):
        return first_line(PROGRAM, "version")

    def command(self, workload, source, target):
        pipeline = f"{target}.sql"
        pathlib.Path(pipeline).write_text(freshet_pipeline(workload, source))
        once = ["--available-now"] if workload in BATCH else []
        return [PROGRAM, "run", pipeline, "--warehouse", target, "--progress", "none", *once]

    def table(self, target, name):
        return f"{target}/default/{name}"


class Peer(Contestant):
    script, modules = "", ()

    def missing(self):
        absent = [module for module in self.modules if importlib.util.find_spec(module) is None]
        return f"no Python module {absent[0]} (script/bootstrap --tests)" if absent else None

    def command(self, workload, source, target):
        return [sys.executable, str(PEERS / self.script), workload if workload != "idle" else "latency", source, target]

    def table(self, target, name):
        return f"{target}/{name}"


class DuckdbCopy(Peer):
    name, workloads, script, modules = "DuckDB COPY (no log)", BATCH, "duckdb_copy.py", ("duckdb",)

    def version(self):
        return f"DuckDB {package('duckdb')}"


class DeltarsLoop(Peer):
    name, workloads, script = "delta-rs loop", ("ingest", "tiny", "latency", "idle"), "deltars_loop.py"
    modules = ("deltalake", "pyarrow")

    def version(self):
        return f"delta-rs {package('deltalake')}, pyarrow {package('pyarrow')}"


class SparkStream(Peer):
    name, workloads, script, modules = "Spark local[2] + Delta", ("ingest", "medallion", "tiny", "latency", "idle"), "spark_stream.py", ("pyspark",)
    environment = {"SPARK_JARS": ",".join(map(str, JARS)), "SPARK_LOCAL_IP": "127.0.0.1"}

    def missing(self):
        if not (absent := super().missing()) and len(JARS) == 2 and shutil.which("java"):
            return None
        return (absent or "no Delta jars or no Java").replace("--tests", "--spark")

    def version(self):
        return f"Spark {package('pyspark')}, {', '.join(jar.stem for jar in JARS)}"


CONTESTANTS = [FreshetRun(), DuckdbCopy(), DeltarsLoop(), SparkStream()]
SHORT = {"freshet": "freshet", "duckdb": DuckdbCopy.name, "delta-rs": DeltarsLoop.name, "spark": SparkStream.name}


# ---- input and answers ------------------------------------------------------------------------------------------------


def generate(folder, rows, files):
    """The input, made once and kept in the page cache."""
    target = folder / f"clicks-{rows}-{files}"
    if not target.exists():
        part = target.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run([GENERATE, "--rows", str(rows), "--files", str(files), str(part)], check=True)
        part.rename(target)
    for path in target.iterdir():
        path.read_bytes()
    return target


def count_rows(contestant, workload, target):
    """Rows of the last table, as freshet reads it: contestants that did the same work have the same number."""
    table = contestant.table(target, "gold" if workload == "medallion" else "bronze")
    relation = f"read_parquet('{table}/*.parquet')" if isinstance(contestant, DuckdbCopy) else f"delta.`{table}`"
    done = subprocess.run([PROGRAM, "sql", "--format", "csv", "-c", f"SELECT count(*) AS n FROM {relation}"], capture_output=True, text=True)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def folder_bytes(folder):
    return sum(path.lstat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


# ---- workloads ---------------------------------------------------------------------------------------------------------


def run_batch(contestant, workload, source, folder):
    target = folder / "out" / contestant.name.split()[0].lower()
    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    command = contestant.command(workload, str(source), str(target))
    os.sync()
    watched = Watched(command, folder / f"{workload}-{target.name}.log", {**os.environ, **contestant.environment})
    code, wall, cpu, peak = watched.wait()
    if code:
        raise RuntimeError(f"{contestant.name}, {workload}: exit {code}, see {folder}/{workload}-{target.name}.log")
    result = {"wall": wall, "cpu": cpu, "peak": peak, "bytes": folder_bytes(target), "rows": count_rows(contestant, workload, str(target))}
    shutil.rmtree(target.parent)
    return result


def commits_of(table):
    """event_id -> when the commit with it became visible, in seconds since 1970: the change time of its log entry, which every
    contestant publishes by a rename or a link."""
    files, seen = {}, {}
    for entry in sorted(pathlib.Path(table, "_delta_log").glob("*.json")):
        for line in entry.read_text().splitlines():
            if (add := json.loads(line).get("add")) is not None:
                files[add["path"]] = entry.stat().st_ctime_ns
    paths = ", ".join(f"'{table}/{path}'" for path in files)
    query = f"SELECT event_id, filename FROM read_parquet([{paths}], filename = true)"
    done = subprocess.run([PROGRAM, "sql", "--format", "jsonl", "-c", query], capture_output=True, text=True, check=True)
    for row in map(json.loads, done.stdout.splitlines()):
        seen[row["event_id"]] = files[os.path.relpath(row["filename"], table)]
    return seen


def run_live(contestant, seconds, folder):
    """latency and idle: one process for both."""
    target, source = folder / "out" / contestant.name.split()[0].lower(), folder / "out/landing"
    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    generator = [GENERATE, "--live", "--seed", "99"]
    first = subprocess.run([*generator, "--files", "1", "--rows", "10", str(source)], capture_output=True, text=True, check=True)
    (source / "clicks-00000.json").rename(source / "first.json")
    watched = Watched(contestant.command("latency", str(source), str(target)), folder / f"latency-{target.name}.log",
                      {**os.environ, **contestant.environment})
    table = contestant.table(str(target), "bronze")
    deadline = time.monotonic() + 120
    try:
        while not any(pathlib.Path(table).rglob("*.parquet")) or not list(pathlib.Path(table, "_delta_log").glob("*.json")):
            if not watched.running() or time.monotonic() > deadline:
                raise RuntimeError(f"{contestant.name}, latency: no commit, see {folder}/latency-{target.name}.log")
            time.sleep(0.05)
        time.sleep(2)
        files = seconds * 5
        cpu, since = watched.cpu(), time.monotonic()
        live = subprocess.run([*generator, "--every", "200", "--files", str(files), "--rows", str(files), "--seed", "7", str(source)],
                              capture_output=True, text=True, check=True)
        busy = (watched.cpu() - cpu) / (time.monotonic() - since)
        time.sleep(12 if isinstance(contestant, SparkStream) else 2)  # what still has to be committed
        cpu, since = watched.cpu(), time.monotonic()
        time.sleep(max(10, seconds // 2))
        idle, resident = (watched.cpu() - cpu) / (time.monotonic() - since), watched.resident()
    finally:
        watched.end()
    seen = commits_of(table)
    written = dict(line.split() for line in live.stdout.splitlines())
    late = sorted((seen[event] - int(at)) / 1e6 for event, at in written.items() if event in seen)
    shutil.rmtree(target.parent)
    if not late:
        raise RuntimeError(f"{contestant.name}, latency: no event arrived")
    return {"written": len(written), "seen": len(late), "p50": late[len(late) // 2], "p99": late[min(len(late) - 1, len(late) * 99 // 100)],
            "max": late[-1], "busy": busy, "idle": idle, "resident": resident}


# ---- the table ---------------------------------------------------------------------------------------------------------


def print_batch(title, results):
    print(f"\n### {title}\n")
    print("| | runs | wall s, min | median | × DuckDB | CPU s | peak MB | output MB | rows out |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    median = {name: statistics.median(run["wall"] for run in runs) for name, runs in results.items()}
    least = median.get(DuckdbCopy.name)
    for name, runs in results.items():
        ratio = f"{median[name] / least:.2f}" if least else ""
        print(f"| {name} | {len(runs)} | {min(run['wall'] for run in runs):.2f} | {median[name]:.2f} | {ratio} "
              f"| {statistics.median(run['cpu'] for run in runs):.2f} | {max(run['peak'] for run in runs) / 1e6:.0f} "
              f"| {runs[-1]['bytes'] / 1e6:.1f} | {runs[-1]['rows']} |")
    if len({runs[-1]["rows"] for runs in results.values()}) > 1:
        print("\n**The contestants do not agree on the rows.**")


def print_live(results, seconds, wanted):
    if "latency" in wanted:
        print(f"\n### latency: file rename -> commit visible, one line every 200 ms for {seconds} s\n")
        print("| | seen / written | p50 ms | p99 ms | max ms | CPU, cores |\n|---|--:|--:|--:|--:|--:|")
        for name, r in results.items():
            print(f"| {name} | {r['seen']} / {r['written']} | {r['p50']:.1f} | {r['p99']:.1f} | {r['max']:.1f} | {r['busy']:.3f} |")
        print("\nOne line in ten is a heartbeat, which is filtered out and never seen.")
    if "idle" in wanted:
        print("\n### idle: the same process afterwards, nothing to do\n")
        print("| | CPU, cores | resident MB |\n|---|--:|--:|")
        for name, r in results.items():
            print(f"| {name} | {r['idle']:.4f} | {r['resident'] / 1e6:.0f} |")


def describe(contestants, options):
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    print(f"Command: bench/run {' '.join(sys.argv[1:])}".rstrip() + f"\nMachine: {os.cpu_count()} × {model}, {memory:.0f} GiB, Linux "
          f"{platform.release()}; load before: {os.getloadavg()[0]:.1f}")
    for contestant in contestants:
        print(f"{contestant.name}: {contestant.version()}")
    for contestant in CONTESTANTS:
        if contestant not in contestants and (reason := contestant.missing()):
            print(f"{contestant.name}: not measured, {reason}")


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("workloads", nargs="*", choices=["ingest", "medallion", "tiny", "latency", "idle", []])
    parser.add_argument("--rows", type=int, default=4000000)
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build/bench")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    options.workloads = options.workloads or [*BATCH, "latency", "idle"]
    return options


def main():
    options = arguments()
    only = [SHORT.get(name, name) for name in options.only.split(",") if name]
    contestants = [one for one in CONTESTANTS if one.missing() is None and (not only or one.name in only)]
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    lock = open(options.folder / "lock", "w")  # held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"another run works in {options.folder}") from None
    describe(contestants, options)
    everything = {}
    for workload in [w for w in BATCH if w in options.workloads]:
        rows, files = (10, 1) if workload == "tiny" else (options.rows, options.files)
        source, results = generate(options.folder, rows, files), {}
        for _ in range(options.runs):
            for contestant in contestants:
                if workload in contestant.workloads:
                    results.setdefault(contestant.name, []).append(run_batch(contestant, workload, source, options.folder))
        print_batch(f"{workload}: {rows:,} rows, {files} files, {folder_bytes(source) / 1e9:.2f} GB", results)
        everything[workload] = results
    if {"latency", "idle"} & set(options.workloads):
        live = [contestant for contestant in contestants if "latency" in contestant.workloads]
        everything["live"] = {contestant.name: run_live(contestant, options.seconds, options.folder) for contestant in live}
        print_live(everything["live"], options.seconds, options.workloads)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, subprocess.CalledProcessError, FileNotFoundError) as error:
        sys.exit(f"bench: {error}")
