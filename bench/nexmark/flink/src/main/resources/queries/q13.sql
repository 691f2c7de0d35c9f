CREATE TABLE output_rows (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` BIGINT, `value` STRING) WITH (${APPEND});

INSERT INTO output_rows
SELECT * FROM (SELECT auction, bidder, price, `dateTime`, SIDE_INPUT(MOD(auction, 10000)) AS `value` FROM bid)
WHERE `value` IS NOT NULL;
