"""Fixtures of the end-to-end and recovery tests.

    freshet      runs the program: freshet("sql", "-c", "SELECT 1").out, freshet.start("run", "p.sql") for one that goes on
    sql, rows    statements through `freshet sql` on the warehouse: the result of the command; the rows as dicts
    warehouse    an empty folder; every Delta table that is found in it when the test ends has to pass the log lint
    clicks       drops files with clicks; clicks.source is the stream over them
    run          runs a pipeline over what is there and gives its progress objects; answers: rows as tuples
    read_delta   rows of a table as an independent reader (delta-rs) sees them
    lint         checks one table now
    spark        a SparkSession with Delta
    wait_until   waits for a condition with a deadline
    tell         tell("40 kills survived") puts a line under "counted" at the end of the run, also when the test passes

FRESHET names the program (build/freshet), FRESHET_SHARED the folder with the conformance harness (../shared).
"""
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = pathlib.Path(os.environ.get("FRESHET", ROOT / "build/freshet")).absolute()
SHARED = pathlib.Path(os.environ.get("FRESHET_SHARED", ROOT.parent / "shared"))
JARS = [ROOT / ".deps/jars" / name for name in ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar")]


def pytest_report_header():
    linted = "with log lint" if (SHARED / "conformance/lint.py").exists() else "without log lint (no shared/conformance)"
    return f"freshet: {PROGRAM}, {linted}"


def pytest_collection_modifyitems(items):
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)


# ---- what tests counted ------------------------------------------------------------------------------------------


@pytest.fixture
def tell(record_property):
    return lambda line: record_property("counted", line)


def pytest_terminal_summary(terminalreporter):
    reports = [report for word in ("passed", "failed") for report in terminalreporter.stats.get(word, ()) if report.when == "call"]
    lines = [line for report in reports for name, line in report.user_properties if name == "counted"]
    if lines:
        terminalreporter.section("counted")
        for line in sorted(lines):
            terminalreporter.line(line)


# ---- the program -------------------------------------------------------------------------------------------------


class Result:
    """What a finished command left: exit code (negative: killed by that signal), output, error output, seconds."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __repr__(self):
        return f"exit {self.code} after {self.seconds:.2f} s\n--- out\n{self.out[-4000:]}\n--- err\n{self.err[-4000:]}"


class Process:
    """A running command in its own process group, with its output in files."""

    def __init__(self, command, cwd, env, folder):
        self.started = time.monotonic()
        with (tempfile.NamedTemporaryFile(suffix=".out", dir=folder, delete=False) as out,
              tempfile.NamedTemporaryFile(suffix=".err", dir=folder, delete=False) as err):
            self.out_path, self.err_path = pathlib.Path(out.name), pathlib.Path(err.name)
            self.popen = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          start_new_session=True)
        self.pid = self.popen.pid

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    @property
    def running(self):
        return self.popen.poll() is None

    @property
    def cpu_seconds(self):
        """What it has used so far: tells work from waiting."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number):
        """Sends a signal to the whole group; a group that has ended is fine."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def stop(self, timeout=60):
        """The graceful end: SIGTERM."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout=60):
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.popen.wait()
            pytest.fail(f"still running after {timeout} s: {self.popen.args}\n{self.result()!r}")
        return self.result()

    def result(self):
        return Result(self.popen.returncode, self.out, self.err, time.monotonic() - self.started)


class Freshet:
    def __init__(self, folder):
        self.program, self.folder, self.processes = str(PROGRAM), folder, []

    def __call__(self, *args, timeout=60, check=None, **named):
        """Runs to the end. check=0 fails the test on another exit code; cwd and env as for start."""
        result = self.start(*args, **named).wait(timeout)
        if check is not None and result.code != check:
            pytest.fail(f"freshet {' '.join(map(str, args))}: expected exit {check}, got {result!r}")
        return result

    def start(self, *args, cwd=None, env=None):
        """Starts a command that goes on. env adds to the environment; a value of None takes a variable away."""
        merged = {**os.environ, **{k: str(v) for k, v in (env or {}).items() if v is not None}}
        for name, value in (env or {}).items():
            if value is None:
                merged.pop(name, None)
        process = Process([self.program, *map(str, args)], cwd or self.folder, merged, self.folder)
        self.processes.append(process)
        return process

    def close(self):
        for process in self.processes:
            if process.running:
                process.kill()
            else:
                process.signal(signal.SIGKILL)  # what it may have left in its group


@pytest.fixture
def freshet(tmp_path):
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not built")
    folder = tmp_path / ".run"
    folder.mkdir()
    program = Freshet(folder)
    yield program
    program.close()


@pytest.fixture
def wait_until():
    def wait(condition, timeout=30, what="the condition", process=None):
        """Polls until the condition holds and returns its value; a process that ends before is a failure."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            if process is not None and not process.running and not condition():
                pytest.fail(f"the process ended before {what}: {process.result()!r}")
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come in {timeout} s" + (f": {process.result()!r}" if process else ""))
            time.sleep(0.01)
        return value

    return wait


# ---- tables ------------------------------------------------------------------------------------------------------


def load_linter():
    path = SHARED / "conformance/lint.py"
    if not path.exists():
        return None
    sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location("conformance_lint", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LINTER = load_linter()


def findings(path):
    """What the log lint has to say about a table; a log it cannot read at all is a finding too."""
    linter = LINTER.Lint(str(path))
    try:
        return linter.run()
    except Exception as error:  # noqa: BLE001
        return linter.found + [f"the lint gave up: {error!r}"]


def tables_below(folder):
    return sorted(path.parent for path in pathlib.Path(folder).rglob("_delta_log") if any(path.glob("*.json")))


@pytest.fixture
def lint():
    def check(*paths):
        """Fails on any finding of the log lint; without the harness it does nothing."""
        if LINTER is None:
            return
        found = [f"{path}: {line}" for path in paths for line in findings(path)]
        if found:
            pytest.fail("log lint:\n" + "\n".join(found), pytrace=False)

    return check


@pytest.fixture
def warehouse(request, tmp_path, lint):
    folder = tmp_path / "warehouse"
    folder.mkdir()
    yield folder
    if request.node.get_closest_marker("no_lint") is None:
        lint(*tables_below(folder))
    shutil.rmtree(tmp_path / "spark", ignore_errors=True)


@pytest.fixture
def sql(freshet, warehouse):
    def run(statements, *flags, check=0):
        return freshet("sql", "--warehouse", warehouse, *flags, "-c", statements, check=check)

    return run


@pytest.fixture
def rows(sql):
    def run(statements):
        return [json.loads(line) for line in sql(statements, "--format", "jsonl").out.splitlines()]

    return run


CLICKS = "ts TIMESTAMP, product STRING, user_id BIGINT, amount DECIMAL(10,2)"


@pytest.fixture
def clicks(tmp_path):
    folder = tmp_path / "clicks"
    folder.mkdir()

    def drop(name, *records):
        aside = tmp_path / f".{name}"
        aside.write_text("".join(json.dumps(dict(zip(("ts", "product", "user_id", "amount"), r))) + "\n" for r in records))
        aside.rename(folder / f"{name}.json")

    drop.source = f"STREAM read_files('{folder}', format => 'json', schema => '{CLICKS}')"
    return drop


@pytest.fixture
def run(freshet, warehouse, tmp_path):
    """Runs the pipeline over what is there; gives the progress objects."""

    def go(text, *flags, check=0):
        file = tmp_path / "pipeline.sql"
        file.write_text(text)
        done = freshet("run", file, "--warehouse", warehouse, "--available-now", "--progress", "json", *flags, check=check)
        go.err = done.err
        return [json.loads(line) for line in done.out.splitlines()]

    return go


@pytest.fixture
def answers(freshet, warehouse):
    """Answers as tuples; DESCRIBE as objects."""

    def ask(query):
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c", query, check=0)
        objects = [json.loads(line) for line in done.out.splitlines()]
        return objects if query.startswith("DESCRIBE") else [tuple(o.values()) for o in objects]

    return ask


def sort_key(row):
    return [(value is not None, str(type(value)), str(value)) for value in row]


@pytest.fixture
def read_delta():
    import deltalake
    import pyarrow as pa

    def read(path, *columns, version=None):
        """Rows of a table at a version, as sorted tuples of Python values; of some columns when these are named."""
        table = deltalake.DeltaTable(str(path), version=version)
        try:
            rows = table.to_pyarrow_table(columns=list(columns) or None)
        except deltalake.exceptions.DeltaProtocolError:  # its way through pyarrow knows fewer features than the one through its own SQL
            names = ", ".join(f'"{name}"' for name in columns) or "*"
            rows = pa.table(deltalake.QueryBuilder().register("t", table).execute(f"SELECT {names} FROM t").read_all())
        return sorted((tuple(row.values()) for row in rows.to_pylist()), key=sort_key)

    return read


# ---- Spark -------------------------------------------------------------------------------------------------------


def why_no_spark():
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark is not installed"
    absent = [jar.name for jar in JARS if not jar.exists()]
    if absent:
        return f"no {absent[0]} in .deps/jars"
    return None if shutil.which("java") else "there is no java"


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    reason = why_no_spark()
    if reason and os.environ.get("FRESHET_REQUIRE_SPARK"):
        pytest.fail(reason)
    if reason:
        pytest.skip(f"{reason} (script/bootstrap --spark)")
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", SPARK_LOCAL_HOSTNAME="localhost")
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    options = {
        "spark.jars": ",".join(map(str, JARS)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        # many small statements: quick compilers and plain loops come out ahead of good code
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.local.dir": str(folder / "local"),
        "spark.driver.memory": "1g",
        "spark.driver.host": "localhost",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("freshet-tests")
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
