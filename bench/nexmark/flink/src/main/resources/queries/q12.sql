CREATE TABLE output_rows (bidder BIGINT, bid_count BIGINT, window_end TIMESTAMP(3)) WITH (${APPEND});

INSERT INTO output_rows
SELECT bidder, count(*), window_end
FROM TUMBLE(TABLE bid, DESCRIPTOR(event_time), INTERVAL '10' SECOND)
GROUP BY bidder, window_start, window_end;
