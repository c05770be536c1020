"""Connections to a PostgreSQL server: bounded waits, forks, restarts, and errors without secrets.

Layer 4, and all that opens one. No table is known here.
`stores/postgres.py` and `stores/postgres_schema.py` use this file; it imports layer 0.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

import psycopg
import psycopg_pool
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from trakt_auth.errors import StoreUnavailable, UsageError

__all__ = ["WAIT", "Connection", "Pool"]

T = TypeVar("T")

WAIT = 5.0  # seconds: to connect, for a free connection, and for the server to do a statement
SILENCE = 10.0  # seconds; longer than the server's own limit, so that its word comes first
SIZE = 10  # connections
TRIES = 5  # to get a connection that lives
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
# The server's words can quote statements and the URL, so only these are passed on.
STATES = {
    "25006": "takes no writes (it is a standby, or set to read only)",
    "42501": "does not allow this to the role",
    "42P01": "has lost its tables",
    "3F000": "has no schema for the tables",
    "53300": "has no connection left",
    "54000": "cannot keep a name as long as this",
    "55P03": "did not get a lock in time",
    "57014": f"did not do its work within {WAIT:.0f} seconds",
}
REASONS = {
    "connection refused": "the connection was refused",
    "timeout expired": "it does not answer",
    "no route to host": "there is no route to it",
    "failed to resolve host": "its name is unknown",
    "could not translate host name": "its name is unknown",
    "no such file or directory": "there is no such socket",
    "password": "the password is wrong or missing",
    "pg_hba.conf": "its pg_hba.conf does not let us in",
    "too many": "it has no connection left",
    "remaining connection slots": "it has no connection left",
    "starting up": "it is starting",
    "shutting down": "it is shutting down",
    "recovery": "it is recovering from a crash",
    '" does not exist': "it does not know the role or the database",
    "ssl": "TLS failed",
    "certificate": "TLS failed",
    "closed the connection": "it hung up",
}


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for no answer longer than `patience` seconds."""

    patience = SILENCE

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
        """Wait as psycopg does, but not for ever: the server may be frozen."""
        return super().wait(_bounded(gen, time.monotonic() + self.patience), *args, **kwargs)

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
        self._guard = threading.Lock()
        self._pool: _OwnPool | None = None
        self._failed: tuple[float, str, str] = (0.0, "", "")
        _pools.add(self)

    @contextmanager
    def use(self) -> Generator[Connection, None, None]:
        """Lend a connection; psycopg's errors become StoreUnavailable."""
        pool, connection = self._take()
        try:
            yield connection
        except psycopg.Error as error:
            if error.sqlstate in ("42P01", "3F000"):
                self._drop(pool)  # the next call makes the tables, or says why it cannot
            raise self.failure(error) from None
        finally:
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                connection.close()  # in the middle of something, or broken
                self._drop(pool)
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
        self._guard = threading.Lock()
        if self._pool is not None:
            _abandoned.append(self._pool)
            self._pool = None

    def failure(self, error: psycopg.Error) -> StoreUnavailable:
        """Return our error for one of psycopg's, without a word that could hold a secret."""
        if error.sqlstate:
            said = STATES.get(error.sqlstate, f"failed with {type(error).__name__}")
            return StoreUnavailable(f"{self.name} {said} (SQLSTATE {error.sqlstate})")
        text = str(error).lower()
        reason = next((f": {said}" for word, said in REASONS.items() if word in text), "")
        return StoreUnavailable(
            f"{self.name} cannot be reached{reason}",
            hint="Check that the server runs and that the URL is right, then try again.",
        )

    def _take(self) -> tuple[_OwnPool, Connection]:
        for _ in range(TRIES):
            pool = self._opened()
            try:
                connection = pool.getconn()
            except psycopg_pool.PoolClosed:
                continue  # another thread found a dead connection in it, or called `close`
            except psycopg_pool.PoolTimeout:
                if pool.get_stats().get("pool_size", 0) < SIZE:  # it finds no server, not no place
                    self._drop(pool)
                    continue
                raise StoreUnavailable(
                    f"{self.name} had no free connection for {WAIT:.0f} seconds"
                ) from None
            if connection.alive:
                return pool, connection
            connection.close()
            self._drop(pool)
        raise StoreUnavailable(f"{self.name} hangs up on every connection")

    def _opened(self) -> _OwnPool:
        pool = self._pool
        if pool is not None:
            return pool
        asked = time.monotonic()
        with self._guard:
            if self._pool is None:
                since, why, hint = self._failed
                if since > asked:  # while we waited for our turn: the answer is ours as well
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
        with self._guard:
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
