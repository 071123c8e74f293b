"""delta-rs in a loop: what one would write by hand. pyarrow reads the JSON, delta-rs commits. No checkpoint: a crash between two
commits reads files twice or never, and there is no stream from table to table.

    deltars_loop.py WORKLOAD IN OUT
"""
import glob
import sys
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from deltalake import write_deltalake

from workloads import FILES_PER_BATCH

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("event_type", pa.string()),
        ("user_id", pa.int32()),
        ("product_id", pa.int32()),
        ("revenue", pa.float64()),
        ("country", pa.string()),
        ("page", pa.string()),
        ("session_id", pa.string()),
        ("device", pa.struct([("kind", pa.string()), ("os", pa.string())])),
    ]
)
PARSE = pa.json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore")
workload, source, target = sys.argv[1:4]


def ingest(paths):
    table = pa.concat_tables([pa.json.read_json(path, parse_options=PARSE) for path in paths])
    beat = pc.fill_null(pc.equal(table["event_type"], "heartbeat"), False)
    table = table.filter(pc.invert(beat))
    table = table.append_column("event_date", table["event_time"].cast(pa.date32()))
    table = table.append_column("revenue_eur", pc.multiply(table["revenue"], 0.92))
    write_deltalake(f"{target}/bronze", table, mode="append")


if workload in ("ingest", "tiny"):
    files = sorted(glob.glob(source + "/*.json"))
    for at in range(0, len(files), FILES_PER_BATCH):
        ingest(files[at : at + FILES_PER_BATCH])
else:
    seen = set()
    while True:
        new = sorted(set(glob.glob(source + "/*.json")) - seen)
        if new:
            ingest(new)
            seen.update(new)
        else:
            time.sleep(0.01)
