CREATE SINK s USING http OPTIONS (a = [1, 'b', [2]], b = TRUE, c = DATE '2024-01-01', d = INTERVAL 5 MINUTES, e = INTERVAL '1 hour', f => E'a\n\x41\u00e4', g = $$x$$)
;
CREATE STREAMING TABLE größe AS SELECT 1
