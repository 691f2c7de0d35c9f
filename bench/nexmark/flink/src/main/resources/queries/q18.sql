CREATE TABLE output_rows (
  bidder BIGINT, auction BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` BIGINT, extra STRING,
  PRIMARY KEY (bidder, auction) NOT ENFORCED
) WITH (${UPSERT});

INSERT INTO output_rows
SELECT bidder, auction, price, channel, url, `dateTime`, extra
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY event_time DESC) AS rank_number FROM bid)
WHERE rank_number <= 1;
