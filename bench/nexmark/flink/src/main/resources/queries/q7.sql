CREATE TABLE output_rows (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` BIGINT, extra STRING) WITH (${APPEND});

INSERT INTO output_rows
SELECT b.auction, b.bidder, b.price, b.`dateTime`, b.extra
FROM bid AS b
JOIN (
  SELECT max(price) AS highest, window_time AS window_end
  FROM TUMBLE(TABLE bid, DESCRIPTOR(event_time), INTERVAL '10' SECOND)
  GROUP BY window_start, window_end, window_time
) AS w
ON b.price = w.highest AND b.event_time BETWEEN w.window_end - INTERVAL '9.999' SECOND AND w.window_end;
