"""The base of the tests: one Stack for all tests of a file, and the workers' logs where a test fails.

Tests that mostly wait run at the same time (`main(at_once=True)`): each has an application of its own on the shared
servers, and a thread that knows only the processes it has started.
"""

import atexit
import os
import signal
import sys
import threading
import unittest

import results
import stack
import topics
import topology
from oracle import Oracle, Semantics
from watch import Watch

LONG = bool(os.environ.get("TIDEMARK_LONG"))


class SystemTest(unittest.TestCase):
    """Subclasses say what they need; `self.stack` is running when their tests do."""

    kafka_settings = ()
    kafka_behind_a_proxy = False  # stack.kafka_proxy
    needs_postgres = False
    stack = None
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.stack = stack.Stack()
        cls.addClassCleanup(cls.stack.close)
        atexit.register(cls.stack.close)  # where a signal ends the tests
        start = cls.stack.start_kafka_behind_a_proxy if cls.kafka_behind_a_proxy else cls.stack.start_kafka
        start(*cls.kafka_settings)
        if cls.needs_postgres:
            cls.stack.start_postgres()
        cls.prepare()

    @classmethod
    def prepare(cls):
        """Input that the tests of a class share."""

    def run(self, result=None):
        if self.stack is None:  # the whole class is skipped
            return super().run(result)
        self.watched = set()
        self.stack.workers.clear()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(f"\n=== {self.id()} failed; the ends of its logs:\n{self.stack.logs()}\n===", file=sys.stderr)
        for worker in self.stack.workers:
            if worker.running():
                worker.kill()

    @classmethod
    def oracle(cls, source="detections", table="locations", **semantics):
        return Oracle(topics.read(cls.stack.brokers, source), topics.read(cls.stack.brokers, table),
                      topics.partitions(cls.stack.brokers, source), Semantics(**semantics))

    def watch(self, name, **where):
        """From now to the test's end a witness looks at what readers see in the sinks of the HTX variant `name`."""
        if name not in self.watched:
            self.watched.add(name)
            self.enterContext(Watch(self.stack, name, **where))

    def check(self, oracle, name, *outputs, lake=None):
        """All sinks of the HTX variant `name` against the oracle; the ledger too where there is the output of a run (or
        of several workers that ran at once)."""
        found = results.Results(oracle, self.stack.brokers, f"{name}-")
        differences = found.kafka()
        differences += found.postgres(self.stack.database_url, f"{name}_top_items".replace("-", "_"))
        differences += found.lake(lake or self.stack.folder / "lake" / name)
        if outputs:
            differences += found.ledger(*outputs)
        results.report(differences)


class HtxTest(SystemTest):
    """Variants of the HTX topology, each an application of its own, over ten minutes of detections that they share."""

    needs_postgres = True
    records = 50_000

    @classmethod
    def prepare(cls):
        cls.generate_more(skip=0)

    @classmethod
    def generate_more(cls, skip):
        cls.stack.generate(cls.records, skip=skip, events_per_second=cls.records / 600)

    def config(self, name, change=None):
        self.watch(name)
        variant = topology.variant(name)
        if change:
            change(variant)
        return topology.write(self.stack.folder / f"{name}.yaml", variant)

    def completes(self, config, name):
        output = self.stack.run(config, "--until_end", "--close_windows", name=name).finish(120)
        self.check(self.oracle(), name, output)


class Recorder(unittest.TestResult):
    """What happened to one test, to be told to the real result in one piece: that one is for one thread."""

    def __init__(self):
        super().__init__()
        self.told = []

    def replay(self, result):
        for name, *args in self.told:
            getattr(result, name)(*args)


def recorded(name):
    def record(self, *args):
        getattr(unittest.TestResult, name)(self, *args)
        self.told.append((name, *args))
    return record


for each_event in ("startTest", "stopTest", "addSuccess", "addFailure", "addError", "addSkip", "addSubTest"):
    setattr(Recorder, each_event, recorded(each_event))


class AtOnce(unittest.TestSuite):
    """The tests of one class at the same time, `most` of them."""

    most = 1_000

    def run(self, result, debug=False):
        tests = list(self)
        if not tests:
            return result
        cls, lock, room = type(tests[0]), threading.Lock(), threading.Semaphore(self.most)

        def run_one(test):
            recorder = Recorder()
            with room:
                test.run(recorder)
            with lock:
                recorder.replay(result)

        try:
            cls.setUpClass()
            threads = [threading.Thread(target=run_one, args=[test], name=test._testMethodName, daemon=True)
                       for test in tests]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            result.addError(unittest.suite._ErrorHolder(f"setUpClass ({cls.__name__})"), sys.exc_info())
        finally:
            cls.doClassCleanups()
            for info in cls.tearDown_exceptions:
                result.addError(unittest.suite._ErrorHolder(f"tearDownClass ({cls.__name__})"), info)
        return result


class AtOnceLoader(unittest.TestLoader):
    def loadTestsFromTestCase(self, case):
        return AtOnce(map(case, self.getTestCaseNames(case)))


def interrupt(*_):
    raise KeyboardInterrupt


def main(at_once=False):
    """at_once: False, True, or how many tests at most."""
    # Whoever has the tests killed, politely, gets what they have started cleared away too.
    signal.signal(signal.SIGTERM, interrupt)
    if at_once and at_once is not True:
        AtOnce.most = at_once
    unittest.main(verbosity=2, testLoader=AtOnceLoader() if at_once else unittest.defaultTestLoader)
