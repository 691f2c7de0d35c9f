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
import json
import threading
import time

import confluent_kafka

import topics
from stack import Failure, wait_for
from views import key_of, value_of

SOURCE_COLUMNS = {"source": "int32", "id": "int64", "k": "string", "v": "int64"}


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

    def wait_for_all(self, sent, seconds=180, also=lambda: None, views=None):
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
