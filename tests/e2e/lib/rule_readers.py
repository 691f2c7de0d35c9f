"""Readers of the sinks of HTX generations (rules.py) while these change places: each sees the old rule, then the new one, never both
or neither, and never fewer rows than before."""

import contextlib
import http.client
import itertools
import json
import pathlib
import urllib.error
import urllib.request

import confluent_kafka
import pyarrow.parquet

import rules as generations
import topics
import views
from witness import Witness


class Ruled(views.Standing):
    """What a reader sees is of one rule, the one that was there before or the next of `rules`; it never becomes fewer."""

    def __init__(self, name, rules):
        super().__init__(name)
        self.rules, self.at, self.rows = rules, 0, 0

    def look(self):
        """Unlike others', these servers never are away."""
        try:
            self.load()
        except Exception as error:
            self.wrong(f"can't be read: {error!r}")

    def seen(self, rules, rows):
        if rows < self.rows:
            self.wrong(f"{rows} rows where {self.rows} stood before")
        self.rows = rows
        if len(rules) > 1:
            self.wrong(f"rows of rules {sorted(rules)} at once")
        for rule in rules:
            while self.rules[self.at] != rule:
                if self.at + 1 == len(self.rules):
                    self.wrong(f"rule {rule}, after those of {self.rules}")
                    return
                self.at += 1


class Table(Ruled):
    def __init__(self, url, table, rules):
        super().__init__(f"table {table}", rules)
        self.reader, self.table = views.Table(lambda: url), table
        self.close = self.reader.close

    def load(self):
        found = self.reader.rows(f'SELECT rule, count(*) FROM "{self.table}" GROUP BY rule')
        self.seen({int(rule) for rule, _ in found}, sum(n for _, n in found))


class Lake(Ruled):
    """Reads as docs/generations-targets.md says: walks again where the folder has become another meanwhile."""

    def __init__(self, folder, rules):
        super().__init__(f"lake {folder}", rules)
        self.folder, self.files = pathlib.Path(folder), {}

    def load(self):
        for _ in range(20):
            folder = self.folder.stat().st_ino
            with contextlib.suppress(FileNotFoundError):
                found = {path: self.read(path) for path in self.folder.glob("**/*.parquet")}
                if self.folder.stat().st_ino == folder:
                    self.seen(set().union(*(rules for rules, _ in found.values())), sum(n for _, n in found.values()))
                    return
        self.wrong("changes all the time")

    def read(self, path):
        """Of a file, which is whole and never changes: its rules, and how many rows it has."""
        name = path.relative_to(self.folder)
        if name not in self.files:
            file = pyarrow.parquet.ParquetFile(path)
            column = file.read(["rule"])["rule"].to_pylist()
            self.files[name] = (set(column), len(column))
        return self.files[name]


class Latest(views.Standing):
    """The compacted topic, at each moment at which all that is committed has been read: of each partition by itself."""

    def __init__(self, brokers, topic, rules):
        super().__init__(f"topic {topic}")
        count = topics.partitions(brokers, topic)
        self.reader = topics.consumer(brokers)
        self.reader.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in range(count)])
        self.rows, self.parts = [{} for _ in range(count)], [Ruled(f"partition {p}", rules) for p in range(count)]
        for part in self.parts:
            part.wrong = lambda text, part=part: self.wrong(f"{part.name}: {text}")
        self.close = self.reader.close

    def load(self):
        # Others look too: what is left is read the next time.
        for message in itertools.islice(iter(lambda: self.reader.poll(0.01), None), 5_000):
            partition = message.partition()
            rows = self.rows[partition]
            if not message.error():
                rows[message.key()] = None if message.value() is None else json.loads(message.value())["rule"]
                if message.value() is None:
                    del rows[message.key()]
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                self.parts[partition].seen(set(rows.values()), len(rows))


class Once(views.Standing):
    """A topic that appends: no key of `of` comes twice, and rules take turns."""

    def __init__(self, brokers, topic, of, rules):
        super().__init__(f"topic {topic}")
        self.of, self.keys = of, set()
        count = topics.partitions(brokers, topic)
        self.parts = [Ruled(f"partition {p}", rules) for p in range(count)]
        for part in self.parts:
            part.wrong = lambda text, part=part: self.wrong(f"{part.name}: {text}")
        self.reader = topics.consumer(brokers, **{"enable.partition.eof": False})
        self.reader.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in range(count)])
        self.close = self.reader.close

    def load(self):
        for message in self.reader.consume(20_000, 0.05):
            if message.error():
                raise confluent_kafka.KafkaException(message.error())
            row = json.loads(message.value())
            key = tuple(row[c] for c in self.of)
            if key in self.keys:
                self.wrong(f"{row} stands there twice")
            self.keys.add(key)
            self.parts[message.partition()].seen({row["rule"]}, 0)


class View(Ruled):
    """Asked of whichever workers the test says are those of the active generation, as a balancer would."""

    def __init__(self, rules):
        super().__init__("view current", rules)
        self.workers, self.position, self.answers = [], 0, 0

    def load(self):
        for worker in self.workers:
            try:
                address = (worker.state_dir / "http_address").read_text().strip()
                url = f"http://{address}/v1/views/current?geographical_location_oid=1&min_position={self.position}"
                with urllib.request.urlopen(url, timeout=10) as answer:
                    told = json.loads(answer.read())
            except urllib.error.HTTPError as refused:
                if refused.code not in (503, 504):  # it reads the view
                    self.wrong(f"{refused.code} {refused.read().decode()}")
                continue
            except (OSError, http.client.HTTPException):
                continue  # it was killed
            if told["position"] < self.position:
                self.wrong(f"position {told['position']} behind {self.position}")
            self.position = told["position"]
            self.answers += 1
            self.seen({row["rule"] for row in told["rows"]}, len(told["rows"]))
            return


class Readers(Witness):
    """All of them, while it is used as a context. `rules`: grows with each switch that is begun."""

    EVERY = 0.02

    def __init__(self, stack, name, rules):
        self.view = View(rules)
        super().__init__(None, Table(stack.database_url, generations.table_of(name), rules), Lake(stack.folder / "lake" / name, rules),
                         Latest(stack.brokers, f"{name}-latest", rules),
                         Once(stack.brokers, f"{name}-enriched", ["detection_oid"], rules), self.view)

    def __exit__(self, failed=None, *exc):
        super().__exit__(failed, *exc)
        for each in self.views:
            if hasattr(each, "close"):
                each.close()
        if failed is None:
            self.check()
