"""One connection to a PostgreSQL server: a limit for each wait, pipelines, transactions repeated.

No connection is opened here, and no table is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors
from psycopg.generators import fetch_many, send
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

__all__ = ["SILENCE", "Connection", "Value"]

T = TypeVar("T")
Value = bytes | str | float | None

SILENCE = 10.0  # seconds; longer than the server's own limit, so that its error comes first
BYTEA = 17  # the server's number of this type; it infers the types of texts and numbers
REPEATS = 4  # of a transaction that the server has undone because of others at the same time


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits at most `longest_wait` seconds for an answer."""

    longest_wait: float = SILENCE

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
        """Wait as psycopg does, but not for ever: the server may be frozen."""
        return super().wait(_bounded(gen, time.monotonic() + self.longest_wait), *args, **kwargs)

    def read(self, statement: LiteralString, values: Sequence[Value]) -> list[tuple[Any, ...]]:
        """Run one statement that only reads; return its rows.

        Raises: psycopg.Error.
        """
        return self._repeated(lambda: self.execute(statement, values, binary=True).fetchall())

    def write(
        self, before: Sequence[LiteralString], statement: bytes, values: Sequence[Value]
    ) -> bytes | None:
        """Run statements in one transaction and one round trip; return the last one's value.

        The values never become part of a statement's text, which the server logs and shows in
        pg_stat_activity. It logs values only if it is told to.

        Raises: psycopg.Error.
        """
        return self._repeated(lambda: self._write(before, statement, values))

    def _repeated(self, work: Callable[[], T]) -> T:
        for _ in range(REPEATS):
            try:
                return work()
            except (errors.SerializationFailure, errors.DeadlockDetected):
                continue  # the server has undone the whole transaction
        return work()

    def _write(
        self, before: Sequence[LiteralString], statement: bytes, values: Sequence[Value]
    ) -> bytes | None:
        # The same as psycopg's `pipeline()`, from its parts, in half the time.
        self.pgconn.enter_pipeline_mode()
        for first in before:
            self.pgconn.send_query_params(first.encode(), None)
        blobs = [v if v is None or isinstance(v, bytes) else str(v).encode() for v in values]
        raw = [isinstance(value, bytes) for value in values]
        self.pgconn.send_query_params(statement, blobs, [BYTEA * is_raw for is_raw in raw], raw)
        self.pgconn.pipeline_sync()
        results = self.wait(_results(self.pgconn))
        if self.pgconn.status != ConnStatus.OK:
            raise psycopg.OperationalError("the server closed the connection")
        self.pgconn.exit_pipeline_mode()
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)
        last = results[len(before)]
        return last.get_value(0, 0) if last.ntuples else None

    @property
    def alive(self) -> bool:
        """Return False if the server has closed the connection; sends nothing."""
        try:
            self.pgconn.consume_input()
            self.pgconn.consume_input()  # the end of the stream, after the server's last message
        except psycopg.Error:
            return False
        return not self.closed


def _results(pgconn: PGconn) -> Generator[Any, Any, list[PGresult]]:
    yield from send(pgconn)
    found: list[PGresult] = []
    # One for each statement, one more if the commit fails, and one for the end. None ever comes if
    # the server closed the connection.
    while pgconn.status == ConnStatus.OK:
        found += yield from fetch_many(pgconn)
        if found and found[-1].status == ExecStatus.PIPELINE_SYNC:
            break
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
