"""A broker, a PostgreSQL server, a scratch folder and worker processes for one test or demo.

Everything lives in one folder and on free loopback ports, and is ended by process id when the Stack closes. Waiting is
always for a condition with a deadline; a deadline that passes raises Failure with what was seen.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

import proxy
import wire

ROOT = pathlib.Path(os.environ.get("TIDEMARK_ROOT", pathlib.Path(__file__).resolve().parents[3]))
BINARY = os.environ.get("TIDEMARK_BIN", str(ROOT / "build" / "tidemark"))

STOP_SECONDS = 5  # that a stop may take


class Failure(AssertionError):
    """What was expected did not happen; the text says what was seen instead."""


def wait_for(what, condition, seconds=180, seen=lambda: "", every=0.05):
    """The first true value of condition(), or Failure after `seconds`: up to four times as many where the processors of
    this machine have more to do than they can."""
    began, starved = time.monotonic(), cpu_waits()
    while True:
        value = condition()
        if value:
            return value
        took = time.monotonic() - began
        if took > seconds and took - min(cpu_waits() - starved, took * 3 / 4) > seconds:
            raise Failure(f"after {took:.0f} s still waiting for {what}\n{seen()}")
        time.sleep(every)


def tail(path, lines=40):
    with contextlib.suppress(OSError):
        text = pathlib.Path(path).read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:])
    return "(no file)"


def cpu_waits():
    """Seconds in which something on this machine has waited for a processor, since it was started; 0 where the kernel
    doesn't say."""
    try:
        some = pathlib.Path("/proc/pressure/cpu").read_text().splitlines()[0]
    except OSError:
        return 0
    return int(some.rsplit("total=", 1)[1]) / 1e6


def script(name, *args, log=None):
    """Runs scripts/<name> and returns the last line it printed."""
    command = [str(ROOT / "scripts" / name), *map(str, args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if log:
        with open(log, "a") as out:
            out.write(done.stderr)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip().rpartition("\n")[2]


class Worker:
    """A `tidemark run` process with its log. Counts as running until wait() or kill() has seen it end."""

    def __init__(self, name, command, env, log, state_dir):
        self.name, self.command, self.log, self.state_dir = name, command, pathlib.Path(log), pathlib.Path(state_dir)
        self._out = open(self.log, "ab")
        self._out.write(f"--- {' '.join(command)}\n".encode())
        self._out.flush()
        self.log_start = self.log.stat().st_size
        # A session of its own, so that a Ctrl-C at the terminal reaches the demo, which then ends its workers itself.
        self.process = subprocess.Popen(command, stdout=self._out, stderr=subprocess.STDOUT, env=env,
                                        stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def kill(self):
        """kill -9, and waits until the process is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait(120)
        self._out.close()

    def stop(self, seconds=90):
        """SIGTERM; the exit code. Failure where a worker ends well, but not in time."""
        code, late = self._stop(signal.SIGTERM, seconds)
        if late and code == 0 and self.command[1] in ("run", "replay"):
            raise Failure(late)
        return code

    def stop_in_time(self, number=None):
        """SIGTERM, or that signal; the exit code. Failure where it isn't in time, however it ends."""
        code, late = self._stop(number or signal.SIGTERM, 90)
        if late:
            raise Failure(late)
        return code

    def _stop(self, number, seconds):
        """The exit code, and what to say where it has taken longer than a stop may by default, without the time in which
        something on this machine waited for a processor."""
        began, waited = time.monotonic(), cpu_waits()
        self.signal(number)
        code = self.wait(seconds)
        took, starved = time.monotonic() - began, cpu_waits() - waited
        if took - starved < STOP_SECONDS:
            return code, None
        return code, (f"{self.name} has taken {took:.1f} s to stop, {starved:.1f} s of them without a processor, and "
                      f"ended with {code}\n{self.seen()}")

    def wait(self, seconds):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} still runs after {seconds} s\n{self.seen()}\n{self.stacks()}") from None
        self._out.close()
        return code

    def finish(self, seconds=300):
        """Waits for exit code 0."""
        code = self.wait(seconds)
        if code != 0:
            raise Failure(f"{self.name} ended with {code}\n{self.seen()}")
        return self.output()

    def output(self):
        """What this process wrote, without what its predecessors wrote to the same log."""
        with open(self.log, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def cpu_seconds(self):
        """Processor time that it has used so far."""
        after_name = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def seen(self, lines=40):
        return f"--- {self.log}\n" + "\n".join(self.output().splitlines()[-lines:])

    def stacks(self):
        """Where its threads are, if there is a debugger to say so."""
        if shutil.which("gdb") is None:
            return ""
        try:
            told = subprocess.run(["gdb", "-p", str(self.pid), "-batch", "-ex", "thread apply all bt 12"],
                                  capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return "(the debugger took too long)"
        return "\n".join(line for line in told.stdout.splitlines() if line.startswith(("#", "Thread")))

    def http(self, path, timeout=10):
        address = (self.state_dir / "http_address").read_text().strip()
        with urllib.request.urlopen(f"http://{address}{path}", timeout=timeout) as answer:
            return answer.read().decode()

    def ready(self):
        """Assigned, restored, and saying so."""
        try:
            self.http("/readyz")
            return True
        except OSError:
            return False

    def metrics(self):
        """{(name, ((label, value), ...)): number}, empty while there is none to be had."""
        try:
            text = self.http("/metrics")
        except OSError:
            return {}
        return parse_metrics(text)

    def metric(self, name, **labels):
        """The sum over all series of that name that carry these labels; None without any."""
        wanted = set(labels.items())
        found = [v for (n, series), v in self.metrics().items() if n == name and wanted <= set(series)]
        return sum(found) if found else None


def parse_metrics(text):
    result = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        series, _, value = line.rpartition(" ")
        name, _, labels = series.partition("{")
        pairs = []
        for label in labels.rstrip("}").split('",'):
            key, _, text_value = label.partition('="')
            if key:
                pairs.append((key, text_value.rstrip('"')))
        result[(name, tuple(sorted(pairs)))] = float(value)
    return result


class Stack:
    """Use as a context manager. `folder` given: used and kept; else a temporary one, removed at the end."""

    def __init__(self, folder=None, keep=False):
        self.keep = keep or folder is not None or bool(os.environ.get("TIDEMARK_KEEP"))
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="tidemark-e2e-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        # PostgreSQL runs as another user where the tests run as root.
        self.folder.chmod(0o755)
        self.brokers = self.database_url = self.kafka_proxy = None
        self._kafka_settings = ()
        self._closed = False
        self._lock, self._s3 = threading.Lock(), None
        self._started = []  # every process, by whichever thread
        self._of_thread = threading.local()

    @property
    def workers(self):
        """Those that the calling thread has started: tests that run at the same time don't see each other's."""
        if not hasattr(self._of_thread, "workers"):
            self._of_thread.workers = []
        return self._of_thread.workers

    def add(self, worker):
        self._started.append(worker)
        self.workers.append(worker)
        return worker

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def start_kafka(self, *settings):
        self._kafka_settings = settings
        self.brokers = script("kafka", "start", "--dir", self.folder / "kafka", "--port", 0, *settings,
                              log=self.folder / "kafka.log")
        return self.brokers

    def start_kafka_behind_a_proxy(self, *settings):
        """Beside `brokers`, where nothing stands between, there is kafka_proxy then."""
        self.kafka_proxy = proxy.Proxy(None, wire.Kafka)
        self.start_kafka("--proxy", self.kafka_proxy.port, *settings)
        self._aim_kafka_proxy()

    def _aim_kafka_proxy(self):
        """At the broker's listener for it, which is at another port after each start."""
        host, _, port = (self.folder / "kafka" / "proxied").read_text().strip().partition(":")
        self.kafka_proxy.target = host, int(port)

    def stop_kafka(self, *args):
        script("kafka", "stop", "--dir", self.folder / "kafka", *args)

    def restart_kafka(self):
        script("kafka", "start", "--dir", self.folder / "kafka", "--port", self.brokers.rpartition(":")[2],
               *self._kafka_settings)
        if self.kafka_proxy:
            self._aim_kafka_proxy()

    def start_postgres(self, *settings):
        self.database_url = script("postgres", "start", "--dir", self.folder / "postgres", "--port", 0, *settings,
                                   log=self.folder / "postgres.log")
        return self.database_url

    def stop_postgres(self, *args):
        script("postgres", "stop", "--dir", self.folder / "postgres", *args)

    def restart_postgres(self):
        script("postgres", "start", "--dir", self.folder / "postgres")

    def s3(self):
        """The S3 server that all tests of this stack share."""
        with self._lock:
            if self._s3 is None:
                import s3
                self._s3 = s3.S3(self.folder)
            return self._s3

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "KAFKA_BROKERS", "LAKE")}
        if self.brokers:
            env["KAFKA_BROKERS"] = self.brokers
        if self.database_url:
            env["DATABASE_URL"] = self.database_url
        env["LAKE"] = str(self.folder / "lake")
        env.update({k: str(v) for k, v in more.items()})
        return env

    def tidemark(self, *args, env=None, seconds=300, check=True):
        """Runs a command to its end: (exit code, stdout, stderr)."""
        command = [BINARY, *map(str, args)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds,
                              env=env or self.environment(), stdin=subprocess.DEVNULL, errors="replace")
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.returncode, done.stdout, done.stderr

    def generate(self, records, **options):
        """`tidemark generate htx`; options are its flags."""
        return self.tidemark(*self.generate_command(records, **options)[1:], seconds=600)[1]

    def generate_command(self, records, **options):
        command = [BINARY, "generate", "htx", "--brokers", self.brokers, "--records", str(records)]
        for name, value in options.items():
            command += [f"--{name}", str(value).lower() if isinstance(value, bool) else str(value)]
        return command

    def start_generate(self, records, **options):
        """The same in the background; a SIGTERM ends it after what it has written."""
        log = self.folder / f"generate-{options.get('topic', 'detections')}.log"
        return self.add(Worker("generate", self.generate_command(records, **options), self.environment(), log, self.folder))

    def run(self, config, *args, name="worker", state_dir=None, threads=2, env=None, failpoints=None):
        """Starts `tidemark run`. Workers of one name share a state folder, an instance id and a log, one after the
        other."""
        state_dir = pathlib.Path(state_dir or self.folder / "state" / name)
        environment = env or self.environment()
        if failpoints:
            environment = {**environment, "TIDEMARK_FAILPOINTS": failpoints}
        # However long a stop waits for a processor on this machine, it ends as it would on an idle one.
        command = [BINARY, "run", "--config", str(config), "--state_dir", str(state_dir), "--instance_id", name,
                   "--threads", str(threads), "--http_address", "127.0.0.1:0", "--stop_within", "60s", *map(str, args)]
        return self.add(Worker(name, command, environment, self.folder / f"{name}.log", state_dir))

    def logs(self, lines=30):
        """The tails of all workers' logs, for a failed test."""
        unique = {worker.log: worker for worker in self.workers}
        return "\n".join(f"--- {log}\n{tail(log, lines)}" for log in unique)

    def stop_workers(self):
        for worker in self._started:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                worker.signal(signal.SIGCONT)
                worker.kill()

    def leave_running(self, worker):
        """It is no longer this stack's to stop."""
        self._started.remove(worker)

    def left_behind(self):
        """Processes that still work in this folder: {pid: command line}."""
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if f"{self.folder}/" in line and int(path.parent.name) != os.getpid():
                    found[int(path.parent.name)] = line
        return found

    def close(self):
        if self._closed:
            return
        self._closed = True
        self.stop_workers()
        if self._s3:
            self._s3.stop()
        if self.brokers:
            self.stop_kafka(*([] if self.keep else ["--kill"]))
        if self.database_url:
            self.stop_postgres(*([] if self.keep else ["--kill"]))
        if self.keep:
            return
        try:
            # The children of a server that was killed notice it soon.
            wait_for("the end of every process of this stack", lambda: not self.left_behind(), 60,
                     lambda: str(self.left_behind()), every=0.1)
        finally:
            shutil.rmtree(self.folder)
