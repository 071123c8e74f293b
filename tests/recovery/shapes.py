"""The pipelines that the kill tests run: what they are fed, step by step, and what has to be in their tables at the end.

A shape is a pipeline and some steps. Each step drops files and runs the pipeline with --available-now; a run that is killed is simply
started again. Whatever happened, every record is then in every table exactly once.
"""
import json
import os
import pathlib
import time

FILES = "STREAM read_files('{landing}/*.json', format => 'json', maxFilesPerTrigger => '1')"
SMALL = "TBLPROPERTIES ('freshet.state.retainBatches' = '2', 'delta.checkpointInterval' = '2')"


def record(number):
    return {"id": number, "name": f"n{number}", "grp": number % 3}


class Shape:
    """`steps`: for each run the number of files it is fed and further arguments. `tables`: folder -> columns and filter.
    `only`: kill at failpoints whose names begin so, where a shape is there for their sake. `stops`: an error class with which
    a run may end that only has to be started again."""

    def __init__(self, name, pipeline, steps, tables, feed=None, between=None, per_file=5, only="", stops=None):
        self.stops = stops
        self.name, self.steps, self.tables, self.per_file, self.only = name, steps, tables, per_file, only
        self.pipeline, self.make, self.between = pipeline, feed or record, between

    def begin(self, folder):
        """A new place: returns the scenario that runs there."""
        return Scenario(self, pathlib.Path(folder))

    def __repr__(self):
        return self.name


class Scenario:
    def __init__(self, shape, folder):
        self.shape, self.landing, self.warehouse = shape, folder / "landing", folder / "warehouse"
        self.landing.mkdir(parents=True)
        self.warehouse.mkdir()
        self.file = folder / "pipeline.sql"
        self.file.write_text(shape.pipeline.replace("{landing}", str(self.landing)))
        self.records = []

    def feed(self, files):
        """Drops files that appear complete, each a little older than the next."""
        for _ in range(files):
            new = [self.shape.make(len(self.records) + i) for i in range(self.shape.per_file)]
            name = f"f{len(self.records):06d}.json"
            aside = self.landing.parent / name
            aside.write_text("".join(json.dumps(line) + "\n" for line in new))
            os.utime(aside, (time.time() - 3600 + len(self.records),) * 2)
            aside.rename(self.landing / name)
            self.records += new

    def expected(self, table):
        columns, keep = self.shape.tables[table]
        return sorted(tuple(line.get(column) for column in columns) for line in self.records if keep(line))


def everything(_):
    return True


def age_the_log(scenario):
    """Makes commits and checkpoints look two months old, so that the next run cleans the log."""
    old = time.time() - 60 * 86400
    for path in scenario.warehouse.rglob("_delta_log/*"):
        os.utime(path, (old, old))


def timed(number):
    return {**record(number), "ts": f"2024-01-01T00:{number // 60:02}:{number % 60:02}"}


def growing(number):
    return record(number) if number < 15 else {**record(number), "extra": f"e{number}"}


SHAPES = [
    Shape("files", f"CREATE STREAMING TABLE bronze {SMALL} AS SELECT id, name FROM {FILES};",
          [(4, ()), (2, ())], {"default/bronze": (("id", "name"), everything)}),
    Shape("delta", f"""
          CREATE STREAMING TABLE bronze {SMALL} AS SELECT id, name, grp FROM {FILES};
          CREATE STREAMING TABLE silver {SMALL} AS
            SELECT id, upper(name) AS name FROM STREAM bronze WITH (maxFilesPerTrigger = 2, startingVersion = 0) WHERE grp <> 0;""",
          [(4, ()), (2, ())],
          {"default/bronze": (("id", "name"), everything), "default/silver": (("id",), lambda line: line["grp"] != 0)}),
    Shape("partitioned", f"CREATE STREAMING TABLE bronze PARTITIONED BY (grp) {SMALL} AS SELECT id, name, grp FROM {FILES};",
          [(3, ()), (2, ())], {"default/bronze": (("id", "name", "grp"), everything)}),
    Shape("evolving", f"""
          CREATE STREAMING TABLE bronze {SMALL} AS SELECT * EXCLUDE (_rescued_data) FROM {FILES};
          CREATE STREAMING TABLE silver {SMALL} AS SELECT * FROM STREAM bronze;""",
          [(2, ()), (3, ())],
          {"default/bronze": (("id", "extra"), everything), "default/silver": (("id", "extra"), everything)}, feed=growing),
    Shape("tracked", f"""
          CREATE STREAMING TABLE bronze {SMALL} AS SELECT * EXCLUDE (_rescued_data) FROM {FILES};
          CREATE STREAMING TABLE silver {SMALL} AS SELECT * FROM STREAM bronze WITH (schemaTrackingLocation = 'schema');""",
          [(2, ()), (3, ())],
          {"default/bronze": (("id", "extra"), everything), "default/silver": (("id", "extra"), everything)}, feed=growing,
          only=("source.tracking.", "stream.source.", "stream.offsets.", "stream.commits."), stops="DELTA_STREAMING_METADATA_EVOLUTION"),
    Shape("two_flows", f"""
          CREATE STREAMING TABLE merged {SMALL};
          CREATE FLOW even TBLPROPERTIES ('freshet.state.retainBatches' = '2') AS INSERT INTO merged BY NAME
            SELECT id, name FROM {FILES} WHERE id % 2 = 0;
          CREATE FLOW odd TBLPROPERTIES ('freshet.state.retainBatches' = '2') AS INSERT INTO merged BY NAME
            SELECT id, name FROM {FILES} WHERE id % 2 = 1;""",
          [(3, ()), (2, ())], {"default/merged": (("id", "name"), everything)}),
    Shape("full_refresh", f"CREATE STREAMING TABLE bronze {SMALL} AS SELECT id, name FROM {FILES};",
          [(2, ()), (2, ("--full-refresh", "bronze"))], {"default/bronze": (("id", "name"), everything)}),
    Shape("care", """
          CREATE STREAMING TABLE bronze TBLPROPERTIES ('delta.checkpointInterval' = '2') AS SELECT id, name FROM """ + FILES + ";",
          [(4, ()), (4, ())], {"default/bronze": (("id", "name"), everything)}, between=age_the_log),
    Shape("sidecars", """
          CREATE STREAMING TABLE bronze TBLPROPERTIES ('delta.checkpointPolicy' = 'v2', 'freshet.checkpoint.partSize' = '1',
            'delta.checkpointInterval' = '5', 'freshet.log.compactionInterval' = '2') AS SELECT id, name FROM """ + FILES + ";",
          [(5, ()), (5, ())], {"default/bronze": (("id", "name"), everything)}, between=age_the_log,
          only=("delta.checkpoint.after_sidecars", "delta.compact.", "delta.cleanup.")),
    Shape("view", f"""
          CREATE STREAMING TABLE bronze AS SELECT id, name FROM {FILES};
          CREATE MATERIALIZED VIEW gold AS SELECT id, name FROM bronze;""",
          [(2, ()), (2, ())],
          {"default/bronze": (("id", "name"), everything), "default/gold": (("id", "name"), everything)}),
    Shape("clean", "CREATE STREAMING TABLE bronze AS SELECT id, name FROM " + FILES.replace(
              ")", ", cleanSource => 'archive', sourceArchiveDir => '{landing}-read')") + ";",
          [(3, ()), (3, ())], {"default/bronze": (("id", "name"), everything)}, only="source."),
    Shape("distinct", f"CREATE STREAMING TABLE bronze {SMALL} AS SELECT DISTINCT ON (id) id, name FROM {FILES};",
          [(3, ()), (2, ())], {"default/bronze": (("id", "name"), everything)}, only=("stream.", "sink.")),
    Shape("update", f"CREATE STREAMING TABLE bronze {SMALL[:-1]}, 'freshet.outputMode' = 'update') AS "
                    f"SELECT id, max(name) AS name FROM {FILES} GROUP BY id;",
          [(3, ()), (2, ())], {"default/bronze": (("id", "name"), everything)}, only=("stream.", "sink.")),
    # Windows of a second, one record each: all but the last, which is open, and late rows of none.
    Shape("windows", f"""
          CREATE STREAMING TABLE bronze {SMALL[:-1]}, 'freshet.keepRejected' = 'true') AS
            SELECT id, max(name) AS name FROM {FILES} WATERMARK CAST(ts AS TIMESTAMP) AS moment DELAY OF INTERVAL '0 seconds'
            GROUP BY window(moment, INTERVAL '1 second'), id;""",
          [(10, ()), (4, ())], {"default/bronze": (("id", "name"), lambda line: line["id"] < 27)}, feed=timed, per_file=2,
          only=("stream.state.", "stream.sink.", "stream.commits.", "sink.")),
    Shape("long_log", f"CREATE STREAMING TABLE bronze AS SELECT id, name FROM {FILES};",
          [(70, ()), (5, ())], {"default/bronze": (("id", "name"), everything)}, per_file=1, only="source.compact."),
]
