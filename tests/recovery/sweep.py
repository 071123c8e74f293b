"""Runs a scenario with one process killed at a failpoint, and counts how often each failpoint is passed when none is."""
import pathlib
import re
import signal

ROOT = pathlib.Path(__file__).resolve().parents[2]
ATTEMPTS = 6


def all_failpoints():
    """Every failpoint there is, from the one table that lists them."""
    return re.findall(r'^FAILPOINT\(\w+,\s*"([^"]+)"', (ROOT / "src/base/failpoints.def").read_text(), re.MULTILINE)


def run_step(freshet, scenario, arguments, environments):
    """Runs until the pipeline ends by itself; each attempt has its own environment, later ones none. Returns the deaths."""
    deaths = 0
    for attempt in range(ATTEMPTS):
        env = environments[attempt] if attempt < len(environments) else {}
        extra = arguments if attempt == 0 else ()
        result = freshet("run", scenario.file, "--warehouse", scenario.warehouse, "--available-now", "--progress", "none",
                         "--set", "freshet.fsync=false", *extra, env=env, timeout=120)
        if result.code == 0:
            return deaths
        if result.code == 1 and scenario.shape.stops and scenario.shape.stops in result.err:
            continue
        assert result.code == -signal.SIGKILL, f"{scenario.shape} {env}: {result!r}"
        deaths += 1
    raise AssertionError(f"{scenario.shape} did not end, and died {deaths} times")


def run_scenario(freshet, shape, folder, step=None, environments=()):
    """All steps, with `environments` for the attempts of step `step`. Returns the scenario and the deaths."""
    scenario, deaths = shape.begin(folder), 0
    for number, (files, arguments) in enumerate(shape.steps):
        if number > 0 and shape.between:
            shape.between(scenario)
        scenario.feed(files)
        deaths += run_step(freshet, scenario, arguments, environments if number == step else ())
    return scenario, deaths


def trace(freshet, shape, folder):
    """How often each step passes each failpoint: [{name: hits}]."""
    scenario, counts = shape.begin(folder), []
    for number, (files, arguments) in enumerate(shape.steps):
        if number > 0 and shape.between:
            shape.between(scenario)
        scenario.feed(files)
        log = pathlib.Path(folder) / f"trace{number}"
        run_step(freshet, scenario, arguments, [{"FRESHET_FAILPOINT_TRACE": str(log)}])
        names = log.read_text().split() if log.exists() else []
        counts.append({name: names.count(name) for name in set(names)})
    return scenario, counts


def kill_points(counts, only=""):
    """(step, failpoint, hit) for the first, the second and the last time each failpoint is passed, in whichever step passes it most."""
    best = {}
    for step, names in enumerate(counts):
        for name, hits in names.items():
            if hits > best.get(name, (0, 0))[0]:
                best[name] = (hits, step)
    return [(step, name, hit) for name, (hits, step) in sorted(best.items()) if name.startswith(only) for hit in sorted({1, min(2, hits), hits})]


def judge(scenario, read_delta, what):
    """An independent reader has to find every record exactly once."""
    for table, (columns, _) in scenario.shape.tables.items():
        found = sorted(read_delta(scenario.warehouse / table, *columns))
        expected = scenario.expected(table)
        missing, extra = set(expected) - set(found), [row for row in found if found.count(row) > 1 or row not in expected]
        assert found == expected, f"{what}: {table}: {len(missing)} rows missing {sorted(missing)[:5]}, {len(extra)} too many {extra[:5]}"
