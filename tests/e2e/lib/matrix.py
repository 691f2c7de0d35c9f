"""The fault matrix: what an outside party does to a running application, as data, and the one runner of it.

Each fault is tried on an application of its own, under traffic that doesn't stop and with a witness that looks at all
sinks. A round: the fault holds until it has hit, and for a while longer; meanwhile whoever doesn't need the party goes on;
then it is lifted, and every row that was sent until then must arrive, by the same process. In the end all is stopped, and
every sink holds what the source does.
"""

import contextlib
import dataclasses
import re
import signal
import time
import typing

import results
import topics
import topology
import views
import witness
from case import LONG, SystemTest
from stack import Failure, wait_for

ASSERTION = "tidemark: rdkafka_"  # how the C library begins its message
AT_ONCE = 5  # applications; most of what they do is waiting
HIT_SECONDS = 180
WHOLE_SECONDS = 270
MEANWHILE_SECONDS = 150  # for whoever is not concerned, while the fault holds


@dataclasses.dataclass
class Fault:
    """strike(party) is a context manager within which the fault holds; what it yields counts what it has hit."""
    claim: str
    strike: typing.Callable
    rounds: int = 3
    lasts: float = 1.0  # seconds, once it has hit
    hits: int = 1  # as many as a round must have
    slow: bool = False  # runs with --long only
    topology: typing.Callable = None  # changes the application's


class Party:
    """One application, the outside party that its fault is about, and the sinks that a witness reads.

    Subclasses name the sinks that need the party, and where the witness finds them."""

    partitions = 2
    delays_only_itself = True  # everybody else goes on while the fault holds

    def __init__(self, stack, name):
        self.stack, self.name = stack, name
        self.source = witness.Source(stack.brokers, name, self.partitions)
        self.worker, self.asserted = None, False

    def prepare(self):
        """Starts what the application needs. Returns its environment."""
        return {}

    def sinks(self):
        return {}

    def views(self):
        return []

    def close(self):
        pass

    def topology(self):
        name = self.name
        return {
            "name": name, "commit_interval": "50ms", "kafka": {"brokers": "${KAFKA_BROKERS}"},
            "sources": {"numbers": {"topic": name, "columns": dict(witness.SOURCE_COLUMNS)}},
            "steps": {"totals": {"from": "numbers", "emit": "on_update", "group_by": ["k"],
                                 "aggregates": {"n": "count(*)", "s": "sum(v)"}}},
            "sinks": {"copy": {"from": "numbers", "topic": f"{name}-copy", "create": {}},
                      "sums": {"from": "totals", "topic": f"{name}-sums", "key": ["k"],
                               "create": {"config": {"cleanup.policy": "compact"}}}, **self.sinks()}}

    def run(self, *args):
        return self.stack.run(self.config, *args, name=self.name, threads=1, env=self.environment)

    def told(self, text):
        """How often the application's workers have said so."""
        return self.worker.log.read_text(errors="replace").count(text)

    def runs(self):
        """One worker that librdkafka has ended, by an assertion of its own, is started again, as whatever looks after
        workers would: to its rows it is a crash like any other."""
        if self.worker.running():
            return
        if self.worker.process.returncode == -signal.SIGABRT and not self.asserted and ASSERTION in self.worker.seen():
            print(f"  {self.name}: an assertion of librdkafka has ended the worker", flush=True)
            self.asserted = True
            self.worker = self.run()
        else:
            raise Failure(f"the worker has ended with {self.worker.process.returncode}\n{self.worker.seen()}")


def tests(kind, faults):
    """A test case with a test for each fault; `faults` is {Party: [Fault, ...]}."""
    methods = {"needs_postgres": True, "kafka_behind_a_proxy": True}
    for party, of_party in faults.items():
        for fault in of_party:
            if fault.slow and not LONG:
                continue
            name = f"{kind}_{re.sub('[^a-z0-9]+', '_', fault.claim.lower())}"

            def test(self, party=party, fault=fault, name=name):
                run_party(party, fault, self.stack, name.replace("_", "-"))
            methods[f"test_{name}"] = test
    return type("Faults", (SystemTest,), methods)


def by_rule(*args, **options):
    @contextlib.contextmanager
    def strike(party):
        with party.proxy.rule(*args, **options) as rule:
            yield lambda: rule.hits
    return strike


def once(do):
    """Something that is done and over: do(party) returns how much it hit, or nothing."""
    @contextlib.contextmanager
    def strike(party):
        hits = do(party)
        yield lambda: 1 if hits is None else hits
    return strike


@contextlib.contextmanager
def refused(party):
    before = party.told("trying again")
    party.proxy.refuse()
    try:
        yield lambda: party.told("trying again") - before
    finally:
        party.proxy.accept()


def and_killed(strike):
    """The worker is killed while the fault holds; its successor begins within it."""
    @contextlib.contextmanager
    def both(party):
        with strike(party) as hits:
            wait_for("a hit", hits, HIT_SECONDS, party.worker.seen)
            party.worker.kill()
            party.worker = party.run()
            yield hits
    return both


def slowed(bytes_per_second):
    @contextlib.contextmanager
    def strike(party):
        party.proxy.bytes_per_second = bytes_per_second
        try:
            yield lambda: 1
        finally:
            party.proxy.bytes_per_second = None
    return strike


def run_party(kind, fault, stack, name):
    """Raises Failure with what was seen."""
    party = kind(stack, name)
    try:
        _run(party, fault)
    finally:
        party.source.abandon()
        if party.worker and party.worker.running():
            party.worker.kill()
        party.close()


def _run(party, fault):
    party.environment = party.stack.environment(**party.prepare())
    described = party.topology()
    if fault.topology:
        fault.topology(described)
    party.config = topology.write(party.stack.folder / f"{party.name}.yaml", described)
    # What no fault of an outside party may disturb; of Kafka's own, everything may be.
    kept = [views.TopicRows(party.stack.brokers, f"{party.name}-copy"),
            views.TopicTotals(party.stack.brokers, f"{party.name}-sums")]
    seen = witness.Witness(party.source, *kept, *party.views())
    try:
        _rounds(party, fault, seen, kept)
        seen.finish()
    finally:
        seen.close()


def _rounds(party, fault, seen, kept):
    party.worker = party.run()
    wait_for("the worker", party.worker.ready, 180, party.worker.seen)
    party.source.start()
    with seen:
        seen.wait_for_all(party.source.sent(), WHOLE_SECONDS, party.runs)
        for number in range(1, fault.rounds + 1):
            began, before = time.monotonic(), party.source.sent()
            with fault.strike(party) as hits:
                wait_for(f"{fault.claim}: a hit", lambda: party.runs() or hits() >= fault.hits, HIT_SECONDS,
                         lambda: f"{hits()} hits\n{party.worker.seen()}")
                time.sleep(fault.lasts)  # how long the fault holds; nothing is waited for here
                party.runs()
                if party.delays_only_itself:
                    seen.wait_for_all(party.source.sent(), MEANWHILE_SECONDS, party.runs, kept)
                count = hits()
            held, lifted = time.monotonic() - began, time.monotonic()
            now = party.source.sent()
            seen.wait_for_all(now, WHOLE_SECONDS, party.runs)
            print(f"  {party.name} {number}/{fault.rounds}: {count} hits in {held:.1f} s, {now.rows() - before.rows()} rows "
                  f"meanwhile; all there after {time.monotonic() - lifted:.1f} s", flush=True)
        party.source.stop()
        code = party.worker.stop(60)
        if code != 0:
            raise Failure(f"told to stop, the worker ended with {code}\n{party.worker.seen()}")
        check_positions(party, party.run("--until_end").finish(300))


def check_positions(party, output):
    """The ledger has counted every row once, and the group stands at the end."""
    sent = party.source.sent().rows()
    ledger = results.parse_ledger(output)
    counters = ledger.get("totals partial", {})
    if counters.get("in") != sent or any(line.get("dead_lettered") for line in ledger.values()):
        raise Failure(f"{sent} rows were sent; the ledger is {ledger}")
    ends = topics.ends(party.stack.brokers, party.name)
    stand = topics.committed(party.stack.brokers, party.name, party.name)
    if stand != ends:
        raise Failure(f"the group stands at {stand} of {ends}")
