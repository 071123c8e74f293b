SELECT t.a FROM t WHERE t.b > 1
;
SELECT * FROM other o, main.x
;
SELECT * FROM t x, u AS y(a, b), a.t AS "A b"
;
SELECT silver.orders.amount, orders.id, silver.orders.*, silver.orders.s.x FROM silver.orders WHERE silver . orders . day = 1
;
SELECT silver.orders.amount FROM silver.orders AS o
