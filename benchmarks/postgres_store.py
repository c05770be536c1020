"""The PostgreSQL store against bare psycopg: the same statements, the same kind of pool.

Run: `PYTHONPATH=src:tests python benchmarks/postgres_store.py`; it starts a server of its own.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from psycopg import ClientCursor
from psycopg_pool import ConnectionPool

import trakt_auth.stores.postgres as ours
from postgres_server import running
from trakt_auth.records import AccountKey

ROUNDS, CALLS = 7, 1000
PAYLOAD = "x" * 450
KEY = AccountKey("client", "account")
NAMES = (b"client", b"account")


def rate(work: Callable[[], object], threads: int) -> float:
    """Return calls per second."""
    with ThreadPoolExecutor(threads) as executor:
        start = time.perf_counter()
        for done in [executor.submit(many, work, CALLS // threads) for _ in range(threads)]:
            done.result()
        return CALLS / (time.perf_counter() - start)


def many(work: Callable[[], object], times: int) -> None:
    for _ in range(times):
        work()


def main() -> None:
    with running() as server, server.schema() as url:
        store = ours.PostgresStore(url)
        end = datetime(2026, 12, 1, tzinfo=UTC)
        store.save(KEY, PAYLOAD, expires_at=end, replacing=None)
        settings = {"autocommit": True, "prepare_threshold": None}
        pool = ConnectionPool(url, kwargs=settings, min_size=1, max_size=10, open=True)

        def raw_load() -> object:
            with pool.connection() as connection:
                return connection.execute(ours.LOAD, NAMES, binary=True).fetchone()

        def raw_save() -> object:
            values = (*NAMES, 1_796_083_200_000_000, PAYLOAD.encode(), os.urandom(16))
            with pool.connection() as connection:
                cursor = ClientCursor(connection).execute(ours.LIMIT + ours.PUT, values)
                cursor.nextset()
                return cursor.fetchone()

        def bare_save() -> object:
            values = (*NAMES, 1_796_083_200_000_000, PAYLOAD.encode(), os.urandom(16))
            with pool.connection() as connection:
                return connection.execute(ours.PUT, values).fetchone()

        def save() -> object:
            return store.save(KEY, PAYLOAD, expires_at=end, replacing=None)

        for threads in (1, 8):
            for name, raw, mine in (
                ("load", raw_load, lambda: store.load(KEY)),
                ("save", raw_save, save),
                ("save, raw without its time limit", bare_save, save),
            ):
                pairs = [(rate(raw, threads), rate(mine, threads)) for _ in range(ROUNDS)]
                theirs, own = (statistics.median(column) for column in zip(*pairs, strict=True))
                ratio = statistics.median(b / a for a, b in pairs)
                print(
                    f"{name}, {threads} threads: psycopg {theirs:.0f}/s, store {own:.0f}/s,"
                    f" ratio {ratio:.2f}"
                )
        pool.close()
        store.close()


if __name__ == "__main__":
    main()
