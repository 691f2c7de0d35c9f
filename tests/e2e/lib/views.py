"""What a witness looks at: each view shows what stands in one sink, as any reader of that sink would see it, and knows what
may never be seen there (see witness.py)."""

import collections
import glob
import io
import json

import confluent_kafka
import psycopg
import pyarrow.parquet

import topics


def key_of(source, id, keys):
    return f"k{(id * 7 + source) % keys}"


def value_of(source, id):
    return id * 3 + source


class Standing:
    """What one sink shows. Subclasses load() it; what they find wrong they say to `wrong`."""

    def __init__(self, name):
        self.name, self.wrong = name, lambda text: None

    def look(self):
        """Whether there was something to see."""
        try:
            self.load()
        except (OSError, psycopg.Error, confluent_kafka.KafkaException):
            return False  # its server is away; what it shows is seen later
        return True

    def close(self):
        pass


class View(Standing):
    """Numbered rows of a Source: `totals` is {key: (rows, sum)}."""

    def __init__(self, name):
        super().__init__(name)
        self.totals, self.source = {}, None

    def look(self):
        before = self.totals
        if not super().look():
            return
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
