-- What stands now, of a lake of changes (parquet with `mode: changes`), as a DuckDB macro:
--
--   duckdb -c ".read examples/lake/latest.sql" -c "FROM latest('lake/orders')"
--
-- A row stands if it was given more often than it was taken back, over all files of one lake and of no other (so a
-- lake that isn't gone on with is refused, docs/sinks.md). The folders' own columns (such as `date` of "date(_time)")
-- would tell equal rows apart, so they aren't read; a column of the step that stands in the folders'
-- names alone needs hive_partitioning = true here, and the others excluded.
CREATE OR REPLACE MACRO latest(folder) AS TABLE
  SELECT * EXCLUDE (_op, _time, _partition, _offset, _row)
  FROM read_parquet(folder || '/**/*.parquet', hive_partitioning = false, union_by_name = true)
  GROUP BY ALL
  HAVING sum(CASE WHEN _op IN ('insert', 'update_after') THEN 1 ELSE -1 END) > 0;
