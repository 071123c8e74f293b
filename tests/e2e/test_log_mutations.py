"""An answer does not depend on how the log is written down.

Tables of other engines (the folder shared/conformance) are read after their logs were changed in ways that mean nothing: the
actions of a commit in another order, keys in another order, actions and fields from the future, checkpoints, hints and checksums
gone or wrong, further files beside the log. Every table gets a random selection of these. The seed is printed; FRESHET_SEED
repeats a run.
"""
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tarfile

import pytest

SHARED = pathlib.Path(os.environ.get("FRESHET_SHARED", pathlib.Path(__file__).resolve().parents[3] / "shared"))
CASES = SHARED / "conformance"
READS, TRAVELS = 60, 30  # tables read as they are, and at an older version
NEEDS_CHECKPOINT = {"kernel-rs.parquet_row_group_skipping"}  # made by hand: the commits have another schema

pytestmark = [
    pytest.mark.skipif(not (CASES / "run.py").exists(), reason="there is no shared/conformance"),
    pytest.mark.no_lint("the logs are odd on purpose"),
]

COMMIT = re.compile(r"\d{20}(\.\d{20}\.compacted)?\.json")
CHECKPOINT = re.compile(r"\d{20}\.checkpoint\..*")


def load(name):
    if str(CASES) not in sys.path:
        sys.path.append(str(CASES))
    spec = importlib.util.spec_from_file_location("conformance_" + name, CASES / (name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- changes without a meaning: each takes the folder of the log and the source of chance -----------------------------


def commits(log):
    return [path for path in sorted(log.iterdir()) if COMMIT.fullmatch(path.name) and path.is_file() and path.name < "9"]


def rewrite(log, change):
    """Replaces the lines of every commit by change(actions); the files keep their times."""
    for path in commits(log):
        before = path.stat()
        actions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        path.write_bytes(change(actions))
        os.utime(path, (before.st_mtime, before.st_mtime))


def lines(actions, end="\n"):
    return "".join(json.dumps(action, ensure_ascii=False) + end for action in actions).encode()


def shuffle_actions(log, rng):
    def change(actions):
        # in-commit timestamps demand that the commitInfo stays ahead
        info = [a for a in actions if "commitInfo" in a and "inCommitTimestamp" in a["commitInfo"]]
        rest = [a for a in actions if a not in info]
        rng.shuffle(rest)
        return lines(info + rest)

    rewrite(log, change)


def shuffle_keys(log, rng):
    def change(value):
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            return {key: change(item) for key, item in items}
        return [change(item) for item in value] if isinstance(value, list) else value

    rewrite(log, lambda actions: lines([change(action) for action in actions]))


def add_the_future(log, rng):
    def change(actions):
        for action in actions:
            for fields in action.values():
                if isinstance(fields, dict):
                    fields["futureField"] = {"deep": [1, None, {"x": "y"}]}
        at = rng.randint(0, len(actions)) if "commitInfo" not in actions[0] else len(actions)
        actions.insert(at, {"futureAction": {"path": "nowhere.parquet", "size": 1}})
        return lines(actions)

    rewrite(log, change)


def write_blanks(log, rng):
    rewrite(log, lambda actions: b"\n".join([b"", *lines(actions, rng.choice(["\n", "\r\n", "  \n"])).split(b"\n")]).rstrip())


def has_all_commits(log):
    versions = sorted(int(path.name[:20]) for path in commits(log) if len(path.name) == 25)
    return versions == list(range(len(versions)))


def drop_checkpoints(log, rng):
    if has_all_commits(log):
        for path in log.iterdir():
            if CHECKPOINT.fullmatch(path.name):
                path.unlink()
        shutil.rmtree(log / "_sidecars", ignore_errors=True)
    (log / "_last_checkpoint").unlink(missing_ok=True)


def damage_checkpoints(log, rng):
    """Where the commits are all there, a checkpoint may be anything."""
    if has_all_commits(log):
        for path in [*log.iterdir(), *log.glob("_sidecars/*")]:
            data = path.read_bytes() if path.is_file() else b""
            if data and (CHECKPOINT.fullmatch(path.name) or path.parent.name == "_sidecars"):
                path.write_bytes(rng.choice([b"", b"PAR1", data[: len(data) // 2], rng.randbytes(len(data)), data[:-9] + b"x" * 9]))


def drop_hint(log, rng):
    (log / "_last_checkpoint").unlink(missing_ok=True)


def damage_hint(log, rng):
    (log / "_last_checkpoint").write_text(
        rng.choice(["", "{", "[]", '{"version":"x"}', '{"version":-1,"size":1}', '{"version":987654321,"size":1,"parts":7}', "\0"])
    )


def drop_checksums(log, rng):
    for path in log.glob("*.crc"):
        if path.is_file():  # further files may be folders
            path.unlink()


def damage_checksums(log, rng):
    for path in commits(log):
        checksum = log / (path.name[:20] + ".crc")
        if not checksum.is_dir():
            checksum.write_text(rng.choice(["", "{", '{"tableSizeBytes":-1,"numFiles":10000000}']))


def add_junk(log, rng):
    names = ["_commits/00000000000000000001.uuid.json", "_staged_commits/0.json", "00000000000000000000.json.tmp", "foo", "9.json",
             ".00000000000000000002.json.crc", "00000000000000000001.json.bak", "99999999999999999999.json", "_last_checkpoint.tmp",
             "00000000000000000001.checkpoint.parquet.crc", "00000000000000000009.checkpoint.0000000001.0000000002.parquet",
             "00000000000000000007.checkpoint.parquet", "0000000000000000000a.json", ".tmp/00000000000000000003.json", "00000000000000000005.json~"]
    for name in rng.sample(names, rng.randint(1, len(names))):
        path = log / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            # a checkpoint that no writer finished has no length; a part without the others is none
            path.write_bytes(b"" if name.endswith("checkpoint.parquet") else rng.randbytes(20))
    for name in rng.sample(["00000000000000000000.crc", "00000000000000000044.json", "00000000000000000000.00000000000000000044.compacted.json"], 1):
        if not (log / name).exists():
            (log / name).mkdir()


CHANGES = [shuffle_actions, shuffle_keys, add_the_future, write_blanks, drop_checkpoints, damage_checkpoints, drop_hint, damage_hint,
           drop_checksums, damage_checksums, add_junk]


# ---- the tables ------------------------------------------------------------------------------------------------------


class Tables:
    def __init__(self, freshet, folder):
        self.freshet, self.folder = freshet, folder
        self.canon, self.deltalog, self.run = load("canon"), load("deltalog"), load("run")
        self.archives = {t["table"]: t for t in self.run.read_jsonl(CASES / "tables.jsonl")}
        self.cases = [c for c in self.run.read_jsonl(CASES / "manifest.jsonl") if c.get("status", "score") == "score" and c["table"] not in NEEDS_CHECKPOINT]

    def unpack(self, name, to):
        source = self.archives[name]
        if "dir" in source:
            shutil.copytree(CASES / source["dir"], to)
        else:
            with tarfile.open(CASES / source["archive"]) as archive:
                for member in archive:
                    place = (to / member.name).resolve()
                    if member.isfile() and place.is_relative_to(to.resolve()):
                        place.parent.mkdir(parents=True, exist_ok=True)
                        place.write_bytes(archive.extractfile(member).read())
        self.run.set_times(to)

    def differs(self, case, table):
        """None, or how the rows differ from those the case expects."""
        out = self.folder / "out.parquet"
        out.unlink(missing_ok=True)
        at = f" VERSION AS OF {case['params']['version']}" if "version" in case["params"] else ""
        done = self.freshet("sql", "-c", f"COPY (SELECT * FROM delta.`{table}`{at}) TO '{out}' (FORMAT parquet)")
        if done.code != 0:
            return repr(done)
        connection = self.deltalog.connect()
        relation, want = f"read_parquet({self.deltalog.qs(str(out))})", case["expect"]
        got = self.canon.schema_of(connection, relation)
        rows = self.canon.rows_of(connection, relation, self.canon.merge_types(got, want["schema"]))
        if (rows.n, rows.digest) != (want["rows"], want["digest"]):
            return f"{rows.n} rows, {want['rows']} expected" + (", with other values" if rows.n == want["rows"] else "")
        return self.canon.compare_schema(got, want["schema"])


@pytest.fixture
def tables(freshet, tmp_path):
    return Tables(freshet, tmp_path)


@pytest.fixture
def seed():
    value = int(os.environ.get("FRESHET_SEED", "20240101"))
    print(f"FRESHET_SEED={value}")
    return value


@pytest.mark.parametrize("kind, most", [("read", READS), ("read_at", TRAVELS)])
def test_the_same_rows(tables, seed, tmp_path, kind, most):
    rng = random.Random(f"{seed} {kind}")
    cases = [case for case in tables.cases if case["kind"] == kind]
    failures = []
    for case in rng.sample(cases, min(most, len(cases))):
        table = tmp_path / "t" / "".join(rng.choices("abcdefgh", k=8))
        tables.unpack(case["table"], table)
        changes = rng.sample(CHANGES, rng.randint(1, 4))
        for change in changes:
            change(table / "_delta_log", rng)
        if difference := tables.differs(case, table):
            failures.append(f"{case['id']} after {', '.join(c.__name__ for c in changes)}: {difference}")
        shutil.rmtree(table)
    assert not failures, "\n".join([f"FRESHET_SEED={seed}", *failures])
