-- ROW<id BIGINT, name STRING, city STRING, state STRING>
CREATE TEMPORARY VIEW person AS
SELECT person.id AS id, person.name AS name, person.city AS city, person.state AS state, event_time
FROM events WHERE event_type = 0;

