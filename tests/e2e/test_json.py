#!/usr/bin/env python3
"""json on its way: orders with nested items come in, are taken apart by unnest and by expressions, go through a
repartition and to every kind of sink, and are there what DuckDB makes of the same records."""

import json
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import duckdb
import topics
import topology
from case import SystemTest, main

ORDERS = 5_000


def order(number, draw):
    items = [{"sku": f"sku-{draw.randrange(50)}", "price": draw.randrange(1, 10_000) / 100, "tags": ["a", {"b": None}]}
             for _ in range(draw.randrange(4))]
    shown = draw.choice([items, items, items, None])
    return {"id": number, "mail": f"User{number}@Shop{draw.randrange(5)}.example", "at": 1_700_000_000_000 + number * 1000,
            "doc": {"n": number, "note": draw.choice(["plain", "\"quoted\" \u20ac\n", None]), "items": shown}}


class Json(SystemTest):
    needs_postgres = True

    def test_orders_are_taken_apart_and_are_in_every_sink_what_they_were(self):
        draw = random.Random(3)
        orders = [order(number, draw) for number in range(ORDERS)]
        bad = {**order(ORDERS, draw), "doc": {"items": "none"}}
        topics.create(self.stack.brokers, orders=3)
        topics.produce(self.stack.brokers, "orders", [{"value": json.dumps(o).encode(), "key": str(o["id"]).encode()}
                                                      for o in [*orders, bad]])
        lake = self.stack.folder / "lake"
        config = topology.write(self.stack.folder / "json.yaml", {
            "name": "json",
            "kafka": {"brokers": "${KAFKA_BROKERS}"},
            "sources": {"orders": {
                "topic": "orders",
                "columns": {"id": "int64", "mail": "string", "at": "timestamp_ms", "doc": "json",
                            "n": {"type": "int64", "path": "doc.n", "nullable": True}},
                "event_time": {"column": "at"}}},
            "steps": {
                "cut": {"from": "orders", "project": {
                    "id": "id", "n": "n", "doc": "doc", "items": "doc -> 'items'", "at": "at",
                    "shop": "lower((regexp_match(mail, '@(\\w+)\\.'))[1])"}},
                "lines": {"from": "cut", "unnest": {"column": "items", "as": "item", "ordinality": "line", "outer": True}},
                "priced": {"from": "lines", "project": {
                    "*": True, "sku": "item ->> 'sku'", "price": "(item ->> 'price')::decimal(10,2)"}},
                "moved": {"from": "priced", "repartition": {"by": ["shop"], "partitions": 2}},
                "spent": {"from": "moved", "group_by": ["shop", "sku"],
                          "aggregates": {"lines": "count(item)", "spent": "sum(price)", "any_item": "last(item)"}}},
            "sinks": {
                "out": {"from": "moved", "topic": "lines-out", "create": {}},
                "table": {"from": "moved", "postgres": {"url": "${DATABASE_URL}", "table": "lines"}},
                "lake": {"from": "moved", "parquet": {"path": str(lake)}},
                "sums": {"from": "spent", "topic": "spent-out", "mode": "upsert", "key": ["shop", "sku"], "key_format": "json", "create": {}}}})
        self.stack.run(config, "--until_end", name="json").finish(300)

        # Oracle: DuckDB over the same records.
        db = duckdb.connect()
        db.execute("CREATE TABLE orders (value JSON)")
        db.executemany("INSERT INTO orders VALUES (?)", [[json.dumps(o)] for o in orders])
        db.execute("""
            CREATE TABLE lines AS
            SELECT (value ->> 'id')::bigint AS id, lower(regexp_extract(value ->> 'mail', '@(\\w+)\\.', 1)) AS shop,
                   item ->> 'sku' AS sku, (item ->> 'price')::decimal(10, 2) AS price, line
            FROM (SELECT value, unnest(CASE WHEN json_array_length(value -> 'doc' -> 'items') > 0
                                            THEN CAST(value -> 'doc' -> 'items' AS JSON[]) ELSE [NULL] END) AS item,
                         unnest(CASE WHEN json_array_length(value -> 'doc' -> 'items') > 0
                                     THEN range(1, json_array_length(value -> 'doc' -> 'items')::bigint + 1) ELSE [NULL] END) AS line
                  FROM orders)""")
        expected = sorted(db.execute("SELECT id, line, shop, sku, price FROM lines").fetchall(), key=str)

        rows = [json.loads(value, parse_float=str) for value in topics.read(self.stack.brokers, "lines-out")["value"].to_pylist()]
        self.assertEqual(sorted([(r["id"], r["line"], r["shop"], r["sku"], r["price"] and f"{float(r['price']):.2f}") for r in rows], key=str),
                         sorted([(i, l, shop, sku, None if p is None else f"{p:.2f}") for i, l, shop, sku, p in expected], key=str))
        by_id = {o["id"]: json.loads(json.dumps(o["doc"]), parse_float=str) for o in orders}
        for row in rows:
            self.assertEqual(row["doc"], by_id[row["id"]], "nested JSON, not a string")
            if row["line"] is not None:
                self.assertEqual(row["item"], by_id[row["id"]]["items"][row["line"] - 1])

        found = subprocess.run(
            ["psql", "-qAtX", self.stack.database_url, "-c",
             "SELECT count(*), count(item), sum(price), bool_and(pg_typeof(doc) = 'jsonb'::regtype), "
             "bool_and((doc ->> 'n')::bigint = id), count(*) FILTER (WHERE item IS NOT DISTINCT FROM doc -> 'items' -> (line - 1)::int "
             "OR item IS NULL) FROM lines"], capture_output=True, text=True, check=True).stdout.strip()
        count, items, spent = db.execute("SELECT count(*), count(line), sum(price) FROM lines").fetchone()
        self.assertEqual(found, f"{count}|{items}|{spent}|t|t|{count}")

        self.assertEqual(
            db.execute(f"SELECT count(*), count(item), sum((item::JSON ->> 'price')::decimal(10,2)) FROM "
                       f"read_parquet('{lake}/**/*.parquet', hive_partitioning = false) WHERE (doc::JSON ->> 'n')::bigint = id").fetchone(),
            (count, items, spent))

        latest = {}
        table = topics.read(self.stack.brokers, "spent-out")
        for key, value in zip(table["key"].to_pylist(), table["value"].to_pylist()):
            latest[key] = json.loads(value, parse_float=str)
        self.assertEqual(sorted([(r["shop"], r["sku"], r["lines"], r["spent"] and f"{float(r['spent']):.2f}") for r in latest.values()], key=str),
                         sorted([(shop, sku, n, None if s is None else f"{s:.2f}") for shop, sku, n, s in db.execute(
                             "SELECT shop, sku, count(line), sum(price) FROM lines GROUP BY shop, sku").fetchall()], key=str))
        for row in latest.values():
            self.assertEqual((row["any_item"] or {"sku": None})["sku"], row["sku"])

        table, headers = topics.read(self.stack.brokers, "json-dead-letter", headers=True)
        self.assertEqual([h["tidemark.reason"].decode() for h in headers], ["cannot extract elements from a scalar"])


if __name__ == "__main__":
    main()
