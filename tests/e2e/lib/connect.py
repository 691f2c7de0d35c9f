"""Kafka Connect with one Debezium connector, as a process of its own: the real thing between a database and a topic."""

import os
import pathlib
import signal
import subprocess

import ports
from stack import ROOT, Failure, tail, wait_for

JARS = ROOT / ".deps" / "debezium" / "3.6.1.Final" / "libs"


class Connect:
    """Offsets are kept in a file of `folder`, so that whoever is started next goes on where the last one has noted."""

    def __init__(self, folder, brokers, connector, converter=None):
        if not JARS.is_dir():
            raise Failure(f"{JARS} isn't there: run scripts/setup")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "connect.log"
        self.starts = ports.Start(self.log)
        self.settings = {
            "bootstrap.servers": brokers,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            **(converter or {}),
            "offset.storage.file.filename": self.folder / "offsets",
            # Seldom, so that a restart repeats much.
            "offset.flush.interval.ms": 5000,
            "plugin.discovery": "service_load",
            "topic.creation.enable": "true",
        }
        self._write("connector.properties", {"name": "shop", "tasks.max": 1, **connector})
        self.process = None

    def _write(self, name, settings):
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self.folder / name).write_text(text)

    def start(self):
        self.starts.anew()
        return self._start()

    def _start(self):
        self._write("worker.properties", {**self.settings, "listeners": f"http://127.0.0.1:{self.starts.port()}"})
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                ["java", "-Xmx384m", "-XX:+UseSerialGC", "-Dorg.apache.logging.log4j.level=INFO", "-cp", f"{JARS}/*",
                 "org.apache.kafka.connect.cli.ConnectStandalone", str(self.folder / "worker.properties"),
                 str(self.folder / "connector.properties")],
                stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def goes_on(self):
        """Failure if it has ended; where that was for its port, which somebody took in the meantime, it is started again."""
        if not self.running():
            if not self.starts.again():
                raise Failure(f"Kafka Connect has ended\n{self.seen()}")
            self._start()

    def kill(self):
        if self.running():
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(120)

    def notes_changes(self):
        """Whether it has noted a place behind the snapshot, in the database's log."""
        offsets = self.folder / "offsets"
        return offsets.exists() and b'"lsn_proc"' in offsets.read_bytes()

    def wait_for(self, what, condition, seconds=180):
        def checked():
            self.goes_on()
            return condition()
        return wait_for(what, checked, seconds, self.seen, every=0.2)

    def seen(self):
        return f"--- {self.log}\n{tail(self.log)}"


def postgres_connector(url, tables, **more):
    """Settings of Debezium's connector for the database at that URL."""
    user, _, rest = url.partition("://")[2].partition(":")
    password, _, rest = rest.partition("@")
    address, _, database = rest.partition("/")
    host, _, port = address.partition(":")
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": host, "database.port": port, "database.user": user, "database.password": password,
        "database.dbname": database,
        "topic.prefix": "shop",
        "plugin.name": "pgoutput",
        "slot.name": "tidemark_test",
        "publication.name": "tidemark_test",
        "publication.autocreate.mode": "filtered",
        "table.include.list": ",".join(tables),
        "topic.creation.default.partitions": 3,
        "topic.creation.default.replication.factor": 1,
        "topic.creation.default.cleanup.policy": "delete",
        "poll.interval.ms": 50,
        **more,
    }
