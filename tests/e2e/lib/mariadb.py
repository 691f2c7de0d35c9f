"""A MariaDB server with a binary log, for tests, as a process of its own on a loopback port: scripts/setup --long installs it."""

import os
import pathlib
import shutil
import subprocess

import pymysql

import ports
from stack import Failure, tail, wait_for

PASSWORD = "tide"
# What it says it is: Debezium's connector for MySQL asks by the version for statements that MariaDB has as MySQL 5.7 has them.
VERSION = "5.7.19"


class MariaDb:
    """Everything lives in `folder`. Times are UTC, texts utf8mb4; the log has whole rows."""

    def __init__(self, folder):
        if not shutil.which("mariadbd", path="/usr/sbin:/usr/bin"):
            raise Failure("there is no mariadbd: run scripts/setup --long")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "server.log"
        self.starts = ports.Start(self.log)
        self.process = None
        self.user = ["--user=root"] if os.getuid() == 0 else []

    def start(self):
        self.create()
        self.launch()
        wait_for("MariaDB to answer", self.answers, 120, lambda: tail(self.log))
        with self.connect() as connection, connection.cursor() as c:
            c.execute("CREATE DATABASE shop")
            c.execute(f"CREATE USER debezium@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            # What Debezium's documentation asks for, and no more.
            c.execute("GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* "
                      "TO debezium@'127.0.0.1'")
        return self

    def create(self):
        done = subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db",
             "--auth-root-authentication-method=normal", "--skip-name-resolve", *self.user],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Failure(f"mariadb-install-db ended with {done.returncode}:\n{done.stdout}")

    def launch(self):
        self.port = self.starts.port()
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [shutil.which("mariadbd", path="/usr/sbin:/usr/bin"), "--no-defaults", f"--datadir={self.folder / 'data'}",
                 f"--socket={self.folder / 's'}", "--bind-address=127.0.0.1", f"--port={self.port}",
                 f"--pid-file={self.folder / 'pid'}", "--server-id=1", "--log-bin=binlog", "--binlog-format=ROW",
                 "--binlog-row-image=FULL", "--character-set-server=utf8mb4", "--default-time-zone=+00:00",
                 "--innodb-buffer-pool-size=64M", f"--version={VERSION}", *self.user],
                stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def answers(self):
        if self.process.poll() is not None:
            if not self.starts.again():
                raise Failure("MariaDB has ended:\n" + tail(self.log))
            self.launch()
        try:
            with self.connect():
                return True
        except pymysql.Error:
            return False

    def connect(self, database=None):
        return pymysql.connect(unix_socket=str(self.folder / "s"), user="root", database=database, autocommit=True,
                               charset="utf8mb4")

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
