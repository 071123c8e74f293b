SELECT a::TIMESTAMP WITH TIME ZONE FROM unnest([1]) WITH ORDINALITY AS x(a, b), t
;
SELECT copy, use, load, sum(copy), (use + 1), f(load) FROM t WHERE (delete)
;
SELECT list_transform(l, x -> x + t.a), {'a': t.b, b: 1}, l[1:2], $name, $$FROM u$$ FROM t
;
-- only a comment
;
WITH revenue AS (SELECT supplier_id, sum(price * (1 - discount)) AS total FROM silver.orders WHERE day >= DATE '1996-01-01' AND day < DATE '1996-01-01' + INTERVAL 3 MONTH GROUP BY supplier_id)
SELECT s.id, s.name, total FROM u s, revenue r WHERE s.id = r.supplier_id AND total = (SELECT max(total) FROM revenue) AND NOT EXISTS (SELECT * FROM orders o WHERE o.id = s.id AND extract(year FROM o.day) = 1995) ORDER BY s.id LIMIT 100
