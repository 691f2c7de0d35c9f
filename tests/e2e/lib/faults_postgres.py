"""What a PostgreSQL server, or what lies between, does to a sink."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import threading

import psycopg

import wire
import views
from matrix import Fault, Party, and_killed, by_rule, once, refused, slowed
from proxy import CUT, HALF, LOST, TORN, Proxy
from stack import script, wait_for


class Database(Party):
    """A sink of rows into a table without a key, where doubles would stand, and one of totals. Their user owns a schema and
    may nothing else."""

    def prepare(self):
        self.url = self.server()
        self.admin(f"CREATE ROLE \"{self.name}\" LOGIN PASSWORD 'secret'",
                   f'CREATE SCHEMA "{self.name}" AUTHORIZATION "{self.name}"')
        self.proxy = Proxy(self.address(), wire.Postgres)
        return {"DATABASE_URL": f"postgresql://{self.name}:secret@127.0.0.1:{self.proxy.port}/tidemark"}

    def server(self):
        return self.stack.database_url

    def address(self):
        host, port = re.search(r"@([\d.]+):(\d+)/", self.url).groups()
        return host, int(port)

    def sinks(self):
        def sink(step, table, **more):
            return {"from": step, "postgres": {"url": "${DATABASE_URL}", "schema": self.name, "table": table, **more}}
        return {"rows": sink("numbers", "rows"), "standing": sink("totals", "standing", key=["k"])}

    def views(self):
        return [views.TableRows(lambda: self.url, f'{self.name}"."rows'),
                views.TableTotals(lambda: self.url, f'{self.name}"."standing')]

    def admin(self, *statements):
        """Past the proxy, by a superuser whom no limit holds."""
        with psycopg.connect(self.url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if found.description else None

    def terminate(self, which="true"):
        """Ends the application's backends; how many."""
        return self.admin(f"""SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                              WHERE usename = '{self.name}' AND {which}""")[0][0]

    def close(self):
        self.proxy.close()


class OwnDatabase(Database):
    """With a server of its own, which is stopped and replaced."""

    def server(self):
        self.folder = self.stack.folder / f"postgres-{self.name}"
        return script("postgres", "start", "--dir", self.folder, "--port", 0, log=f"{self.folder}.log")

    def close(self):
        super().close()
        script("postgres", "stop", "--dir", self.folder, "--kill")


def is_commit(request):
    return request.name == "COMMIT"


def carries_rows(request):
    return request.name == "B"


def killed_idle(party):
    # The moment of idleness is short: whoever is caught in it counts.
    return wait_for("an idle backend", lambda: party.terminate("state = 'idle'"), 30, every=0.001)


def while_it_happens(name, do):
    """Calls do(party) just before a request goes on to the server."""
    @contextlib.contextmanager
    def strike(party):
        with party.proxy.rule(lambda request: request.name == name, do=lambda: do(party), times=1) as rule:
            yield lambda: rule.hits
    return strike


@contextlib.contextmanager
def killed_at_the_commit(party):
    """The backend dies beside the COMMIT that it has just been given; sometimes it was faster."""
    def kill_soon():
        threading.Thread(target=party.terminate, daemon=True).start()
    with party.proxy.rule(is_commit, LOST, times=1, do=kill_soon) as rule:
        yield lambda: rule.hits


def restarted(*how):
    def do(party):
        script("postgres", "stop", "--dir", party.folder, *how)
        script("postgres", "start", "--dir", party.folder)
    return once(do)


@contextlib.contextmanager
def stopped(party):
    script("postgres", "stop", "--dir", party.folder)
    try:
        yield lambda: 1
    finally:
        script("postgres", "start", "--dir", party.folder)


@contextlib.contextmanager
def read_only(party):
    party.admin(f'ALTER ROLE "{party.name}" SET default_transaction_read_only = on')
    hits = party.terminate()
    try:
        yield lambda: hits
    finally:
        party.admin(f'ALTER ROLE "{party.name}" RESET default_transaction_read_only')
        party.terminate()  # as a server that is promoted or made writable again does


@contextlib.contextmanager
def too_many_connections(party):
    party.admin(f'ALTER ROLE "{party.name}" CONNECTION LIMIT 0')
    hits = party.terminate()
    try:
        yield lambda: hits
    finally:
        party.admin(f'ALTER ROLE "{party.name}" CONNECTION LIMIT -1')


def raising(sqlstate, event, table):
    """Every write into a table fails with this code, as an extension of the file of a full disk does."""
    @contextlib.contextmanager
    def strike(party):
        where = f'"{party.name}".{table}'
        before = party.told(sqlstate)  # the worker says so, once for each time that it is news
        party.admin(f"""CREATE OR REPLACE FUNCTION "{party.name}".fails() RETURNS trigger LANGUAGE plpgsql AS
                        $$BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'
                          USING ERRCODE = '{sqlstate}'; END$$""",
                    f'CREATE TRIGGER fails BEFORE {event} ON {where} EXECUTE FUNCTION "{party.name}".fails()')
        try:
            yield lambda: party.told(sqlstate) - before
        finally:
            party.admin(f"DROP TRIGGER fails ON {where}")
    return strike


def locked(table):
    @contextlib.contextmanager
    def strike(party):
        with psycopg.connect(party.url) as connection:
            connection.execute(f'LOCK TABLE "{party.name}".{table} IN ACCESS EXCLUSIVE MODE')
            yield lambda: party.admin(f"""SELECT count(*) FROM pg_stat_activity WHERE usename = '{party.name}'
                                          AND wait_event_type = 'Lock'""")[0][0]
    return strike


class Replicated(OwnDatabase):
    """Commits wait for the standby, so that a failover loses none of them."""

    def prepare(self):
        self.number, self.standby = 0, None
        environment = super().prepare()
        self.follow()
        return environment

    def close(self):
        super().close()
        if self.standby:
            script("postgres", "stop", "--dir", self.standby[0], "--kill")

    def follow(self):
        """A standby of the present server, which the present server waits for."""
        self.number += 1
        folder = self.stack.folder / f"postgres-{self.name}-{self.number}"
        folder.mkdir()
        shutil.copy(self.folder / ".tidemark-postgres", folder)
        shutil.copy(self.folder / "password", folder)
        data, (host, port) = folder / "data", self.address()
        backup = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup"))[-1]
        subprocess.run([backup, "-D", data, "-d", self.url.rpartition("/")[0] + "/postgres", "-c", "fast", "--no-sync"],
                       check=True, capture_output=True)
        (data / "standby.signal").touch()
        (data / "postmaster.pid").unlink(missing_ok=True)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:postgres", folder], check=True)
        password = (folder / "password").read_text().strip()
        connection = f"host={host} port={port} user=tidemark password={password} application_name=standby"
        url = script("postgres", "start", "--dir", folder, "--port", 0, "--set", f"primary_conninfo={connection}",
                     log=f"{folder}.log")
        self.standby = folder, url
        self.admin("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        wait_for("the standby to follow", lambda: self.admin(
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")[0][0], 30)

    def fail_over(self):
        """The server crashes, its standby is promoted, and the address leads to it."""
        script("postgres", "stop", "--dir", self.folder, "--kill")
        (self.folder, self.url), self.standby = self.standby, None
        self.proxy.target = self.address()
        self.proxy.reset()
        self.admin("SELECT pg_promote()")


@contextlib.contextmanager
def failed_over(party):
    party.fail_over()
    yield lambda: 1
    party.follow()  # for the next time


FAULTS = {
    Database: [
        Fault("backends killed while they idle", once(killed_idle), rounds=5),
        Fault("a backend killed in its transaction", while_it_happens("B", Database.terminate), rounds=5),
        Fault("a COMMIT that never reaches the server", by_rule(is_commit, CUT, times=2), rounds=5, hits=2),
        Fault("a COMMIT whose answer is lost", by_rule(is_commit, LOST, times=2), rounds=5, hits=2),
        Fault("a COMMIT of which half arrives", by_rule(is_commit, HALF, times=2), rounds=3, slow=True),
        Fault("a backend killed at its COMMIT", killed_at_the_commit, rounds=5),
        Fault("rows of which half arrive", by_rule(carries_rows, HALF, times=2), rounds=3),
        Fault("an answer of which half arrives", by_rule(carries_rows, TORN, times=2), rounds=3, slow=True),
        Fault("an answer that comes late", by_rule(is_commit, stall=3, times=2), rounds=2, lasts=3, slow=True),
        Fault("a server that refuses connections", refused, lasts=2),
        Fault("a server that refuses and a worker that dies", and_killed(refused), lasts=2),
        Fault("a slow line", slowed(20_000), rounds=2, lasts=3, slow=True),
        Fault("a database that is read-only", read_only, lasts=2),
        Fault("a disk that is full", raising("53100", "INSERT", "rows"), lasts=2),
        Fault("a disk that is full for the fence", raising("53100", "UPDATE", "tidemark_offsets"), lasts=2, slow=True),
        Fault("a read-only database and a worker that dies", and_killed(read_only), lasts=2, slow=True),
        Fault("too many connections", too_many_connections, lasts=2),
        Fault("a table that is locked", locked("rows"), rounds=2, lasts=3),
        Fault("a fence that is locked for a minute", locked("tidemark_offsets"), rounds=1, lasts=60, slow=True),
    ],
    OwnDatabase: [
        Fault("a server that restarts", restarted()),
        Fault("a server that crashes", restarted("--kill")),
        Fault("a server that is away", stopped, rounds=2, lasts=12, slow=True),
    ],
    Replicated: [
        Fault("a failover to the standby", failed_over, rounds=2),
    ],
}
