CREATE TABLE output_rows (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, dir1 STRING, dir2 STRING, dir3 STRING
) WITH (${APPEND});

INSERT INTO output_rows
SELECT auction, bidder, price, channel,
       COALESCE(SPLIT_INDEX(url, '/', 3), ''), COALESCE(SPLIT_INDEX(url, '/', 4), ''), COALESCE(SPLIT_INDEX(url, '/', 5), '')
FROM bid;
