SELECT window.a FROM window, t window
;
SELECT session_window.start FROM STREAM t GROUP BY session_window(ts, INTERVAL '5 minutes')
;
SELECT `a`, `b``c`, `x"y`, t.`z` AS `w` FROM t AS `q`
;
FROM x: t, y: STREAM u SELECT z: x.a
;
SELECT * FROM t TABLESAMPLE 10%, u AS v TABLESAMPLE reservoir(5 ROWS) USING SAMPLE 3
