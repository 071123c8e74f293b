-- Order lines of a web shop, one CSV file a day.
CREATE STREAMING TABLE bronze.lines
COMMENT 'Order lines as they were delivered'
AS SELECT *, _metadata.file_name AS source_file
FROM STREAM read_files('data', format => 'csv', header => true,
  schemaHints => 'InvoiceNo STRING, StockCode STRING, InvoiceDate TIMESTAMP_NTZ, UnitPrice DECIMAL(12,3), CustomerID DOUBLE');

-- Lines that were sold. Cancellations (their quantity is negative) and adjustments without a price are dropped and counted.
CREATE STREAMING TABLE silver.sales (
  CONSTRAINT sold EXPECT (quantity > 0) ON VIOLATION DROP ROW,
  CONSTRAINT has_price EXPECT (unit_price > 0) ON VIOLATION DROP ROW,
  CONSTRAINT known_customer EXPECT (customer_id IS NOT NULL)
)
AS SELECT InvoiceNo AS invoice_no, StockCode AS stock_code, trim(Description) AS description, Quantity AS quantity,
          InvoiceDate AS sold_at, UnitPrice AS unit_price, CustomerID::BIGINT AS customer_id, Country AS country
FROM STREAM bronze.lines;

-- The files hold some lines twice.
CREATE MATERIALIZED VIEW silver.sales_once
AS SELECT DISTINCT * FROM silver.sales;

CREATE MATERIALIZED VIEW gold.revenue
COMMENT 'Revenue by country and month'
AS SELECT country, date_trunc('month', sold_at)::DATE AS month, count(DISTINCT invoice_no) AS invoices,
          count(DISTINCT customer_id) AS customers, sum(quantity) AS items, sum(quantity * unit_price) AS revenue
FROM silver.sales_once
GROUP BY country, month;
