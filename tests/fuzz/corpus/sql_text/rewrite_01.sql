SELECT a.t.x, b.t.x FROM a.t JOIN b.t ON a.t.k = b.t.k
;
SELECT a.t.x FROM a.t, u AS a
;
SELECT * FROM delta.`/data/ev ents/`, delta."s3://b/x" AS x, DELTA.`/t@v12`, delta.`/t2`@v3 y
;
SELECT * FROM t VERSION AS OF 3, t VERSION AS OF '4' x, t TIMESTAMP AS OF '2024-01-01' AS y, t@v7, u@20240102030405678 z, t AT (VERSION => 5), t AT (TIMESTAMP => TIMESTAMP '2024-01-01')
;
SELECT * FROM t TIMESTAMP AS OF current_timestamp - INTERVAL '1' DAY x JOIN u FOR SYSTEM_TIME AS OF CAST('2024-01-01' AS TIMESTAMP) ON true WHERE 1 = 1
