"""ALTER TABLE ... DROP FEATURE."""

import pytest


@pytest.fixture
def detail(rows):
    return lambda name: rows(f"DESCRIBE DETAIL {name}")[0]


def test_features_of_writers(sql, rows, detail):
    sql("CREATE TABLE t (a INT); ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)")
    assert (detail("t")["minReaderVersion"], detail("t")["minWriterVersion"]) == (1, 3)
    assert "DELTA_CANNOT_DROP_CHECK_CONSTRAINT_FEATURE" in sql("ALTER TABLE t DROP FEATURE checkConstraints", check=1).err
    sql("ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t DROP FEATURE checkConstraints")
    assert (detail("t")["minReaderVersion"], detail("t")["minWriterVersion"]) == (1, 2)  # appendOnly and invariants are left
    assert rows("DESCRIBE HISTORY t LIMIT 1")[0]["operation"] == "DROP FEATURE"
    sql("CREATE TABLE u (a INT DEFAULT 1) CLUSTER BY (a) TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true', 'delta.feature.vacuumProtocolCheck' = 'supported')")
    assert "DELTA_FEATURE_DROP_DEPENDENT_FEATURE" in sql("ALTER TABLE u DROP FEATURE domainMetadata", check=1).err
    for feature in ("clustering", "domainMetadata", "inCommitTimestamp", "vacuumProtocolCheck", "allowColumnDefaults"):
        sql(f"INSERT INTO u VALUES (1); ALTER TABLE u DROP FEATURE {feature}; INSERT INTO u VALUES (2)")
    assert (detail("u")["minReaderVersion"], detail("u")["minWriterVersion"], detail("u")["properties"]) == (1, 2, {})
    assert rows("SELECT count(*) AS n FROM u") == [{"n": 10}]


def test_row_tracking(sql, rows, detail, warehouse):
    sql("CREATE TABLE t (a INT) TBLPROPERTIES ('delta.enableRowTracking' = 'true'); INSERT INTO t VALUES (1), (2); INSERT INTO t VALUES (3)")
    sql("ALTER TABLE t DROP FEATURE rowTracking; INSERT INTO t VALUES (4)")
    assert "rowTracking" not in detail("t")["tableFeatures"] and not any("owTracking" in key for key in detail("t")["properties"])
    assert rows("SELECT count(*) AS n FROM t") == [{"n": 4}]
    last = (warehouse / "default/t/_delta_log" / f"{detail('t')['version']:020d}.json").read_text()
    assert "baseRowId" not in last


def test_row_tracking__is_dropped_before_what_writes_files_anew(sql, rows, warehouse):
    sql("""CREATE TABLE t (a INT) TBLPROPERTIES ('delta.enableRowTracking' = 'true', 'delta.enableDeletionVectors' = 'true');
        INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE a = 1""")
    hint = sql("ALTER TABLE t DROP FEATURE deletionVectors", check=1).err
    statement = f"ALTER TABLE delta.`{warehouse}/default/t` DROP FEATURE rowTracking"
    assert statement in hint
    sql(f"{statement}; ALTER TABLE t DROP FEATURE deletionVectors")
    assert rows("FROM t") == [{"a": 2}]


def test_refusals(sql):
    sql("CREATE TABLE t (a INT) TBLPROPERTIES ('delta.appendOnly' = 'true')")
    for feature, klass in (("appendOnly", "DELTA_FEATURE_DROP_NONREMOVABLE_FEATURE"), ("nonsense", "DELTA_FEATURE_DROP_UNSUPPORTED_CLIENT_FEATURE"),
                           ("deletionVectors", "DELTA_FEATURE_DROP_FEATURE_NOT_PRESENT"), ("deletionVector", "did you mean"),
                           ("invariants TRUNCATE HISTORY", "NONREMOVABLE")):
        assert klass in sql(f"ALTER TABLE t DROP FEATURE {feature}", check=1).err, feature
    sql("CREATE TABLE u (a INT) TBLPROPERTIES ('delta.feature.vacuumProtocolCheck' = 'supported')")
    assert "HISTORY_TRUNCATION_NOT_ALLOWED" in sql("ALTER TABLE u DROP FEATURE vacuumProtocolCheck TRUNCATE HISTORY", check=1).err


MAKE = {
    "deletionVectors": ("'delta.enableDeletionVectors' = 'true'", "DELETE FROM t WHERE a = 1"),
    "columnMapping": ("'delta.columnMapping.mode' = 'name'", "ALTER TABLE t RENAME COLUMN b TO c; DELETE FROM t WHERE a = 1"),
    "typeWidening": ("'delta.enableTypeWidening' = 'true'", "ALTER TABLE t ALTER COLUMN a TYPE BIGINT; DELETE FROM t WHERE a = 1"),
    "v2Checkpoint": ("'delta.checkpointPolicy' = 'v2', 'delta.checkpointInterval' = '2'", "DELETE FROM t WHERE a = 1"),
}


@pytest.fixture(params=MAKE)
def feature(request, sql):
    properties, change = MAKE[request.param]
    sql(f"CREATE TABLE t (a INT, b STRING, p INT) PARTITIONED BY (p) TBLPROPERTIES ({properties})")
    sql(f"INSERT INTO t SELECT i, 'b' || i, i % 2 FROM range(10) r(i); INSERT INTO t VALUES (20, 'x', 0); {change}")
    return request.param


TOTAL = "SELECT count(*) AS n, sum(a)::INT AS s FROM t"


def test_features_of_readers(feature, sql, rows, detail, read_delta, warehouse):
    sql(f"ALTER TABLE t DROP FEATURE {feature}")
    assert rows(TOTAL) == [{"n": 10, "s": 64}]
    found = detail("t")
    assert feature not in found["tableFeatures"] and "checkpointProtection" in found["tableFeatures"] and found["minReaderVersion"] == 1
    assert found["properties"]["delta.requireCheckpointProtectionBeforeVersion"] == str(found["version"])
    assert list((warehouse / "default/t/_delta_log").glob(f"{found['version']:020d}.checkpoint*"))
    sql("INSERT INTO t VALUES (30, 'y', 1); UPDATE t SET p = 5 WHERE a = 30; DELETE FROM t WHERE a = 0")
    assert rows(TOTAL) == [{"n": 10, "s": 94}]
    assert len(read_delta(warehouse / "default/t")) == 10
    assert rows("SELECT count(*) AS n FROM t VERSION AS OF 1") == [{"n": 10}]


def test_truncated_history(feature, sql, rows, detail):
    err = sql(f"ALTER TABLE t DROP FEATURE {feature} TRUNCATE HISTORY", check=1).err if feature != "v2Checkpoint" else ""
    assert feature == "v2Checkpoint" or "DELTA_FEATURE_DROP_WAIT_FOR_RETENTION_PERIOD" in err
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.dropFeatureTruncateHistory.retentionDuration' = '0 seconds')")
    sql(f"ALTER TABLE t DROP FEATURE {feature} TRUNCATE HISTORY")
    assert feature not in detail("t")["tableFeatures"] and "checkpointProtection" not in detail("t")["tableFeatures"]
    assert rows(TOTAL) == [{"n": 10, "s": 64}]
    assert len(rows("DESCRIBE HISTORY t")) < 4


def test_features_of_readers__spark(feature, sql, rows, spark, warehouse):
    path = warehouse / "default/t"
    sql(f"ALTER TABLE t DROP FEATURE {feature}")
    assert [tuple(r) for r in spark.sql(f"SELECT count(*), sum(a) FROM delta.`{path}`").collect()] == [(10, 64)]
    spark.sql(f"INSERT INTO delta.`{path}` VALUES (100, 'spark', 1)")
    assert rows(TOTAL) == [{"n": 11, "s": 164}]


def test_checkpoint_protection(sql, rows, detail):
    """It goes with the versions that it protects, all at once."""
    sql("CREATE TABLE t (a INT) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true'); INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE a = 1")
    sql("ALTER TABLE t DROP FEATURE deletionVectors")
    assert "checkpointProtection" in detail("t")["tableFeatures"]
    assert "WITH_HISTORY_TRUNCATION" in sql("ALTER TABLE t DROP FEATURE checkpointProtection", check=1).err
    assert "WAIT_FOR_RETENTION_PERIOD" in sql("ALTER TABLE t DROP FEATURE checkpointProtection TRUNCATE HISTORY", check=1).err
    assert rows("SELECT a FROM t VERSION AS OF 1 ORDER BY a") == [{"a": 1}, {"a": 2}]
    sql("ALTER TABLE t SET TBLPROPERTIES ('delta.dropFeatureTruncateHistory.retentionDuration' = 'interval 0 hours')")
    sql("ALTER TABLE t DROP FEATURE checkpointProtection TRUNCATE HISTORY; INSERT INTO t VALUES (3)")
    assert not any("heckpointProtection" in key for key in [*detail("t")["tableFeatures"], *detail("t")["properties"]])
    assert rows("SELECT a FROM t ORDER BY a") == [{"a": 2}, {"a": 3}]
    assert "FR-" in sql("SELECT a FROM t VERSION AS OF 1", check=1).err
