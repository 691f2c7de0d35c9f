"""A witness of "exactly once" in plain pipelines: rows that are numbered at their source, and a reader that looks at every
sink all the while.

Of each source partition the rows are numbered 1, 2, 3, ...; a row's key and value follow from its number. So it is known
at any moment what a sink may hold, without asking Tidemark. Whatever happens:

  - no sink ever shows a row twice, nor one that was not sent, nor loses one that it has shown;
  - a count by key never goes back and is never above what was sent;
  - in the end counts and sums by key are those of the source, in every sink.

What a reader saw wrong is kept with the moment at which it was seen; wait_for_all() and finish() fail with it.
"""

import collections
import dataclasses
import glob
import io
import json
import threading
import time

import confluent_kafka
import psycopg
import pyarrow.parquet

import topics
from stack import Failure, wait_for

SOURCE_COLUMNS = {"source": "int32", "id": "int64", "k": "string", "v": "int64"}


def key_of(source, id, keys):
    return f"k{(id * 7 + source) % keys}"


def value_of(source, id):
    return id * 3 + source


@dataclasses.dataclass
class Sent:
    totals: dict  # key: (rows, sum of their values)
    reached: dict  # source: its last number

    def rows(self):
        return sum(self.reached.values())


class Source:
    """Writes numbered rows at `rate` a second, in many small bursts: readers reach the end again and again."""

    EVERY = 0.03  # seconds

    def __init__(self, brokers, topic, partitions=2, rate=300, keys=3):
        self.brokers, self.topic, self.partitions, self.rate, self.keys = brokers, topic, partitions, rate, keys
        self._lock = threading.Lock()
        self._next = [1] * partitions
        self._sent, self._sums = collections.Counter(), collections.Counter()
        self._refused = []
        self._stopping, self._thread = threading.Event(), None
        if not topics.partitions(brokers, topic):
            topics.create(brokers, **{topic: partitions})
            # What the controller has made, the broker hears of a moment later.
            wait_for(f"the topic {topic}", lambda: topics.partitions(brokers, topic) == partitions, 30)

    def start(self):
        self._stopping.clear()
        self._thread = threading.Thread(target=self._write, name=f"source {self.topic}", daemon=True)
        self._thread.start()

    def _write(self):
        # Brokers may be away for long: what was sent arrives in the end, and in its order.
        producer = confluent_kafka.Producer({"bootstrap.servers": self.brokers, "linger.ms": 1, "enable.idempotence": True,
                                             "message.timeout.ms": 600_000, "log_level": 2})
        turn, owed, last = 0, 0.0, time.monotonic()
        while not self._stopping.wait(self.EVERY):
            now = time.monotonic()
            owed, last = min(owed + (now - last) * self.rate, self.rate), now
            with self._lock:
                while owed >= 1:
                    owed -= 1
                    self._send(producer, turn % self.partitions)
                turn += 1
            producer.poll(0)
        if producer.flush(60):
            self._refused.append("time-out")

    def _send(self, producer, source):
        id = self._next[source]
        self._next[source] += 1
        key, value = key_of(source, id, self.keys), value_of(source, id)
        self._sent[key] += 1
        self._sums[key] += value
        row = {"source": source, "id": id, "k": key, "v": value}
        producer.produce(self.topic, json.dumps(row), partition=source,
                         on_delivery=lambda error, _: self._refused.append(str(error)) if error else None)

    def stop(self):
        if self._thread:
            self._stopping.set()
            self._thread.join(90)
            self._thread = None
        if self._refused:
            raise Failure(f"writing to {self.topic}: {self._refused[:3]}")

    def abandon(self):
        """Stops without a word."""
        self._stopping.set()

    def sent(self):
        """What was sent so far."""
        with self._lock:
            return Sent({key: (count, self._sums[key]) for key, count in self._sent.items()},
                        {source: next - 1 for source, next in enumerate(self._next)})

    def has_sent(self, source, id):
        return 0 <= source < self.partitions and 1 <= id < self._next[source]


class View:
    """What one sink shows: `totals` is {key: (rows, sum)}. Subclasses load() it; what they find wrong they say to `wrong`."""

    def __init__(self, name):
        self.name, self.totals, self.wrong = name, {}, lambda text: None
        self.source = None

    def look(self):
        before = self.totals
        try:
            self.load()
        except (OSError, psycopg.Error, confluent_kafka.KafkaException):
            return  # its server is away; what it shows is seen later
        sent = self.source.sent().totals
        for key, (count, _) in self.totals.items():
            if count > sent.get(key, (0, 0))[0]:
                self.wrong(f"{count} rows of {key}, of which {sent.get(key, (0, 0))[0]} were sent")
        for key, (count, _) in before.items():
            now = self.totals.get(key, (0, 0))[0]
            if now < count:
                self.wrong(f"{now} rows of {key} where {count} stood before")

    def whole(self, wanted):
        """Shows everything up to there. Later rows may stand there too, so it takes more than their number to tell."""
        return all(self.totals.get(key, (0, 0))[0] >= count for key, (count, _) in wanted.totals.items())

    def close(self):
        pass

    def rows(self):
        return sum(count for count, _ in self.totals.values())


class Rows(View):
    """A sink that each row goes to once."""

    def __init__(self, name):
        super().__init__(name)
        self.seen, self.through = set(), collections.Counter()  # of each source, all up to this number

    def add(self, source, id, key, value, where):
        if (source, id) in self.seen:
            self.wrong(f"row {source}/{id} again, {where}")
            return
        self.seen.add((source, id))
        while (source, self.through[source] + 1) in self.seen:
            self.through[source] += 1
        if not self.source.has_sent(source, id):
            self.wrong(f"row {source}/{id} was never sent, {where}")
        if key != key_of(source, id, self.source.keys) or value != value_of(source, id):
            self.wrong(f"row {source}/{id} is {key} {value}, {where}")
        count, total = self.totals.get(key, (0, 0))
        self.totals = {**self.totals, key: (count + 1, total + value)}

    def whole(self, wanted):
        return all(self.through[source] >= id for source, id in wanted.reached.items())

    def missing(self):
        """{source: which}, of what was sent and isn't there."""
        found = {}
        for source in range(self.source.partitions):
            ids = [id for id in range(1, self.source.sent().reached[source] + 1) if (source, id) not in self.seen]
            if ids:
                found[source] = f"{len(ids)} missing, {ids[:3]} to {ids[-1]}"
        return found


class TopicView:
    """Reads a topic as it grows."""

    def __init__(self, brokers, topic):
        self.brokers, self.topic, self.reader = brokers, topic, None

    def records(self):
        if self.reader is None:
            count = topics.partitions(self.brokers, self.topic)
            if count == 0:
                return
            self.reader = topics.consumer(self.brokers, **{"log_level": 0})
            self.reader.assign([confluent_kafka.TopicPartition(self.topic, p, confluent_kafka.OFFSET_BEGINNING)
                                for p in range(count)])
        while True:
            messages = self.reader.consume(5_000, 0.05)
            if not messages:
                return
            yield from (message for message in messages if not message.error())

    def close(self):
        if self.reader:
            self.reader.close()
            self.reader = None


class TopicRows(Rows):
    def __init__(self, brokers, topic):
        super().__init__(f"topic {topic}")
        self.topic = TopicView(brokers, topic)
        self.close = self.topic.close

    def load(self):
        for message in self.topic.records():
            row = json.loads(message.value())
            self.add(row["source"], row["id"], row["k"], row["v"], f"offset {message.partition()}:{message.offset()}")


class TopicTotals(View):
    def __init__(self, brokers, topic):
        super().__init__(f"topic {topic}")
        self.topic = TopicView(brokers, topic)
        self.close = self.topic.close

    def load(self):
        for message in self.topic.records():
            row = json.loads(message.value())
            if row["n"] <= self.totals.get(row["k"], (0, 0))[0]:
                self.wrong(f"{row} at {message.partition()}:{message.offset()} after {self.totals[row['k']]}")
            self.totals = {**self.totals, row["k"]: (row["n"], int(row["s"]))}


class Table:
    """A connection that is made again when it has broken. `url` is asked for each time: a database may move."""

    def __init__(self, url):
        self.url, self.connection = url, None

    def rows(self, query):
        try:
            if self.connection is None:
                self.connection = psycopg.connect(self.url(), autocommit=True, connect_timeout=2,
                                                  options="-c statement_timeout=2000", application_name="witness")
            return self.connection.execute(query).fetchall()
        except psycopg.errors.UndefinedTable:
            return []
        except psycopg.Error:
            self.close()
            raise

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class TableRows(View):
    """A table without a key: a double would stand in it."""

    def __init__(self, url, table):
        super().__init__(f"table {table}")
        self.table, self.reader, self.through = table, Table(url), {}
        self.close = self.reader.close

    def load(self):
        found = self.reader.rows(f"""SELECT k, count(*), sum(v)::bigint, count(*) - count(DISTINCT (source, id))
            FROM "{self.table}" GROUP BY k""")
        for key, _, _, doubles in found:
            if doubles:
                self.wrong(f"{doubles} rows of {key} stand twice")
        self.through = dict(self.reader.rows(f'''SELECT source, count(*) FROM "{self.table}"
                                                GROUP BY source HAVING count(*) = max(id)'''))
        self.totals = {key: (count, total) for key, count, total, _ in found}

    def whole(self, wanted):
        return all(self.through.get(source, 0) >= id for source, id in wanted.reached.items())

    def missing(self):
        found = {}
        for source in range(self.source.partitions):
            there = {id for id, in self.reader.rows(f'SELECT id FROM "{self.table}" WHERE source = {source}')}
            ids = [id for id in range(1, self.source.sent().reached[source] + 1) if id not in there]
            if ids:
                found[source] = f"{len(ids)} missing, {ids[:3]} to {ids[-1]}"
        return found


class TableTotals(View):
    def __init__(self, url, table):
        super().__init__(f"table {table}")
        self.table, self.reader = table, Table(url)
        self.close = self.reader.close

    def load(self):
        self.totals = {key: (count, int(total)) for key, count, total in
                       self.reader.rows(f'SELECT k, n, s FROM "{self.table}"')}


class LakeRows(Rows):
    """What a plain glob over a folder shows. A file with a final name is whole, stays, and never changes."""

    def __init__(self, folder):
        super().__init__(f"lake {folder}")
        self.folder, self.files = folder, {}

    def list(self):
        """{name: what would tell a change}"""
        found = {}
        for path in glob.glob(f"{self.folder}/**/*.parquet", recursive=True):
            with open(path, "rb") as file:
                found[path] = len(file.read())
        return found

    def open(self, name):
        return open(name, "rb")

    def load(self):
        found = self.list()
        for name, mark in self.files.items():
            if found.get(name) != mark:
                self.wrong(f"file {name} was {mark} and is {found.get(name, 'gone')}")
        for name in found.keys() - self.files.keys():
            self.files[name] = found[name]
            try:
                with self.open(name) as file:
                    table = pyarrow.parquet.ParquetFile(io.BytesIO(file.read())).read(columns=["source", "id", "v"])
            except pyarrow.ArrowException as error:
                self.wrong(f"file {name}: {error}")
                continue
            key = name.rpartition("/")[0].rpartition("k=")[2]
            for source, id, value in zip(*(column.to_pylist() for column in table.columns)):
                self.add(source, id, key, value, f"in {name}")


class BucketRows(LakeRows):
    """The same below a prefix of a bucket, as a listing shows it."""

    def __init__(self, s3, prefix):
        super().__init__(f"s3://{s3.bucket}/{prefix}")
        self.s3, self.prefix = s3, prefix

    def list(self):
        pages = self.s3.client.get_paginator("list_objects_v2").paginate(Bucket=self.s3.bucket, Prefix=self.prefix + "/")
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])
                if item["Key"].endswith(".parquet")}

    def open(self, name):
        return io.BytesIO(self.s3.client.get_object(Bucket=self.s3.bucket, Key=name)["Body"].read())


class Witness:
    """Looks at all views, again and again, in a thread of its own, while it is used as a context."""

    EVERY = 0.2  # seconds

    def __init__(self, source, *views):
        self.source, self.views = source, views
        self.seen_wrong = []
        self.looks = 0
        self._began = time.monotonic()
        self._stopping, self._thread = threading.Event(), None
        for view in views:
            view.source = source
            view.wrong = lambda text, view=view: self._wrong(view, text)

    def _wrong(self, view, text):
        if len(self.seen_wrong) < 20:
            self.seen_wrong.append(f"{time.monotonic() - self._began:.1f} s: {view.name}: {text}")

    def _watch(self):
        try:
            while not self._stopping.wait(self.EVERY):
                self.look()
        except Exception as error:
            self.seen_wrong.append(f"the witness can't see: {error!r}")

    def look(self):
        for view in self.views:
            view.look()
        self.looks += 1

    def __enter__(self):
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stopping.set()
        if self._thread:
            self._thread.join(60)

    def close(self):
        self.__exit__()
        for view in self.views:
            view.close()

    def check(self):
        if self.seen_wrong:
            raise Failure("\n".join(self.seen_wrong))

    def told(self):
        """What every sink shows, and what it doesn't."""
        sent = self.source.sent().rows()
        lines = [f"{sent} rows were sent; the witness looked {self.looks} times"]
        for view in self.views:
            missing = ""
            if hasattr(view, "missing") and view.rows() < sent:
                try:
                    missing = f" {view.missing()}"
                except Exception as error:
                    missing = f" ({error!r})"
            lines.append(f"{view.name}: {view.rows()} rows{missing}")
        return "\n".join(lines)

    def wait_for_all(self, sent, seconds=60, also=lambda: None, views=None):
        """Until every sink shows all of this."""
        def whole():
            self.check()
            also()
            return all(view.whole(sent) for view in views or self.views)
        wait_for("every row in every sink", whole, seconds, self.told)

    def finish(self):
        """To be called when nothing runs any more: counts and sums by key are the source's."""
        self.__exit__()
        self.look()
        self.check()
        wanted = self.source.sent().totals
        different = [f"{view.name}: {view.totals}" for view in self.views if view.totals != wanted]
        if different:
            raise Failure("\n".join([f"the source holds {wanted}", *different, self.told()]))
