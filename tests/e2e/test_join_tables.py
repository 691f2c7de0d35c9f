#!/usr/bin/env python3
"""Joins of tables on a real broker: orders with their customers by a foreign key that changes, and each customer's orders beside
the customer, by the key of both, full. Customers come, change their names, go and come back; two workers, one killed in the
middle, another one behind it. What the topics hold in the end is DuckDB's join of the last rows."""

import collections
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import duckdb

import topics
import topology
from case import SystemTest, main
from stack import wait_for

START_MS = 1_767_225_600_000
PARTITIONS = {"orders": 3, "customers": 2}
ORDERS, CUSTOMERS = 800, 60
LAST = """CREATE TABLE {name} AS
    SELECT CAST(v ->> 'id' AS BIGINT) AS id, CAST(v ->> 'customer' AS BIGINT) AS customer, CAST(v ->> 'total' AS BIGINT) AS total,
           v ->> 'name' AS name
    FROM (SELECT "partition", "offset", CAST(decode(value) AS JSON) AS v FROM dump)
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY CAST(v ->> 'at' AS BIGINT) DESC, "partition" DESC, "offset" DESC) = 1"""
PLACED = "SELECT o.id, o.customer, o.total, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id AND c.name IS NOT NULL"
SPENT = """SELECT coalesce(s.customer, c.id), s.n, s.total, c.name
    FROM (SELECT customer, count(*) AS n, sum(total) AS total FROM orders GROUP BY customer) s
    FULL JOIN (SELECT id, name FROM customers WHERE name IS NOT NULL) c ON s.customer = c.id"""


def application(name):
    def source(topic, columns):
        return {"topic": topic, "columns": {"id": "int64", **columns, "at": "timestamp_ms"},
                "event_time": {"column": "at", "max_ahead": "10000d"}}
    return {
        "name": name, "kafka": topology.load()["kafka"], "commit_interval": "30ms",
        "sources": {"order_changes": source("orders", {"customer": {"type": "int64", "nullable": True}, "total": "int64"}),
                    "customer_changes": source("customers", {"name": {"type": "string", "nullable": True}})},
        "steps": {
            "orders": {"from": "order_changes", "group_by": ["id"],
                       "aggregates": {"customer": "last(customer)", "total": "last(total)"}},
            "last_names": {"from": "customer_changes", "group_by": ["id"], "aggregates": {"name": "last(name)"}},
            "customers": {"from": "last_names", "filter": "name is not null"},
            "placed": {"from": "orders", "join": {"table": {"from": "customers"}, "on": {"customer": "id"}, "type": "left"}},
            "spent": {"from": "orders", "group_by": ["customer"], "aggregates": {"n": "count(*)", "total": "sum(total)"}},
            "named": {"from": "spent", "join": {"table": {"from": "customers"}, "on": {"customer": "id"}, "type": "full"}},
        },
        "sinks": {"placed_topic": {"from": "placed", "topic": f"{name}-placed", "key": ["id", "customer"], "key_format": "json", "create": {}},
                  "named_topic": {"from": "named", "topic": f"{name}-named", "key": ["customer"], "key_format": "json", "create": {}}},
    }


class JoinTables(SystemTest):
    def write(self, count, random_):
        """Changes of both, out of order; a customer that has no name is gone."""
        records = collections.defaultdict(list)
        for number in range(count):
            at = START_MS + self.written + number - random_.randrange(50)
            topic = "customers" if random_.randrange(5) == 0 else "orders"
            if topic == "orders":
                row = {"id": random_.randrange(ORDERS), "customer": None if random_.randrange(20) == 0 else random_.randrange(CUSTOMERS),
                       "total": random_.randrange(1000)}
            else:
                row = {"id": random_.randrange(CUSTOMERS + 5),
                       "name": None if random_.randrange(4) == 0 else f"name-{random_.randrange(1000)}"}
            records[topic].append({"value": json.dumps({**row, "at": at}).encode(), "timestamp": at,
                                   "partition": random_.randrange(PARTITIONS[topic])})
        self.written += count
        for topic, rows in records.items():
            topics.produce(self.stack.brokers, topic, rows)

    def expected(self):
        sql = duckdb.connect()
        for name in PARTITIONS:
            sql.register("dump", topics.read(self.stack.brokers, name))
            sql.execute(LAST.format(name=name))
            sql.unregister("dump")
        return {"placed": sql.execute(PLACED).fetchall(), "named": sql.execute(SPENT).fetchall()}

    def stands(self, topic):
        last = {}
        read = topics.read(self.stack.brokers, topic)
        for key, value in zip(read["key"].to_pylist(), read["value"].to_pylist()):
            last[key] = value
        return [tuple(json.loads(v).values()) for v in last.values() if v is not None]

    def test_what_stands_is_the_join_of_what_stands_in_both_across_kills(self):
        topics.create(self.stack.brokers, **PARTITIONS)
        random_, self.written = random.Random(1), 0
        self.write(8_000, random_)
        name = "tables"
        config = topology.write(self.stack.folder / "tables.yaml", application(name))
        workers = [self.stack.run(config, name=f"tables-{w}", threads=1) for w in range(2)]
        wait_for("results", lambda: topics.partitions(self.stack.brokers, f"{name}-placed") and
                 sum(topics.ends(self.stack.brokers, f"{name}-placed").values()) > 500, 180, workers[0].seen)
        workers[0].kill()
        self.write(4_000, random_)
        workers.append(self.stack.run(config, name="tables-2", threads=1))
        self.write(4_000, random_)
        wait_for("the new worker", workers[2].ready, 120, workers[2].seen)
        workers[1].kill()
        workers[2].stop()
        ends = [self.stack.run(config, "--until_end", name=f"tables-{w}", threads=1) for w in range(2)]
        for worker in ends:
            worker.finish(300)
        for topic, rows in self.expected().items():
            found, rows = collections.Counter(self.stands(f"{name}-{topic}")), collections.Counter(rows)
            self.assertTrue(found == rows, f"{topic}: {(rows - found).most_common(3)} missing, {(found - rows).most_common(3)} too many")
            print(f"  {topic}: {rows.total()} rows stand, {sum(row[-1] is None for row in rows)} of them without a name", flush=True)


if __name__ == "__main__":
    main()
