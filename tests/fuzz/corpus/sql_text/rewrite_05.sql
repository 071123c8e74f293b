FROM t SELECT a, u; 
;
FROM t
;
SELECT * FROM ((t JOIN u ON t.a = u.a) x CROSS JOIN a.t), ((SELECT 1) UNION (SELECT a FROM t)) y, (((t JOIN u USING (a))))
;
SELECT * FROM t NATURAL JOIN u ASOF LEFT JOIN a.t AS x ON t.a >= x.a POSITIONAL JOIN b.t SEMI JOIN orders USING (a, b) LEFT JOIN LATERAL (SELECT t.a FROM u) l ON left(l.a, 1) = 'x' FULL OUTER JOIN u AS z ON true
;
SELECT * FROM t JOIN u ON t.a = u.a AND t.b IN (1, 2), a.t WHERE x
