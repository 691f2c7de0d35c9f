"""Column types: random values, how JSON writes them, and one form in which values from JSON, Parquet and SQL compare.

Times are held as microseconds. Doubles are small multiples of 1/4, so that sums don't depend on the order of adding."""

import datetime
import decimal
import json
import re

START_US = 1_700_000_000_000_000
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
TEXTS = ["", "a", "ab", "B", "b", "zz", "ä", "日本", 'x"y', "a b", "none"]
TIME_FORMS = ["timestamp_ms", "timestamp_us", "timestamp_s", "timestamp"]
PLAIN_TYPES = ["int64", "int32", "string", "bool", "double", "date", "decimal(12,2)", "decimal(30,6)", "timestamp_ms"]
UNITS_US = {"timestamp_s": 1_000_000, "timestamp_ms": 1_000, "timestamp_us": 1, "timestamp": 1}


def is_time(type_):
    return type_.startswith("timestamp")


def scale_of(type_):
    return int(re.fullmatch(r"decimal\(\d+,(\d+)\)", type_).group(1))


def random_value(random, type_):
    if type_ in ("int64", "int32"):
        return random.choice([0, 1, -1, 7, random.randint(-50, 50), random.randint(-1000, 1000)])
    if type_ == "string":
        return random.choice(TEXTS)
    if type_ == "bool":
        return random.random() < 0.5
    if type_ == "double":
        return random.randint(-400, 400) / 4
    if type_ == "date":
        return datetime.date(1969, 12, 28) + datetime.timedelta(days=random.randint(0, 9))
    if type_.startswith("decimal"):
        return decimal.Decimal(random.randint(-10_000, 10_000)).scaleb(-scale_of(type_))
    return START_US + random.randint(-3600, 3600) * 1_000_000


def rfc3339(us):
    text = (EPOCH + datetime.timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"


def to_json(value, type_):
    if value is None:
        return "null"
    if type_ == "timestamp":
        return json.dumps(rfc3339(value))
    if is_time(type_):
        return str(value // UNITS_US[type_])
    if type_ == "date":
        return json.dumps(value.isoformat())
    if type_.startswith("decimal"):
        return f"{value:f}"
    return json.dumps(value, ensure_ascii=False)


def canonical(value, type_):
    """A value as it comes out of JSON (with decimals as Decimal), Arrow or DuckDB, in one form."""
    if value is None:
        return None
    if is_time(type_):
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        if isinstance(value, datetime.datetime):
            if value.tzinfo is None:
                value = value.replace(tzinfo=datetime.timezone.utc)
            return (value - EPOCH) // datetime.timedelta(microseconds=1)
        return int(value) * UNITS_US[type_]
    if type_ == "date":
        return value if isinstance(value, str) else value.isoformat()
    if type_ == "double":
        return float(f"{float(value):.12g}")
    if type_.startswith("decimal"):
        # Not normalize(): it rounds to the context's precision.
        text = f"{decimal.Decimal(value):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if type_ in ("int32", "int64"):
        if value != int(value):
            raise ValueError(f"{value} in a column of type {type_}")
        return int(value)
    return value


def sql_type(type_):
    if is_time(type_):
        return "TIMESTAMP"
    return {"int64": "BIGINT", "int32": "INTEGER", "string": "VARCHAR", "bool": "BOOLEAN", "double": "DOUBLE",
            "date": "DATE"}.get(type_) or type_.upper()
