"""The speed table: freshet beside what is installed of its peers, on the same generated input.

    bench/run [WORKLOAD..] [--rows N] [--files N] [--runs N] [--only NAME,..] [--seconds N] [--folder DIR] [--json FILE]

WORKLOAD is ingest, medallion, tiny, latency or idle (all). Contestants take turns, so that a busy moment hits everybody.
bench/README.md says what is measured and what is not.
"""
import json
import os
import pathlib
import shutil
import subprocess
import time

from contestants import (PROGRAM, DeltaRs, Duckdb, Freshet, Spark, count_rows, environment, finish, fresh_target, measure, parser, prepare,
                         print_runs, run_script, short_name)
from measure import Watched
from workloads import freshet_pipeline

GENERATE = str(pathlib.Path(PROGRAM).parent / "freshet-generate")
BATCH, LIVE = ("ingest", "medallion", "tiny"), ("latency", "idle")


# ---- contestants -----------------------------------------------------------------------------------------------------


class FreshetRun(Freshet):
    workloads = BATCH + LIVE

    def command(self, workload, source, target):
        pipeline = f"{target}.sql"
        pathlib.Path(pipeline).write_text(freshet_pipeline(workload, source))
        once = ["--available-now"] if workload in BATCH else []
        return [PROGRAM, "run", pipeline, "--warehouse", target, "--progress", "none", *once]

    def table(self, target, name):
        return f"{target}/default/{name}"


class ToFolder:
    """A peer whose tables are folders of its target."""

    def table(self, target, name):
        return f"{target}/{name}"


class DuckdbCopy(ToFolder, Duckdb):
    name, workloads, script = "DuckDB COPY (no log)", BATCH, "duckdb_copy.py"


class DeltarsLoop(ToFolder, DeltaRs):
    name, workloads, script = "delta-rs loop", ("ingest", "tiny", *LIVE), "deltars_loop.py"


class SparkStream(ToFolder, Spark):
    workloads, script = BATCH + LIVE, "spark_stream.py"


CONTESTANTS = {"freshet": FreshetRun(), "duckdb": DuckdbCopy(), "delta-rs": DeltarsLoop(), "spark": SparkStream()}


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


def folder_bytes(folder):
    return sum(path.lstat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


# ---- workloads ---------------------------------------------------------------------------------------------------------


def run_batch(contestant, workload, source, folder):
    target = fresh_target(contestant, folder)
    result, _ = measure(contestant, workload, contestant.command(workload, str(source), str(target)), folder)
    last = "gold" if workload == "medallion" else "bronze"
    result |= {"bytes": folder_bytes(target), "rows": count_rows(contestant, target, last)}
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
    target, source = fresh_target(contestant, folder), folder / "out/landing"
    log = folder / f"latency-{short_name(contestant)}.log"
    generator = [GENERATE, "--live", "--seed", "99"]
    subprocess.run([*generator, "--files", "1", "--rows", "10", str(source)], capture_output=True, text=True, check=True)
    (source / "clicks-00000.json").rename(source / "first.json")
    watched = Watched(contestant.command("latency", str(source), str(target)), log, environment(contestant))
    table = contestant.table(str(target), "bronze")
    deadline = time.monotonic() + 120
    try:
        while not any(pathlib.Path(table).rglob("*.parquet")) or not list(pathlib.Path(table, "_delta_log").glob("*.json")):
            if not watched.running() or time.monotonic() > deadline:
                raise RuntimeError(f"{contestant.name}, latency: no commit, see {log}")
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


COLUMNS = {"output MB": lambda runs, _: f"{runs[-1]['bytes'] / 1e6:.1f}", "rows out": lambda runs, _: str(runs[-1]["rows"])}


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


def arguments():
    options = parser(__doc__, BATCH + LIVE, 4000000, "build/bench")
    options.add_argument("--files", type=int, default=64)
    options.add_argument("--seconds", type=int, default=60)
    return options.parse_args()


def main():
    options = arguments()
    contestants = prepare(options, (), CONTESTANTS)
    wanted = options.workloads or BATCH + LIVE
    everything = {}
    for workload in [w for w in BATCH if w in wanted]:
        rows, files = (10, 1) if workload == "tiny" else (options.rows, options.files)
        source, results = generate(options.folder, rows, files), {}
        for _ in range(options.runs):
            for contestant in contestants:
                if workload in contestant.workloads:
                    results.setdefault(contestant.name, []).append(run_batch(contestant, workload, source, options.folder))
        print_runs(f"{workload}: {rows:,} rows, {files} files, {folder_bytes(source) / 1e9:.2f} GB", results, DuckdbCopy.name, COLUMNS)
        everything[workload] = results
    if set(LIVE) & set(wanted):
        live = [contestant for contestant in contestants if "latency" in contestant.workloads]
        everything["live"] = {contestant.name: run_live(contestant, options.seconds, options.folder) for contestant in live}
        print_live(everything["live"], options.seconds, wanted)
    finish(options, everything)


if __name__ == "__main__":
    run_script(main)
