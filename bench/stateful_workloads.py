"""The workloads of bench/stateful.py in the words of each contestant.

    windows   events, revenue and exact users per minute and country
    dedupe    every event once, by its uuid
    sliding   events and revenue per hour and country, an hour beginning every five minutes
    join      purchases with the searches of the same user in the ten minutes before
    keys      dedupe again, of many keys and nothing else, with little memory
    restart   keys once more after a stop, with ten more rows: the state has to be there again

The input is a Delta table, one file a commit, FILES_PER_BATCH files a batch. Windows are output when they are closed; rows can be 10
minutes late and the watermark waits 15, so nobody drops any. DuckDB answers once, over the whole table, what the streams have output at
its end.
"""
from workloads import FILES_PER_BATCH

DELAY = "15 minutes"
WORKLOADS = ("windows", "dedupe", "sliding", "join", "keys", "restart")
KEYS = ("keys", "restart")  # their table has a key and a number, --keys rows of it
MEMORY = "640MB"  # for these two: what freshet and DuckDB may hold of data; the process has more

STREAM = f"STREAM delta.`{{source}}` WITH (maxFilesPerTrigger = {FILES_PER_BATCH})"
TIMED = f"{STREAM} WATERMARK event_time DELAY OF INTERVAL '{DELAY}'"
DEDUPE = f"SELECT DISTINCT ON (event_id) * FROM {STREAM}"

FRESHET = {
    "windows": f"""SELECT window.start AS start, country, count(*) AS events, sum(revenue) AS revenue, count(DISTINCT user_id) AS users
FROM {TIMED} GROUP BY window(event_time, INTERVAL '1 minute'), country""",
    "dedupe": DEDUPE,
    "sliding": f"""SELECT window.start AS start, country, count(*) AS events, sum(revenue) AS revenue
FROM {TIMED} GROUP BY window(event_time, INTERVAL '1 hour', INTERVAL '5 minutes'), country""",
    "join": f"""SELECT p.event_id AS purchase, s.event_id AS search, p.user_id, p.event_time
FROM {TIMED} AS p JOIN {TIMED} AS s
  ON s.user_id = p.user_id AND s.event_time BETWEEN p.event_time - INTERVAL '10 minutes' AND p.event_time
WHERE p.event_type = 'purchase' AND s.event_type = 'search'""",
    "keys": DEDUPE,
    "restart": DEDUPE,
}

CLOSED = f"<= (SELECT date_trunc('milliseconds', max(event_time)) - INTERVAL '{DELAY}' FROM {{source}})"
DISTINCT = "SELECT DISTINCT ON (event_id) * FROM {source}"
DUCKDB = {
    "windows": f"""SELECT time_bucket(INTERVAL '1 minute', event_time) AS start, country, count(*) AS events, sum(revenue) AS revenue,
       count(DISTINCT user_id) AS users
FROM {{source}} GROUP BY 1, 2 HAVING start + INTERVAL '1 minute' {CLOSED}""",
    "dedupe": DISTINCT,
    "sliding": f"""SELECT start, country, sum(events)::BIGINT AS events, sum(revenue) AS revenue
FROM (SELECT unnest(generate_series(pane - INTERVAL '55 minutes', pane, INTERVAL '5 minutes')) AS start, country, events, revenue
      FROM (SELECT time_bucket(INTERVAL '5 minutes', event_time) AS pane, country, count(*) AS events, sum(revenue) AS revenue
            FROM {{source}} GROUP BY ALL))
GROUP BY 1, 2 HAVING start + INTERVAL '1 hour' {CLOSED}""",
    "join": """SELECT p.event_id AS purchase, s.event_id AS search, p.user_id, p.event_time
FROM {source} AS p JOIN {source} AS s
  ON s.user_id = p.user_id AND s.event_time BETWEEN p.event_time - INTERVAL '10 minutes' AND p.event_time
WHERE p.event_type = 'purchase' AND s.event_type = 'search'""",
    "keys": DISTINCT,
    "restart": DISTINCT,
}
