-- Orders as they come from the shop, once a minute.
CREATE STREAMING TABLE bronze.orders
TBLPROPERTIES ('freshet.trigger' = '1 minute')
AS SELECT * FROM STREAM read_files('landing', format => 'json',
  schema => 'order_id BIGINT, order_time TIMESTAMPTZ, customer_id BIGINT, category STRING, amount DECIMAL(10,2)');

-- Orders that can be counted. What is dropped is counted too, by expectation.
CREATE STREAMING TABLE silver.orders (
  CONSTRAINT has_id EXPECT (order_id IS NOT NULL) ON VIOLATION DROP ROW,
  CONSTRAINT positive_amount EXPECT (amount > 0) ON VIOLATION DROP ROW,
  CONSTRAINT known_category EXPECT (category IN ('books', 'games', 'garden'))
)
PARTITIONED BY (order_date)
TBLPROPERTIES ('freshet.trigger' = '1 minute')
AS SELECT *, order_time::DATE AS order_date FROM STREAM bronze.orders;

-- The same order may be delivered twice; a report counts it once.
CREATE TEMPORARY VIEW orders_once
AS SELECT DISTINCT ON (order_id) * FROM STREAM silver.orders;

-- New orders are added to the days they belong to; other rows of the report stay as they are.
CREATE STREAMING TABLE gold.orders_per_day
TBLPROPERTIES ('freshet.trigger' = '5 minutes', 'freshet.outputMode' = 'update')
AS SELECT order_date, category, count(*) AS orders, sum(amount) AS amount, round(avg(amount), 2) AS average
FROM orders_once
GROUP BY order_date, category;
