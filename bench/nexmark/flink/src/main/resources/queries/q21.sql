CREATE TABLE output_rows (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, channel_id STRING) WITH (${APPEND});

INSERT INTO output_rows
SELECT * FROM (
  SELECT auction, bidder, price, channel,
         CASE LOWER(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
              ELSE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
  FROM bid
)
WHERE channel_id IS NOT NULL;
