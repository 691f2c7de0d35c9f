"""What a broker, or what lies between, does to a worker: requests of each kind that a commit, a membership or a read is
made of, lost before and after their effect. All Kafka faults share a proxy, so each breaks what its own application asks."""

import contextlib
import itertools

import faults_postgres
import matrix
import wire
from matrix import Fault
from proxy import CUT, HALF, INSTEAD, LOST, TORN


class Brokers(faults_postgres.Database):
    """Everything of the application goes through the proxy, its sink into a database too, which is sound."""

    delays_only_itself = False

    def prepare(self):
        return {**super().prepare(), "KAFKA_BROKERS": f"127.0.0.1:{self.stack.kafka_proxy.port}"}


def by_rule(names, action=None, **options):
    @contextlib.contextmanager
    def strike(party):
        def matches(request):
            # A name may be the beginning of another one's.
            ours = request.about.startswith(party.name) and not request.about[len(party.name):][:1].isalnum()
            return ours and (not names or request.name in names)
        with party.stack.kafka_proxy.rule(matches, action, **options) as rule:
            yield lambda: rule.hits
    return strike


def after_a_reset(strike):
    """So that what is asked at the beginning of a connection is asked."""
    @contextlib.contextmanager
    def both(party):
        with strike(party) as hits:
            party.stack.kafka_proxy.reset(party.name)
            yield hits
    return both


def answered(name, errors, times=2):
    """Instead of the effect there is an error; each round has another one."""
    return in_turn(errors, lambda error: by_rule({name}, times=times, answer=lambda request: wire.Kafka.failed(request, error)))


def done_and_answered(name, errors, times=2):
    """The effect is there, and the answer speaks of an error."""
    def answer(request, data, error):
        return wire.Kafka.failed(request, error) if name in wire.Kafka.PLAIN else wire.Kafka.spoilt(request, data, error)
    return in_turn(errors, lambda error: by_rule({name}, INSTEAD, times=times,
                                                 answer=lambda request, data: answer(request, data, error)))


def in_turn(errors, make):
    turn = itertools.cycle(errors)

    @contextlib.contextmanager
    def strike(party):
        with make(next(turn))(party) as hits:
            yield hits
    return strike


# Kafka's numbers of what the client takes for a reason to ask again, to abort, or to begin anew.
LOADING, NOT_AVAILABLE, NOT_COORDINATOR = 14, 15, 16
ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING = 22, 25, 27
INVALID_EPOCH, INVALID_STATE, INVALID_MAPPING, CONCURRENT, FENCED = 47, 48, 49, 51, 90
NOT_LEADER, TIMED_OUT, FEW_REPLICAS, OUT_OF_ORDER, NO_PRODUCER = 6, 7, 20, 45, 59
AGAIN = (LOADING, NOT_AVAILABLE, NOT_COORDINATOR, CONCURRENT)
ANEW = (INVALID_EPOCH, INVALID_STATE, INVALID_MAPPING, FENCED)

COORDINATOR = {"FindCoordinator", "JoinGroup", "SyncGroup", "Heartbeat", "OffsetCommit", "OffsetFetch", "InitProducerId",
               "AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn", "TxnOffsetCommit"}

FAULTS = {
    Brokers: [
        Fault("connections that are reset", matrix.once(lambda party: party.stack.kafka_proxy.reset(party.name)), rounds=5),
        Fault("connections that are cut for a while", by_rule((), CUT), lasts=4),
        Fault("connections that are cut for longer than a session", by_rule((), CUT), rounds=2, lasts=16, slow=True),
        Fault("writes that never arrive", by_rule({"Produce"}, CUT, times=10), hits=10),
        Fault("writes whose answers are lost", by_rule({"Produce"}, LOST, times=10), hits=10),
        Fault("writes of which half arrive", by_rule({"Produce"}, HALF, times=10), hits=10, slow=True),
        Fault("offsets that never arrive", by_rule({"TxnOffsetCommit"}, CUT, times=4), hits=4),
        Fault("offsets whose answers are lost", by_rule({"TxnOffsetCommit"}, LOST, times=4), hits=4, slow=True),
        Fault("commits that never arrive", by_rule({"EndTxn"}, CUT, times=4), hits=4),
        Fault("commits whose answers are lost", by_rule({"EndTxn"}, LOST, times=4), hits=4),
        Fault("commits whose answers come late", by_rule({"EndTxn"}, stall=4, times=2), hits=2, rounds=2, lasts=5),
        Fault("commits whose answers come after their time-out", by_rule({"EndTxn"}, stall=14, times=2), rounds=2,
              lasts=15, slow=True),
        Fault("partitions of transactions whose answers are lost",
              by_rule({"AddPartitionsToTxn", "AddOffsetsToTxn"}, LOST, times=4), hits=4, slow=True),
        Fault("commits that are answered by errors", answered("EndTxn", AGAIN + ANEW), rounds=8),
        Fault("commits that are done and answered by errors", done_and_answered("EndTxn", AGAIN + ANEW), rounds=8),
        Fault("offsets that are announced and answered by errors", done_and_answered("AddOffsetsToTxn", AGAIN + ANEW), rounds=8,
              slow=True),
        Fault("offsets that are taken and answered by errors",
              done_and_answered("TxnOffsetCommit", (*AGAIN[:3], ILLEGAL_GENERATION, UNKNOWN_MEMBER, INVALID_EPOCH, FENCED)),
              rounds=7),
        Fault("writes that are done and answered by errors",
              done_and_answered("Produce", (NOT_LEADER, TIMED_OUT, FEW_REPLICAS, OUT_OF_ORDER, NO_PRODUCER, INVALID_EPOCH)),
              rounds=6),
        Fault("heartbeats that are answered by errors",
              answered("Heartbeat", (REBALANCING, UNKNOWN_MEMBER, ILLEGAL_GENERATION, *AGAIN[:3])), rounds=6, hits=2,
              slow=True),
        Fault("a coordinator that is slow", by_rule(COORDINATOR, stall=1.5), rounds=2, lasts=8),
        Fault("a coordinator that is slower than a session", by_rule({"Heartbeat", "JoinGroup"}, stall=15, times=4), rounds=2,
              lasts=15, slow=True),
        Fault("a coordinator that isn't found", after_a_reset(by_rule({"FindCoordinator"}, LOST)), rounds=2, lasts=5,
              slow=True),
        Fault("reads whose answers are torn", by_rule({"Fetch"}, TORN, times=20), hits=20),
        Fault("everything comes late", by_rule((), stall=2), rounds=2, lasts=8, slow=True),
        Fault("positions of sinks whose answers are lost", by_rule({"OffsetCommit"}, LOST, times=2), hits=2, rounds=2,
              slow=True),
    ],
}
