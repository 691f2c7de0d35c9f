"""The systems that Tidemark is compared with: how they are built and started. Each program is in bench/peers/NAME, takes
the same flags, and ends by itself once its group's committed offsets stand at what was the end of the input."""

import subprocess

from jobs import BENCH
from stack import Failure

JAVA_OPENS = [f"--add-opens=java.base/{package}=ALL-UNNAMED"
              for package in ("java.lang", "java.net", "java.nio", "java.time", "java.util", "sun.nio.ch")]


class JavaPeer:
    """A Maven project; `target/libs` holds its classes' dependencies."""

    workloads = ("w1", "w2")
    other_topics = ()

    @property
    def folder(self):
        return BENCH / "peers" / self.name

    def build(self):
        """Offline first: what Maven has it need not ask for."""
        sources = [self.folder / "pom.xml", *self.folder.glob("src/**/*")]
        newest = max(path.stat().st_mtime for path in sources if path.is_file())
        stamp = self.folder / "target" / "built"
        if stamp.exists() and stamp.stat().st_mtime > newest:
            return
        log = b""
        for offline in (["-o"], []):
            done = subprocess.run(["mvn", "-q", "-B", "-ntp", *offline, "-f", self.folder / "pom.xml", "package"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            log += done.stdout
            if done.returncode == 0:
                stamp.touch()
                return
        raise Failure(f"building {self.folder} failed; is Maven Central reachable?\n{log.decode(errors='replace')[-4000:]}")

    def java(self, arguments):
        classpath = f"{self.folder / 'target' / 'classes'}:{self.folder / 'target' / 'libs'}/*"
        return ["java", *self.java_options, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath, self.main,
                *arguments], {"MALLOC_ARENA_MAX": "2"}

    def command(self, job):
        return self.java(["--brokers", job.brokers, "--workload", job.workload, "--application", job.application,
                          "--detections", job.dataset.detections, "--locations", job.dataset.locations, "--prefix", job.prefix,
                          "--threads", job.threads, "--state", job.folder / "state" / job.worker, "--commit-ms",
                          self.commit_ms(job), *(["--until-end"] if job.until_end else [])])

    def commit_ms(self, job):
        return job.commit_ms

    def started(self, process, job):
        return "RUNNING" in process.output()


class KafkaStreams(JavaPeer):
    name = "kafka-streams"
    workloads = ("w1", "w2", "w3")
    main = "bench.streams.Main"
    java_options = ["-Xms1g", "-Xmx1g", "-XX:+UseParallelGC"]
    open_windows = True    # windows close when data passes them, never at the end of the input
    allowance_ms = 5_000   # its time is the largest event time

    def key(self, key):
        """Of W3: the consumer's number."""
        return int.from_bytes(key, "big")


class Flink(JavaPeer):
    name = "flink"
    main = "bench.flink.Main"
    java_options = ["-Xmx1536m", "-XX:+UseParallelGC", *JAVA_OPENS]
    open_windows = False   # a bounded source ends event time
    allowance_ms = 7_000

    def commit_ms(self, job):
        """Checkpoints are its nearest equivalent, and dearer: once a second where nobody waits for the output."""
        return 1_000 if job.until_end else 100


class ByHand:
    """bench/peers/native: what a program for W1 alone costs on the same client library, with no product around it."""

    name = "by-hand"
    workloads = ("w1",)
    other_topics = ("changelog",)
    open_windows = False

    def __init__(self, binary):
        self.binary = binary

    def build(self):
        pass  # by CMake

    def command(self, job, step="join"):
        return [self.binary, "--step", step, "--brokers", job.brokers, "--detections", job.dataset.detections,
                "--locations", job.dataset.locations, "--output", f"{job.prefix}enriched", "--changelog",
                f"{job.prefix}changelog", "--group", job.application, "--threads", job.threads, "--commit_ms",
                job.commit_ms, "--state", job.folder / "state"], {}

    def started(self, process, job):
        return "running" in process.output()
