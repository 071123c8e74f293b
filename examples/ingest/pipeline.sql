-- Clickstream files become a Delta table, every line exactly once.
CREATE STREAMING TABLE bronze.clicks
COMMENT 'The clickstream as it arrived'
AS SELECT *, _metadata.file_name AS source_file
FROM STREAM read_files('landing', format => 'json', schemaHints => 'event_time TIMESTAMPTZ');
