CREATE STREAMING TABLE bronze.clicks
AS SELECT * FROM STREAM read_files('landing', format => 'json', schemaHints => 'event_time TIMESTAMPTZ');

-- Rows that nobody can use are dropped; the rest get their day and the time of processing.
CREATE STREAMING TABLE silver.clicks
PARTITIONED BY (event_date)
AS SELECT event_id, event_type, user_id, product_id, revenue, event_time,
          event_time::DATE AS event_date, current_timestamp AS processed_at
FROM STREAM bronze.clicks
WHERE event_type IS NOT NULL AND user_id IS NOT NULL;
