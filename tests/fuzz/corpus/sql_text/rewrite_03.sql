SELECT * FROM STREAM t WATERMARK ts DELAY OF INTERVAL '10 minutes' AS x, STREAM u WITH (startingVersion=1) WATERMARK to_timestamp(e / 1000) AS et DELAY OF INTERVAL 2 HOURS y
;
SELECT * FROM t watermark WHERE watermark.a = 1
;
SELECT * FROM read_files('/a/*.json', schemaHints => 'x INT', cloudFiles.maxFilesPerTrigger => 5) f, read_rate(rowsPerSecond => 10), table_changes('t', 1, 5), READ_KAFKA(bootstrapServers => 'h:1', subscribe => 't') k
;
SELECT * FROM range(10), read_parquet('x'), unnest([1, 2]) AS v(x), query_table('t'), my_macro((SELECT max(a) FROM t))
;
SELECT * FROM 'x.parquet' p JOIN 't' ON true
