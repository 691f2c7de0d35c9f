CREATE TABLE output_rows (auction BIGINT, price BIGINT) WITH (${APPEND});

INSERT INTO output_rows SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;
