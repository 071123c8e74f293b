"""Random CSV and JSON documents, read as they were meant.

A document is made from rows: fields quoted or not, quotes doubled or escaped, line ends inside quotes and of both kinds, a byte order
mark, long fields, compressed; JSON with any white space, keys in any order, escapes, one record a line or one array. freshet has to
give the rows back. DuckDB's readers read the same documents and are told apart from both when they disagree: then it is the document
that is odd, and nothing is proven by it. TEXT_SEED picks the seed, TEXT_DOCUMENTS how many of each kind.
"""
import gzip
import json
import os
import random

import duckdb
import pytest

DOCUMENTS = int(os.environ.get("TEXT_DOCUMENTS", 150))
LONG = 70_000


@pytest.fixture
def rng():
    seed = int(os.environ.get("TEXT_SEED", random.randrange(2**32)))
    print(f"TEXT_SEED={seed}")
    return random.Random(seed)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def answers(freshet, folder, queries):
    """The rows of every query, in one run of the program."""
    script = folder / "script.sql"
    script.write_text("".join(f"{query};\nSELECT {number} AS end_of_document;\n" for number, query in enumerate(queries)), encoding="utf-8")
    result = freshet("sql", script, "--format", "jsonl", timeout=600)
    assert result.code == 0, result
    documents, rows = [], []
    for line in result.out.split("\n")[:-1]:
        row = json.loads(line)
        if "end_of_document" in row:
            documents.append(rows)
            rows = []
        else:
            rows.append(row)
    assert len(documents) == len(queries)
    return documents


def judge(freshet, folder, documents, tell, what):
    """documents: (query of freshet, query of DuckDB, rows)"""
    agreed = 0
    for number, (ours, (query, theirs, rows)) in enumerate(zip(answers(freshet, folder, [d[0] for d in documents]), documents)):
        assert ours == rows, f"document {number}: {query}"
        try:
            found = duckdb.sql(theirs)
            agreed += [dict(zip(found.columns, row)) for row in found.fetchall()] == rows
        except duckdb.Error:
            pass
    tell(f"{len(documents)} random documents of {what} read as they were meant, {agreed} of them by DuckDB too")
    assert agreed > len(documents) / 2


def write_file(document, folder, data):
    """One in five is compressed."""
    if document.rng.random() < 0.2:
        document.name += ".gz"
        data = gzip.compress(data, mtime=0)
    (folder / document.name).write_bytes(data)
    return folder / document.name


# ---- CSV ---------------------------------------------------------------------------------------------------------


class Csv:
    def __init__(self, rng, number):
        self.rng, self.name = rng, f"{number}.csv"
        self.separator, self.quote = rng.choice(",;|\t"), rng.choice("\"\"'")
        self.escape = rng.choice([self.quote, "\\"])
        self.end = rng.choice(["\n", "\n", "\r\n"])
        self.columns = [f"c{i}" for i in range(rng.randint(2, 6))]
        self.rows = [{c: self.value() for c in self.columns} for _ in range(rng.choice([0, 1, 3, 20]))]

    def value(self):
        parts = ["a", "b c", "é😀", "NULL", "0", self.separator, self.quote, self.quote * 2, "\n", "\r\n", " ", "\\", "#", "{", "\ufeff"]
        n = self.rng.choice([0, 0, 1, 1, 1, 2, 3, 8])
        if self.rng.random() < 0.1:
            return None
        if self.rng.random() < 0.01:
            return self.rng.choice(["x", "y\n", self.quote]) * self.rng.randrange(LONG)
        return "".join(self.rng.choice(parts) for _ in range(n))

    def field(self, value):
        if value is None:
            return ""
        plain = value != "" and not any(c in value for c in (self.separator, self.quote, "\n", "\r", "\\")) and value == value.strip()
        if plain and self.rng.random() < 0.7:
            return value
        if self.escape != self.quote:
            value = value.replace(self.escape, self.escape * 2)
        return self.quote + value.replace(self.quote, self.escape + self.quote) + self.quote

    def write(self, folder):
        lines = [self.separator.join(self.columns)] + [self.separator.join(self.field(v) for v in row.values()) for row in self.rows]
        text = self.end.join(lines) + (self.end if self.rng.random() < 0.7 else "")
        mark = b"\xef\xbb\xbf" if self.rng.random() < 0.2 else b""
        return write_file(self, folder, mark + text.encode())

    def document(self, folder):
        place = self.write(folder)
        ours = (f"SELECT * FROM read_files({quoted(str(place))}, format => 'csv', rescuedDataColumn => 'rescued', header => true, sep => {quoted(self.separator)}, "
                f"quote => {quoted(self.quote)}, escape => {quoted(self.escape)}, "
                f"schema => {quoted(', '.join(c + ' STRING' for c in self.columns))})")
        theirs = (f"SELECT *, NULL AS rescued FROM read_csv({quoted(str(place))}, header = true, delim = {quoted(self.separator)}, "
                  f"quote = {quoted(self.quote)}, escape = {quoted(self.escape)}, auto_detect = false, allow_quoted_nulls = false, "
                  f"columns = {{{', '.join(quoted(c) + ': ' + quoted('VARCHAR') for c in self.columns)}}})")
        return ours, theirs, [{**row, "rescued": None} for row in self.rows]


def test_csv_documents(freshet, tmp_path, rng, tell):
    judge(freshet, tmp_path, [Csv(rng, n).document(tmp_path) for n in range(DOCUMENTS)], tell, "CSV")


# ---- JSON --------------------------------------------------------------------------------------------------------

COLUMNS = {"i": "BIGINT", "d": "DOUBLE", "b": "BOOLEAN", "s": "VARCHAR", "a field with a longer name": "INTEGER", "l": "BIGINT[]",
           "o": "STRUCT(x BIGINT, \"ä b\" VARCHAR)", "lo": "STRUCT(y DOUBLE)[]", "m": "MAP(VARCHAR, BIGINT)"}


class Json:
    def __init__(self, rng, number):
        self.rng, self.name, self.array = rng, f"{number}.json", rng.random() < 0.3
        self.rows = [{c: self.value(c) for c in COLUMNS} for _ in range(rng.choice([0, 1, 3, 20]))]

    def text(self):
        parts = ["a", "é", "😀", '"', "\\", "/", "\n", "\t", "\x01", "\x7f", "\u2028", "{}[],:", " " * 20]
        return "".join(self.rng.choice(parts) for _ in range(self.rng.choice([0, 1, 2, 5, 30])))

    def number(self):
        return self.rng.choice([0, 1, -1, 2**63 - 1, -2**63, self.rng.randrange(-10**9, 10**9)])

    def real(self):
        return self.rng.choice([0.5, -1e-300, 1.7976931348623157e308, 5e-324, self.rng.uniform(-1, 1) * 10.0**self.rng.randint(-30, 30)])

    def value(self, column):
        if self.rng.random() < 0.15:
            return None
        some = range(self.rng.randint(0, 4))
        return {"i": self.number, "d": self.real, "b": lambda: self.rng.random() < 0.5, "s": self.text,
                "a field with a longer name": lambda: self.rng.randrange(-2**31, 2**31),
                "l": lambda: [self.number() if self.rng.random() < 0.9 else None for _ in some],
                "o": lambda: {"x": self.number(), "ä b": self.text()}, "lo": lambda: [{"y": self.real()} for _ in some],
                "m": lambda: {f"k{n}": self.number() for n in some}}[column]()

    def space(self):
        return self.rng.choice(["", "", " ", "\t  "] + (["\n", "\r\n"] if self.array else []))

    def print(self, value):
        if isinstance(value, dict):
            items = [f"{self.space()}{self.print(k)}{self.space()}:{self.space()}{self.print(v)}{self.space()}" for k, v in value.items()]
            return "{" + ",".join(items) + "}"
        if isinstance(value, list):
            return "[" + self.space() + ",".join(self.print(v) + self.space() for v in value) + "]"
        return json.dumps(value, ensure_ascii=self.rng.random() < 0.5)

    def record(self, row):
        keys = list(row)
        if self.rng.random() < 0.5:
            self.rng.shuffle(keys)
        return self.print({k: row[k] for k in keys if row[k] is not None or self.rng.random() < 0.5})

    def write(self, folder):
        records = [self.record(row) for row in self.rows]
        end = self.rng.choice(["\n", "\r\n", "\n\n"])
        text = "[" + ",".join(records) + "]" if self.array else end.join(records) + (end if self.rng.random() < 0.7 else "")
        return write_file(self, folder, text.encode())

    def document(self, folder):
        place = self.write(folder)
        schema = ", ".join('"' + c + '" ' + t for c, t in COLUMNS.items())
        ours = (f"SELECT * FROM read_files({quoted(str(place))}, format => 'json', rescuedDataColumn => 'rescued', multiLine => {str(self.array).lower()}, schema => {quoted(schema)})")
        theirs = (f"SELECT *, NULL AS rescued FROM read_json({quoted(str(place))}, format = '{'array' if self.array else 'newline_delimited'}', "
                  f"columns = {{{', '.join(quoted(c) + ': ' + quoted(t) for c, t in COLUMNS.items())}}})")
        return ours, theirs, [{**row, "rescued": None} for row in self.rows]


def test_json_documents(freshet, tmp_path, rng, tell):
    judge(freshet, tmp_path, [Json(rng, n).document(tmp_path) for n in range(DOCUMENTS)], tell, "JSON")
