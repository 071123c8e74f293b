"""Every table feature a writer has to know, written by freshet and by Spark in turn, and by delta-rs where it can.

`ours`: freshet makes the table and changes it, the others read it and write on, freshet goes on and they read again; `theirs`: the same with
Spark as the first. After every turn all see the rows that a model in Python has. The log lint sees every table at the end. What delta-rs cannot
read or append to is written down here and tried too, so that the list stays true. All tables are played at once, a few at a time, because Spark's
statements wait more than they work.
"""
import concurrent.futures
import json
import subprocess

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from conftest import PROGRAM

BASE = "id BIGINT, p STRING, v STRING, n INT"


class Feature:
    """columns: beyond the common ones; extra: {column: its value from (id, p, v, n)}; then: statements behind CREATE TABLE; holds: what is
    true of all rows at all times; changes: may rows change; reads, appends: what delta-rs can do."""

    def __init__(self, *properties, base=BASE, columns="", extra=None, clause="", then=(), holds="count(*) >= 0", changes=True, reads=True, appends=True):
        self.properties, self.base, self.columns, self.extra = properties, base, columns, extra or {}
        self.clause, self.then, self.holds, self.changes = clause, then, holds, changes
        self.reads, self.appends = reads, appends

    def create(self, table):
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in (p.split("=") for p in self.properties))
        columns = self.base + (", " + self.columns if self.columns else "")
        return f"CREATE TABLE {table} ({columns}) USING DELTA {self.clause} {f'TBLPROPERTIES ({pairs})' if pairs else ''}"


NO_DELTARS = {"reads": False, "appends": False}
FEATURES = {
    "plain": Feature(),
    "appendOnly": Feature("delta.appendOnly=true", changes=False),
    "notNull": Feature(base="id BIGINT NOT NULL, p STRING, v STRING, n INT NOT NULL"),
    "checkConstraints": Feature(then=["ALTER TABLE {} ADD CONSTRAINT positive CHECK (id >= 0 AND length(p) = 2)"]),
    "changeDataFeed": Feature("delta.enableChangeDataFeed=true"),
    "default": Feature("delta.feature.allowColumnDefaults=supported", columns="d INT DEFAULT 5", extra={"d": lambda *_: 5}, appends=False),
    "generatedColumns": Feature(columns="g BIGINT GENERATED ALWAYS AS (id * 2)", extra={"g": lambda i, *_: 2 * i}),
    "identityColumns": Feature(columns="k BIGINT GENERATED ALWAYS AS IDENTITY", holds="count(DISTINCT k) = count(*)", appends=False),
    "mappingName": Feature("delta.columnMapping.mode=name", **NO_DELTARS),
    "mappingId": Feature("delta.columnMapping.mode=id", **NO_DELTARS),
    "deletionVectors": Feature("delta.enableDeletionVectors=true", **NO_DELTARS),
    "timestampNtz": Feature(columns="ts TIMESTAMP_NTZ", extra={"ts": lambda *_: None}),
    "v2Checkpoint": Feature("delta.checkpointPolicy=v2", "delta.checkpointInterval=2", **NO_DELTARS),
    "typeWidening": Feature("delta.enableTypeWidening=true", then=["ALTER TABLE {} ALTER COLUMN n TYPE BIGINT"], **NO_DELTARS),
    "inCommitTimestamp": Feature("delta.enableInCommitTimestamps=true", appends=False),
    "rowTracking": Feature("delta.enableRowTracking=true", appends=False),
    "clustering": Feature(clause="CLUSTER BY (id)", appends=False),
    "domainMetadata": Feature("delta.feature.domainMetadata=supported", appends=False),
    "vacuumProtocolCheck": Feature("delta.feature.vacuumProtocolCheck=supported", **NO_DELTARS),
    "variantType": Feature(columns="x VARIANT", appends=False),
    "partitioned": Feature(clause="PARTITIONED BY (p)"),
    "icebergCompatV1": Feature("delta.enableIcebergCompatV1=true", clause="PARTITIONED BY (p)", **NO_DELTARS),
    "icebergCompatV2": Feature("delta.enableIcebergCompatV2=true", columns="l ARRAY<INT>", extra={"l": lambda *_: None}, clause="PARTITIONED BY (p)",
                               **NO_DELTARS),
    "materializePartitionColumns": Feature("delta.enableMaterializePartitionColumnsFeature=true", clause="PARTITIONED BY (p)", appends=False),
    "everything": Feature("delta.columnMapping.mode=name", "delta.enableDeletionVectors=true", "delta.enableRowTracking=true",
                          "delta.enableInCommitTimestamps=true", "delta.enableChangeDataFeed=true", "delta.checkpointPolicy=v2",
                          "delta.checkpointInterval=3", clause="PARTITIONED BY (p)", **NO_DELTARS),
}


class Model:
    """The rows, and the statements that change them, in words that freshet and Spark have in common."""

    def __init__(self, feature, table):
        self.feature, self.table, self.rows = feature, table, {}

    def insert(self, first, n):
        new = {i: (f"p{i % 3}", f"v{i}", i) for i in range(first, first + n)}
        self.rows.update(new)
        values = ", ".join(f"({i}, '{p}', '{v}', {k})" for i, (p, v, k) in new.items())
        return f"INSERT INTO {self.table} (id, p, v, n) VALUES {values}"

    def update(self, rest):
        self.rows.update({i: (p, f"{v}u", n + 100) for i, (p, v, n) in self.rows.items() if i % 4 == rest})
        return f"UPDATE {self.table} SET v = concat(v, 'u'), n = n + 100 WHERE id % 4 = {rest}"

    def delete(self, rest):
        self.rows = {i: row for i, row in self.rows.items() if i % 5 != rest}
        return f"DELETE FROM {self.table} WHERE id % 5 = {rest}"

    def merge(self, first):
        source = [(first, "p0", "merged", -1), (first + 1, "p1", "merged", 7), (first + 1000, "p2", "new", 1)]
        for i, p, v, n in source:
            if i not in self.rows:
                self.rows[i] = (p, v, n)
            elif n < 0:
                del self.rows[i]
            else:
                self.rows[i] = (self.rows[i][0], v, n)
        query = " UNION ALL ".join(f"SELECT CAST({i} AS BIGINT) AS id, '{p}' AS p, '{v}' AS v, {n} AS n" for i, p, v, n in source)
        return (f"MERGE INTO {self.table} AS t USING ({query}) AS s ON t.id = s.id WHEN MATCHED AND s.n < 0 THEN DELETE "
                "WHEN MATCHED THEN UPDATE SET v = s.v, n = s.n WHEN NOT MATCHED THEN INSERT (id, p, v, n) VALUES (s.id, s.p, s.v, s.n)")

    def turn(self, first, rest):
        """The statements of one turn."""
        made = [self.insert(first, 10)]
        return made + [self.update(rest), self.delete(rest), self.merge(first + 3)] if self.feature.changes else made

    def short_turn(self, first):
        return [self.insert(first, 10), self.merge(first + 3)] if self.feature.changes else [self.insert(first, 10)]

    def expected(self):
        return sorted([i, p, v, n] + [value(i, p, v, n) for value in self.feature.extra.values()] for i, (p, v, n) in self.rows.items())


class Turns:
    """One table and the three who work on it."""

    def __init__(self, spark, path, feature):
        self.spark, self.path, self.feature = spark, path, feature
        self.model = Model(feature, f"delta.`{path}`")
        self.names = ["id", "p", "v", "n", *feature.extra]
        self.make = [feature.create(self.model.table), *(s.format(self.model.table) for s in feature.then)]

    def freshet(self, statements):
        done = subprocess.run([PROGRAM, "sql", "--format", "jsonl", "-c", "; ".join(statements)], capture_output=True, text=True, timeout=120,
                              cwd=self.path.parent)
        assert done.returncode == 0, (statements, done.stderr)
        return [list(json.loads(line).values()) for line in done.stdout.splitlines()]

    def theirs(self, statements):
        for statement in statements:
            self.spark.sql(statement)

    def deltars(self, first):
        """An append by delta-rs, where it knows the feature."""
        if self.feature.appends:
            self.model.insert(first, 2)
            self.append_by_deltars([(i, *self.model.rows[i]) for i in (first, first + 1)])
        elif self.feature.reads:
            with pytest.raises(Exception):  # noqa: B017: each feature has its own
                self.append_by_deltars([(first, "p0", "refused", 0)])

    def append_by_deltars(self, rows):
        types = [pa.int64(), pa.string(), pa.string(), pa.int32()]
        table = pa.table({name: pa.array(c, t) for name, c, t in zip(self.names, map(list, zip(*rows)), types)})
        write_deltalake(str(self.path), table, mode="append", schema_mode="merge" if self.feature.extra else None)

    def check(self, when):
        expected = self.model.expected()
        *rows, (holds,) = self.freshet([f"SELECT {', '.join(self.names)} FROM {self.model.table}",
                                        f"SELECT {self.feature.holds} AS holds FROM {self.model.table}"])
        assert sorted(rows) == expected and holds, f"{when}: freshet"
        rows = self.spark.read.format("delta").load(str(self.path)).select(*self.names).collect()
        assert sorted(list(row) for row in rows) == expected, f"{when}: Spark"
        if self.feature.reads:
            assert self.read_by_deltars() == expected, f"{when}: delta-rs"
        else:
            with pytest.raises(Exception):  # noqa: B017: each feature has its own
                assert self.read_by_deltars() == expected

    def read_by_deltars(self):
        rows = DeltaTable(str(self.path)).to_pyarrow_table(columns=self.names).to_pylist()
        return sorted(list(row.values()) for row in rows)

    def ours_first(self):
        self.freshet([*self.make, *self.model.turn(0, 1), self.model.insert(10, 10)])
        self.check("ours")
        self.theirs(self.model.short_turn(20))
        self.deltars(60)
        self.freshet(self.model.turn(30, 3))
        self.check("ours, theirs, ours")

    def theirs_first(self):
        self.theirs([*self.make, *self.model.short_turn(0)])
        self.deltars(60)
        self.freshet([*self.model.turn(10, 2), self.model.insert(20, 10)])
        if self.feature.changes:
            self.theirs([self.model.update(1)])
            self.freshet([self.model.delete(4)])
        self.check("theirs, ours, theirs, ours")


@pytest.fixture(scope="module")
def played(spark, tmp_path_factory):
    """{(feature, who was first): the game, done or under way}"""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        games = {}
        for name, feature in FEATURES.items():
            for first in ("ours", "theirs"):
                turns = Turns(spark, tmp_path_factory.mktemp(f"{name}-{first}") / "t", feature)
                games[name, first] = turns.path, pool.submit(getattr(turns, f"{first}_first"))
        yield games
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name, first", [(n, who) for n in FEATURES for who in ("ours", "theirs")])
def test_matrix(played, lint, name, first):
    path, game = played[name, first]
    game.result(timeout=290)
    lint(path)
