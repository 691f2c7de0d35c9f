"""A disk that fails on command, below one folder and for one process: the control of tests/chaos/faulty.cc."""

import contextlib
import mmap
import pathlib
import struct

from stack import BINARY, Failure

# The kinds of calls; READ is opening to read, listing, and looking whether something is there.
OPEN, WRITE, SYNC, RENAME, UNLINK, MKDIR, READ = (1 << bit for bit in range(7))
CHANGES = OPEN | WRITE | RENAME | UNLINK | MKDIR
EVERYTHING = CHANGES | SYNC | READ


class Faulty:
    LIBRARY = pathlib.Path(BINARY).with_name("libtidemark_faulty.so")
    LAYOUT = struct.Struct("=IiIiI108s")
    KINDS = struct.Struct("=I")
    LEFT_AND_HITS = struct.Struct("=iI")

    def __init__(self, folder, control):
        if not self.LIBRARY.exists():
            raise Failure(f"{self.LIBRARY} is missing: build the target tidemark_faulty")
        self.folder, self.control = folder, pathlib.Path(control)
        self.control.write_bytes(bytes(self.LAYOUT.size))
        with open(self.control, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), self.LAYOUT.size)

    def environment(self):
        return {"LD_PRELOAD": str(self.LIBRARY), "FAULTY_ROOT": str(self.folder), "FAULTY_CONTROL": str(self.control)}

    @contextlib.contextmanager
    def failing(self, kinds, error, times=-1, after=False, part=""):
        """Within, calls of these kinds fail: the first `times` (-1: all), after their work is done or instead of it, where
        the path has `part` in it. Yields a function that counts them."""
        self.memory[:] = self.LAYOUT.pack(0, error, after, times, 0, part.encode())
        self.memory[:4] = self.KINDS.pack(kinds)  # last: it arms the rest
        try:
            yield lambda: self.LEFT_AND_HITS.unpack(self.memory[12:20])[1]
        finally:
            self.memory[:4] = self.KINDS.pack(0)
