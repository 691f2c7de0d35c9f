"""Whole topics as Arrow tables, fast: kcat writes lines, Arrow parses them on all cores. A client that is not ours.

Only for topics without tabs and line breaks in keys and values, which JSON as written here never holds.
"""

import subprocess

import pyarrow
import pyarrow.csv

from stack import Failure

COLUMNS = {"partition": pyarrow.int32(), "offset": pyarrow.int64(), "timestamp": pyarrow.int64(),
           "key": pyarrow.binary(), "value": pyarrow.binary()}


def read(brokers, topic):
    """All committed records up to the end."""
    command = ["kcat", "-C", "-q", "-e", "-b", brokers, "-t", topic, "-o", "beginning",
               "-X", "isolation.level=read_committed", "-X", "check.crcs=false",
               "-f", r"%p\t%o\t%T\t%k\t%s\n"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        table = parse(reader.stdout)
        complaint = reader.stderr.read().decode(errors="replace")
    if reader.returncode != 0:
        raise Failure(f"reading {topic}: {complaint}")
    return table


def parse(lines):
    try:
        return pyarrow.csv.read_csv(
            lines,
            pyarrow.csv.ReadOptions(column_names=list(COLUMNS), block_size=16 << 20),
            pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
            pyarrow.csv.ConvertOptions(column_types=COLUMNS))
    except pyarrow.ArrowInvalid as error:
        # An empty topic is an empty file, which the parser refuses.
        if "Empty CSV file" not in str(error):
            raise
        return pyarrow.schema(list(COLUMNS.items())).empty_table()
