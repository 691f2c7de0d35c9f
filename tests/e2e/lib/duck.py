"""DuckDB, for tests whose cases run side by side in threads: one question at a time, each on a connection of its own. Two threads
that have results made of rows at once have been given each other's lists."""

import threading

import duckdb

LOCK = threading.Lock()


def rows(query, **tables):
    """A list of tuples. `tables`: Arrow tables by the names under which the query knows them."""
    with LOCK, duckdb.connect() as connection:
        return _asked(connection, query, tables).fetchall()


def table(query, **tables):
    """An Arrow table."""
    with LOCK, duckdb.connect() as connection:
        return _asked(connection, query, tables).to_arrow_table()


def _asked(connection, query, tables):
    for name, each in tables.items():
        connection.register(name, each)
    return connection.sql(query)
