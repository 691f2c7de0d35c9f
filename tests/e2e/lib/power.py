"""A power failure for a process that was killed: takes away what it had written and not synced, as the journal of
tests/chaos/unsynced.cc has it. What POSIX promises stays, of the rest a seeded choice:

  - a file's bytes up to its last sync stay; of those behind, none or some;
  - a name that was made, replaced, moved or deleted stays so once its folder was synced; of later changes, which happen in
    order, none or the first few.
"""

import dataclasses
import os
import pathlib
import shutil

from stack import BINARY, Failure


@dataclasses.dataclass
class Lost:
    files: int = 0  # that lost bytes
    bytes: int = 0
    names: int = 0  # changes to folders that were undone

    def __str__(self):
        return f"{self.bytes:,} bytes of {self.files} files and {self.names} names lost"

    def add(self, other):
        self.files, self.bytes, self.names = (self.files + other.files, self.bytes + other.bytes,
                                              self.names + other.names)


class Power:
    """The power of everything below `folder`: one process, one life at a time. `random` decides what happens to be kept."""

    LIBRARY = pathlib.Path(BINARY).with_name("libtidemark_unsynced.so")

    def __init__(self, folder, journal, random):
        self.folder, self.journal, self.random = pathlib.Path(folder), pathlib.Path(journal), random
        self.kept = pathlib.Path(f"{journal}.kept")
        self.total = Lost()
        if not self.LIBRARY.exists():
            raise Failure(f"{self.LIBRARY} is missing: build the target tidemark_unsynced")

    def environment(self):
        return {"LD_PRELOAD": str(self.LIBRARY), "UNSYNCED_ROOT": str(self.folder), "UNSYNCED_JOURNAL": str(self.journal)}

    def fail(self):
        """To be called when the process is dead. Returns what was lost."""
        lines = [line.split(" ") for line in self.journal.read_text().splitlines()] if self.journal.exists() else []
        lost = Lost()
        for change in reversed(self._undone(lines)):
            lost.names += 1
            self._undo(*change)
        self._cut(lines, lost)
        self.journal.unlink(missing_ok=True)
        shutil.rmtree(self.kept, ignore_errors=True)
        self.total.add(lost)
        return lost

    def _undone(self, lines):
        """The changes to folders that are not kept, in their order."""
        synced, open_changes = set(), []
        for line in reversed(lines):
            if line[0] == "D":
                synced.add(line[1])
            elif line[0] in "CMRU":
                # A move is known by the folder it ends in.
                if os.path.dirname(line[2 if line[0] == "R" else 1]) not in synced:
                    open_changes.append(line)
        open_changes.reverse()
        return open_changes[self._some(len(open_changes)):]

    def _some(self, count):
        """0 half of the time, else anything up to count."""
        return self.random.randint(0, count) if self.random.random() < 0.5 else 0

    def _undo(self, what, path, *rest):
        if what == "M":
            shutil.rmtree(path, ignore_errors=True)
        elif what == "C":
            pathlib.Path(path).unlink(missing_ok=True)
        else:
            kept, back = rest[-1], path
            if what == "R":
                back = rest[0]
                if os.path.exists(back):
                    os.rename(back, path)
            if kept != "-" and not os.path.exists(back):
                os.link(kept, back)

    def _cut(self, lines, lost):
        durable = {}  # bytes, by inode
        for what, *rest in lines:
            if what in "WS":
                inode, size = map(int, rest)
                known = durable.get(inode, size)
                durable[inode] = max(known, size) if what == "S" else min(known, size)
        for path in self.folder.rglob("*"):
            info = path.lstat()
            stays = durable.get(info.st_ino)
            if stays is None or not path.is_file() or info.st_size <= stays:
                continue
            stays += self._some(info.st_size - stays)
            if stays == info.st_size:
                continue
            lost.files += 1
            lost.bytes += info.st_size - stays
            os.truncate(path, stays)
