"""Random DELETE, UPDATE, MERGE and REPLACE WHERE statements against a model of them in plain DuckDB tables.

For each of several random tables (types, partitions, deletion vectors, change feed) one freshet process runs a script of random
statements and, after every one, a question for the table's rows. The model runs the same statements with SQL that shares nothing
with freshet's: MERGE is spelled out as joins. The change feed is read once at the end and compared commit by commit; an
independent reader and the log lint see the final table. The same statements of some tables, in Spark's words, also go through Spark on a
table of its own: the model is right where both agree with it. Spark's table always keeps a change feed, so that one question at the end tells
what every statement did. DML_SEED picks the seed, DML_TABLES the number of tables, FRESHET_SPARK=all sends all of them through Spark.
"""
import collections
import importlib.util
import json
import os
import random
import re

import duckdb
import pytest

from conftest import SHARED

TABLES, STATEMENTS = int(os.environ.get("DML_TABLES", 21)), 24
TYPES = {"STRING": "VARCHAR", "INT": "INTEGER", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE", "DECIMAL(12,2)": "DECIMAL(12,2)", "DATE": "DATE",
         "BOOLEAN": "BOOLEAN", "TIMESTAMPTZ": "TIMESTAMPTZ", "TIMESTAMP": "TIMESTAMP"}
STRUCT = "STRUCT<a: INT, b: STRING>"
TYPES[STRUCT] = "STRUCT(a INTEGER, b VARCHAR)"
SPARK_TABLES, SPARK_STATEMENTS = (TABLES, STATEMENTS) if os.environ.get("FRESHET_SPARK") == "all" else (3, 20)


class Table:
    """What a statement may say about one random table, and the model of its rows."""

    def __init__(self, rng, number):
        self.rng, self.name = rng, f"t{number}"
        self.columns = [("id", "BIGINT"), ("part", rng.choice(["INT", "STRING", "DATE"]))]
        self.columns += [(f"c{i}", rng.choice(list(TYPES))) for i in range(rng.randint(1, 4))]
        self.columns += [("st", STRUCT)] if number % 3 == 0 else []
        self.partitioned, self.vectors, self.feed = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.6
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute(f"CREATE TABLE m ({', '.join(f'{n} {TYPES[t]}' for n, t in self.columns)})")
        self.names = [n for n, _ in self.columns]

    def create(self):
        columns = ", ".join(f"{n} {t}" for n, t in self.columns)
        return (f"CREATE TABLE {self.name} ({columns}){' PARTITIONED BY (part)' if self.partitioned else ''} TBLPROPERTIES ("
                f"'delta.enableDeletionVectors' = '{str(self.vectors).lower()}', 'delta.enableChangeDataFeed' = '{str(self.feed).lower()}')")

    # ---- values, conditions ----

    def value(self, kind, null=0.15):
        r = self.rng
        if r.random() < null:
            return f"NULL::{TYPES[kind]}"
        n = r.randint(-5, 40)
        return {"STRING": f"'s{n}é'" if n % 7 else "'it''s'", "INT": f"{n}", "BIGINT": f"{n}::BIGINT", "DOUBLE": f"{n / 4}::DOUBLE",
                STRUCT: f"{{'a': {n if n % 4 else 'NULL'}::INTEGER, 'b': 's{n}'}}", "DECIMAL(12,2)": f"{n / 4}::DECIMAL(12,2)", "DATE": f"DATE '2026-01-{n % 28 + 1:02}'", "BOOLEAN": f"{n % 2 == 0}".lower(),
                "TIMESTAMPTZ": f"TIMESTAMPTZ '2026-01-01 00:00:{n % 60:02}.123456+00'",
                "TIMESTAMP": f"TIMESTAMP '2026-01-01 00:00:{n % 60:02}.123456'"}[kind]

    def values(self, n, first):
        """n rows with ids from `first` on, a few of them twice or NULL."""
        ids = [str(first + i) if self.rng.random() > 0.03 else "NULL" for i in range(n)]
        rows = []
        for i in ids:
            part = self.value(self.columns[1][1], 0.1) if not self.partitioned else self.few(self.columns[1][1])
            rows.append(f"({i}::BIGINT, {part}, {', '.join(self.value(t) for _, t in self.columns[2:])})")
        return ", ".join(rows)

    def few(self, kind):
        n = self.rng.randint(0, 3)
        return f"NULL::{TYPES[kind]}" if n == 3 else {"INT": f"{n}", "STRING": f"'p {n}/x'", "DATE": f"DATE '2026-01-0{n + 1}'"}[kind]

    def condition(self, q=""):
        r = self.rng
        name, kind = r.choice(self.columns)
        a, b = r.randint(0, 60), r.randint(1, 30)
        if kind == STRUCT:
            name, kind = f"{name}.a", "INT"
        simple = [f"{q}id % {r.randint(2, 6)} = {r.randint(0, 2)}", f"{q}id BETWEEN {a} AND {a + b}", f"{q}id > {a}", f"{q}id = {a}",
                  f"{q}id IN ({a}, {a + 1}, {b})", f"{q}{name} IS NULL", f"{q}{name} IS NOT NULL", f"{q}{name} = {self.value(kind)}",
                  f"{q}{name} > {self.value(kind)}", f"{q}part = {self.few(self.columns[1][1])}", f"NOT {q}{name} < {self.value(kind)}"]
        first = r.choice(simple)
        return first if r.random() < 0.6 else f"({first} {r.choice(['AND', 'OR'])} {r.choice(simple)})"

    def expression(self, name, kind, q=""):
        r = self.rng
        choices = [self.value(kind), self.value(kind), f"{q}{name}"]
        if kind == "STRING":
            choices += [f"{q}{name} || 'x'", f"upper({q}{name})", f"CAST({q}id AS VARCHAR)"]
        if kind in ("INT", "BIGINT", "DOUBLE", "DECIMAL(12,2)"):
            choices += [f"{q}{name} + 1", f"0 - {q}{name}", f"CASE WHEN {q}id > 10 THEN {q}{name} ELSE 0 END"]
        if name == "part" and self.partitioned:
            choices = [self.few(kind), f"{q}part"]
        return r.choice(choices)

    def assignments(self, chosen, q, others):
        """[SET ...] for columns, or for a field inside one, and what becomes of each column."""
        r, texts, new = self.rng, [], {}
        for name, kind in chosen:
            if kind == STRUCT and r.random() < 0.6:
                value = self.expression(f"{name}.a", "INT", r.choice(others))
                texts.append(f"{name}.a = {value}")
                new[name] = f"struct_pack(a := CAST({value} AS INTEGER), b := {q}{name}.b)"
            else:
                new[name] = self.expression(name, kind, r.choice(others))
                texts.append(f"{name} = {new[name]}")
        return ", ".join(texts), new

    # ---- statements: text for freshet; the model's answer as (deletes, updates, inserts) happens in the run ----

    def insert(self):
        first, n = self.rng.randint(0, 60), self.rng.randint(1, 25)
        rows = self.values(n, first)
        columns = ", ".join(self.names)
        self.model_replace([], f"SELECT * FROM (VALUES {rows}) v({columns})")
        return f"INSERT INTO {self.name} VALUES {rows}"

    def delete(self):
        condition = self.condition() if self.rng.random() < 0.95 else "true"
        self.changed("delete", f"SELECT * FROM m WHERE {condition}")
        self.db.execute(f"DELETE FROM m WHERE {condition}")
        return f"DELETE FROM {self.name} WHERE {condition}" if condition != "true" else f"DELETE FROM {self.name}"

    def replace(self):
        """INSERT ... REPLACE WHERE with rows that fit."""
        condition, columns = self.condition(), ", ".join(self.names)
        rows = f"SELECT * FROM (VALUES {self.values(self.rng.randint(1, 20), self.rng.randint(0, 60))}) v({columns}) WHERE {condition}"
        self.changed("delete", f"SELECT * FROM m WHERE {condition}")
        self.changed("insert", rows)
        self.db.execute(f"CREATE OR REPLACE TABLE m AS SELECT * FROM m WHERE ({condition}) IS NOT TRUE UNION ALL {rows}")
        return f"INSERT INTO {self.name} REPLACE WHERE {condition} {rows}"

    def update(self):
        chosen = self.rng.sample(self.columns, self.rng.randint(1, len(self.columns)))
        texts, new = self.assignments(chosen, "", [""])
        condition = self.condition()
        after = ", ".join(f"CAST({new[n]} AS {TYPES[t]}) AS {n}" if n in new else n for n, t in self.columns)
        self.changed("update_preimage", f"SELECT * FROM m WHERE {condition}")
        self.changed("update_postimage", f"SELECT {after} FROM m WHERE {condition}")
        self.db.execute(f"CREATE OR REPLACE TABLE m AS SELECT * FROM m WHERE ({condition}) IS NOT TRUE UNION ALL SELECT {after} FROM m WHERE {condition}")
        alias = " AS z" if self.rng.random() < 0.3 else ""
        return f"UPDATE {self.name}{alias} SET {texts} WHERE {condition}"

    def model_replace(self, gone, new):
        self.changed("insert", new)
        self.db.execute(f"INSERT INTO m {new}")

    def merge(self):
        r = self.rng
        first, n = r.randint(0, 60), r.randint(0, 30)
        duplicate = r.random() < 0.15
        rows = self.values(n or 1, first) + (", " + self.values(2, first) if duplicate else "")
        columns = ", ".join(self.names)
        source = f"(SELECT * FROM (VALUES {rows}) v({columns}){' WHERE false' if n == 0 else ''})"
        on = r.choice(["t.id = s.id", "t.id = s.id", "t.id = s.id AND t.part IS NOT DISTINCT FROM s.part", f"s.id = t.id AND {self.condition('t.')}"])
        matched = [self.matched("t.", "s.") for _ in range(r.choice([0, 1, 1, 2]))]
        inserts = [self.not_matched() for _ in range(r.choice([0, 1, 1, 2]))]
        orphans = [self.matched("t.", "t.", 0.9) for _ in range(r.choice([0, 0, 0, 1, 2]))]
        if not matched + inserts + orphans:
            inserts = [self.not_matched()]
        clauses = [("MATCHED", c) for c in matched] + [("NOT MATCHED", c) for c in inserts] + [("NOT MATCHED BY SOURCE", c) for c in orphans]
        text = f"MERGE INTO {self.name} AS t USING {source} AS s ON {on}"
        for i, (when, (condition, _, action, _)) in enumerate(clauses):
            last = i + 1 == len(clauses) or clauses[i + 1][0] != when  # Spark wants a condition in all but the last
            condition = condition or (None if last else "true")
            text += f" WHEN {when}{f' AND {condition}' if condition else ''} THEN {action}"
        return text, self.run_merge(source, on, matched, inserts, orphans)

    def matched(self, q, other, conditional=0.5):
        """(condition, kind, text, {column: expression})"""
        r = self.rng
        condition = self.condition(r.choice([q, other])) if r.random() < conditional else None
        if r.random() < 0.4:
            return condition, "delete", "DELETE", {}
        if q != other and r.random() < 0.3:
            return condition, "update", "UPDATE SET *", {n: f"s.{n}" for n in self.names}
        texts, new = self.assignments(r.sample(self.columns, r.randint(1, len(self.columns))), q, [q, other])
        return condition, "update", f"UPDATE SET {texts}", new

    def not_matched(self):
        r = self.rng
        condition = self.condition("s.") if r.random() < 0.4 else None
        if r.random() < 0.5:
            return condition, "insert", "INSERT *", {n: f"s.{n}" for n in self.names}
        new = {n: self.expression(n, t, "s.") for n, t in r.sample(self.columns, r.randint(1, len(self.columns)))}
        return condition, "insert", f"INSERT ({', '.join(new)}) VALUES ({', '.join(new.values())})", new

    def run_merge(self, source, on, matched, inserts, orphans):
        """The model's MERGE; False: several source rows for one row, nothing happens."""
        db = self.db
        db.execute(f"CREATE OR REPLACE TABLE src AS SELECT *, row_number() OVER () AS sr FROM {source}")
        db.execute("CREATE OR REPLACE TABLE tgt AS SELECT *, row_number() OVER () AS tr FROM m")
        pairs = f"FROM tgt AS t, src AS s WHERE ({on})"
        action = lambda clauses: "CASE" + "".join(f" WHEN {c or 'true'} THEN {i}" for i, (c, *_) in enumerate(clauses)) + " ELSE -1 END" if clauses else "-1"
        db.execute(f"CREATE OR REPLACE TABLE hit AS SELECT tr, sr, {action(matched)} AS a {pairs}")
        only_matched = matched and not inserts and not orphans
        counted = "WHERE a >= 0" if only_matched else ""
        several = db.execute(f"SELECT count(*) FROM (SELECT tr FROM hit {counted} GROUP BY tr HAVING count(*) > 1)").fetchone()[0]
        lone_delete = len(matched) == 1 and matched[0][0] is None and matched[0][1] == "delete"
        if several and not lone_delete and (matched or orphans):
            return False
        db.execute(f"CREATE OR REPLACE TABLE orphan AS SELECT tr, {action(orphans)} AS a FROM tgt AS t WHERE tr NOT IN (SELECT tr FROM hit)")
        db.execute(f"CREATE OR REPLACE TABLE fresh AS SELECT sr, {action(inserts)} AS a FROM src AS s WHERE sr NOT IN (SELECT sr FROM hit)")
        new, gone = [], []
        for clauses, found, relation in ((matched, "hit", "tgt AS t JOIN hit USING (tr) JOIN src AS s USING (sr)"),
                                         (orphans, "orphan", "tgt AS t JOIN orphan USING (tr)"), (inserts, "fresh", "src AS s JOIN fresh USING (sr)")):
            for i, (_, kind, _, values) in enumerate(clauses):
                otherwise = (lambda n, t: f"t.{n}") if kind == "update" else (lambda n, t: f"NULL::{TYPES[t]}")
                after = ", ".join(f"CAST({values[n] if n in values else otherwise(n, t)} AS {TYPES[t]}) AS {n}" for n, t in self.columns)
                if kind == "insert":
                    self.changed("insert", f"SELECT {after} FROM {relation} WHERE a = {i}")
                else:
                    gone.append(f"SELECT tr FROM {found} WHERE a = {i}")
                    self.changed("delete" if kind == "delete" else "update_preimage",
                                 f"SELECT {', '.join(self.names)} FROM tgt WHERE tr IN ({gone[-1]})")
                if kind == "update":
                    self.changed("update_postimage", f"SELECT {after} FROM {relation} WHERE a = {i}")
                if kind != "delete":
                    new.append(f"SELECT {after} FROM {relation} WHERE a = {i}")
        kept = f"SELECT {', '.join(self.names)} FROM tgt" + (f" WHERE tr NOT IN ({' UNION ALL '.join(gone)})" if gone else "")
        db.execute("CREATE OR REPLACE TABLE m AS " + " UNION ALL ".join([kept] + new))
        return True

    # ---- rows as text ----

    def shown(self, kind):
        """Structs by their fields: how their text looks is nobody's business."""
        texts = [(f"{n}.{f}", f"{n}_{f}") for n, t in self.columns if t == STRUCT for f in "ab"] + [(f"{n} IS NULL", f"{n}_null") for n, t in self.columns if t == STRUCT]
        texts += [(n, n) for n, t in self.columns if t != STRUCT]
        self.labels = [label for _, label in texts]
        return ", ".join(f"CAST({e} AS VARCHAR) AS {label}" for e, label in texts) + (", _change_type" if kind else "")

    def rows(self):
        return collections.Counter(self.db.execute(f"SELECT {self.shown(False)} FROM m").fetchall())

    def changed(self, kind, query):
        found = self.db.execute(f"SELECT {self.shown(True)} FROM (SELECT *, '{kind}' AS _change_type FROM ({query}))").fetchall()
        self.pending.update(found)

    def statement(self):
        """(text, may run, rows afterwards, changes it makes)"""
        self.pending, runs = collections.Counter(), True
        made = self.rng.choice([self.insert, self.delete, self.update, self.update, self.replace, self.merge, self.merge, self.merge])()
        if isinstance(made, tuple):
            made, runs = made
        return made, runs, self.rows(), self.pending


def reader():
    path = SHARED / "conformance/deltalog.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("deltalog", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SEED = os.environ.get("DML_SEED", "42")


def random_table(number, statements):
    """(table, its first statements, rows and changes then, the statements that follow)"""
    print(f"DML_SEED={SEED}, table {number}")
    table = Table(random.Random(f"{SEED}/{number}"), number)
    script = [table.create()]
    table.pending = collections.Counter()
    script.append(table.insert())
    rows, changes = table.rows(), table.pending
    return table, script, rows, changes, [table.statement() for _ in range(statements)]


@pytest.mark.parametrize("number", range(TABLES))
def test_random_statements(freshet, warehouse, number):
    table, script, first_rows, first_changes, steps = random_table(number, STATEMENTS)
    # a statement that must fail ends a script: the next process goes on behind it
    results, at = [], 0
    question = f"SELECT {table.shown(False)}, {{}} AS step FROM {table.name}"
    while at < len(steps):
        end = next((i for i in range(at, len(steps)) if not steps[i][1]), len(steps))
        for i in range(at, end):
            script += [steps[i][0], question.format(i)]
        if end < len(steps):
            script.append(steps[end][0])
        path = warehouse.parent / f"script{at}.sql"
        path.write_text(";\n".join(script))
        done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", str(path), check=0 if end == len(steps) else 1)
        if end < len(steps):
            assert "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE" in done.err, (steps[end][0], done)
        results += [json.loads(line) for line in done.out.splitlines()]
        script, at = [], end + 1
    seen = collections.defaultdict(collections.Counter)
    for row in results:
        if "step" in row:
            seen[row["step"]][tuple(row[n] for n in table.labels)] += 1
    previous = first_rows
    for i, (text, runs, rows, _) in enumerate(steps):
        assert not runs or seen[i] == rows, f"step {i}: {text}\nfreshet only: {seen[i] - rows}\nmodel only: {rows - seen[i]}\nbefore: {previous}"
        previous = rows
    changes = [first_changes] + [s[3] for s in steps if s[1]]
    if table.feed:
        compare_feed(freshet_feed(freshet, warehouse, table), changes, "table_changes")
    check_independently(warehouse, table, previous, changes)


def compare_feed(feed, changes, who):
    """Commit by commit; a statement that changed nothing made no commit."""
    want = [c for c in changes if c]
    assert len(feed) == len(want), f"{who}: {len(feed)} versions with changes, {len(want)} expected"
    for version, expected in zip(sorted(feed), want):
        assert feed[version] == expected, f"{who}: version {version}\ntoo many: {feed[version] - expected}\nmissing: {expected - feed[version]}"


def freshet_feed(freshet, warehouse, table):
    done = freshet("sql", "--warehouse", warehouse, "--format", "jsonl", "-c",
                   f"SELECT {table.shown(True)}, _commit_version FROM table_changes('{table.name}', 1)", check=0)
    feed = collections.defaultdict(collections.Counter)
    for line in done.out.splitlines():
        row = json.loads(line)
        feed[row["_commit_version"]][tuple(row[n] for n in table.labels + ["_change_type"])] += 1
    return feed


def check_independently(warehouse, table, rows, changes):
    """The final rows and the change feed as another reader of the log sees them."""
    deltalog = reader()
    if deltalog is None:
        return
    path, connection = str(warehouse / "default" / table.name), deltalog.connect()
    deltalog.read_table(connection, "final", path)
    found = collections.Counter(connection.execute(f"SELECT {table.shown(False)} FROM final").fetchall())
    assert found == rows, f"too many: {found - rows}\nmissing: {rows - found}"
    if table.feed:
        deltalog.table_changes(connection, "feed", path, 1)
        feed = collections.defaultdict(collections.Counter)
        for *row, version in connection.execute(f"SELECT {table.shown(True)}, _commit_version FROM feed").fetchall():
            feed[version][tuple(row)] += 1
        compare_feed(feed, changes, "independent reader")


# ---- the same through Spark ----------------------------------------------------------------------------------------------


def spark_words(text):
    """DuckDB's spelling of literals and types as Spark's."""
    text = re.sub(r"\{'a': (\S+?)::INTEGER, 'b': ('[^']*')\}", r"named_struct('a', CAST(\1 AS INT), 'b', \2)", text)
    text = text.replace("'it''s'", "'it\\'s'").replace("STRUCT(a INTEGER, b VARCHAR)", "STRUCT<a: INT, b: STRING>").replace("VARCHAR", "STRING")
    text = re.sub(r"TIMESTAMP '", "TIMESTAMP_NTZ '", text)
    return text.replace("TIMESTAMPTZ", "TIMESTAMP").replace("::TIMESTAMP_NTZ '", "::TIMESTAMP '")


class OnSpark:
    """A random table of Spark's own."""

    def __init__(self, session, path, table):
        self.session, self.path, self.table = session, path, table

    def run(self, text):
        replace = re.match(r"INSERT INTO \w+ REPLACE WHERE (.*?) (SELECT \* FROM \(VALUES .*)", text)
        if replace:  # the statement takes only what Spark's sources know as filters
            condition, query = map(spark_words, replace.groups())
            schema = self.session.read.format("delta").load(str(self.path)).schema  # a statement would cast, this does not
            frame = self.session.sql(query).toDF(*schema.names)
            frame = frame.select([frame[field.name].cast(field.dataType) for field in schema])
            frame.write.format("delta").mode("overwrite").option("replaceWhere", condition).save(str(self.path))
        else:
            self.session.sql(spark_words(re.sub(rf"\b{self.table.name}\b", f"delta.`{self.path}`", text)))

    def rows(self, frame, more=()):
        shown = [text.replace("VARCHAR", "STRING") for text in re.findall(r"CAST\(.*? AS VARCHAR\) AS \w+", self.table.shown(False))]
        instants = {n for n, t in self.table.columns if t == "TIMESTAMPTZ"}
        found = []
        for row in frame.selectExpr(*shown, *more).collect():
            values = [None if v is None else f"{v}+00" if n in instants else v for n, v in zip(self.table.labels, row)]
            found.append((*values, *row[len(values):]))
        return found


@pytest.mark.parametrize("number", range(SPARK_TABLES))
def test_random_statements__spark(spark, warehouse, number):
    table, script, rows, first_changes, steps = random_table(number, SPARK_STATEMENTS)
    own = OnSpark(spark, warehouse / "spark", table)
    for text in script:
        clause = "PARTITIONED BY" if "PARTITIONED BY" in text else "TBLPROPERTIES"
        own.run(text.replace(clause, f"USING DELTA {clause}").replace("DataFeed' = 'false'", "DataFeed' = 'true'"))
    for text, runs, rows, _ in steps:
        if runs:
            own.run(text)
        else:
            with pytest.raises(Exception, match="DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE"):
                own.run(text)
    frame = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 1).load(str(own.path))
    feed = collections.defaultdict(collections.Counter)
    for *row, version in own.rows(frame, ["_change_type", "_commit_version"]):
        feed[version][tuple(row)] += 1
    compare_feed(feed, [first_changes] + [s[3] for s in steps if s[1]], "Spark")
    found = collections.Counter(own.rows(spark.read.format("delta").load(str(own.path))))
    assert found == rows, f"at the end\nSpark only: {found - rows}\nmodel only: {rows - found}"
