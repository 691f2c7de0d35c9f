CREATE TABLE output_rows (
  auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), bidTimeType STRING, `dateTime` BIGINT, extra STRING, c_counts BIGINT
) WITH (${APPEND});

INSERT INTO output_rows
SELECT auction, bidder, 0.908 * price,
       CASE WHEN HOUR(TO_TIMESTAMP_LTZ(`dateTime`, 3)) BETWEEN 8 AND 18 THEN 'dayTime'
            WHEN HOUR(TO_TIMESTAMP_LTZ(`dateTime`, 3)) <= 6 OR HOUR(TO_TIMESTAMP_LTZ(`dateTime`, 3)) >= 20 THEN 'nightTime'
            ELSE 'otherTime' END,
       `dateTime`, extra, CHAR_LENGTH(extra) - CHAR_LENGTH(REPLACE(extra, 'c', ''))
FROM bid
WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;
