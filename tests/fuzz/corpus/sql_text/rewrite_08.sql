EXPLAIN ANALYZE SELECT * FROM t
;
EXPLAIN (FORMAT json) FROM t
;
COPY (SELECT * FROM t) TO 'f' (FORMAT parquet, PARTITION_BY (a))
;
COPY t TO 'f.csv' (HEADER)
;
COPY a.t (x, y) TO 'f.csv'
