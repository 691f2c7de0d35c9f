"""What a disk does to a lake in a local folder."""

import contextlib
import errno

import faulty
import views
from faulty import CHANGES, EVERYTHING, MKDIR, OPEN, READ, RENAME, SYNC, UNLINK, WRITE
from matrix import Fault, Party, and_killed
from stack import Failure


class Disk(Party):
    """A lake whose files are cut about twice a second, three folders each."""

    def prepare(self):
        self.folder = self.stack.folder / "lake" / self.name
        self.disk = faulty.Faulty(self.folder, self.stack.folder / f"{self.name}.control")
        return self.disk.environment()

    def sinks(self):
        return {"lake": {"from": "numbers", "parquet": {"path": str(self.folder), "partition_by": ["k"],
                                                        "max_age": "500ms"}}}

    def views(self):
        return [views.LakeRows(self.folder)]


class Mount(Disk):
    """The same at a path that the disk is mounted at, or not: then an empty folder is there, which can be written."""

    def prepare(self):
        self.folder = self.stack.folder / "lake" / self.name
        self.bare = self.stack.folder / "lake" / f"{self.name}-bare"
        self.path = self.stack.folder / "lake" / f"{self.name}-mount"
        for folder in (self.folder, self.bare):
            folder.mkdir(parents=True)
        self.mount(self.folder)
        return {}

    def mount(self, folder):
        link = self.path.with_suffix(".new")
        link.symlink_to(folder)
        link.rename(self.path)

    def sinks(self):
        sinks = super().sinks()
        sinks["lake"]["parquet"]["path"] = str(self.path)
        return sinks


@contextlib.contextmanager
def unmounted(party):
    # Whichever it finds first: that the mark isn't there, or what a file is written in until it is whole.
    told = lambda: party.told("isn't the lake that its files went to") + party.told("its folder _staging is gone")
    before = told()
    party.mount(party.bare)
    try:
        yield lambda: told() - before
    finally:
        party.mount(party.folder)
    written = [path for path in party.bare.rglob("*.parquet")]
    if written:
        raise Failure(f"files were written where the disk wasn't mounted: {written}")


def failing(*what, **how):
    @contextlib.contextmanager
    def strike(party):
        with party.disk.failing(*what, **how) as hits:
            yield hits
    return strike


FIRST_PARTITION = "-0-"

FAULTS = {
    Disk: [
        Fault("a disk that is full", failing(WRITE | MKDIR | OPEN, errno.ENOSPC), lasts=2),
        Fault("a disk that is full for one write", failing(WRITE, errno.ENOSPC, times=1), rounds=8, lasts=0.2),
        Fault("a quota that is used up", failing(WRITE, errno.EDQUOT), lasts=2, slow=True),
        Fault("a disk that is read only", failing(CHANGES, errno.EROFS), lasts=2),
        Fault("a folder that is gone", failing(EVERYTHING, errno.ENOENT), lasts=2),
        Fault("a stale handle", failing(EVERYTHING, errno.ESTALE), lasts=2, slow=True),
        Fault("a write that fails once", failing(WRITE, errno.EIO, times=1), rounds=8, lasts=0.2),
        Fault("a write that is done and says it failed", failing(WRITE, errno.EIO, times=1, after=True), rounds=8, lasts=0.2),
        Fault("one partition's files only", failing(WRITE, errno.EIO, part=FIRST_PARTITION), rounds=4, lasts=2),
        Fault("a sync that fails once", failing(SYNC, errno.EIO, times=1), rounds=8, lasts=0.2),
        Fault("a sync that is done and says it failed", failing(SYNC, errno.EIO, times=1, after=True), rounds=8, lasts=0.2,
              slow=True),
        Fault("syncs that fail", failing(SYNC, errno.EIO), lasts=2, slow=True),
        Fault("a move that fails once", failing(RENAME, errno.EIO, times=1), rounds=8, lasts=0.2),
        Fault("a move that is done and says it failed", failing(RENAME, errno.EIO, times=1, after=True), rounds=8, lasts=0.2),
        Fault("moves that fail", failing(RENAME, errno.EIO), lasts=2),
        Fault("moves that fail and a worker that dies", and_killed(failing(RENAME, errno.EIO)), lasts=2),
        Fault("a disk that is full and a worker that dies", and_killed(failing(WRITE | MKDIR | OPEN, errno.ENOSPC)), lasts=2,
              slow=True),
        Fault("files that can't be made", failing(OPEN, errno.EMFILE), lasts=2, slow=True),
        Fault("folders that can't be made", failing(MKDIR, errno.EIO), lasts=2, slow=True),
        Fault("deletes that fail", failing(WRITE | UNLINK, errno.EIO), lasts=2, slow=True),
        Fault("nothing can be read", failing(READ | RENAME, errno.EIO), lasts=2, slow=True),
    ],
    Mount: [
        Fault("a disk that is unmounted for a while", unmounted, lasts=2),
        Fault("a disk that is not mounted when a worker starts", and_killed(unmounted), lasts=2),
    ],
}
