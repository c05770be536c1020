"""Connections to a PostgreSQL server: bounded waits, forks, restarts, and errors without secrets.

And all that opens one. No table is known here.
`stores/postgres.py` and `stores/postgres_schema.py` use this file; it imports `postgres_words`
and layer 0.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

import psycopg
import psycopg_pool
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from trakt_auth.errors import StoreUnavailable, UsageError
from trakt_auth.stores.engines.postgres_errors import WAIT, failure

# Our errors say what the pool finds out in the background; it would go to stderr as well.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

__all__ = ["WAIT", "Connection", "Pool", "Value"]

T = TypeVar("T")
Value = bytes | str | float | None

SILENCE = 10.0  # seconds; longer than the server's own limit, so that its word comes first
BYTEA = 17  # as the server numbers its types; the types of texts and numbers it finds out
SIZE = 10  # connections
# No tables, no schema: the next call makes them, or says why it cannot. Read only: behind this name
# may be another server by now.
ANEW = ("42P01", "3F000", "25006")
IDLE = (TransactionStatus.IDLE, PipelineStatus.OFF)
TRIES = 5  # to get a connection that lives
TURN = 0.25  # seconds in the pool's queue: it never tells those in it that it finds no server
SETTINGS: dict[str, Any] = {
    "autocommit": True,
    # A proxy that hands each transaction to another connection (PgBouncer) loses prepared ones.
    "prepare_threshold": None,
}
# What somebody may write into the URL, unless they did.
DEFAULTS = {
    "connect_timeout": f"{WAIT:.0f}",
    "fallback_application_name": "trakt-auth",
    "tcp_user_timeout": f"{SILENCE * 1000:.0f}",
}


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for no answer longer than `patience` seconds."""

    patience = SILENCE

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
        """Wait as psycopg does, but not for ever: the server may be frozen."""
        return super().wait(_bounded(gen, time.monotonic() + self.patience), *args, **kwargs)

    def write(self, first: bytes, second: bytes, values: Sequence[Value]) -> bytes | None:
        """Do two statements in one transaction and one round trip; return the last one's value.

        The values never become part of a statement's text: the server writes that into its log,
        and shows it to those who may look. It logs values only if it is set to.

        Raises: psycopg's errors.
        """
        # psycopg's own pipeline does the same; its pieces take half the time.
        self.pgconn.enter_pipeline_mode()
        self.pgconn.send_query_params(first, None)
        blobs = [v if v is None or isinstance(v, bytes) else str(v).encode() for v in values]
        raw = [isinstance(value, bytes) for value in values]
        self.pgconn.send_query_params(second, blobs, [BYTEA * is_raw for is_raw in raw], raw)
        self.pgconn.pipeline_sync()
        results = self.wait(_results(self.pgconn))
        if self.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError("the server closed the connection")
        self.pgconn.exit_pipeline_mode()
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result)
        return results[1].get_value(0, 0) if results[1].ntuples else None

    @property
    def alive(self) -> bool:
        """Tell, without asking the server, whether it has hung up meanwhile."""
        try:
            self.pgconn.consume_input()
            self.pgconn.consume_input()  # behind the server's last words comes the end
        except psycopg.Error:
            return False
        return not self.closed


class _OwnPool(psycopg_pool.ConnectionPool[Connection]):
    """A pool that a forked child neither closes nor waits for."""

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        self._process = os.getpid()
        super().__init__(
            url, connection_class=Connection, kwargs=settings, min_size=0, max_size=SIZE,
            timeout=WAIT, num_workers=1, reconnect_timeout=WAIT, open=True,
        )  # fmt: skip

    def __del__(self) -> None:
        if self._process == os.getpid():
            super().__del__()


class Pool:
    """Lends connections. All are given up as soon as one is found dead: so was the server."""

    def __init__(self, url: str, prepare: Callable[[Connection], None]) -> None:
        parts = _parts(url)
        host, base = (parts.get(word, "(default)") for word in ("host", "dbname"))
        # An @ that is not written as %40 cuts a password in two.
        self.name = "The PostgreSQL database"
        if "@" not in host + base:
            self.name += f" {base} on {host}"
        self._url, self._prepare = url, prepare
        self._settings: dict[str, Any] = SETTINGS | {
            name: value for name, value in DEFAULTS.items() if name not in parts
        }
        self._guard, self._dropping = threading.Lock(), threading.Lock()
        self._pool: _OwnPool | None = None
        self._lent: WeakSet[Connection] = WeakSet()
        self._failed: tuple[float, str, str] = (0.0, "", "")
        _pools.add(self)

    @contextmanager
    def use(self) -> Generator[Connection, None, None]:
        """Lend a connection; psycopg's errors become StoreUnavailable."""
        pool, connection = self._take()
        try:
            self._lent.add(connection)
            yield connection
        except psycopg.Error as error:
            if error.sqlstate in ANEW:
                self._drop(pool)
            raise self.failure(error) from None
        finally:
            status = connection.pgconn.transaction_status, connection.pgconn.pipeline_status
            if status != IDLE:
                connection.close()  # in the middle of something, or broken
                self._drop(pool)
            self._lent.discard(connection)
            pool.putconn(connection)

    @contextmanager
    def direct(self) -> Generator[Connection, None, None]:
        """Lend a connection of its own, made for this and closed after it."""
        try:
            connection = Connection.connect(self._url, **self._settings)
            try:
                yield connection
            finally:
                connection.close()
        except psycopg.Error as error:
            raise self.failure(error) from None

    def close(self) -> None:
        """Close all connections; those in use follow when they come back."""
        pool = self._pool  # once: another thread may drop it meanwhile
        if pool is not None:
            self._drop(pool)

    def abandon(self) -> None:
        """Let go, in a forked child, of what only the parent may use or even close."""
        self._guard, self._dropping = threading.Lock(), threading.Lock()
        if self._pool is not None:
            _abandoned.append(self._pool)
            self._pool = None

    def failure(self, error: psycopg.Error) -> StoreUnavailable:
        """Return our error for one of psycopg's, without a word that could hold a secret."""
        return failure(self.name, error.sqlstate, type(error).__name__, str(error))

    def _take(self) -> tuple[_OwnPool, Connection]:
        asked = time.monotonic()
        tries, until = TRIES, asked + WAIT
        while tries:
            pool = self._opened(asked)
            try:
                connection = pool.getconn(TURN)
            except psycopg_pool.PoolClosed:
                pass  # another thread found a dead connection in it, or called `close`
            except psycopg_pool.PoolTimeout:
                if not self._hopeless(pool, late=time.monotonic() > until):
                    continue
            else:
                if connection.alive:
                    return pool, connection
                connection.close()
            self._drop(pool)
            tries -= 1
        raise StoreUnavailable(f"{self.name} hangs up on every connection")

    def _hopeless(self, pool: _OwnPool, *, late: bool) -> bool:
        """Tell whether it finds no server, or lost connections to Ctrl-C: our own try says more."""
        if late and len(self._lent) >= SIZE:
            raise StoreUnavailable(f"{self.name} had no free connection for {WAIT:.0f} seconds")
        found = pool.get_stats()
        return late or ("connections_errors" in found and found.get("pool_size", 0) <= 1)

    def _opened(self, asked: float) -> _OwnPool:
        pool = self._pool
        if pool is not None:
            return pool
        with self._guard:
            if self._pool is None:
                since, why, hint = self._failed
                if since > asked:  # since our call began: the answer is ours as well
                    raise StoreUnavailable(why, hint=hint)
                try:
                    # The pool would try in the background and never tell what is wrong.
                    with self.direct() as connection:
                        self._prepare(connection)
                except StoreUnavailable as error:
                    self._failed = (time.monotonic(), str(error), error.hint)
                    raise
                self._pool = _OwnPool(self._url, self._settings)
            return self._pool

    def _drop(self, pool: _OwnPool) -> None:
        # Not the guard: whoever has it may be finding out just now that there is no server.
        with self._dropping:
            if self._pool is pool:
                self._pool = None
        pool.close(timeout=WAIT)


def _parts(url: str) -> dict[str, str]:
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except (psycopg.Error, ValueError):
        parts = {"port": "not readable"}
    if not parts.get("port", "0").replace(",", "").isdigit():  # it would be told as it is
        raise UsageError(
            "The postgresql:// URL is not one that PostgreSQL understands",
            hint="Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE;"
            " in the password, write %40 for @ and %2F for /.",
        )
    return parts


def _results(pgconn: PGconn) -> Generator[Any, Any, list[PGresult]]:
    yield from send(pgconn)
    found: list[PGresult] = []
    # One of each statement, and one of the end; or none, for ever, when the server has hung up.
    while len(found) < 3 and pgconn.status == ConnStatus.OK:  # noqa: PLR2004 - see above
        found += yield from fetch_many(pgconn)
    return found


def _bounded(gen: Generator[Any, Any, T], deadline: float) -> Generator[Any, Any, T]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise psycopg.OperationalError("timeout expired")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


# -- forks ---------------------------------------------------------------------------------------
# Two processes that spoke on one connection would get each other's answers.
_pools: WeakSet[Pool] = WeakSet()
_abandoned: list[_OwnPool] = []


def _after_fork_in_child() -> None:
    for pool in list(_pools):
        pool.abandon()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
