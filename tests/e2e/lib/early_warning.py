"""examples/surveys/early_warning.yaml: surveys of some weeks as files of three kinds, one in four encrypted; and what DuckDB
makes of the copies that Tidemark keeps of them, `raw`. The rules are those of the example's file."""

import csv
import gzip
import hashlib
import io
import json
import pathlib
import random
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import xml.etree.ElementTree
from datetime import date, datetime, timedelta, timezone

import duckdb
import psycopg

import topics
from receiver import Receiver
from stack import ROOT, wait_for

CONFIG = ROOT / "examples" / "surveys" / "early_warning.yaml"
FIRST, LAST = date(2025, 1, 10), date(2025, 2, 18)  # the last day's window stays open
REGIONS = {("SYR", "Al-Hasakeh"): 0.5, ("SYR", "Aleppo"): 0.35, ("SYR", "Idlib"): 0.45, ("IRQ", "Ninewa"): 0.3}
KNOWN = (("SYR", "Al-Hasakeh"), date(2025, 2, 13), 147, 33, 97)  # 33 of 147 and 97 of 147: fcs 0.22449, rcsi 0.65986
TOKEN, COLUMNS = "a token of the tests", ("survey", "country", "region", "taken", "fcs", "rcsi")
BROKEN = {"survey": 0, "country": "SYR", "region": "Idlib", "taken": f"{FIRST}T09:00:00Z", "fcs": "many", "rcsi": 0}

DAYS = """CREATE TABLE days AS
    WITH clean AS (SELECT DISTINCT ON (survey) upper(trim(country)) AS country, taken::DATE AS day, fcs, rcsi,
                       array_to_string(list_transform(regexp_split_to_array(trim(region), '[ _-]+'),
                                                      lambda word: upper(word[1]) || lower(word[2:])), '-') AS region
                   FROM raw)
    SELECT country, region, day, count(*) AS surveys, avg(fcs) AS fcs, avg(rcsi) AS rcsi
    FROM clean WHERE day < ? GROUP BY country, region, day"""
INDICATORS = """CREATE TABLE indicators AS
    SELECT d.*, 0.5 * d.fcs + 1.5 * d.rcsi AS cfii, greatest(d.fcs - b.fcs, d.rcsi - b.rcsi) AS rise
    FROM days d LEFT JOIN days b ON d.country = b.country AND d.region = b.region AND b.day = d.day - INTERVAL 30 DAY"""
# What a day says (1: raise, 0: clear, NULL: nothing) holds until the next one; a crossing is where that changes, and the
# first day that clears is none.
CROSSINGS = """
    WITH said AS (SELECT *, {says} AS says FROM indicators),
         states AS (SELECT *, last_value(says IGNORE NULLS) OVER days AS state FROM said
                    WINDOW days AS (PARTITION BY country, region ORDER BY day)),
         turns AS (SELECT *, lag(state, 1, 0) OVER (PARTITION BY country, region ORDER BY day) AS before FROM states
                   WHERE state IS NOT NULL)
    SELECT country, region, day, if(state = 1, 'raised', 'cleared') FROM turns WHERE state <> before"""
RULES = {"warnings": "CASE WHEN cfii > 1 THEN 1 WHEN cfii < 0.95 THEN 0 END",
         "rises": "CASE WHEN rise > 0.05 THEN 1 WHEN rise <= 0.05 THEN 0 END"}


class Keys:
    """Of OpenPGP: a reader whose secret key has a passphrase."""

    def __init__(self, folder):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-gpg-"))  # a socket's path is short
        self.secret, self.passphrase = folder / "keys.asc", folder / "passphrase"
        self.passphrase.write_text("mellon\n")
        loopback = ("--pinentry-mode", "loopback", "--passphrase", "mellon")
        self.gpg(*loopback, "--quick-gen-key", "reader@x", "default", "default", "never")
        self.gpg(*loopback, "--armor", "--output", self.secret, "--export-secret-keys", "reader@x")

    def gpg(self, *args, data=None):
        return subprocess.run(["gpg", "--homedir", self.home, "--batch", "--quiet", "--trust-model", "always", *map(str, args)],
                              input=data, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout

    def encrypt(self, data):
        return self.gpg("--recipient", "reader@x", "--encrypt", data=data)

    def close(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)
        shutil.rmtree(self.home, ignore_errors=True)


def as_csv_gz(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return gzip.compress(out.getvalue().encode(), mtime=0)


def as_xml(rows):
    body = "".join("<interview>" + "".join(f"<{k}>{v}</{k}>" for k, v in row.items()) + "</interview>\n" for row in rows)
    return f"<surveys>\n{body}</surveys>\n".encode()


KINDS = {"csv.gz": as_csv_gz, "xml": as_xml, "json": lambda rows: json.dumps(rows).encode()}


def rows_of(path):
    """Of a raw copy, as any reader would take it."""
    data = path.read_bytes()
    if path.name.endswith(".csv.gz"):
        return list(csv.DictReader(io.StringIO(gzip.decompress(data).decode())))
    if path.name.endswith(".xml"):
        return [{cell.tag: cell.text for cell in row} for row in xml.etree.ElementTree.fromstring(data)]
    return json.loads(data)


class EarlyWarning:
    """Surveys by seed, the application with its receiver of webhooks, and the comparison. `surveys`: of a region and day."""

    def __init__(self, stack, surveys):
        self.stack, self.surveys, self.random = stack, surveys, random.Random(13)
        self.folder = stack.folder / "early-warning"
        self.landing, self.hidden = self.folder / "landing", self.folder / "hidden"
        for path in (self.landing, self.hidden):
            path.mkdir(parents=True)
        self.keys, self.receiver = Keys(self.folder), Receiver(secret=None)
        (self.folder / "tokens").write_text(f"{hashlib.sha256(TOKEN.encode()).hexdigest()} analyst view:situation\n")
        self.env = stack.environment(
            LANDING=self.landing, COPIES=self.folder, KEYS=self.keys.secret, PASSPHRASE=self.keys.passphrase,
            ALERTS_URL=self.receiver.url, TOKENS=self.folder / "tokens")
        self.drift = dict(REGIONS)
        self.sent, self.files, self.number, self.encrypted = [], {}, 0, 0
        self.days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]

    def close(self):
        self.receiver.close()
        self.keys.close()

    def run(self):
        worker = self.stack.run(CONFIG, name="early-warning", threads=1, env=self.env)
        wait_for("the worker", worker.ready, 120, worker.seen)
        return worker

    # ---- What lands

    def written(self, region):
        """As somebody in the field writes it."""
        return self.random.choice([region, region.lower().replace("-", " "), region.upper().replace("-", "_"), f" {region}"])

    def survey(self, place, day, fcs, rcsi):
        self.number += 1
        taken = datetime(day.year, day.month, day.day, 7, tzinfo=timezone.utc) + timedelta(seconds=self.random.randrange(20_000))
        return {"survey": self.number, "country": self.random.choice([place[0], place[0].lower()]), "region": self.written(place[1]),
                "taken": taken.isoformat().replace("+00:00", "Z"), "fcs": int(fcs), "rcsi": int(rcsi)}

    def of_day(self, day):
        rows = []
        for place in REGIONS:
            count, poor, coping = self.shares(place, day)
            rows += [self.survey(place, day, n < poor, n < coping) for n in range(count)]
        self.random.shuffle(rows)
        return rows

    def shares(self, place, day):
        """How many are asked, and of them how many eat too little and how many cope as in a crisis: shares drift."""
        self.drift[place] = min(0.85, max(0.05, self.drift[place] + self.random.uniform(-0.12, 0.12)))
        if (place, day) == KNOWN[:2]:
            return KNOWN[2:]
        coping = 0.3 if place == KNOWN[0] and day < KNOWN[1] else self.drift[place]  # so that it passes 1 on that day
        return self.surveys, round(self.surveys * self.drift[place] / 2), round(self.surveys * coping)

    def land(self, days):
        for day in days:
            rows = self.of_day(day)
            again = rows[:3]  # somebody sends some of them twice
            number = (day - FIRST).days
            kind = list(KINDS)[number % len(KINDS)]
            if number == 2:
                rows.append(BROKEN)
            data, name = KINDS[kind](rows + again), f"{day}.{kind}"
            if number % 4 == 3:
                data, name, self.encrypted = self.keys.encrypt(data), f"{name}.gpg", self.encrypted + 1
            self.sent += rows
            self.files[name] = data
            (self.hidden / name).write_bytes(data)
            (self.hidden / name).rename(self.landing / name)

    # ---- What comes out

    def raw_copies(self):
        return sorted(self.folder.glob("raw/date=*/*"))

    def oracle(self):
        """DuckDB over the raw copies; what isn't a survey is left out."""
        sql = duckdb.connect()
        rows = [row for path in self.raw_copies() for row in rows_of(path) if str(row["fcs"]) != BROKEN["fcs"]]
        path = self.folder / "raw.json"
        path.write_text("\n".join(json.dumps({**row, "survey": int(row["survey"])}) for row in rows))
        types = {"survey": "BIGINT", "country": "VARCHAR", "region": "VARCHAR", "taken": "TIMESTAMP", "fcs": "DOUBLE", "rcsi": "DOUBLE"}
        sql.execute(f"CREATE TABLE raw AS FROM read_json('{path}', columns={types})")
        sql.execute(DAYS, [LAST])
        sql.execute(INDICATORS)
        return sql

    def wanted(self, sql):
        """{(country, region, day): (surveys, fcs, rcsi, cfii, rise)}, and by rule its crossings."""
        rows = sql.execute("SELECT country, region, day::VARCHAR, surveys, fcs, rcsi, cfii, rise FROM indicators").fetchall()
        crossings = {rule: sorted((*row[:2], str(row[2]), row[3]) for row in sql.execute(CROSSINGS.format(says=says)).fetchall())
                     for rule, says in RULES.items()}
        return {row[:3]: row[3:] for row in rows}, crossings

    def in_topic(self, topic):
        if not topics.partitions(self.stack.brokers, topic):
            return []
        return [json.loads(value) for value in topics.read(self.stack.brokers, topic)["value"].to_pylist()]

    def in_table(self):
        with psycopg.connect(self.stack.database_url) as connection:
            return connection.execute("SELECT country, region, day::text, surveys, fcs, rcsi, cfii, rise FROM indicators").fetchall()

    def ask(self, worker, question, token=TOKEN):
        """(status, answer) of the view."""
        address = (worker.state_dir / "http_address").read_text().strip()
        request = urllib.request.Request(
            f"http://{address}/v1/views/situation/query", json.dumps(question).encode(),
            {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def told(self):
        """Crossings that were posted, each once by its id; by rule."""
        found = {rule: [] for rule in RULES}
        for message in self.receiver.messages().values():
            row = message["row"]
            # A row has the day that the alert began with; `alert_time` is that of this crossing.
            found[message["sink"].removesuffix("_told")].append(
                (row["country"], row["region"], row["alert_time"][:10], row["alert_state"]))
        return {rule: sorted(rows) for rule, rows in found.items()}

    def crossed(self, rule):
        return sorted((row["country"], row["region"], row["alert_time"][:10], row["alert_state"]) for row in self.in_topic(rule))

    def wait_until_through(self, worker):
        """All files are away, the last day is in the view, and nothing more is to be posted."""
        wanted = len(REGIONS) * (len(self.days) - 1)
        wait_for("all days in the table", lambda: len(self.in_table()) >= wanted, 300, lambda: f"{len(self.in_table())} of {wanted}\n{worker.seen()}",
                 every=0.3)
        wait_for("the files to be moved", lambda: not any(self.landing.iterdir()), 60, worker.seen)
        posts = lambda: sum(map(len, self.told().values()))
        wait_for("the crossings by webhook", lambda: posts() == sum(len(self.crossed(rule)) for rule in RULES), 60,
                 lambda: f"{posts()}\n{worker.seen()}", every=0.3)

    def differences(self, worker):
        found = []

        def same(what, have, want):
            if have != want:
                found.append(f"{what}: {str(have)[:600]}\n  expected {str(want)[:600]}")

        rows, crossings = self.wanted(self.oracle())
        close = lambda row: tuple(None if v is None else round(v, 12) for v in row)
        rows = {key: close(row) for key, row in rows.items()}
        columns = ("country", "region", "day", "surveys", "fcs", "rcsi", "cfii", "rise")
        in_topic = [tuple(row.get(c) for c in columns) for row in self.in_topic("indicators")]
        same("surveys in the raw copies", len({row["survey"] for path in self.raw_copies() for row in rows_of(path)} - {0, "0"}), self.number)
        for place, have in (("topic", in_topic), ("table", self.in_table())):
            same(f"rows in the {place}", len(have), len(rows))
            same(place, {row[:3]: close(row[3:]) for row in have}, rows)
        for rule, want in crossings.items():
            same(f"{rule} in the topic", self.crossed(rule), want)
            same(f"{rule} by webhook", self.told()[rule], want)
        self.compare_view(worker, rows, columns, close, same)
        self.compare_copies(same)
        _, headers = topics.read(self.stack.brokers, "early-warning-dead-letter", headers=True)
        same("dead letters", [header["tidemark.file"].decode() for header in headers], [f"{FIRST + timedelta(days=2)}.json"])
        same(f"cfii of {KNOWN[0][1]}", round(rows[(*KNOWN[0], str(KNOWN[1]))][3], 3), 1.102)
        if (*KNOWN[0], str(KNOWN[1]), "raised") not in crossings["warnings"]:
            found.append(f"no warning of {KNOWN[0][1]} on {KNOWN[1]}: {crossings['warnings']}")
        return found

    def compare_view(self, worker, rows, columns, close, same):
        question = {"country": "SYR", "region": ["Al-Hasakeh", "Idlib"], "day": {"from": "2025-02-01", "to": "2025-02-14"},
                    "limit": 1000}
        want = {key: row for key, row in rows.items()
                if key[0] == "SYR" and key[1] in question["region"] and "2025-02-01" <= key[2] <= "2025-02-14"}
        status, answer = self.ask(worker, question)
        same("status of the question", status, 200)
        if status == 200:
            same("the view's answer", {tuple(row[c] for c in columns[:3]): close(row[c] for c in columns[3:]) for row in answer["rows"]}, want)
        same("without a token", self.ask(worker, question, token=None)[0], 401)
        same("with another token", self.ask(worker, question, token="another")[0], 401)

    def compare_copies(self, same):
        processed = {path.name: path.read_bytes() for path in (self.folder / "processed").iterdir()}
        same("processed", {name: hashlib.sha256(data).hexdigest() for name, data in processed.items()},
             {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()})
        same("archived contents", sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in self.folder.glob("archive/date=*/*")),
             sorted(hashlib.sha256(data).hexdigest() for data in self.files.values()))
        same("raw copies", len(self.raw_copies()), len(self.files))
        same("encrypted raw copies", [path.name for path in self.raw_copies() if path.name.endswith(".gpg")], [])
