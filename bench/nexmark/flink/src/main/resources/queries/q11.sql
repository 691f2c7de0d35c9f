CREATE TABLE output_rows (bidder BIGINT, bid_count BIGINT, window_start TIMESTAMP(3), window_end TIMESTAMP(3)) WITH (${APPEND});

INSERT INTO output_rows
SELECT bidder, count(*), window_start, window_end
FROM SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(event_time), INTERVAL '10' SECOND)
GROUP BY bidder, window_start, window_end;
