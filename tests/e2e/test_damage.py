"""Damage: what a table does when pieces of it are missing, torn, or made by somebody with bad intentions.

A piece that the log can do without (checkpoint, sidecar, hint, checksum) costs nothing. Any other is an error that names the file.
Never a crash, and never other rows. The random test prints its seed; FRESHET_SEED repeats a run, FRESHET_MUTATIONS takes more.
"""
import json
import os
import random
import re
import shutil
import time

import pytest

from test_log_mutations import CASES, Tables, has_all_commits

MUTATIONS = int(os.environ.get("FRESHET_MUTATIONS", "100"))

pytestmark = pytest.mark.no_lint("the tables are broken on purpose")
needs_cases = pytest.mark.skipif(not (CASES / "run.py").exists(), reason="there is no shared/conformance")


def is_clean_error(done):
    return done.code == 1 and any(line.startswith("error: ") for line in done.err.splitlines())


# ---- pieces that the log can do without ------------------------------------------------------------------------------

DAMAGE = {
    "gone": lambda data: None,
    "empty": lambda data: b"",
    "torn": lambda data: data[: len(data) * 2 // 3],
    "no magic": lambda data: data[:-4] + b"\0\0\0\0",
    "other bytes": lambda data: bytes((b + 13) % 256 for b in data),
    "pages lost": lambda data: data[:4] + b"\0" * (len(data) // 2) + data[4 + len(data) // 2 :],
}

CHECKPOINTS = [
    "made.many-small-commits",
    "kernel-rs.v1-multi-part-struct-stats-only",
    "kernel-rs.v2-checkpoints-parquet-with-sidecars",
    "kernel-rs.v2-checkpoints-parquet-without-sidecars",
    "golden.v2-checkpoint-json",
    "kernel-rs.v2-classic-checkpoint-parquet",
]


@pytest.fixture
def tables(freshet, tmp_path):
    return Tables(freshet, tmp_path)


def pieces(table):
    """The files of the newest checkpoint: itself, its parts, its sidecars."""
    log = table / "_delta_log"
    files = [p for p in log.iterdir() if ".checkpoint." in p.name]
    newest = max(p.name[:20] for p in files)
    return sorted(p for p in files if p.name.startswith(newest)) + sorted(log.glob("_sidecars/*"))


def spoil(path, damage):
    data = DAMAGE[damage](path.read_bytes())
    path.unlink()
    if data is not None:
        path.write_bytes(data)


def read_case(tables, name):
    return next(c for c in tables.cases if c["table"] == name and c["kind"] == "read")


@needs_cases
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_commits_do_without_the_checkpoint(tables, tmp_path, name):
    case, failures = read_case(tables, name), []
    for damage in DAMAGE:
        table = tmp_path / "t" / damage.replace(" ", "-")
        tables.unpack(name, table)
        assert has_all_commits(table / "_delta_log")
        for path in pieces(table):
            spoil(path, damage)
        if difference := tables.differs(case, table):
            failures.append(f"{damage}: {difference}")
    assert not failures, "\n".join(failures)


@needs_cases
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_without_the_commits_the_piece_is_named(tables, tmp_path, name):
    failures = []
    for damage in DAMAGE:
        table = tmp_path / "t" / damage.replace(" ", "-")
        tables.unpack(name, table)
        files = pieces(table)
        spoiled = files[len(files) // 2] if damage != "gone" else files[-1]
        at = int(files[0].name[:20])
        for version in range(at + 1):
            (table / "_delta_log" / f"{version:020d}.json").unlink()
        for path in [p for p in (table / "_delta_log").iterdir() if ".checkpoint." in p.name and p.name[:20] != files[0].name[:20]]:
            path.unlink()
        spoil(spoiled, damage)
        done = tables.freshet("sql", "-c", f"SELECT * FROM delta.`{table}`")
        # a sidecar that no checkpoint names may be gone; a checkpoint without length or parts is none
        named = spoiled.name in done.err or files[0].name[:20] in done.err or "there is no checkpoint" in done.err or (damage in ("gone", "empty") and "_delta_log" in done.err)
        unused = done.code == 0 and spoiled.parent.name == "_sidecars"
        if not unused and not (is_clean_error(done) and named):
            failures.append(f"{damage} of {spoiled.name}: {done!r}")
    assert not failures, "\n".join(failures)


# ---- logs that mean harm ---------------------------------------------------------------------------------------------

PROTOCOL = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
                         "writerFeatures": ["deletionVectors"]}}
SCHEMA = {"type": "struct", "fields": [{"name": "a", "type": "integer", "nullable": True, "metadata": {}}]}
METADATA = {"metaData": {"id": "i", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(SCHEMA),
                         "partitionColumns": [], "configuration": {}}}


def add(**changes):
    return {"add": {"path": "f.parquet", "partitionValues": {}, "size": 300, "modificationTime": 0, "dataChange": True, **changes}}


def metadata(**changes):
    return {"metaData": {**METADATA["metaData"], **changes}}


def vector(**changes):
    return {"deletionVector": {"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 1, "sizeInBytes": 36,
                               "cardinality": 1, **changes}}


def deep(n):
    return json.loads("[" * 50 + "]" * 50) if n < 50 else RawJson("[" * n + "]" * n)


class RawJson:
    def __init__(self, text):
        self.text = text


def dump(action):
    """JSON of an action in which RawJson stands for itself."""
    raw = []

    def keep(value):
        raw.append(value.text)
        return f"@raw{len(raw) - 1}@"

    text = json.dumps(action, default=keep)
    for i, value in enumerate(raw):
        text = text.replace(f'"@raw{i}@"', value)
    return text


def schema(*fields):
    return metadata(schemaString=json.dumps({"type": "struct", "fields": list(fields)}))


def field(name="b", type_="integer", **more):
    return {"name": name, "type": type_, "nullable": True, "metadata": {}, **more}


OUTSIDE = ["../secret.parquet", "x/../../secret.parquet", "%2e%2e/secret.parquet", "..%2fsecret.parquet", "%2E%2E%2Fsecret.parquet",
           "/etc/passwd", "file:///etc/passwd", "file:/etc/passwd", "s3://bucket/x.parquet", "", ".", "./../secret.parquet", "a%00b", "\u0000",
           "a\nb", "//etc/passwd", "x/./f.parquet", "/proc/self/fd/0", "~/../x"]

HOSTILE = {
    **{f"path {path!r}": [add(path=path)] for path in OUTSIDE},
    **{f"vector at {path!r}": [add(**vector(storageType="p", pathOrInlineDv=path))] for path in OUTSIDE[:9]},
    **{f"size {value!r}": [add(size=value)] for value in (-1, "x", 1.5, RawJson("1e400"), RawJson("99999999999999999999"), None, [], {})},
    **{f"path is {value!r}": [add(path=value)] for value in (None, 5, [], {}, True)},
    **{f"partition values {value!r}": [add(partitionValues=value)] for value in ([], "x", {"a": 5}, {"a": {}}, 7)},
    **{f"statistics {value!r}": [add(stats=value)] for value in (5, {}, "{", "[]", '{"numRecords":-1}', '{"numRecords":1e99,"minValues":[]}')},
    **{f"vector {changes}": [add(**vector(**changes))] for changes in (
        {"storageType": "x"}, {"storageType": "uu"}, {"storageType": 5}, {"pathOrInlineDv": "short"}, {"pathOrInlineDv": None}, {"offset": -1},
        {"offset": 2**31 - 1}, {"sizeInBytes": -1}, {"sizeInBytes": 2**31 - 1}, {"sizeInBytes": 2**40}, {"cardinality": -1},
        {"cardinality": 2**62}, {"storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"},
        {"storageType": "i", "pathOrInlineDv": "~" * 7}, {"storageType": "i", "pathOrInlineDv": "0" * 100000})},
    **{f"{key} is {value!r}": [{key: value}] for key in ("add", "remove", "metaData", "protocol", "txn", "commitInfo", "domainMetadata", "cdc")
       for value in ([], "x", 5, {})},
    **{f"protocol {p}": [{"protocol": p}] for p in (
        {"minReaderVersion": "3", "minWriterVersion": 7}, {"minReaderVersion": -1, "minWriterVersion": 2}, {"minReaderVersion": 2**40, "minWriterVersion": 2},
        {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": "x"}, {"minReaderVersion": 3, "minWriterVersion": 7},
        {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [5, None], "writerFeatures": {}})},
    **{f"schema text {text[:30]!r}": [metadata(schemaString=text)] for text in (
        "", "{", "5", "[]", '{"type":"struct"}', '{"type":"struct","fields":5}', '{"type":"struct","fields":[5]}', '{"type":"struct","fields":[]}',
        '{"type":"struct","fields":[{"name":"a"}]}', '{"type":"array","elementType":"integer","containsNull":true}', "[" * 100000,
        '{"type":"struct","fields":[' + '{"name":"a","nullable":true,"metadata":{},"type":{"type":"struct","fields":[' * 3000 + "]}}" * 3000 + "]}",
        json.dumps({"type": "struct", "fields": [field("c" + str(i)) for i in range(3)] + [field("x" * 100000)]}))},
    "column twice": [schema(field("a"), field("A"))],
    "type unknown": [schema(field("a", "quantum"))],
    "decimal too wide": [schema(field("a", "decimal(99,5)"))],
    "decimal odd": [schema(field("a", "decimal(5,9)"))],
    "a map of nothing": [schema(field("a", {"type": "map"}))],
    "array in array in array": [schema(field("a", json.loads('{"type":"array","containsNull":true,"elementType":' * 120 + '"integer"' + "}" * 120)))],
    "partition column unknown": [metadata(partitionColumns=["nothing"])],
    "partition column is 5": [metadata(partitionColumns=[5])],
    "configuration is a list": [metadata(configuration=["x"])],
    "configuration of numbers": [metadata(configuration={"delta.appendOnly": 5, "x": {}})],
    "provider": [metadata(format={"provider": "exe"})],
    "provider is nothing": [metadata(format=None)],
    "two protocols": [PROTOCOL, {"protocol": {"minReaderVersion": 99, "minWriterVersion": 99}}],
    "deep JSON": [add(tags=deep(100000))],
    "deep commitInfo": [{"commitInfo": {"operation": deep(100000)}}],
    "deep unknown": [{"x": deep(1000000)}],
    "a long name": [add(path="x" * 300 + ".parquet")],
    "a very long path": [add(path="d/" * 5000 + "f.parquet")],
    "not UTF-8": [RawJson('{"add":{"path":"\\ud800.parquet","partitionValues":{},"size":1,"modificationTime":0,"dataChange":true}}')],
    "numbers without end": [RawJson('{"txn":{"appId":"a","version":' + "9" * 5000 + "}}")],
    "two actions in a line": [RawJson(json.dumps(METADATA) + json.dumps(PROTOCOL))],
    "a key twice": [RawJson('{"add":{"path":"f.parquet","path":"../secret.parquet","partitionValues":{},"size":1,"modificationTime":0,"dataChange":true}}')],
}


@pytest.fixture
def hostile_table(freshet, tmp_path):
    table = tmp_path / "deep" / "table"
    (table / "_delta_log").mkdir(parents=True)
    for path in (table / "f.parquet", tmp_path / "deep/secret.parquet", tmp_path / "secret.parquet"):
        value = 1 if path.name == "f.parquet" else 666
        freshet("sql", "-c", f"COPY (SELECT {value}::INTEGER AS a) TO '{path}' (FORMAT parquet)", check=0)
    return table


def test_hostile_logs(freshet, hostile_table):
    """One commit of a good table has something odd: the answer is that of a good log, or an error that names the commit or the file."""
    failures = []
    log = hostile_table / "_delta_log"
    (log / f"{0:020d}.json").write_text("".join(json.dumps(a) + "\n" for a in (PROTOCOL, METADATA, add())))
    for name, actions in HOSTILE.items():
        text = "".join((a.text if isinstance(a, RawJson) else dump(a)) + "\n" for a in actions)
        (log / f"{1:020d}.json").write_text(text, encoding="utf-8")
        started = time.monotonic()
        done = freshet("sql", "--format", "csv", "-c", f"SELECT * FROM delta.`{hostile_table}`", timeout=20)
        if time.monotonic() - started > 10:
            failures.append(f"{name}: took {time.monotonic() - started:.0f} s")
        elif "666" in done.out or (done.code == 0 and not re.fullmatch(r"a(,\w+)*\n([1,]*\n)*", done.out)):
            failures.append(f"{name}: gave {done!r}")
        elif done.code != 0 and not (is_clean_error(done) and re.search(r"0{19}1\.json|version 1|f\.parquet|x{200}|d/d/d|'|table ", done.err)):
            failures.append(f"{name}: {done!r}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("text", [b"\xff\xfe{\0}\0", b"\0" * 100, b"{}\n{}\n", b"null\n", b'"x"\n', b"{\n}\n", b'{"add":\n', b"\xef\xbb\xbf{}"])
def test_hostile_bytes(freshet, hostile_table, text):
    log = hostile_table / "_delta_log"
    (log / f"{0:020d}.json").write_text("".join(json.dumps(a) + "\n" for a in (PROTOCOL, METADATA, add())))
    (log / f"{1:020d}.json").write_bytes(text)
    done = freshet("sql", "--format", "csv", "-c", f"SELECT * FROM delta.`{hostile_table}`")
    assert done.out == "a\n1\n" if done.code == 0 else is_clean_error(done) and f"{1:020d}.json" in done.err, done


# ---- bytes -----------------------------------------------------------------------------------------------------------

VICTIMS = ["made.v2-checkpoint-parquet-dv", "made.many-small-commits", "kernel-rs.table-with-dv-small", "golden.v2-checkpoint-json",
           "golden.table-with-columnmapping-mode-name", "kernel-rs.v1-multi-part-struct-stats-only", "delta-rs.table_with_deletion_logs",
           "golden.parquet-all-types", "kernel-rs.unshredded-variant"]


def kind_of(path, table):
    name = path.relative_to(table)
    if name.parts[0] != "_delta_log":
        return "vector" if path.suffix == ".bin" else "data"
    if "checkpoint" in path.name and path.name != "_last_checkpoint" or name.parts[1] == "_sidecars":
        return "checkpoint"
    return {"_last_checkpoint": "hint"}.get(path.name, "checksum" if path.suffix == ".crc" else "commit")


def flip(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def truncate(data, rng):
    return data[: rng.randrange(len(data))]


def overwrite(data, rng):
    at, n = rng.randrange(len(data)), rng.randint(1, 32)
    return data[:at] + rng.choice([b"\0", b"\xff", b"\x7f"]) * n + data[at + n :]


def move(data, rng):
    a, b, n = rng.randrange(len(data)), rng.randrange(len(data)), rng.randint(1, 64)
    return data[:b] + data[a : a + n] + data[b:]


def footer(data, rng):
    """A Parquet file's end says where everything is."""
    end = max(0, len(data) - rng.randint(9, 400))
    return data[:end] + flip(data[end:-8], rng) + data[-8:] if len(data) - 8 > end else flip(data, rng)


@needs_cases
def test_damaged_bytes(tables, tmp_path):
    seed = int(os.environ.get("FRESHET_SEED", "20240101"))
    print(f"FRESHET_SEED={seed}")
    rng, failures, pristine = random.Random(seed), [], {}
    for name in VICTIMS:
        pristine[name] = tmp_path / "pristine" / name
        tables.unpack(name, pristine[name])
    for turn in range(MUTATIONS):
        name = rng.choice(VICTIMS)
        table = tmp_path / f"t{turn}"
        shutil.copytree(pristine[name], table)
        kinds = {}
        for path in sorted(p for p in table.rglob("*") if p.is_file() and p.stat().st_size > 0):
            kinds.setdefault(kind_of(path, table), []).append(path)
        kind = rng.choice(sorted(kinds))
        path, how = rng.choice(kinds[kind]), rng.choice([flip, truncate, overwrite, move, footer])
        before = path.read_bytes()
        after = how(before, rng)
        path.write_bytes(after)
        if problem := judge(tables, read_case(tables, name), table, path, kind, how, before, after):
            failures.append(f"turn {turn}, {how.__name__} of {path.relative_to(table)} in {name}: {problem}")
        shutil.rmtree(table)
    assert not failures, "\n".join([f"FRESHET_SEED={seed}", *failures])


def judge(tables, case, table, path, kind, how, before, after):
    """None, or what is wrong with the answer. Nothing guards most bytes of a log or a page, so other values may go unseen; lost bytes not."""
    done = tables.freshet("sql", "-c", f"SELECT * FROM delta.`{table}`", timeout=30)
    if done.code == 0:
        lost = how is truncate and kind != "commit"
        whole_lines = kind == "commit" and how is truncate and not after.endswith(b"\n") and before[len(after) : len(after) + 1] != b"\n"
        if after != before and (kind in ("hint", "checksum", "vector") or lost or whole_lines) and (found := tables.differs(case, table)):
            return found
        return None
    if not is_clean_error(done):
        return repr(done)
    if kind in ("hint", "checksum"):
        return f"it is not needed: {done!r}"
    if kind == "checkpoint" and how is truncate:
        return f"the commits are all there: {done!r}"
    if path.name not in done.err and not (kind in ("commit", "checkpoint") and re.search(r"\bversion \d|[\w%=-]+\.(parquet|bin)|column ", done.err)):
        return f"the error does not name the file: {done!r}"
    return None
