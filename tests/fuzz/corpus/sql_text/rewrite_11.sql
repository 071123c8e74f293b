INSTALL spatial FROM t
;
ALTER TABLE t RENAME TO `x y`
;
SET VARIABLE x = (SELECT max(a) FROM t)
;
SELECT window, window.start, window.end, count(*) AS window FROM STREAM t GROUP BY window(ts, INTERVAL '1 hour'), window_time(window)
;
SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b), v AS (ORDER BY c)
