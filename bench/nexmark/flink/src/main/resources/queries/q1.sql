CREATE TABLE output_rows (auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), `dateTime` BIGINT, extra STRING) WITH (${APPEND});

INSERT INTO output_rows SELECT auction, bidder, 0.908 * price, `dateTime`, extra FROM bid;
