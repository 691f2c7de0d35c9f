CREATE TABLE output_rows (auction BIGINT, num BIGINT, window_end TIMESTAMP(3)) WITH (${APPEND});

INSERT INTO output_rows
SELECT counts.auction, counts.num, counts.window_end
FROM (
  SELECT auction, count(*) AS num, window_start, window_end
  FROM HOP(TABLE bid, DESCRIPTOR(event_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)
  GROUP BY auction, window_start, window_end
) AS counts
JOIN (
  SELECT max(num) AS most, window_start, window_end
  FROM (
    SELECT count(*) AS num, window_start, window_end
    FROM HOP(TABLE bid, DESCRIPTOR(event_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)
    GROUP BY auction, window_start, window_end
  )
  GROUP BY window_start, window_end
) AS largest
ON counts.window_start = largest.window_start AND counts.window_end = largest.window_end AND counts.num >= largest.most;
