CREATE TABLE output_rows (
  auction BIGINT, seller BIGINT, category BIGINT, bidder BIGINT, price BIGINT, `dateTime` BIGINT, extra STRING,
  itemName STRING, initialBid BIGINT, reserve BIGINT, PRIMARY KEY (auction) NOT ENFORCED
) WITH (${UPSERT});

INSERT INTO output_rows
SELECT id, seller, category, bidder, price, `dateTime`, extra, itemName, initialBid, reserve
FROM (
  SELECT a.id, a.seller, a.category, b.bidder, b.price, b.`dateTime`, b.extra, a.itemName, a.initialBid, a.reserve,
         ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.`dateTime` ASC) AS rank_number
  FROM auction AS a JOIN bid AS b ON a.id = b.auction AND b.`dateTime` BETWEEN a.opened AND a.expires
)
WHERE rank_number <= 1;
