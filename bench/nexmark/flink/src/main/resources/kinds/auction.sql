-- ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, `dateTime` BIGINT, expires BIGINT, seller BIGINT, category BIGINT>
CREATE TEMPORARY VIEW auction AS
SELECT auction.id AS id, auction.itemName AS itemName, auction.description AS description, auction.initialBid AS initialBid,
       auction.reserve AS reserve, auction.`dateTime` AS opened, auction.expires AS expires, auction.seller AS seller,
       auction.category AS category, event_time
FROM events WHERE event_type = 1;

