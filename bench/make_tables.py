"""The tables that the table workloads read and change, made once and kept.

log     many commits, each the add of one row; a checkpoint every tenth commit, the last of them really there
wide    a checkpoint of many files; they are named with their statistics, only the one that is asked for exists
users   rows in eight files, ordered by user_id; with deletion vectors, and without (_plain)
feed    users with a change feed, after ten updates
source  a Parquet file to merge: half of its rows are in users, half are new
"""
import json
import shutil
import subprocess

FILES_OF_USERS, UPDATES, CHANGED, MERGED = 8, 10, 42_800, 50_000
FIRST_UPDATE = FILES_OF_USERS + 1  # its version: after CREATE and the inserts
SCHEMA = {"type": "struct", "fields": [{"name": name, "type": kind, "nullable": True, "metadata": {}} for name, kind in (("id", "long"), ("v", "string"))]}
PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}
METADATA = {"id": "00000000-0000-4000-8000-000000000000", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(SCHEMA),
            "partitionColumns": [], "configuration": {}, "createdTime": 1767225600000}
STATS = '{{"numRecords":1,"minValues":{{"id":{0},"v":"x{0}"}},"maxValues":{{"id":{0},"v":"x{0}"}},"nullCount":{{"id":0,"v":0}}}}'
CHECKPOINT = """SELECT {minReaderVersion: 1::INT, minWriterVersion: 2::INT} AS protocol, NULL AS "metaData", NULL AS "add"
UNION ALL SELECT NULL, {id: $id, format: {provider: 'parquet', options: MAP {}::MAP(VARCHAR, VARCHAR)}, schemaString: $schema,
  partitionColumns: []::VARCHAR[], configuration: MAP {}::MAP(VARCHAR, VARCHAR), createdTime: 1767225600000}, NULL
UNION ALL SELECT NULL, NULL, {path: format($path, i), partitionValues: MAP {}::MAP(VARCHAR, VARCHAR), size: $size::BIGINT,
  modificationTime: 1767225600000 + i, dataChange: false, stats: format($stats, i)} FROM range($files) r(i)"""


def wide_id(files):
    """The row of the wide table that exists."""
    return files * 7 // 10


def put_row(db, path, number):
    db.execute(f"COPY (SELECT {number}::BIGINT AS id, 'x{number}' AS v) TO '{path}' (FORMAT parquet)")
    return path.stat().st_size


def put_commit(folder, version, *actions):
    lines = "\n".join(json.dumps(action, separators=(",", ":")) for action in actions)
    (folder / f"_delta_log/{version:020}.json").write_text(lines + "\n")


def put_checkpoint(db, folder, version, path, size, files):
    query = CHECKPOINT
    values = {"id": METADATA["id"], "schema": METADATA["schemaString"], "path": path, "stats": STATS, "size": size, "files": files}
    for name, value in values.items():
        query = query.replace(f"${name}", str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'")
    db.execute(f"COPY ({query}) TO '{folder}/_delta_log/{version:020}.checkpoint.parquet' (FORMAT parquet, COMPRESSION snappy)")
    (folder / "_delta_log/_last_checkpoint").write_text(json.dumps({"version": version, "size": files + 2}))


def make_log(db, folder, commits, every=10):
    (folder / "_delta_log").mkdir(parents=True)
    size = put_row(db, folder / "one.parquet", 1)
    content = (folder / "one.parquet").read_bytes()
    (folder / "one.parquet").unlink()
    for version in range(commits):
        (folder / f"part-{version:06}.parquet").write_bytes(content)
        add = {"path": f"part-{version:06}.parquet", "partitionValues": {}, "size": size, "modificationTime": 1767225600000 + version,
               "dataChange": True, "stats": STATS.format(1)}
        first = [{"protocol": PROTOCOL}, {"metaData": METADATA}] if version == 0 else []
        put_commit(folder, version, {"commitInfo": {"timestamp": 1767225600000 + version, "operation": "WRITE"}}, *first, {"add": add})
    last = (commits - 1) // every * every
    put_checkpoint(db, folder, last, "part-{:06d}.parquet", size, last + 1)


def make_wide(db, folder, files):
    (folder / "_delta_log").mkdir(parents=True)
    size = put_row(db, folder / f"part-{wide_id(files):07}.parquet", wide_id(files))
    put_commit(folder, 10, {"commitInfo": {"timestamp": 1767225600000, "operation": "WRITE"}})
    put_checkpoint(db, folder, 10, "part-{:07d}.parquet", size, files)


def updates(rows):
    """Ten updates that change other rows each time, as many of them as there are rows for, up to CHANGED."""
    changed = min(CHANGED, rows // UPDATES)
    step = max(UPDATES, rows // changed)
    return [f"UPDATE users SET seq = seq + 1 WHERE user_id % {step} = {i} AND user_id < {changed * step}" for i in range(UPDATES)]


def make_users(program, folder, rows, properties, further=()):
    """By freshet, statement by statement."""
    warehouse, step = folder.with_suffix(".warehouse"), rows // FILES_OF_USERS
    shutil.rmtree(warehouse, ignore_errors=True)
    statements = [f"CREATE TABLE users (user_id BIGINT, seq BIGINT, name STRING, email STRING, plan STRING) TBLPROPERTIES ({properties})"]
    for i in range(FILES_OF_USERS):
        last = rows if i == FILES_OF_USERS - 1 else (i + 1) * step
        statements.append("INSERT INTO users SELECT i, i, 'Name ' || (i * 7919 % 99991), 'user.' || i || '@mail.example', "
                          f"(['free', 'pro', 'team'])[1 + i % 3] FROM range({i * step}, {last}) r(i)")
    subprocess.run([program, "sql", "--warehouse", str(warehouse), "-c", "; ".join([*statements, *further])], check=True, stdout=subprocess.DEVNULL)
    (warehouse / "default/users").rename(folder)
    shutil.rmtree(warehouse)


def make_source(db, folder, rows):
    folder.mkdir(parents=True)
    half = MERGED // 2
    db.execute(f"COPY (SELECT CASE WHEN i < {half} THEN i * {max(1, rows // half)} ELSE {rows} + i END AS user_id, i AS seq, 'New ' || i AS name, "
               f"'new.' || i || '@mail.example' AS email, 'pro' AS plan FROM range({MERGED}) r(i)) TO '{folder}/part.parquet' (FORMAT parquet)")


def table(program, folder, kind, size):
    """The table of a kind and a size; made when it is not there."""
    import duckdb

    vectors, plain, feed = (f"'delta.{name}' = '{on}'" for name, on in (("enableDeletionVectors", "true"), ("enableDeletionVectors", "false"),
                                                                       ("enableChangeDataFeed", "true")))
    target, part = folder / f"{kind}-{size}", folder / f"{kind}-{size}.part"
    if target.exists():
        return target
    shutil.rmtree(part, ignore_errors=True)
    makers = {
        "log": lambda: make_log(duckdb.connect(), part, size),
        "wide": lambda: make_wide(duckdb.connect(), part, size),
        "users": lambda: make_users(program, part, size, vectors),
        "users_plain": lambda: make_users(program, part, size, plain),
        "feed": lambda: make_users(program, part, size, f"{vectors}, {feed}", updates(size)),
        "feed_plain": lambda: make_users(program, part, size, f"{plain}, {feed}", updates(size)),
        "source": lambda: make_source(duckdb.connect(), part, size),
    }
    makers[kind]()
    part.rename(target)
    return target
