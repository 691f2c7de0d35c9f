"""The broker's own log files, read without any client: where each transaction stood, and how it ended.

A test that kills workers must know what it hit. The transaction coordinator writes every step of a transaction to
__transaction_state, and what it wrote can be read from the file at once.
"""

import collections
import dataclasses
import pathlib
import struct

# base offset, batch length, leader epoch, magic, crc, attributes, last offset delta, base and max timestamp, producer id
# and epoch, base sequence, record count
HEADER = struct.Struct(">qiibIhiqqqhii")
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


def batches(path):
    """(record count, records' bytes) of each batch of a .log file, as far as it is whole."""
    data = pathlib.Path(path).read_bytes()
    at = 0
    while at + HEADER.size <= len(data):
        _, length, _, magic, _, _, _, _, _, _, _, _, count = HEADER.unpack_from(data, at)
        end = at + 12 + length
        if magic != 2 or length <= 0 or end > len(data):
            return
        yield count, data[at + HEADER.size:end]
        at = end


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def records(path):
    """(key, value) of each record; uncompressed batches only, which those of the coordinator are."""
    for count, data in batches(path):
        at = 0
        for _ in range(count):
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


def transaction_steps(kafka_dir):
    """All steps of all transactions; those of one transactional id in their order."""
    for log in sorted(pathlib.Path(kafka_dir).glob("data/__transaction_state-*/*.log")):
        for key, value in records(log):
            if key is None or value is None:
                continue
            size, = struct.unpack_from(">h", key, 2)
            _, producer, epoch, _, status = STATE.unpack_from(value)
            yield TransactionStep(key[4:4 + size].decode(), producer, epoch, STATUS[status],
                                  b"__consumer_offsets" in value)


def newest_steps(kafka_dir):
    """{transactional id: its newest step}"""
    return {step.transactional_id: step for step in transaction_steps(kafka_dir)}


def count_steps(kafka_dir, prefix, status):
    """How often transactions of ids with this prefix came to a status."""
    found = collections.Counter(step.status for step in transaction_steps(kafka_dir)
                                if step.transactional_id.startswith(prefix))
    return found[status]
