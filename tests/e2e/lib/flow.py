"""Paced input that flows for as long as a test needs it, shared by the tests that run at the same time, and the oracle
over it, computed once."""

import contextlib
import re
import threading

from stack import Failure


class Flow:
    """Detections at `rate` records a second, whose event time goes by `speed` times as fast as the clock: windows close
    all the while. Late rows and duplicates are among them."""

    MOST = 100_000_000  # records: more than anybody waits for

    def __init__(self, stack, topic, rate, speed=10):
        self.stack, self.topic, self.rate, self.speed = stack, topic, rate, speed
        self._changed = threading.Condition()
        self._users, self._generator, self._written, self._oracle = 0, None, 0, None
        # The topics, and the table in full.
        self._generate(lambda n, **shape: stack.generate(n, **shape), 1)
        self._written = 1

    def _generate(self, call, records, **more):
        return call(records, topic=self.topic, late=0.02, events_per_second=self.rate / self.speed, **more)

    @contextlib.contextmanager
    def needed(self):
        """Input flows within; after it, all that will ever be is there."""
        with self._changed:
            self._users += 1
            if self._generator is None:
                self._generator = self._generate(self.stack.start_generate, self.MOST, skip=self._written, rate=self.rate)
                self.stack.workers.remove(self._generator)  # outlives the test that came first
        whole = False
        try:
            yield
            whole = True
        finally:
            with self._changed:
                self._users -= 1
                if self._users == 0:
                    self._stop(whole)
                    self._changed.notify_all()
        with self._changed:
            self._changed.wait_for(lambda: self._users == 0)

    def _stop(self, whole):
        if not whole:  # the last user has failed, and why is what counts
            self._generator.kill()
            return
        self._generator.stop()
        written = re.search(rf"^{self.topic}: (\d+) records", self._generator.output(), re.MULTILINE)
        if not written:
            raise Failure(f"the generator failed\n{self._generator.seen()}")
        self._written += int(written[1])
        self._generator, self._oracle = None, None

    def check_flows(self):
        """Called at a moment that must lie within the input."""
        if self._generator is None or not self._generator.running():
            raise Failure(f"the input has ended\n{self._generator.seen() if self._generator else ''}")

    @contextlib.contextmanager
    def oracle(self, make):
        """make(topic) for the input that is there, made once; one thread at a time has it."""
        with self._changed:
            if self._oracle is None:
                self._oracle = make(self.topic)
            yield self._oracle
