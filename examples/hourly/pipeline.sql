CREATE STREAMING TABLE bronze.clicks
AS SELECT * FROM STREAM read_files('landing', format => 'json', maxFilesPerTrigger => 1,
  schema => 'event_id STRING, event_time TIMESTAMPTZ, event_type STRING, product STRING, user_id BIGINT, revenue DECIMAL(10,2)');

-- An hour is written once, when no more of it is expected: append, the default. What comes later still is kept beside it.
CREATE STREAMING TABLE gold.hours_closed
TBLPROPERTIES ('freshet.keepRejected' = 'true')
AS SELECT window.start AS hour, product, count(*) AS events, count(DISTINCT user_id) AS users, sum(revenue) AS revenue
FROM STREAM bronze.clicks WATERMARK event_time DELAY OF INTERVAL '1 hour'
GROUP BY window(event_time, INTERVAL '1 hour'), product;

-- Hours are there as soon as they begin, and corrected while they last.
CREATE STREAMING TABLE gold.hours_now
TBLPROPERTIES ('freshet.outputMode' = 'update')
AS SELECT window.start AS hour, product, count(*) AS events, count(DISTINCT user_id) AS users, sum(revenue) AS revenue
FROM STREAM bronze.clicks WATERMARK event_time DELAY OF INTERVAL '1 hour'
GROUP BY window(event_time, INTERVAL '1 hour'), product;

-- The whole answer after every batch, with everything that ever came, however late.
CREATE STREAMING TABLE gold.hours_all
TBLPROPERTIES ('freshet.outputMode' = 'complete')
AS SELECT window.start AS hour, product, count(*) AS events, count(DISTINCT user_id) AS users, sum(revenue) AS revenue
FROM STREAM bronze.clicks WATERMARK event_time DELAY OF INTERVAL '1 hour'
GROUP BY window(event_time, INTERVAL '1 hour'), product;
