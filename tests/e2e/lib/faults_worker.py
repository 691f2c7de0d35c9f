"""What happens to the worker itself, with all kinds of sinks at once: the numbered rows' view of what test_kill.py does to
larger topologies."""

import contextlib
import shutil
import signal

from faults_lake import Disk
from faults_postgres import Database
from matrix import Fault, once


class Everything(Database):
    """A database and a lake beside the topics, all of them sound."""

    delays_only_itself = False

    def prepare(self):
        return {**Database.prepare(self), **Disk.prepare(self)}

    def sinks(self):
        return {**Database.sinks(self), **Disk.sinks(self)}

    def views(self):
        return Database.views(self) + Disk.views(self)


def killed(party):
    party.worker.kill()
    party.worker = party.run()


def killed_and_wiped(party):
    party.worker.kill()
    shutil.rmtree(party.worker.state_dir)
    party.worker = party.run()


def restarted(party):
    code = party.worker.stop()
    assert code == 0, f"{code}\n{party.worker.seen()}"
    party.worker = party.run()


@contextlib.contextmanager
def frozen(party):
    """For longer than its sessions, its transactions, and a database's patience with an idle transaction."""
    party.worker.signal(signal.SIGSTOP)
    try:
        yield lambda: 1
    finally:
        party.worker.signal(signal.SIGCONT)


FAULTS = {
    Everything: [
        Fault("a worker that is killed", once(killed), rounds=8, lasts=0.3),
        Fault("a worker that loses its state", once(killed_and_wiped), rounds=5, lasts=0.3),
        Fault("a worker that restarts", once(restarted), rounds=5, lasts=0.3),
        Fault("a worker that is frozen", frozen, rounds=2, lasts=18),
    ],
}
