#!/usr/bin/env python3
"""How a worker lets go: of a database that doesn't answer when it is told to stop, of a call that never returns, and of
stores that a rebalance has moved to another worker."""

import os
import pathlib
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))

import topics
from case import LONG, HtxTest, main
from stack import wait_for


class SilentServer:
    """Takes connections and never answers."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.taken = []
        threading.Thread(target=self.take, daemon=True).start()
        return self

    def take(self):
        try:
            while True:
                self.taken.append(self.listener.accept()[0])
        except OSError:
            pass

    def __exit__(self, *exc):
        self.listener.close()
        for connection in self.taken:
            connection.close()

    def url(self):
        return f"postgresql://u:p@127.0.0.1:{self.listener.getsockname()[1]}/d"


class StopAndRebalance(HtxTest):
    records = 20_000

    def caught_up(self, name):
        return topics.committed(self.stack.brokers, name, "detections") == topics.ends(self.stack.brokers, "detections")

    def test_a_database_that_never_answers_does_not_delay_the_stop(self):
        with SilentServer() as server:
            worker = self.stack.run(self.config("silent"), name="silent",
                                    env=self.stack.environment(DATABASE_URL=server.url()))
            wait_for("the stream to catch up without it", lambda: self.caught_up("silent"), 180, worker.seen)
            wait_for("the sink to have asked", lambda: server.taken, 180, worker.seen)
            self.assertEqual(worker.stop_in_time(), 0, worker.seen())
        # What it held back is in the feed, and arrives once there is a database.
        self.completes(self.config("silent"), "silent")

    @unittest.skipUnless(LONG, "waits for minutes: only with --long")
    def test_a_call_that_never_returns_does_not_keep_the_process(self):
        worker = self.stack.run(self.config("stuck"), name="stuck", failpoints="commit.before_decision=hang@1")
        wait_for("a thread to hang in its first commit",
                 lambda: (worker.metric("tidemark_thread_step_age_seconds") or 0) > 5, 180, worker.seen)
        self.assertEqual(worker.stop(seconds=300), 1, worker.seen())
        self.assertIn("doesn't come back from a call", worker.output())
        # Nor is a worker kept that nobody stops: whoever watches over it starts it again.
        worker = self.stack.run(self.config("stuck"), name="stuck", failpoints="commit.before_decision=hang@1")
        self.assertEqual(worker.wait(600), 1, worker.seen())
        self.assertIn("doesn't come back from a call", worker.output())
        self.completes(self.config("stuck"), "stuck")

    def stores(self, worker):
        """The tasks whose databases the process has open."""
        found = set()
        for descriptor in pathlib.Path(f"/proc/{worker.pid}/fd").iterdir():
            try:
                target = pathlib.Path(os.readlink(descriptor))
            except OSError:
                continue
            if worker.state_dir in target.parents:
                found.add(target.relative_to(worker.state_dir).parts[0])
        return {name for name in found if (worker.state_dir / name).is_dir()}

    def test_stores_that_moved_to_another_worker_are_closed(self):
        config = self.config("moved")
        first = self.stack.run(config, name="moved-1")
        wait_for("the first worker", first.ready, 180, first.seen)
        wait_for("it to catch up", lambda: self.caught_up("moved"), 180, first.seen)
        all_stores = wait_for("it to have all stores", lambda: len(self.stores(first)) >= 8 and self.stores(first), 180,
                              lambda: str(self.stores(first)))
        second = self.stack.run(config, name="moved-2")
        wait_for("the second worker", second.ready, 180, second.seen)
        wait_for("each store to be open in one process",
                 lambda: len(self.stores(second)) >= 2 and not self.stores(first) & self.stores(second), 180,
                 lambda: f"{sorted(self.stores(first))}\n{sorted(self.stores(second))}\n{first.seen()}")
        self.assertEqual(self.stores(first) | self.stores(second), all_stores)
        # And back again: what was closed is opened and caught up with.
        self.assertEqual(second.stop(), 0)
        for worker in (first, second):
            worker.kill()
        output = self.stack.run(config, "--until_end", "--close_windows", name="moved-1").finish(300)
        self.check(self.oracle(), "moved", output)


if __name__ == "__main__":
    main()
