CREATE TABLE output_rows (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` BIGINT, extra STRING, itemName STRING,
  description STRING, initialBid BIGINT, reserve BIGINT, opened BIGINT, expires BIGINT, seller BIGINT, category BIGINT
) WITH (${APPEND});

INSERT INTO output_rows
SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.`dateTime`, b.extra, a.itemName, a.description, a.initialBid,
       a.reserve, a.opened, a.expires, a.seller, a.category
FROM bid AS b JOIN auction AS a ON b.auction = a.id
WHERE a.category = 10;
