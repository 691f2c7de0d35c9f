CREATE TABLE output_rows (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` BIGINT, extra STRING) WITH (${APPEND});

INSERT INTO output_rows SELECT auction, bidder, price, `dateTime`, extra FROM bid;
