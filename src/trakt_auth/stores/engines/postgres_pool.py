"""Connections to a PostgreSQL server: bounded waits, forks, restarts, and errors without secrets.

The only file that opens connections. No statement and no table is known here.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import psycopg
import psycopg_pool
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import PipelineStatus, TransactionStatus

from trakt_auth.errors import StoreUnavailable, UsageError
from trakt_auth.stores.engines.forks import on_fork
from trakt_auth.stores.engines.postgres_connection import SILENCE, Connection
from trakt_auth.stores.engines.postgres_errors import WAIT, failure

# The pool logs what fails in the background, and our errors say the same. Without a handler,
# Python would print the log to stderr.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

__all__ = ["WAIT", "Pool"]

SIZE = 10  # connections
# Errors after which the pool is replaced. No tables, no schema: the next call makes them, or says
# why it cannot. Read only: the server's name may lead to another server by now.
RECONNECT = ("42P01", "3F000", "25006")
IDLE: tuple[TransactionStatus, PipelineStatus] = (TransactionStatus.IDLE, PipelineStatus.OFF)
TRIES = 5  # to get a connection that is alive
TURN = 0.25  # seconds in the pool's queue; the pool does not tell waiters that no server answers
SETTINGS: dict[str, Any] = {
    "autocommit": True,
    # A proxy that sends each transaction over another connection (PgBouncer) loses prepared
    # statements.
    "prepare_threshold": None,
}
# Options that a URL may set to other values.
DEFAULTS = {
    "connect_timeout": f"{WAIT:.0f}",
    "fallback_application_name": "trakt-auth",
    "tcp_user_timeout": f"{SILENCE * 1000:.0f}",
}


class _ProcessPool(psycopg_pool.ConnectionPool[Connection]):
    """The pool of one process; a forked child neither closes it nor waits for its threads."""

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
    """Lends connections. When one is found dead, all are replaced: the server was restarted."""

    def __init__(self, url: str, prepare: Callable[[Connection], None]) -> None:
        parts = _parts(url)
        host, database = (parts.get(part, "(default)") for part in ("host", "dbname"))
        # With an @ in it, one of them may be the rest of a password (an @ not written as %40).
        secret = "@" in host + database
        self.name: str = "The PostgreSQL database"
        if not secret:
            self.name += f" {database} on {host}"
        self._url, self._prepare = url, prepare
        self._settings: dict[str, Any] = SETTINGS | {
            name: value for name, value in DEFAULTS.items() if name not in parts
        }
        self._guard, self._dropping = threading.Lock(), threading.Lock()
        self._pool: _ProcessPool | None = None
        self._lent: WeakSet[Connection] = WeakSet()
        self._failed: tuple[float, str, str] = (0.0, "", "")
        on_fork(self, after_in_child=Pool._abandon)

    @contextmanager
    def use(self) -> Generator[Connection, None, None]:
        """Lend a connection; psycopg's errors become StoreUnavailable."""
        pool, connection = self._take()
        try:
            self._lent.add(connection)
            yield connection
        except psycopg.Error as error:
            if error.sqlstate in RECONNECT:
                self._drop(pool)
            raise self.failure(error) from None
        finally:
            status = connection.pgconn.transaction_status, connection.pgconn.pipeline_status
            if status != IDLE:
                connection.close()  # in the middle of a transaction, or broken
                self._drop(pool)
            self._lent.discard(connection)
            pool.putconn(connection)

    @contextmanager
    def direct(self) -> Generator[Connection, None, None]:
        """Open a connection outside of the pool, and close it after the block."""
        try:
            connection = Connection.connect(self._url, **self._settings)
            try:
                # Who waits for an upgrade must see it afterwards, whatever the server's default is.
                connection.isolation_level = IsolationLevel.READ_COMMITTED
                yield connection
            finally:
                connection.close()
        except psycopg.Error as error:
            raise self.failure(error) from None

    def close(self) -> None:
        """Close all connections; those in use are closed when they are returned."""
        pool = self._pool  # read once: another thread may replace it meanwhile
        if pool is not None:
            self._drop(pool)

    def failure(self, error: psycopg.Error) -> StoreUnavailable:
        """Return the StoreUnavailable for an error of psycopg, without text from the server."""
        return failure(self.name, error.sqlstate, type(error).__name__, str(error))

    def _take(self) -> tuple[_ProcessPool, Connection]:
        asked = time.monotonic()
        tries, until = TRIES, asked + WAIT
        while tries:
            pool = self._opened(asked)
            try:
                connection = pool.getconn(TURN)
            except psycopg_pool.PoolClosed:
                pass  # another thread found a dead connection in the pool, or called `close`
            except psycopg_pool.PoolTimeout:
                if not self._is_stuck(pool, late=time.monotonic() > until):
                    continue
            else:
                if connection.alive:
                    return pool, connection
                connection.close()
            self._drop(pool)
            tries -= 1
        raise StoreUnavailable(f"{self.name} closes every connection")

    def _is_stuck(self, pool: _ProcessPool, *, late: bool) -> bool:
        """Return whether the pool finds no server, or has lost connections because of Ctrl-C.

        Then it is replaced: connecting without it says what is wrong.

        Raises: StoreUnavailable if all connections are in use.
        """
        if late and len(self._lent) >= SIZE:
            raise StoreUnavailable(f"{self.name} had no free connection for {WAIT:.0f} seconds")
        stats = pool.get_stats()
        return late or ("connections_errors" in stats and stats.get("pool_size", 0) <= 1)

    def _opened(self, asked: float) -> _ProcessPool:
        pool = self._pool
        if pool is not None:
            return pool
        with self._guard:
            if self._pool is None:
                since, why, hint = self._failed
                if since > asked:  # another thread failed to connect after this call began
                    raise StoreUnavailable(why, hint=hint)
                try:
                    # The pool would try in the background and never report what is wrong.
                    with self.direct() as connection:
                        self._prepare(connection)
                except StoreUnavailable as error:
                    self._failed = (time.monotonic(), str(error), error.hint)
                    raise
                self._pool = _ProcessPool(self._url, self._settings)
            return self._pool

    def _drop(self, pool: _ProcessPool) -> None:
        # Not the guard: a thread that is connecting holds it, perhaps until a timeout.
        with self._dropping:
            if self._pool is pool:
                self._pool = None
        pool.close(timeout=WAIT)

    def _abandon(self) -> None:
        # In a forked child. Two processes that used one connection would get each other's answers,
        # and closing it would end the parent's; so the child only keeps it from being collected.
        self._guard, self._dropping = threading.Lock(), threading.Lock()
        if self._pool is not None:
            _abandoned.append(self._pool)
            self._pool = None


_abandoned: list[_ProcessPool] = []


def _parts(url: str) -> dict[str, str]:
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except (psycopg.Error, ValueError):
        parts = {"port": "not readable"}
    # psycopg would quote the port in its error, and it may be part of a password.
    if not parts.get("port", "0").replace(",", "").isdigit():
        raise UsageError(
            "The postgresql:// URL is not one that PostgreSQL understands",
            hint="Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE;"
            " in the password, write %40 for @ and %2F for /.",
        )
    return parts
