#!/usr/bin/env python3
"""Tables from several files, in a folder and in S3, that are read again when they change: each version takes the place of the
former as a whole, and one that can't be read is none."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
import topology
from case import SystemTest, main
from stack import wait_for


class TableFiles(SystemTest):
    def joined(self):
        if topics.partitions(self.stack.brokers, "out") == 0:
            return {}
        return {row["id"]: (row.get("word"), row.get("price"))
                for row in map(json.loads, topics.read(self.stack.brokers, "out")["value"].to_pylist())}

    def send(self):
        """The next event of each key: what they are joined with."""
        first = self.next
        self.next += 3
        topics.produce(self.stack.brokers, "events", [{"value": json.dumps({"id": first + k, "k": k}).encode(), "partition": 0,
                                                       "timestamp": 1_000} for k in range(3)])
        wait_for("its rows", lambda: first + 2 in self.joined(), 60, self.worker.seen)
        return [self.joined()[first + k] for k in range(3)]

    def wait_until(self, expected):
        wait_for(f"rows joined as {expected}", lambda: self.send() == expected, 60, self.worker.seen)

    def replace(self, name, text):
        part = self.words / ".part"
        part.write_text(text)
        part.rename(self.words / name)

    def put_prices(self, text):
        s3 = self.stack.s3()
        s3.client.put_object(Bucket=s3.bucket, Key="tables/prices.csv", Body=text.encode())

    def test_each_version_is_swapped_whole_and_what_cant_be_read_is_none(self):
        s3, self.words, self.next = self.stack.s3(), self.stack.folder / "words", 0
        self.words.mkdir()
        self.replace("1.csv", "k,word\n0,zero\n1,one\n")
        self.replace("2.csv", "k,word\n1,uno\n")  # stands, as it comes later
        self.put_prices("k,price\n0,10\n1,11\n2,12\n")
        topics.create(self.stack.brokers, events=1)
        config = topology.write(self.stack.folder / "tables.yaml", {
            "name": "tables", "kafka": {"brokers": "${KAFKA_BROKERS}"}, "commit_interval": "20ms",
            "sources": {"events": {"topic": "events", "columns": {"id": "int64", "k": "int64"}}},
            "tables": {"words": {"file": f"{self.words}/*.csv", "reload": "200ms", "key": ["k"],
                                 "columns": {"k": "int64", "word": "string"}},
                       "prices": {"file": f"s3://{s3.bucket}/tables/prices.csv", "reload": "200ms", "key": ["k"],
                                  "columns": {"k": "int64", "price": "int64"}}},
            "steps": {"with_word": {"from": "events", "join": {"table": "words", "type": "left", "on": ["k"]}},
                      "with_price": {"from": "with_word", "join": {"table": "prices", "type": "left", "on": ["k"]}}},
            "sinks": {"out": {"from": "with_price", "topic": "out", "create": {}}}})
        run = lambda: self.stack.run(config, name="tables", threads=1, env=self.stack.environment(**s3.environment()))
        self.worker = run()
        self.wait_until([("zero", 10), ("uno", 11), (None, 12)])
        self.replace("3.csv", "k,word\n0,null\n2,two\n")
        self.wait_until([("null", 10), ("uno", 11), ("two", 12)])
        # Of the same size, and within a second.
        self.put_prices("k,price\n0,20\n1,21\n2,22\n")
        self.wait_until([("null", 20), ("uno", 21), ("two", 22)])
        # What can't be read leaves the table as it is, and is told.
        self.replace("2.csv", "k,word\nx,broken\n")
        wait_for("a word about it", lambda: self.worker.metric("tidemark_table_waiting", table="words") == 1, 60, self.worker.seen)
        self.assertIn("2.csv: row 1: column k", self.worker.output())
        self.assertEqual(self.send(), [("null", 20), ("uno", 21), ("two", 22)])
        (self.words / "2.csv").unlink()
        self.wait_until([("null", 20), ("one", 21), ("two", 22)])
        self.assertEqual(self.worker.metric("tidemark_table_waiting", table="words"), 0)
        self.worker.kill()
        self.put_prices("k,price\n2,32\n")
        self.worker = run()
        self.wait_until([("null", None), ("one", None), ("two", 32)])
        self.assertEqual(self.worker.stop(), 0, self.worker.seen())


if __name__ == "__main__":
    main()
