"""A witness of the HTX example's sinks. What is to stand in them in the end, the oracle says; what is looked at here is what
readers see on the way there: whatever happens,

  - a file of the lake that has its final name is whole, stays, and never changes;
  - a window's rows in the table are never fewer than they were.
"""

import pathlib

import pyarrow
import pyarrow.parquet

import views
from witness import Witness


class Files(views.Standing):
    """What a plain glob over a folder shows."""

    def __init__(self, folder):
        super().__init__(f"lake {folder}")
        self.folder, self.files = pathlib.Path(folder), {}

    def load(self):
        found = {}
        for path in self.folder.glob("**/*.parquet"):
            there = path.stat()
            found[path] = (there.st_ino, there.st_size, there.st_mtime_ns)
        for path, mark in self.files.items():
            if found.get(path) != mark:
                self.wrong(f"file {path} was {mark} and is {found.get(path, 'gone')}")
        for path in found.keys() - self.files.keys():
            try:
                pyarrow.parquet.read_metadata(path)
            except pyarrow.ArrowException as error:
                self.wrong(f"file {path}: {error}")
        self.files = found


class Windows(views.Standing):
    """The top list's rows of each location and window."""

    def __init__(self, url, table):
        super().__init__(f"table {table}")
        self.reader, self.table, self.windows = views.Table(url), table, {}
        self.close = self.reader.close

    def load(self):
        found = {(place, start): count for place, start, count in self.reader.rows(
            f'SELECT geographical_location, window_start, count(*) FROM "{self.table}" GROUP BY 1, 2')}
        for window, count in self.windows.items():
            if found.get(window, 0) < count:
                self.wrong(f"{found.get(window, 0)} rows of {window} where {count} stood before")
        self.windows = found


class Watch(Witness):
    """Looks while it is used as a context, and fails at its end with what it saw wrong."""

    EVERY = 1.0  # seconds: files and rows become many

    def __init__(self, stack, name, lake=None):
        """lake: the folder where it isn't the usual one, False where it is none."""
        table = Windows(lambda: stack.database_url, f"{name}_top_items".replace("-", "_"))
        views_of_lake = [] if lake is False else [Files(lake or stack.folder / "lake" / name)]
        super().__init__(None, table, *views_of_lake)

    def __exit__(self, failed=None, *exc):
        super().__exit__(failed, *exc)
        self.look()
        for view in self.views:
            view.close()
        if failed is None:
            self.check()
