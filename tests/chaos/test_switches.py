#!/usr/bin/env python3
"""The HTX example, live, while generations of it are built, take each other's place and give it back, and whoever takes part is
killed or frozen at seeded moments: workers of either generation, and the command that switches. Readers of every kind of sink
see the old rule, then the new one; in the end each sink is what the oracle says."""

import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import generations
import rule_readers
import rules
import topics
import topology
from case import LONG, SystemTest, main
from flow import Flow
from results import report
from stack import BINARY, Worker, wait_for

SEED = int(os.environ.get("TIDEMARK_SEED", 20260301))
RATE = 300
ROUNDS = int(os.environ.get("TIDEMARK_ROUNDS", 20 if LONG else 2))
# Where the command dies: of a target that is exchanged before and behind each exchange.
POINTS = ("switch.draining", "switch.fenced", "switch.cut", "switch.compared", "switch.kept", "switch.decided", "swap_folder.before_exchange",
          "swap_folder.after_exchange", "swap_topic.before_commit", "swap_topic.after_commit", "switch.swapped")
# The active generation is late whenever it has been killed, and that is often.
PATIENT = ("--max_live_lag", "1m")
MOST_TRIES, MOST_KILLS = 8, 5  # of a round


class Generation:
    """The workers of one, and how they are started again."""

    def __init__(self, test, rule, count):
        self.test, self.rule, self.number = test, rule, rule
        self.names = [f"{test.name}-{rule}{letter}" for letter in "ab"[:count]]
        self.workers, self.command, self.flags = {}, "run", ()

    def start(self, command, *flags):
        self.command, self.flags = command, flags
        self.workers = {name: self.test.start(name, self.rule, command, *flags) for name in self.names}

    def kill(self, name):
        self.workers[name].kill()

    def again(self, name):
        self.workers[name] = self.test.start(name, self.rule, self.command, *self.flags)

    def seen(self):
        return "\n".join(worker.seen() for worker in self.workers.values())


class Switches(SystemTest):
    needs_postgres = True
    kafka_settings = ("--set", "group.initial.rebalance.delay.ms=100")

    @classmethod
    def prepare(cls):
        cls.flow = Flow(cls.stack, "detections", RATE)

    def start(self, name, rule, command, *flags):
        state_dir = self.stack.folder / "state" / name
        line = [BINARY, command, "--config", str(self.config(rule)), "--state_dir", str(state_dir), "--instance_id", name, "--threads", "1",
                "--http_address", "127.0.0.1:0", "--stop_within", "60s", *map(str, flags)]
        return self.stack.add(Worker(name, line, self.stack.environment(), self.stack.folder / f"{name}.log", state_dir))

    def config(self, rule):
        path = self.stack.folder / f"{self.name}-{rule}.yaml"
        return path if path.exists() else topology.write(path, rules.application(self.name, rule))

    def listed(self):
        return self.stack.tidemark("generations", "list", "--config", self.config(1))[1]

    def say(self, text):
        print(f"  {time.monotonic() - self.began:6.1f} s: {text}", flush=True)

    # ---- One switch

    def disturb(self, lot, both, stopped):
        """Kills workers of both, and starts them again, until it is told to stop."""
        for _ in range(MOST_KILLS):
            if stopped.wait(lot.uniform(0.5, 6)):
                return
            generation = lot.choice(both)
            name = lot.choice(generation.names)
            if not generation.workers[name].running():
                continue
            generation.kill(name)
            # Some stay away for longer than their session.
            away = lot.choice([0, 0, 0.5, 1] + ([13] if LONG else []))
            self.say(f"worker {name} is killed, for {away} s")
            stopped.wait(away)
            generation.again(name)

    def switch(self, lot, number, flags, calm):
        """One run of the command, perhaps killed or frozen, unless calm. Whether it has ended well."""
        way = lot.choice(["point", "time", "frozen", "whole"])
        way = "whole" if calm else way
        environment = self.stack.environment()
        if way == "point":
            environment["TIDEMARK_FAILPOINTS"] = f"{lot.choice(POINTS)}=kill@{lot.choice([1, 1, 2])}"
        line = [BINARY, "switch", "--config", str(self.config(self.next.rule)), "--when", "lag < 5s", *flags]
        if lot.random() < 0.3:
            line += ["--verify", "diff <= 100%"]
        run = self.stack.add(Worker(f"switch-{number}", line, environment, self.stack.folder / f"switch-{number}.log", self.stack.folder))
        if way in ("time", "frozen"):
            time.sleep(lot.uniform(0.1, 6))
            run.signal(signal.SIGKILL if way == "time" else signal.SIGSTOP)
        if way == "frozen" and run.running():
            self.frozen.append(run)
            self.say(f"switch {number} is frozen: {self.last(run)}")
            return False
        code = run.wait(300)
        self.say(f"switch {number} ({environment.get('TIDEMARK_FAILPOINTS', way)}) ends with {code}: {self.last(run)}")
        # 2: it was taken back, or a worker that was killed isn't there yet.
        self.assertIn(code, (0, 1, 2, -9), run.seen())
        return code == 0

    def last(self, run):
        return (run.output().strip().splitlines() or [""])[-1]

    def cross(self, lot, round, old, flags):
        stopped = threading.Event()
        disturbing = threading.Thread(target=self.disturb, args=(random.Random(lot.random()), (old, self.next), stopped))
        # The thread's workers are this thread's too: whoever started them, the stack ends them.
        disturbing.start()
        try:
            for attempt in range(1, MOST_TRIES + 1):
                if attempt == MOST_TRIES - 2:
                    stopped.set()
                    disturbing.join()
                if self.switch(lot, f"{round}-{attempt}", flags, calm=attempt >= MOST_TRIES - 2):
                    return
            self.fail(f"no switch in {MOST_TRIES} tries\n{old.seen()}\n{self.next.seen()}")
        finally:
            stopped.set()
            disturbing.join()

    def committed(self, generation):
        group = self.name if generation.number == 1 else f"{self.name}.__{generation.number}"
        return sum(topics.committed(self.stack.brokers, group, "detections").values())

    def round(self, lot, round, active, left):
        """Builds another generation, or one that was left, and switches to it."""
        back = left is not None and lot.random() < 0.6
        self.next = left if back else Generation(self, self.newest + 1, lot.choice([1, 2]))
        self.newest = max(self.newest, self.next.number)
        self.say(f"round {round}: generation {active.number} is active, {self.next.number} is built{' again' if back else ''}")
        if back:
            self.next.start("replay", *generations.again(self.listed(), self.next.number), *PATIENT)
        else:
            self.next.start("replay", "--active", self.config(active.rule), "--from", "earliest", *PATIENT)
        # Build-up.
        time.sleep(lot.uniform(0, 3))
        for generation in (self.next, active):
            victim = lot.choice(generation.names)
            generation.kill(victim)
            generation.again(victim)
        wait_for("the generation to be built", lambda: "being built" in self.listed(), 60, self.next.seen)
        self.next.flags = PATIENT  # the log has it from now on, whichever place it has
        wait_for("it to have begun", lambda: self.committed(self.next) > 0, 120, self.next.seen, every=0.3)
        self.turns.append(self.next.rule)
        earlier = back and self.next.number < active.number
        self.cross(lot, round, active, ["--back"] if earlier else [])
        self.readers.view.workers = list(self.next.workers.values())
        for run in self.frozen:  # they wake up behind a switch that others have done
            run.signal(signal.SIGCONT)
        for worker in active.workers.values():
            wait_for(f"{worker.name} of the old generation to end", lambda: not worker.running(), 60, worker.seen)
            self.assertIn(worker.wait(1), (0, 2), worker.seen())  # 2: it was started when it was over
        for worker in self.next.workers.values():
            self.assertTrue(worker.running(), worker.seen())
        before = self.committed(self.next)
        wait_for("it to go on", lambda: self.committed(self.next) > before, 60, self.next.seen, every=0.3)
        for run in self.frozen:
            self.say(f"{run.name} has woken up and ends with {run.wait(300)}: {self.last(run)}")
        self.frozen = []
        self.flow.check_flows()
        self.readers.check()
        return self.next, active

    def test_generations_change_places_while_whoever_takes_part_is_killed(self):
        self.name, self.began, self.newest = "turns", time.monotonic(), 1
        self.frozen = []
        lot = random.Random(SEED)
        self.turns = [1]
        active, left = Generation(self, 1, 2), None
        with self.flow.needed():
            active.start("run")
            wait_for("lists", lambda: f"{self.name}-latest" in topics.names(self.stack.brokers) and
                     topics.read(self.stack.brokers, f"{self.name}-latest").num_rows > 0 and
                     list((self.stack.folder / "lake" / self.name).glob("**/*.parquet")), 120, active.seen, every=0.5)
            with rule_readers.Readers(self.stack, self.name, self.turns) as self.readers:
                self.readers.view.workers = list(active.workers.values())
                for round in range(1, ROUNDS + 1):
                    active, left = self.round(lot, round, active, left)
                self.say(f"readers looked {self.readers.looks} times, and the view answered {self.readers.view.answers} times")
        for worker in active.workers.values():
            self.assertEqual(worker.stop(), 0, worker.seen())
        workers = [self.start(name, active.rule, "run", "--until_end", "--close_windows") for name in active.names]
        for worker in workers:
            worker.finish(300)
        with self.flow.oracle(self.oracle) as oracle:
            report(rules.End(oracle, self.stack, self.name, self.turns).differences())


if __name__ == "__main__":
    main()
