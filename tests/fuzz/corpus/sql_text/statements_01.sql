CREATE FLOW a COMMENT 'x' TBLPROPERTIES ('k'='v') AS INSERT INTO s.t BY NAME SELECT * FROM STREAM u;
CREATE FLOW b AS INSERT INTO t (SELECT 1)
;
CREATE FLOW m AS MERGE INTO t USING (SELECT * FROM STREAM u) AS s ON t.k = s.k WHEN MATCHED THEN UPDATE SET *
;
CREATE FLOW c AS AUTO CDC INTO t FROM STREAM x KEYS (k) SEQUENCE BY n;
APPLY CHANGES INTO live.t FROM STREAM x KEYS (k) SEQUENCE BY n;
AUTO CDC INTO u FROM STREAM x KEYS (k) SEQUENCE BY n
;
CREATE SINK alerts USING Kafka OPTIONS ('kafka.bootstrap.servers' = 'h:1', topic = 'a')
;
SET freshet.trigger = '10 seconds'; SET pipelines.trigger.interval = 30 seconds; SET TimeZone TO 'UTC'; SET TIME ZONE 'Europe/Berlin';
SET memory_limit='1GB'; SET a = -1
