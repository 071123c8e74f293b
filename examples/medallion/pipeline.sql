-- bronze: the clickstream as it arrives
CREATE STREAMING TABLE bronze.clicks
AS SELECT *, _metadata.file_name AS source_file
FROM STREAM read_files('landing', format => 'json', maxFilesPerTrigger => 16,
                       schemaHints => 'event_time TIMESTAMPTZ, revenue DECIMAL(10,2)');

-- silver: what can be used, by day
CREATE STREAMING TABLE silver.clicks (
  CONSTRAINT has_type EXPECT (event_type IS NOT NULL) ON VIOLATION DROP ROW,
  CONSTRAINT has_user EXPECT (user_id IS NOT NULL) ON VIOLATION DROP ROW
)
PARTITIONED BY (event_date)
AS SELECT event_id, event_time, event_time::DATE AS event_date, event_type, user_id, product_id, country,
          device.kind AS device, revenue, current_timestamp AS processed_at
FROM STREAM bronze.clicks
WHERE event_type IS DISTINCT FROM 'heartbeat';

-- the same event may be delivered twice
CREATE TEMPORARY VIEW clicks_once
AS SELECT DISTINCT event_id, event_type, user_id, country, revenue FROM silver.clicks;

-- gold: the report
CREATE MATERIALIZED VIEW gold.countries
TBLPROPERTIES ('freshet.trigger' = '2 seconds')
AS SELECT country, count(*) AS events, count(DISTINCT user_id) AS users,
          count(*) FILTER (event_type = 'purchase') AS purchases, sum(revenue) AS revenue
FROM clicks_once
GROUP BY country;
