CREATE STREAMING TABLE bronze.sales
AS SELECT * FROM STREAM read_files('landing', format => 'json', schema => 'sale_id BIGINT, sold_at TIMESTAMPTZ, shop STRING, net DECIMAL(10,2)');

CREATE STREAMING TABLE silver.sales
AS SELECT sale_id, sold_at, shop, (net * 1.19)::DECIMAL(10,2) AS gross FROM STREAM bronze.sales;

CREATE STREAMING TABLE silver.big_sales
AS SELECT * FROM STREAM silver.sales WHERE gross >= 150;

CREATE MATERIALIZED VIEW gold.shops
AS SELECT shop, count(*) AS sales, sum(gross) AS gross FROM silver.sales GROUP BY shop;
