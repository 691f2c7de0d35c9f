"""A real schema registry for tests: Apicurio, which speaks Confluent's REST API. What it knows is in memory."""

import json
import pathlib
import subprocess
import urllib.error
import urllib.request

import ports
import wire
from proxy import Proxy
from stack import ROOT, Failure, tail, wait_for

VERSION = "2.6.13.Final"
RUNNER = ROOT / ".deps" / "registry" / VERSION / f"apicurio-registry-app-{VERSION}-runner.jar"


class Registry:
    """One process on one port."""

    def __init__(self, folder):
        if not RUNNER.exists():
            raise Failure(f"{RUNNER} isn't there: run scripts/setup")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "registry.log"
        self.process = None
        self.starts = ports.Start(self.log)

    @staticmethod
    def url_at(port):
        return f"http://127.0.0.1:{port}/apis/ccompat/v7"

    def behind_proxy(self):
        """The same registry at another address, which may be away; the proxy and its URL."""
        proxy = Proxy(("127.0.0.1", self.port), wire.Http)
        return proxy, self.url_at(proxy.port)

    def start(self):
        self.port = self.starts.port()
        self.url = self.url_at(self.port)
        self.native_url = f"http://127.0.0.1:{self.port}/apis/registry/v2"  # what Apicurio's own converters speak to
        # It starts in half the time where nothing is compiled for the long run.
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dquarkus.http.port={self.port}",
                 "-Dquarkus.http.host=127.0.0.1", "-Dquarkus.log.level=WARN", "-jar", str(RUNNER)],
                stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True)
        return self

    def ready(self):
        wait_for("the registry to answer", self.answers, 180, lambda: tail(self.log))
        return self

    def answers(self):
        if self.process.poll() is not None:
            if not self.starts.again():
                raise Failure("the registry has ended:\n" + tail(self.log))
            self.start()
        try:
            return self.call("/subjects") is not None
        except (OSError, urllib.error.URLError):
            return False

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def call(self, path, body=None, method=None):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None,
                                         {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    def register(self, subject, schema, kind="AVRO", references=()):
        """The number of the schema. `references`: (name, subject), of which the newest version is meant."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        pointed = [{"name": name, "subject": other, "version": self.call(f"/subjects/{other}/versions")[-1]}
                   for name, other in references]
        return self.call(f"/subjects/{subject}/versions", {"schema": text, "schemaType": kind, "references": pointed})["id"]

    def set_compatibility(self, subject, level):
        self.call(f"/config/{subject}", {"compatibility": level}, "PUT")

    def text(self, number):
        return self.call(f"/schemas/ids/{number}")["schema"]
