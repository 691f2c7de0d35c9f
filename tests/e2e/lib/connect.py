"""Kafka Connect with one Debezium connector, as a process of its own: the real thing between a database and a topic."""

import os
import pathlib
import random
import signal
import subprocess

import ports
from stack import ROOT, Failure, tail, wait_for

JARS = ROOT / ".deps" / "debezium" / "3.6.1.Final" / "libs"
JARS_LONG = JARS.with_name("libs-long")  # with the connector for MySQL and Apicurio's converter: scripts/setup --long

GIVEN_UP = b"Task is being killed and will not recover"


class Connect:
    """Offsets are kept in a file of `folder`, so that whoever is started next goes on where the last one has noted."""

    def __init__(self, folder, brokers, connector, converter=None, jars=JARS):
        if not jars.is_dir():
            raise Failure(f"{jars} isn't there: run scripts/setup{'' if jars is JARS else ' --long'}")
        self.jars = jars
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
                ["java", "-Xmx384m", "-XX:+UseSerialGC", "-Dorg.apache.logging.log4j.level=INFO", "-cp", f"{self.jars}/*",
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
        if GIVEN_UP in self.log.read_bytes():
            raise Failure(f"the connector has given up\n{self.seen()}")

    def kill(self):
        if self.running():
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(120)

    def notes_changes(self):
        """Whether it has noted a place behind the snapshot, in the database's log."""
        return self.has_noted('"lsn_proc"') or (self.has_noted('"pos"') and not self.has_noted('"snapshot'))

    def has_noted(self, text):
        """Whether that is part of the place that it has noted last."""
        offsets = self.folder / "offsets"
        return offsets.exists() and text.encode() in offsets.read_bytes()

    def wait_for(self, what, condition, seconds=180):
        def checked():
            self.goes_on()
            return condition()
        return wait_for(what, checked, seconds, self.seen, every=0.2)

    def seen(self):
        return f"--- {self.log}\n{tail(self.log)}"


def apicurio_converter(registry, settings):
    """Settings of Apicurio's converter to Avro, of keys and values; `settings` by their names behind apicurio.registry."""
    settings = {"url": registry, "auto-register": "true", "find-latest": "true", **settings}
    return {f"{of}.converter": "io.apicurio.registry.utils.converter.AvroConverter" for of in ("key", "value")} | {
        f"{of}.converter.apicurio.registry.{name}": value for of in ("key", "value") for name, value in settings.items()}


def mysql_connector(database, tables, prefix="shop", **more):
    """Settings of Debezium's connector for MySQL, for a mariadb.MariaDb."""
    return {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "database.hostname": "127.0.0.1", "database.port": database.port, "database.user": "debezium",
        "database.password": "tide", "database.server.id": random.randint(5_000, 5_000_000),
        "topic.prefix": prefix,
        "database.include.list": "shop",
        "table.include.list": ",".join(f"shop.{table}" for table in tables),
        "topic.creation.default.partitions": 3,
        "topic.creation.default.replication.factor": 1,
        "topic.creation.default.cleanup.policy": "delete",
        "poll.interval.ms": 50,
        **more,
    }


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
