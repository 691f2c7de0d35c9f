"""How a generation that was left is built again, as `tidemark generations list` says it."""

import re


def again(listed, number):
    """The flags of `tidemark replay`: which one, and by which switch it was left."""
    left = re.search(rf"^ *{number} +left at \S+ by switch (\d+), kept", listed, re.MULTILINE)
    assert left, f"generation {number} wasn't left:\n{listed}"
    return ["--generation", number, "--left_by", left.group(1)]
