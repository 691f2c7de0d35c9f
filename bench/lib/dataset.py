"""Input topics, filled once and read by every run: what `tidemark generate htx` makes of some options."""

import dataclasses

import topics
from expectation import Expectation


@dataclasses.dataclass
class Dataset:
    """`name` is the prefix of its topics."""
    name: str
    records: int
    options: dict = dataclasses.field(default_factory=dict)
    expectation: Expectation = None

    @property
    def detections(self):
        return f"{self.name}-detections"

    @property
    def locations(self):
        return f"{self.name}-locations"

    def fill(self, stack):
        stack.generate(self.records, topic=self.detections, table_topic=self.locations, **self.options)

    def expect(self, brokers):
        if self.expectation is None:
            self.expectation = Expectation(brokers, self.detections, self.locations)
        return self.expectation


def create_outputs(brokers, prefix, names, partitions=4):
    """The output topics of one run, so that no system has to."""
    topics.create(brokers, **{prefix + name: partitions for name in names})


def delete_topics(brokers, prefix):
    """All topics that begin so: a run's output and the internal topics of its application."""
    client = topics.admin(brokers)
    doomed = [name for name in client.list_topics(timeout=20).topics if name.startswith(prefix)]
    if doomed:
        for future in client.delete_topics(doomed, operation_timeout=30).values():
            future.result(60)
