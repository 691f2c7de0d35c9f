CREATE TABLE output_rows (category BIGINT, average DOUBLE, PRIMARY KEY (category) NOT ENFORCED) WITH (${UPSERT});

INSERT INTO output_rows
SELECT category, avg(CAST(final AS DOUBLE))
FROM (
  SELECT max(b.price) AS final, a.category
  FROM auction AS a JOIN bid AS b ON a.id = b.auction AND b.`dateTime` BETWEEN a.opened AND a.expires
  GROUP BY a.id, a.category
)
GROUP BY category;
