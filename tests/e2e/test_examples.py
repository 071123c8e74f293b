"""Every example is run as its README says, then judged by delta-rs and DuckDB."""
import json
import pathlib
import shutil
import signal
from decimal import Decimal

import duckdb
import pytest

from conftest import PROGRAM, ROOT, SHARED, tables_below
from readme import Readme

EXAMPLES = ROOT / "examples"
RETAIL = SHARED / "data/retail"


@pytest.fixture
def example(tmp_path, lint):
    """example(NAME) copies it; every table it leaves behind is linted."""
    opened = []

    def copy(name):
        opened.append(Readme(EXAMPLES / name, tmp_path / name, PROGRAM))
        return opened[-1]

    yield copy
    for one in opened:
        one.close()
    lint(*tables_below(tmp_path))


def lines_of(folder, pattern="*.json"):
    rows = []
    for path in sorted(pathlib.Path(folder).glob(pattern)):
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    return rows


def test_every_example_has_a_page():
    listed = (EXAMPLES / "README.md").read_text()
    folders = sorted(path.parent.name for path in EXAMPLES.glob("*/pipeline.sql"))
    assert folders, "there are no examples"
    for name in folders:
        assert f"]({name}/)" in listed
        assert (EXAMPLES / name / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/pipeline.sql")))
def test_page_shows_the_statements_of_the_pipeline(name):
    """SQL shown in the README stands in the pipeline word for word."""
    page, pipeline = (EXAMPLES / name / "README.md").read_text(), (EXAMPLES / name / "pipeline.sql").read_text()
    for part in page.split("```sql\n")[1:]:
        assert part.split("```")[0].strip() in pipeline


def test_ingest(example, read_delta):
    page = example("ingest")
    page.run()
    page.stop()
    table = page.folder / "warehouse/bronze/clicks"
    assert read_delta(table, "event_id") == sorted((row["event_id"],) for row in lines_of(page.folder / "data"))
    assert {row for row in read_delta(table, "_rescued_data")} == {(None,)}


def test_ingest_survives_a_kill(example, read_delta, wait_until):
    """Killed as soon as something is committed, started again: every row once."""
    page = example("ingest")
    landing = page.folder / "landing"
    landing.mkdir()
    for source in (page.folder / "data").glob("*.json"):
        (landing / source.name).write_bytes(source.read_bytes())
    log = page.folder / "warehouse/bronze/clicks/_delta_log"
    process = page.start("freshet run pipeline.sql --progress none")
    wait_until(lambda: len(list(log.glob("*.json"))) > 1, what="the first rows")
    assert process.poll() is None
    page.stop(signal.SIGKILL)
    page.bash("freshet run pipeline.sql --available-now")
    assert read_delta(log.parent, "event_id") == sorted((row["event_id"],) for row in lines_of(landing))


def test_silver(example, read_delta):
    page = example("silver")
    page.run()
    usable = [row for row in lines_of(page.folder / "data") if row.get("event_type") and row.get("user_id")]
    table = page.folder / "warehouse/silver/clicks"
    assert read_delta(table, "event_id", "user_id") == sorted((row["event_id"], row["user_id"]) for row in usable)
    days = {event: str(day) for event, day in read_delta(table, "event_id", "event_date")}
    assert days == {row["event_id"]: row["event_time"][:10] for row in usable}


def test_orders(example, read_delta):
    page = example("orders")
    page.run()
    rows = lines_of(page.folder / "data")
    valid = [row for row in rows if row["order_id"] is not None and row["amount"] > 0]
    warehouse = page.folder / "warehouse"
    assert len(read_delta(warehouse / "bronze/orders")) == len(rows)
    assert read_delta(warehouse / "silver/orders", "order_id") == sorted((row["order_id"],) for row in valid)
    expected = {}
    for row in {row["order_id"]: row for row in valid}.values():
        orders, amount = expected.get((row["order_time"][:10], row["category"]), (0, Decimal(0)))
        expected[row["order_time"][:10], row["category"]] = (orders + 1, amount + Decimal(str(row["amount"])))
    gold = read_delta(warehouse / "gold/orders_per_day", "order_date", "category", "orders", "amount")
    assert {(str(day), category): (orders, amount) for day, category, orders, amount in gold} == expected


def test_orders_bronze_goes_on_when_silver_fails(example, read_delta, wait_until):
    """Running by its triggers, silver stops at a bad row; what arrives afterwards still reaches bronze."""
    page = example("orders")
    landing = page.folder / "landing"
    landing.mkdir()
    text = (page.folder / "pipeline.sql").read_text()
    text = text.replace("DROP ROW", "FAIL UPDATE").replace("1 minute", "20 milliseconds")
    (page.folder / "strict.sql").write_text(text)
    page.start("freshet run strict.sql --progress plain")
    log, bronze = page.folder / "background.log", page.folder / "warehouse/bronze/orders"

    def arrive(name):
        (landing / f".{name}").write_bytes((page.folder / "data" / name).read_bytes())
        (landing / f".{name}").rename(landing / name)

    arrive("orders-1.json")
    wait_until(lambda: "positive_amount" in log.read_text(), what="silver's failure")
    arrive("orders-2.json")
    rows = len(lines_of(landing))
    wait_until(lambda: (bronze / "_delta_log").exists() and len(read_delta(bronze)) == rows, what="the rows of the second file")
    assert not list((page.folder / "warehouse/silver/orders").glob("**/*.parquet"))


def test_evolving_schema(example, read_delta):
    page = example("evolving-schema")
    page.run()
    table = page.folder / "warehouse/bronze/products"
    rows = {row[0]: row[1:] for row in read_delta(table, "id", "name", "price", "maker", "tags", "_rescued_data")}
    assert len(read_delta(table)) == 9, "every line is a row, the broken one too"
    assert rows[1] == ("Kettle", 39.5, None, None, None)
    assert rows[4][2]["country"] == "SE" and rows[4][3] == ["office", "wood"]
    assert rows[7][2]["since"] == 1953
    assert rows[6][1] is None and json.loads(rows[6][4])["price"] == "on request"


def test_full_refresh(example, read_delta):
    page = example("full-refresh")
    page.run()
    warehouse = page.folder / "warehouse"
    sales = {row["sale_id"]: Decimal(str(row["net"])) for row in lines_of(page.folder / "data")}
    rows = sorted(read_delta(warehouse / "silver/sales", "sale_id", "gross"))
    assert [sale for sale, _ in rows] == sorted(sales)
    for sale, gross in rows:
        assert abs(gross - sales[sale] * Decimal("1.21")) <= Decimal("0.005")
    assert len(read_delta(warehouse / "bronze/sales")) == len(sales)
    total = sum(gross for _, gross in read_delta(warehouse / "gold/shops", "shop", "gross"))
    assert total == sum(gross for _, gross in rows)


def test_payments(example, read_delta):
    page = example("payments")
    page.run()
    payments = lines_of(page.folder / "data")
    table = page.folder / "warehouse/silver/payments"
    assert read_delta(table, "payment_id") == sorted((row["payment_id"],) for row in payments)
    suspicions = dict(read_delta(table, "payment_id", "suspicion"))
    assert suspicions["p-04"] is None and suspicions["p-06"] == "blocked customer", "judged by the customers of their own batch"
    flagged = sorted((payment, why) for payment, why in suspicions.items() if why)
    assert read_delta(page.folder / "warehouse/gold/alerts", "payment_id", "suspicion") == flagged


def test_logins(example, read_delta):
    page = example("logins")
    page.run()
    rows = read_delta(page.folder / "warehouse/silver/payments", "payment_id", "login_id")
    assert rows == [("p-01", "l-01"), ("p-01", "l-03"), ("p-02", "l-02"), ("p-03", "l-05"), ("p-04", None), ("p-05", "l-06")]


def test_hourly(example, read_delta):
    page = example("hourly")
    page.run()
    columns = ("hour", "product", "events", "users", "revenue")
    files = [lines_of(page.folder / "data", f"clicks-{number}.json") for number in (1, 2, 3)]

    def report(rows):
        groups = {}
        for row in rows:
            groups.setdefault((row["event_time"][:13], row["product"]), []).append(row)
        return {key: (len(group), len({row["user_id"] for row in group}), sum(Decimal(str(row["revenue"])) for row in group))
                for key, group in groups.items()}

    def table(name):
        rows = read_delta(page.folder / "warehouse/gold" / name, *columns)
        return {(hour.strftime("%Y-%m-%dT%H"), product): tuple(rest) for hour, product, *rest in rows}

    in_time = report(row for rows in files for row in rows if row["event_id"] != "e-901")
    assert table("hours_all") == report(row for rows in files for row in rows)
    assert table("hours_now") == in_time
    newest = max(row["event_time"] for rows in files for row in rows)
    assert table("hours_closed") == {key: value for key, value in in_time.items() if int(key[0][-2:]) + 2 <= int(newest[11:13])}


def test_medallion(example, read_delta):
    page = example("medallion")
    page.run()
    rows = lines_of(page.folder / "landing")
    usable = [row for row in rows if row.get("event_type") not in (None, "heartbeat") and "user_id" in row]
    warehouse = page.folder / "warehouse"
    assert len(read_delta(warehouse / "bronze/clicks", "event_id")) == len(rows) == 20000
    assert read_delta(warehouse / "silver/clicks", "event_id") == sorted((row["event_id"],) for row in usable)
    once = {row["event_id"]: row for row in usable}.values()
    expected = {}
    for row in once:
        events, revenue = expected.get(row["country"], (0, Decimal(0)))
        expected[row["country"]] = (events + 1, revenue + Decimal(str(row["revenue"])))
    gold = read_delta(warehouse / "gold/countries", "country", "events", "revenue")
    assert {country: (events, revenue) for country, events, revenue in gold} == expected


GOLD_IN_ONE_QUERY = """
SELECT country, date_trunc('month', sold_at)::DATE, count(DISTINCT invoice_no), count(DISTINCT customer_id),
       sum(quantity)::BIGINT, sum(quantity * unit_price)
FROM (SELECT DISTINCT InvoiceNo AS invoice_no, StockCode, trim(Description), Quantity AS quantity, InvoiceDate AS sold_at,
             UnitPrice AS unit_price, CustomerID::BIGINT AS customer_id, Country AS country
      FROM read_csv('{files}', header = true, quote = '"', types = {{'InvoiceNo': 'VARCHAR', 'StockCode': 'VARCHAR', 'Quantity': 'BIGINT',
           'InvoiceDate': 'TIMESTAMP', 'UnitPrice': 'DECIMAL(12,3)', 'CustomerID': 'DOUBLE'}})
      WHERE Quantity > 0 AND UnitPrice > 0)
GROUP BY ALL
"""


@pytest.mark.skipif(not RETAIL.is_dir(), reason="the retail data is not there")
def test_retail(example, read_delta):
    page = example("retail")
    data = page.folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    files = sorted(RETAIL.glob("*.csv.gz"))
    assert len(files) == 150
    for path in files[:75]:
        (data / path.name).symlink_to(path)
    page.bash("freshet run pipeline.sql --available-now")
    for path in files[75:]:
        (data / path.name).symlink_to(path)
    page.run()
    gold = read_delta(page.folder / "warehouse/gold/revenue")
    expected = duckdb.sql(GOLD_IN_ONE_QUERY.format(files=RETAIL / "*.csv.gz")).fetchall()
    assert sorted(gold) == sorted(expected)
    assert len(read_delta(page.folder / "warehouse/bronze/lines", "InvoiceNo")) == 222891
