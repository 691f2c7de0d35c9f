"""Topics as Arrow tables, and records into topics, by a client that is not ours (confluent-kafka)."""

import socket
import struct
import time

import confluent_kafka
import confluent_kafka.admin
import pyarrow

from stack import Failure, wait_for

READ_SECONDS = 60  # without any progress


def murmur2(key):
    """The Java client's hash, to check who wrote where."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(key)) & mask
    whole = len(key) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if len(key) > whole:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def java_partition(key, partitions):
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def admin(brokers):
    return confluent_kafka.admin.AdminClient({"bootstrap.servers": brokers, "log_level": 4})


def create(brokers, **topics):
    """create(b, events=4, notes=(1, {"cleanup.policy": "compact"}))"""
    new = []
    for name, spec in topics.items():
        partitions, config = spec if isinstance(spec, tuple) else (spec, {})
        # Records of the past: a default broker's retention would delete them in the middle of a test.
        config = {"retention.ms": "-1", **config}
        new.append(confluent_kafka.admin.NewTopic(name, partitions, 1, config=config))
    client = admin(brokers)  # must outlive its futures
    for future in client.create_topics(new).values():
        future.result(30)
    # The controller has answered; the broker itself learns of it a moment later.
    wait_for("the new topics to be known", lambda: topics.keys() <= client.list_topics(timeout=10).topics.keys(), 30)


def names(brokers):
    return set(admin(brokers).list_topics(timeout=20).topics)


def partitions(brokers, topic):
    """How many partitions the topic has; 0 where it doesn't exist."""
    found = admin(brokers).list_topics(timeout=20).topics.get(topic)
    return len(found.partitions) if found else 0


def produce(brokers, topic, records):
    """Records are dicts: value, and optionally key, partition, timestamp (ms), headers."""
    failed = []
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "linger.ms": 5, "message.max.bytes": 64 << 20,
                                         "partitioner": "murmur2_random", "enable.idempotence": True})
    for record in records:
        given = {k: v for k, v in record.items() if v is not None}
        while True:
            try:
                producer.produce(topic, on_delivery=lambda error, _: failed.append(error) if error else None, **given)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60) or failed:
        raise Failure(f"writing to {topic}: {failed[:3] or 'time-out'}")


def consumer(brokers, isolation="read_committed", **settings):
    return confluent_kafka.Consumer({
        "bootstrap.servers": brokers, "group.id": "tidemark-test-reader", "isolation.level": isolation,
        "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
        "fetch.message.max.bytes": 8 << 20, "queued.max.messages.kbytes": 65536, **settings})


def read(brokers, topic, isolation="read_committed", headers=False):
    """All records up to the end (read_committed: to the last stable offset), as a table of partition, offset,
    timestamp, key, value and, where asked for, headers."""
    count = partitions(brokers, topic)
    if count == 0:
        raise Failure(f"topic '{topic}' does not exist")
    reader = consumer(brokers, isolation)
    columns = ([], [], [], [], [], [])
    try:
        reader.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING)
                       for p in range(count)])
        open_partitions = set(range(count))
        progress = time.monotonic()
        while open_partitions:
            messages = reader.consume(20_000, 0.2)
            if messages:
                progress = time.monotonic()
            elif time.monotonic() - progress > READ_SECONDS:
                raise Failure(f"{topic}: no answer in {READ_SECONDS} s from partitions {open_partitions}")
            for message in messages:
                if message.error():
                    if message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
                        raise Failure(f"{topic}: {message.error()}")
                    open_partitions.discard(message.partition())
                    continue
                columns[0].append(message.partition())
                columns[1].append(message.offset())
                columns[2].append(message.timestamp()[1])
                columns[3].append(message.key())
                columns[4].append(message.value())
                if headers:
                    columns[5].append(dict(message.headers() or []))
    finally:
        reader.close()
    table = pyarrow.table({
        "partition": pyarrow.array(columns[0], pyarrow.int32()), "offset": pyarrow.array(columns[1], pyarrow.int64()),
        "timestamp": pyarrow.array(columns[2], pyarrow.int64()), "key": pyarrow.array(columns[3], pyarrow.binary()),
        "value": pyarrow.array(columns[4], pyarrow.binary())})
    return (table, columns[5]) if headers else table


def patiently(call):
    """The answer to a question that a broker may refuse for a moment, while it loads or moves what is asked about."""
    deadline = time.monotonic() + READ_SECONDS
    while True:
        try:
            return call()
        except confluent_kafka.KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def ends(brokers, topic, isolation="read_committed"):
    """{partition: end offset}"""
    reader = consumer(brokers, isolation)
    try:
        return {p: patiently(lambda: reader.get_watermark_offsets(confluent_kafka.TopicPartition(topic, p), 20,
                                                                  cached=False)[1])
                for p in range(partitions(brokers, topic))}
    finally:
        reader.close()


def committed(brokers, group, topic):
    """{partition: committed offset}, without those that have none."""
    reader = consumer(brokers, **{"group.id": group})
    try:
        asked = [confluent_kafka.TopicPartition(topic, p) for p in range(partitions(brokers, topic))]
        return {p.partition: p.offset for p in patiently(lambda: reader.committed(asked, 20)) if p.offset >= 0}
    finally:
        reader.close()


def expel(brokers, group, instance):
    """Removes a static member from its group, as an administrator may. A LeaveGroup request, version 3, by hand: the
    Python client has no call for it."""
    def string(text):
        return struct.pack(">h", len(text)) + text.encode()
    api, version, correlation = 13, 3, 1
    request = (struct.pack(">hhi", api, version, correlation) + string("tidemark-test") + string(group) +
               struct.pack(">i", 1) + string("") + string(instance))
    host, _, port = brokers.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.makefile("rb")
        size, = struct.unpack(">i", answer.read(4))
        body = answer.read(size)
    # correlation, throttle time, error, members: (id, instance, error)
    _, _, error, members = struct.unpack_from(">iihi", body)
    member_error, = struct.unpack(">h", body[-2:])
    if error or members != 1 or member_error:
        raise Failure(f"expelling {instance} from {group}: error {error}, of the member {member_error}")
