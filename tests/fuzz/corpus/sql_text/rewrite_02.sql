SELECT * FROM other VERSION AS OF 1
;
SELECT * FROM STREAM t, STREAM(a.t) AS x, stream silver.orders o, STREAM delta.`/x`, STREAM read_files('/data', format => 'json', schema => 'a INT') r
;
SELECT * FROM stream, stream AS s, stream JOIN u ON stream.a = u.a WHERE stream.b
;
SELECT * FROM STREAM t WITH (startingVersion = 5, 'maxFilesPerTrigger' = '10', ignoreDeletes = true) AS x
;
SELECT * FROM STREAM(t) WITH (readChangeFeed = true) x
