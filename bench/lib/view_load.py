"""Views under load: how long an answer takes beside a steady stream of records and alone, how many a second there are for a
core, from the write of a record to a follower having its row, and how many followers there may be.

Questions are the ten items of a location that were seen most, of a view over counts that change with every record.
Followers hear of one record in fifty, as a view of its own. The load, the questions and the worker share the machine.
"""

import datetime
import http.client
import json
import pathlib
import threading
import time

import topology
from bench import Result, tool
from dataset import Dataset
from measure import Process
from stack import Failure, wait_for

LOCATIONS = 1_000
QUESTION = "/v1/views/totals?geographical_location_oid={}&order=n+desc&limit=10"


def views(name, detections):
    columns = topology.load()["sources"]["detections"]
    return {
        "name": name, "kafka": topology.load()["kafka"], "commit_interval": "10ms",
        "sources": {"detections": {**columns, "topic": detections}},
        "steps": {
            "counted": {"from": "detections", "group_by": ["geographical_location_oid", "item_name"],
                        "aggregates": {"n": "count(*)"}, "emit": "on_update"},
            "some": {"from": "detections", "filter": "detection_oid % 50 = 0"}},
        "views": {"totals": {"from": "counted", "index": [["geographical_location_oid", "n"]]},
                  "sample": {"from": "some", "key": ["detection_oid"], "keep": "10s"}},
    }


class Follower(threading.Thread):
    """Reads a view's changes. `measures`: keeps how old each row is that comes."""

    def __init__(self, address, measures=False):
        super().__init__(daemon=True)
        self.measures, self.ages_ms, self.events, self.resets, self.over = measures, [], 0, 0, False
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.connection.request("GET", "/v1/views/sample/changes")
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise Failure(f"a stream was answered with {self.answer.status}")

    def run(self):
        try:
            while not self.over:
                line = self.answer.readline()
                if not line:
                    return
                self.resets += line.startswith(b"event: reset")
                if not line.startswith(b"data: "):
                    continue
                self.events += 1
                if self.measures:
                    now = time.time()
                    self.ages_ms += [(now - time_of(row["timestamp_detected"])) * 1e3
                                     for row in json.loads(line[6:]).get("rows", [])]
        except OSError:
            pass


def time_of(value):
    """Seconds since 1970 of a timestamp as the views tell it."""
    if isinstance(value, (int, float)):
        return value / 1e3
    return datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()


def share(values, part):
    values = sorted(values)
    return values[int(part * (len(values) - 1))] if values else float("nan")


class Views:
    def add_options(self, parser):
        group = parser.add_argument_group("views")
        group.add_argument("--questions", type=int, default=200, help="a second beside the load (default %(default)s)")
        group.add_argument("--alone", type=int, default=5_000, help="a second without load (default %(default)s)")
        group.add_argument("--followers", type=int, default=500, help="open streams (default %(default)s)")

    def measure(self, bench):
        return [result for _ in range(bench.options.runs) for result in self._once(bench)]

    def _once(self, bench):
        options = bench.options
        seconds = int(min(options.seconds, 20))
        bench.serial += 1
        name = f"views{bench.serial}"
        dataset = Dataset(name, int(options.rate) * 4 * seconds)
        bench.stack.generate(0, topic=dataset.detections, table_topic=dataset.locations)
        config = topology.write(bench.stack.folder / f"{name}.yaml", views(name, dataset.detections))
        worker = bench.stack.run(config, name=name, threads=1)
        wait_for("the worker to be ready", worker.ready, 120, worker.seen)
        address = (pathlib.Path(worker.state_dir) / "http_address").read_text().strip()
        # Without repeats, which carry the time at which the first of them was written.
        load = Process(f"{name}-load", [tool(options, "bench_load"), "--brokers", bench.stack.brokers, "--topic",
                                        dataset.detections, "--rate", options.rate, "--seconds", 4 * seconds,
                                        "--duplicates", 0],
                       bench.stack.folder / f"{name}-load.log")
        bench.processes.append(load)
        results = []
        time.sleep(seconds / 2)
        follower = Follower(address, measures=True)
        follower.start()
        beside = self._ask(bench, name, address, options.questions, seconds)
        results.append(self._result("questions beside the load", options.questions * seconds, beside["p50_ms"],
                                    beside["p99_ms"], beside.get("status_200") == options.questions * seconds))
        follower.over = True
        results.append(self._result("written to followed", len(follower.ages_ms), share(follower.ages_ms, 0.5),
                                    share(follower.ages_ms, 0.99), follower.resets == 0 and follower.events > 10))
        crowd = [Follower(address) for _ in range(options.followers)]
        for one in crowd:
            one.start()
        before = sum(one.events for one in crowd)
        time.sleep(seconds / 2)
        open_now = worker.metric("tidemark_view_followers", view="sample")
        alive = sum(one.is_alive() and one.events > 0 for one in crowd)
        results.append(self._result(f"{options.followers} followers", sum(one.events for one in crowd) - before,
                                    None, None, alive == options.followers <= open_now))
        for one in crowd:
            one.over = True
        load.finish(120)
        cpu = self._cpu(worker)
        alone = self._ask(bench, name, address, options.alone, seconds)
        cpu = self._cpu(worker) - cpu
        result = self._result("questions alone", options.alone * seconds, alone["p50_ms"], alone["p99_ms"],
                              alone.get("status_200") == options.alone * seconds)
        result.more["questions_per_core_second"] = options.alone * seconds / cpu
        bench.say(f"{result.more['questions_per_core_second']:.0f} questions for a second of one core of the worker")
        worker.stop()
        for each in [*results, result]:
            times = "" if each.p50_ms is None else f"p50 {each.p50_ms:.1f} ms, p99 {each.p99_ms:.1f} ms, "
            bench.say(f"{each.workload}: {times}{each.records} in all, correct: {each.correct}")
        return [*results, result]

    @staticmethod
    def _result(what, records, p50, p99, correct):
        return Result("tidemark", what, records, p50_ms=p50, p99_ms=p99, correct=correct)

    @staticmethod
    def _cpu(worker):
        fields = pathlib.Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    @staticmethod
    def _ask(bench, name, address, rate, seconds):
        process = Process(f"{name}-questions", [tool(bench.options, "bench_posts"), address, QUESTION, "--questions", LOCATIONS,
                                                "--rate", rate, "--seconds", seconds, "--connections", 16],
                          bench.stack.folder / f"{name}-questions.log")
        bench.processes.append(process)
        process.finish(seconds + 60)
        return json.loads(process.output().splitlines()[-1])
