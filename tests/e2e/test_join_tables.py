#!/usr/bin/env python3
"""Joins of tables on a real broker: orders with their customers by a foreign key that changes, and each customer's orders beside
the customer, by the key of both, full. Customers come, change their names, go and come back; two workers, one killed in the
middle, another one behind it. What the topics hold in the end is DuckDB's join of the last rows.

And one table in shards, of which one tells its changes as Debezium does and the other by keys: their union as a table, as changes in a
lake, counted by group_by and in lists, across kills, and with a third shard that comes later."""

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


SHARDS = {"eu": "debezium", "us": "json", "xx": "json"}
SPENT_IN_ALL = "SELECT customer, count(*), sum(amount), min(amount) FROM orders GROUP BY customer"
LARGEST = """SELECT customer, place, id, shard, amount FROM (SELECT *, row_number() OVER (
    PARTITION BY customer ORDER BY amount DESC, id, shard) AS place FROM orders) WHERE place <= 2"""
# Whatever is read of a lake of changes: of each row the last change.
IN_LAKE = """SELECT id, customer, amount, shard FROM read_parquet('{lake}/**/*.parquet', hive_partitioning = false)
    QUALIFY row_number() OVER (PARTITION BY id, shard ORDER BY _offset DESC, _row DESC) = 1
        AND _op IN ('insert', 'update_after')"""


def sharded(name, lake, shards):
    def source(shard):
        id_ = "int64" if SHARDS[shard] == "debezium" else {"type": "int64", "from": "key"}
        return {"topic": f"{name}-{shard}", "key": ["id"],
                "format": {"type": "debezium", "schema_part": "none"} if SHARDS[shard] == "debezium" else "json",
                "columns": {"id": id_, "customer": "int64", "amount": "int64"}}
    def sink(step, key):
        return {"from": step, "topic": f"{name}-out-{step}", "key": key, "key_format": "json", "create": {}}
    every = [f"shard_{s}" for s in shards]
    return {
        "name": name, "kafka": topology.load()["kafka"], "commit_interval": "30ms",
        "sources": {f"orders_{s}": source(s) for s in shards},
        "steps": {
            **{f"shard_{s}": {"from": f"orders_{s}", "project": {"*": "true", "shard": f"'{s}'"}} for s in shards},
            "orders": {"from": every, "filter": "amount <> 13"},
            "spent": {"from": "orders", "group_by": ["customer"],
                      "aggregates": {"n": "count(*)", "total": "sum(amount)", "least": "min(amount)"}},
            "largest": {"from": "orders", "top": {"k": 2, "by": ["customer"], "order": ["amount desc", "id", "shard"], "rank": "place"}},
        },
        "sinks": {"orders_topic": sink("orders", ["id", "shard"]), "spent_topic": sink("spent", ["customer"]),
                  "largest_topic": sink("largest", ["customer", "place"]),
                  "lake": {"from": "orders", "parquet": {"path": str(lake), "mode": "changes", "max_age": "1s"}}},
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

    def change(self, name, shards, count, random_):
        """Orders of the shards, with equal ids, come, change and go."""
        records = {s: [] for s in shards}
        for _ in range(count):
            shard, id_ = random_.choice(shards), random_.randrange(300)
            row = {"id": id_, "customer": random_.randrange(20), "amount": random_.randrange(40)}
            now = self.orders.setdefault(shard, {})
            before, gone = now.get(id_), random_.randrange(4) == 0
            if gone and before is None:
                continue
            now[id_] = None if gone else row
            if SHARDS[shard] == "debezium":
                self.lsn += 1
                value = {"before": before, "after": now[id_], "op": "d" if gone else "u" if before else "c", "ts_ms": START_MS + self.lsn,
                         "source": {"lsn": self.lsn, "ts_ms": START_MS + self.lsn}}
                records[shard].append({"key": json.dumps({"id": id_}).encode(), "value": json.dumps(value).encode()})
            else:
                records[shard].append({"key": str(id_).encode(), "value": None if gone else json.dumps(row).encode()})
        for shard, rows in records.items():
            topics.produce(self.stack.brokers, f"{name}-{shard}", rows)

    def compare(self, name, lake):
        sql = duckdb.connect()
        sql.execute("CREATE TABLE orders (id BIGINT, customer BIGINT, amount BIGINT, shard TEXT)")
        sql.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)",
                        [(*row.values(), shard) for shard, rows in self.orders.items() for row in rows.values() if row and row["amount"] != 13])
        orders = sql.execute("FROM orders").fetchall()
        columns = {"orders": [0, 1, 2, 3], "spent": [0, 1, 2, 3], "largest": [1, 4, 0, 3, 2]}
        for step, rows in {"orders": orders, "spent": sql.execute(SPENT_IN_ALL).fetchall(),
                           "largest": sql.execute(LARGEST).fetchall()}.items():
            found = [tuple(row[c] for c in columns[step]) for row in self.stands(f"{name}-out-{step}")]
            self.assertEqual(sorted(found), sorted(rows), step)
        self.assertEqual(sorted(sql.execute(IN_LAKE.format(lake=lake)).fetchall()), sorted(orders), "the lake")
        print(f"  {len(orders)} orders of {len(self.orders)} shards stand", flush=True)

    def test_shards_of_a_table_are_one_table_across_kills_and_with_a_shard_more(self):
        name, lake = "shards", self.stack.folder / "shards-lake"
        topics.create(self.stack.brokers, **{f"{name}-{s}": 2 for s in SHARDS})
        random_, self.orders, self.lsn = random.Random(2), {}, 0
        self.change(name, ["eu", "us"], 4_000, random_)
        two = topology.write(self.stack.folder / "shards.yaml", sharded(name, lake, ["eu", "us"]))
        workers = [self.stack.run(two, name=f"shards-{w}", threads=1) for w in range(2)]
        wait_for("results", lambda: topics.partitions(self.stack.brokers, f"{name}-out-spent") and
                 sum(topics.ends(self.stack.brokers, f"{name}-out-spent").values()) > 20, 180, workers[0].seen)
        workers[0].kill()
        self.change(name, ["eu", "us"], 2_000, random_)
        end = self.stack.run(two, "--until_end", name="shards-end", threads=1)
        workers[1].kill()
        end.finish(300)
        self.compare(name, lake)
        self.change(name, ["eu", "us", "xx"], 3_000, random_)
        three = topology.write(self.stack.folder / "shards-three.yaml", sharded(name, lake, ["eu", "us", "xx"]))
        worker = self.stack.run(three, name="shards-three", threads=1)
        wait_for("the third shard", worker.ready, 120, worker.seen)
        worker.kill()
        self.stack.run(three, "--until_end", name="shards-three-end", threads=1).finish(300)
        self.compare(name, lake)


if __name__ == "__main__":
    main()
