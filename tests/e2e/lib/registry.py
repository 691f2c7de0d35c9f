"""A real schema registry for tests: Apicurio, which speaks Confluent's REST API. Its archive comes from Maven Central, once,
into .deps/registry."""

import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tarfile
import urllib.error
import urllib.request

from stack import Failure, wait_for

VERSION = "2.6.13.Final"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
HOME = pathlib.Path(__file__).resolve().parents[3] / ".deps" / "registry" / VERSION
RUNNER = HOME / f"apicurio-registry-app-{VERSION}-runner.jar"


def fetch():
    """The folder with the registry, fetched and unpacked where it isn't yet."""
    if RUNNER.exists():
        return HOME
    part = HOME.with_name(f"{VERSION}.part-{os.getpid()}")
    part.mkdir(parents=True)
    done = subprocess.run(["mvn", "-B", "-q", PLUGIN, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={part}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    archives = list(part.glob("*.tar.gz"))
    if done.returncode != 0 or not archives:
        raise Failure(f"{ARTIFACT} can't be fetched from Maven Central:\n{done.stdout[-2000:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(part)
    archives[0].unlink()
    if not RUNNER.exists():
        shutil.rmtree(HOME, ignore_errors=True)
        part.rename(HOME)
    else:
        shutil.rmtree(part)
    return HOME


def free_port():
    while True:
        port = random.randint(15000, 31999)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Registry:
    """One process on one port, which keeps its address over kills. What it knows is in memory: after a kill its schemas are
    registered again in the order of their numbers, so that they get the same ones."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/apis/ccompat/v7"
        self.known = []  # (number, subject, schema) at the last kill
        self.process = None

    def start(self):
        log = open(self.folder / "registry.log", "a")
        self.process = subprocess.Popen(
            ["java", "-Xmx512m", f"-Dquarkus.http.port={self.port}", "-Dquarkus.http.host=127.0.0.1",
             "-Dquarkus.log.level=WARN", "-jar", str(fetch() / RUNNER.name)],
            stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
        wait_for("the registry to answer", self.answers, 180, lambda: (self.folder / "registry.log").read_text()[-2000:])
        self.restore()
        return self

    def restore(self):
        """Numbers are given in a row, one to a text; those that nobody has any more are taken by fillers."""
        given, again = 0, []
        for number, subject, schema in self.known:
            while given + 1 < number:
                given = self.register("filler", {"type": "fixed", "name": "Filler", "size": given + 1})
            if given + 1 == number:
                given = self.register(subject, schema)
            else:
                again.append((subject, schema))
            if given != number:
                raise Failure(f"{subject} had number {number} before the registry was killed, and now has {given}")
        for subject, schema in again:
            self.register(subject, schema)

    def answers(self):
        if self.process.poll() is not None:
            raise Failure("the registry has ended: " + (self.folder / "registry.log").read_text()[-2000:])
        try:
            return self.call("/subjects") is not None
        except (OSError, urllib.error.URLError):
            return False

    def kill(self):
        if self.process.poll() is None:
            self.known = sorted((found["id"], subject, found["schema"]) for subject in self.call("/subjects")
                                for version in self.call(f"/subjects/{subject}/versions")
                                for found in [self.call(f"/subjects/{subject}/versions/{version}")]
                                if subject != "filler")
        self.process.kill()
        self.process.wait()

    def call(self, path, body=None):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def register(self, subject, schema):
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.call(f"/subjects/{subject}/versions", {"schema": text})["id"]

    def set_compatibility(self, subject, level):
        request = urllib.request.Request(f"{self.url}/config/{subject}", json.dumps({"compatibility": level}).encode(),
                                         {"Content-Type": "application/json"}, method="PUT")
        urllib.request.urlopen(request, timeout=20).close()

    def schema(self, number):
        return json.loads(self.call(f"/schemas/ids/{number}")["schema"])
