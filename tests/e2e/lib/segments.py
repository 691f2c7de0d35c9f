"""The broker's own log files, read without any client: where each transaction stood, how it ended, and what it held.

A test that kills workers must know what it hit. The transaction coordinator writes every step of a transaction to
__transaction_state, and what it wrote can be read from the file at once. The two classes follow the files: each call
reads only what has been added since the last. One thread each.
"""

import collections
import dataclasses
import pathlib
import struct

# base offset, batch length, leader epoch, magic, crc, attributes, last offset delta, base and max timestamp, producer id
# and epoch, base sequence, record count
HEADER = struct.Struct(">qiibIhiqqqhii")
CONTROL = 0x20  # attribute of a batch that holds a commit or abort marker
# version, producer id, producer epoch, time-out, status
STATE = struct.Struct(">hqhib")
STATUS = ("empty", "ongoing", "prepare commit", "prepare abort", "complete commit", "complete abort", "dead",
          "prepare epoch fence")


@dataclasses.dataclass
class TransactionStep:
    transactional_id: str
    producer: int
    epoch: int
    status: str
    has_offsets: bool  # consumer offsets have been added to it

    @property
    def open(self):
        """Not decided, or decided and not yet written out."""
        return self.status in ("ongoing", "prepare commit", "prepare abort")

    def __str__(self):
        return self.status + (" with offsets sent" if self.status == "ongoing" and self.has_offsets else "")


@dataclasses.dataclass
class Batch:
    partition: str  # the folder of its log
    producer: int
    control: bool
    count: int  # records
    data: bytes


class Follower:
    """The batches that were added to some of the broker's topics since the last look, in order within a partition."""

    def __init__(self, kafka_dir, pattern):
        self.data, self.pattern = pathlib.Path(kafka_dir) / "data", pattern
        self._read = collections.Counter()  # bytes, by file

    def batches(self):
        for path in sorted(self.data.glob(f"{self.pattern}/*.log")):
            try:
                with open(path, "rb") as log:
                    log.seek(self._read[path])
                    data = log.read()
            except FileNotFoundError:  # trimmed meanwhile
                continue
            at = 0
            while at + HEADER.size <= len(data):
                _, length, _, magic, _, attributes, _, _, _, producer, _, _, count = HEADER.unpack_from(data, at)
                end = at + 12 + length
                if magic != 2 or length <= 0 or end > len(data):
                    break
                yield Batch(path.parent.name, producer, bool(attributes & CONTROL), count, data[at + HEADER.size:end])
                at = end
            self._read[path] += at


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def records(batch):
    """(key, value) of each record; uncompressed batches only, which those of the coordinator are."""
    data, at = batch.data, 0
    for _ in range(batch.count):
        length, at = varint(data, at)
        end = at + length
        at += 1  # attributes
        _, at = varint(data, at)  # timestamp delta
        _, at = varint(data, at)  # offset delta
        size, at = varint(data, at)
        key = data[at:at + size] if size >= 0 else None
        at += max(size, 0)
        size, at = varint(data, at)
        yield key, data[at:at + size] if size >= 0 else None
        at = end


class Transactions:
    """The steps of the transactions whose id begins with `prefix`, as the coordinator wrote them."""

    def __init__(self, kafka_dir, prefix):
        self.prefix = prefix
        self._follower = Follower(kafka_dir, "__transaction_state-*")
        self._newest, self._counts = {}, collections.Counter()

    def _follow(self):
        for batch in self._follower.batches():
            for key, value in records(batch):
                if batch.control or key is None or value is None:
                    continue
                size, = struct.unpack_from(">h", key, 2)
                transactional_id = key[4:4 + size].decode()
                if not transactional_id.startswith(self.prefix):
                    continue
                _, producer, epoch, _, status = STATE.unpack_from(value)
                step = TransactionStep(transactional_id, producer, epoch, STATUS[status], b"__consumer_offsets" in value)
                self._newest[transactional_id] = step
                self._counts[transactional_id, step.status] += 1

    def newest(self, prefix=""):
        """{transactional id: its newest step}, of the ids that begin so."""
        self._follow()
        return {i: step for i, step in sorted(self._newest.items()) if i.startswith(prefix)}

    def count(self, status, prefix=""):
        """How often transactions of such ids came to a status."""
        self._follow()
        return sum(n for (i, s), n in self._counts.items() if s == status and i.startswith(prefix))


class UncommittedRows:
    """How many records each producer has in a topic beyond its last commit or abort marker."""

    def __init__(self, kafka_dir, topic):
        self._follower = Follower(kafka_dir, f"{topic}-[0-9]*")
        self._rows = collections.Counter()

    def of(self, producers):
        for batch in self._follower.batches():
            slot = batch.partition, batch.producer
            self._rows[slot] = 0 if batch.control else self._rows[slot] + batch.count
        return sum(rows for (_, producer), rows in self._rows.items() if producer in producers)
