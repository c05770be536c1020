"""What only the PostgreSQL store promises; the contract is in test_store_contract."""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import psycopg_pool
import pytest
from psycopg.pq.abc import PGconn

import trakt_auth
from support.postgres_server import Server, running
from support.threads import in_threads
from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreError, StoreUnavailable, UsageError
from trakt_auth.stores import open_store
from trakt_auth.stores import postgres as postgres_store
from trakt_auth.stores.engines import (
    idempotency,
    postgres_connection,
    postgres_pool,
    postgres_schema,
)
from trakt_auth.stores.postgres import PostgresStore
from trakt_auth.stores.record import AccountKey, Stored

KEY = AccountKey("client", "default")
END = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def again(postgres_url: str) -> Iterator[Callable[..., PostgresStore]]:
    """Return a function that opens a store anew, of the same schema unless another URL is given."""
    with ExitStack() as stack:

        def open_again(url: str = postgres_url) -> PostgresStore:
            store = open_store(url)
            assert isinstance(store, PostgresStore)
            stack.callback(store.close)
            return store

        yield open_again


@pytest.fixture
def store(again: Callable[..., PostgresStore]) -> PostgresStore:
    return again()


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server that may be killed."""
    with running() as server:
        yield server


def put(store: PostgresStore, text: str, *, replacing: int | None = None) -> int:
    return store.save(KEY, text, expires_at=END, replacing=replacing)


def payload(store: PostgresStore) -> str:
    stored = store.load(KEY)
    assert stored is not None
    return stored.payload


def calls_of(store: PostgresStore) -> list[Callable[[], object]]:
    return [
        lambda: store.load(KEY),
        lambda: store.accounts("client"),
        lambda: store.due("client", before=END, limit=1),
        lambda: put(store, "x", replacing=1),
        lambda: put(store, "x"),
        lambda: store.delete(KEY),
        lambda: store.lock(KEY).acquire(),
        store.migrate,
    ]


# -- URLs ----------------------------------------------------------------------------------------


def test_opening_connects_to_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for scheme in ("postgresql", "postgres", "PostgreSQL"):
            url = f"{scheme}://me@127.0.0.1:{listener.getsockname()[1]}/db"
            assert isinstance(open_store(url), PostgresStore)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("url", ["postgresql:", "postgresql:db", "postgres", "postgresql:/db"])
def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(UsageError, match="names no store") as caught:
        open_store(url)
    assert "postgresql://" in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:ge/heim@host/db",  # the first half of "geheim" would be the port
        "postgresql://me:geheim@host/db?nonsense=1",
        "postgresql://me:geheim%zz@host/db",
        "postgresql://me:geheim@[host/db",
        "postgresql://me:geheim\udcff@host/db",
    ],
)
def test_an_invalid_url(url: str) -> None:
    with pytest.raises(UsageError, match="not one that PostgreSQL understands") as caught:
        open_store(url)
    shown = "".join(traceback.format_exception(caught.value))
    assert "geheim" not in shown.replace(f'"{url}"', "")
    assert "heim@" not in str(caught.value)
    assert "%40" in caught.value.hint


def test_without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("postgres", "engines.postgres_pool", "engines.postgres_schema"):
        monkeypatch.delitem(sys.modules, f"trakt_auth.stores.{name}")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match="needs psycopg") as caught:
        open_store("postgresql://host/db")
    assert "pip install 'trakt-auth[postgres]'" in caught.value.hint


# -- secrets -------------------------------------------------------------------------------------


def test_the_password_is_used_and_never_shown(
    postgres: Server, again: Callable[..., PostgresStore], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    postgres.sql("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'geh@im'")
    with ExitStack() as stack:
        stack.callback(postgres.sql, "DROP ROLE guarded")
        with postgres.schema() as url:
            right = url.replace("postgres@", "guarded:geh%40im@")
            store = again(right)
            assert put(store, "tok-3n")
            shown = [repr(store), str(vars(store)), repr(store.lock(KEY))]
            store.close()
            for wrong in (
                url.replace("postgres@", "guarded:geh%40imer@"),
                url.replace("postgres@", "guarded@"),
                right.replace("geh%40im", "geh@im"),
            ):
                broken = again(wrong)
                for call in calls_of(broken):
                    with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
                        call()
                    shown += [*traceback.format_exception(caught.value), caught.value.hint]
            assert any("password is wrong or missing" in text for text in shown)
            assert any("its name is unknown" in text for text in shown)
    shown += [record.getMessage() for record in caplog.records]
    for text in shown:
        # Source lines of a traceback show names of variables, never their values.
        assert "geh@im" not in text
        assert "geh%40im" not in text
        assert "im@127" not in text
        assert "tok-3n" not in text


def test_a_refused_statement_is_not_repeated(store: PostgresStore) -> None:
    put(store, "x")
    with pytest.raises(StoreUnavailable, match="cannot keep a name as long") as caught:
        store.save(
            AccountKey("client", os.urandom(5000).hex()), "tok-3n", expires_at=None, replacing=None
        )
    assert "tok-3n" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__suppress_context__
    assert payload(store) == "x"


# -- tables --------------------------------------------------------------------------------------


def version_of(postgres: Server, url: str) -> object:
    ((version,),) = postgres.sql("SELECT version FROM trakt_auth_schema", url=url)
    return version


def test_several_processes_at_once_create_the_tables_once(
    postgres: Server, postgres_url: str, again: Callable[..., PostgresStore]
) -> None:
    stores = [again() for _ in range(20)]
    assert in_threads([lambda store=store: store.load(KEY) for store in stores]) == []
    assert version_of(postgres, postgres_url) == 1
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
    assert [name for (name,) in postgres.sql(tables, url=postgres_url)] == [
        "trakt_auth_leases", "trakt_auth_records", "trakt_auth_schema",
    ]  # fmt: skip
    for other in stores:
        other.close()


def test_they_are_created_by_the_first_call_too(
    postgres: Server, postgres_url: str, store: PostgresStore
) -> None:
    for _ in range(2):
        store.migrate()
        assert version_of(postgres, postgres_url) == 1
    assert put(store, "x") > 1_700_000_000_000  # milliseconds: above those of tables dropped before


def test_an_upgrade_takes_the_steps_in_order_and_once(
    postgres: Server,
    postgres_url: str,
    again: Callable[..., PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = put(again(), "old")
    more = (
        "ALTER TABLE trakt_auth_records ADD COLUMN note integer DEFAULT 1",
        "UPDATE trakt_auth_records SET note = note + 1",
    )
    monkeypatch.setattr(postgres_schema, "STEPS", (*postgres_schema.STEPS, *more))
    assert in_threads([lambda: again().load(KEY)] * 4) == []
    stored = again().load(KEY)
    assert stored == Stored(payload="old", version=version, expires_at=END)
    assert version_of(postgres, postgres_url) == 3
    assert postgres.sql("SELECT note FROM trakt_auth_records", url=postgres_url) == [(2,)]


def test_an_upgrade_that_fails_leaves_everything(
    postgres: Server,
    postgres_url: str,
    again: Callable[..., PostgresStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(again(), "old")
    with monkeypatch.context() as patch:
        bad = ("DROP TABLE trakt_auth_records", "SELECT 1/0")
        patch.setattr(postgres_schema, "STEPS", (*postgres_schema.STEPS, *bad))
        with pytest.raises(StoreUnavailable, match="DivisionByZero"):
            again().load(KEY)
    assert version_of(postgres, postgres_url) == 1
    assert payload(again()) == "old"


def test_a_newer_version_is_left_alone(
    postgres: Server, postgres_url: str, again: Callable[..., PostgresStore]
) -> None:
    put(again(), "newer")
    postgres.sql("UPDATE trakt_auth_schema SET version = 2", url=postgres_url)
    for call in calls_of(again()):
        with pytest.raises(StoreUnavailable, match="newer version") as caught:
            call()
        assert "Upgrade" in caught.value.hint
    postgres.sql("UPDATE trakt_auth_schema SET version = 1", url=postgres_url)
    assert payload(again()) == "newer"


def test_tables_that_are_dropped_come_back(
    postgres: Server, postgres_url: str, store: PostgresStore
) -> None:
    version = put(store, "x")
    postgres.sql(
        "DROP TABLE trakt_auth_records, trakt_auth_leases, trakt_auth_schema;"
        "DROP SEQUENCE trakt_auth_versions",
        url=postgres_url,
    )
    with pytest.raises(StoreUnavailable, match="lost its tables"):
        store.load(KEY)
    assert store.load(KEY) is None
    with pytest.raises(StoreConflict):
        put(store, "late", replacing=version)
    assert put(store, "new") > version


def test_a_server_that_takes_no_writes_any_more(store: PostgresStore, postgres: Server) -> None:
    """After a switch-over, connections lead to a standby, and the name may lead to the primary."""
    put(store, "x")
    postgres.sql("ALTER ROLE postgres SET default_transaction_read_only = on")
    try:
        store.close()
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="takes no writes"):
                put(store, "y")
            assert store._pool._pool is None
        assert payload(store) == "x"
    finally:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER ROLE postgres RESET default_transaction_read_only")
    with pytest.raises(StoreUnavailable, match="takes no writes"):
        put(store, "y")  # on the connection that the load has used
    put(store, "y")
    assert payload(store) == "y"


@contextmanager
def role(postgres: Server, url: str, rights: str) -> Iterator[str]:
    """Yield a URL for a role that may do nothing but what is granted."""
    ((schema,),) = postgres.sql("SELECT current_schema()", url=url)
    grants = rights.format(schema=schema)
    postgres.sql(f"CREATE ROLE limited LOGIN; GRANT USAGE ON SCHEMA {schema} TO limited; {grants}")
    try:
        yield url.replace("postgres@", "limited@")
    finally:
        postgres.sql("DROP OWNED BY limited; DROP ROLE limited")


def granted(page: str) -> str:
    """Return the GRANT statements that the documentation prints."""
    lines = [line for line in page.splitlines() if line.startswith("GRANT")]
    assert len(lines) == 3
    return "SET search_path = {schema}; " + "".join(lines).replace("my_program", "limited")


def test_a_role_that_may_not_create(
    postgres: Server, postgres_url: str, again: Callable[..., PostgresStore]
) -> None:
    with role(postgres, postgres_url, "") as url:
        with pytest.raises(StoreUnavailable, match="does not allow this") as caught:
            again(url).load(KEY)
        assert "42501" in str(caught.value)
    again().migrate()
    with role(postgres, postgres_url, granted(page())) as url:
        store = again(url)
        version = put(store, "x")
        put(store, "y", replacing=version)
        assert payload(store) == "y"
        lock = store.lock(KEY)
        assert lock.acquire()
        lock.release()
        store.migrate()
        store.delete(KEY)


def test_a_role_that_may_only_read(
    postgres: Server, postgres_url: str, again: Callable[..., PostgresStore]
) -> None:
    put(again(), "x")
    with role(
        postgres, postgres_url, "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO limited"
    ) as url:
        store = again(url)
        assert payload(store) == "x"
        assert store.accounts("client") == ["default"]
        for call in (lambda: put(store, "y"), lambda: store.delete(KEY), store.lock(KEY).acquire):
            with pytest.raises(StoreUnavailable, match="does not allow this"):
                call()
    standby = again(f"{postgres_url}%20-cdefault_transaction_read_only%3Don")
    assert payload(standby) == "x"
    with pytest.raises(StoreUnavailable, match="takes no writes"):
        put(standby, "y")


# -- leases --------------------------------------------------------------------------------------


def test_an_expired_lease_can_be_taken(
    postgres: Server, postgres_url: str, again: Callable[..., PostgresStore]
) -> None:
    store = again()
    version = put(store, "before")
    late, heir = store.lock(KEY, lease=1000), again().lock(KEY, lease=1000)
    assert late.acquire()
    owner = late._owner
    assert owner is not None
    assert not heir.acquire()
    postgres.sql(
        "UPDATE trakt_auth_leases SET ends_at = clock_timestamp() - interval '1 microsecond'",
        url=postgres_url,
    )
    assert heir.acquire()
    assert not late.renew(owner)
    assert late.remaining() < 0
    put(again(), "the heir's", replacing=version)
    with pytest.raises(StoreConflict):
        put(store, "late", replacing=version)
    late.release()
    assert not again().lock(KEY).acquire()  # it did not end the new lease
    assert heir._owner is not None
    assert heir.renew(heir._owner)
    heir.release()
    assert payload(store) == "the heir's"
    assert postgres.sql("SELECT * FROM trakt_auth_leases", url=postgres_url) == []


def test_only_the_clock_of_the_server_counts(
    postgres: Server, postgres_url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert store.take_lease(KEY, "mine", 1000.0)
    assert not store.take_lease(KEY, "theirs", 1000.0)
    left = "SELECT extract(epoch FROM ends_at - clock_timestamp())::float8 FROM trakt_auth_leases"
    ((seconds,),) = postgres.sql(left, url=postgres_url)
    assert 900 < float(str(seconds)) <= 1000
    assert store.renew_lease(KEY, "mine", 5000.0)
    ((seconds,),) = postgres.sql(left, url=postgres_url)
    assert 4900 < float(str(seconds)) <= 5000
    store.end_lease(KEY, "theirs")
    assert not store.take_lease(KEY, "theirs", 1000.0)
    store.end_lease(KEY, "mine")
    assert store.take_lease(KEY, "theirs", 1000.0)


def test_a_lease_holds_no_connection(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_pool, "SIZE", 1)
    locks = [store.lock(AccountKey("client", str(number))) for number in range(5)]
    assert all(lock.acquire() for lock in locks)
    put(store, "x")
    for lock in locks:
        lock.release()


def test_waiting_for_a_lease_writes_nothing(
    postgres: Server, postgres_url: str, store: PostgresStore
) -> None:
    assert store.take_lease(KEY, "mine", 1000.0)
    where = "SELECT xmin::text, xmax::text, ctid::text FROM trakt_auth_leases"
    before = postgres.sql(where, url=postgres_url)
    for _ in range(5):
        assert not store.take_lease(KEY, "theirs", 1000.0)
    assert postgres.sql(where, url=postgres_url) == before


def test_an_owner_that_repeats_the_request_gets_its_lease(store: PostgresStore) -> None:
    """The answer was lost, and the same owner asks again: it gets the lease it has."""
    assert store.take_lease(KEY, "mine", 1000.0)
    assert store.take_lease(KEY, "mine", 1000.0)
    assert not store.take_lease(KEY, "theirs", 1000.0)


# -- an answer that is lost ----------------------------------------------------------------------


class Cut:
    """A proxy for the server that closes a connection, once, at a statement with `word` in it."""

    def __init__(self, port: int) -> None:
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.word, self.answered = b"", False
        threading.Thread(target=self.accept, daemon=True).start()

    def at(self, word: bytes, *, answered: bool) -> None:
        """Close before the statement is passed on, or before its answer is."""
        self.word, self.answered = word, answered

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.target) as server:
            threading.Thread(target=self.forward, args=(server, client), daemon=True).start()
            while data := client.recv(65536):
                if self.word and self.word in data:
                    self.word = b""
                    if not self.answered:
                        client.shutdown(socket.SHUT_RDWR)
                        server.shutdown(socket.SHUT_RDWR)
                        return
                    self.hold = server  # more of the statement may arrive
                server.sendall(data)

    hold: socket.socket | None = None

    def forward(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                if self.hold is server:
                    # The answer is here, so the statement was run; it is not passed on.
                    client.shutdown(socket.SHUT_RDWR)
                    server.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


@pytest.fixture
def cut(postgres: Server) -> Iterator[Cut]:
    cut = Cut(postgres.port)
    yield cut
    cut.listener.close()


@pytest.fixture
def behind(
    cut: Cut, postgres: Server, postgres_url: str, again: Callable[..., PostgresStore]
) -> PostgresStore:
    """A store that connects through the proxy."""
    return again(postgres_url.replace(f":{postgres.port}/", f":{cut.port}/"))


def test_a_save_that_is_repeated_after_a_lost_answer_finds_its_record(
    behind: PostgresStore, store: PostgresStore, cut: Cut
) -> None:
    first = put(behind, "one")
    cut.at(b"UPDATE trakt_auth_records", answered=True)
    with pytest.raises(StoreUnavailable, match="cannot be reached: it closed the connection"):
        put(behind, "two", replacing=first)
    there = store.load(KEY)
    assert there is not None
    assert there.payload == "two"
    assert put(behind, "two", replacing=first) == there.version
    assert store.load(KEY) == there  # it was not written again
    assert put(behind, "three", replacing=there.version) > there.version
    with pytest.raises(StoreConflict):
        put(behind, "two", replacing=first)  # remembered until it was repeated, not for ever


def test_a_deletion_that_is_repeated_after_a_lost_answer(
    behind: PostgresStore, store: PostgresStore, cut: Cut
) -> None:
    version = put(behind, "one")
    cut.at(b"DELETE FROM trakt_auth_records", answered=True)
    with pytest.raises(StoreUnavailable):
        behind.delete(KEY, replacing=version)
    assert store.load(KEY) is None
    behind.delete(KEY, replacing=version)
    with pytest.raises(StoreConflict):
        behind.delete(KEY, replacing=version)
    put(store, "two")
    cut.at(b"DELETE FROM trakt_auth_records", answered=True)
    with pytest.raises(StoreUnavailable):
        behind.delete(KEY, replacing=version)
    with pytest.raises(StoreConflict):
        behind.delete(KEY, replacing=version)
    assert payload(store) == "two"


def test_the_url_of_sqlalchemy_is_understood(
    again: Callable[..., PostgresStore], postgres_url: str, store: PostgresStore
) -> None:
    put(store, "one")
    assert payload(again(postgres_url.replace("postgresql:", "postgresql+psycopg:"))) == "one"


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_another_default_isolation_makes_no_errors(
    again: Callable[..., PostgresStore], postgres_url: str, level: str
) -> None:
    url = f"{postgres_url}%20-cdefault_transaction_isolation%3D{level.replace(' ', '%5C%20')}"
    stores = [again(url) for _ in range(4)]  # they also make the tables at once

    def work(store: PostgresStore, key: AccountKey) -> None:
        for _ in range(20):
            lock = store.lock(key)
            while not lock.acquire():
                pass
            stored = store.load(key)
            count = int(stored.payload) if stored else 0
            replacing = stored.version if stored else 0
            store.save(key, str(count + 1), expires_at=END, replacing=replacing)
            lock.release()

    keys = [AccountKey("client", name) for name in "aab"]
    raised = in_threads([partial(work, store, key) for store in stores for key in keys])
    assert raised == []
    counts = [stores[0].load(key) for key in keys[1:]]
    assert [stored and stored.payload for stored in counts] == ["160", "80"]
    with stores[0]._pool.use() as connection:  # for its own transactions only
        assert connection.execute("SHOW transaction_isolation").fetchall() == [(level,)]


def fail_commits(postgres: Server, url: str, state: str, times: int) -> None:
    """Let the next commits of a record fail, after their statements have succeeded."""
    postgres.sql(
        "CREATE SEQUENCE failures; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN IF nextval('failures') <= {times} THEN"
        f" RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END IF; RETURN NULL; END $$;"
        " CREATE CONSTRAINT TRIGGER failing AFTER INSERT OR UPDATE ON trakt_auth_records"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()",
        url=url,
    )


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_transaction_that_the_server_undid_is_repeated(
    postgres: Server, postgres_url: str, store: PostgresStore, state: str
) -> None:
    store.migrate()
    fail_commits(postgres, postgres_url, state, times=2)
    version = put(store, "one", replacing=0)
    assert store.load(KEY) == Stored(payload="one", version=version, expires_at=END)


@pytest.mark.parametrize(("state", "times"), [("53100", 1), ("40001", 5)])
def test_a_commit_that_fails_says_why(
    postgres: Server, postgres_url: str, store: PostgresStore, state: str, times: int
) -> None:
    store.migrate()
    fail_commits(postgres, postgres_url, state, times)
    with pytest.raises(StoreUnavailable, match=f"SQLSTATE {state}"):
        put(store, "one", replacing=0)
    assert store.load(KEY) is None
    put(store, "one", replacing=0)


def test_a_connection_that_breaks_in_use_replaces_all(behind: PostgresStore, cut: Cut) -> None:
    put(behind, "one")
    cut.at(b"DELETE", answered=False)
    cut.listener.shutdown(socket.SHUT_RDWR)
    cut.listener.close()
    with pytest.raises(StoreUnavailable, match="it closed the connection"):
        behind.delete(KEY)
    with pytest.raises(StoreUnavailable, match="refused"):  # and without waiting for the pool
        behind.delete(KEY)


def test_a_first_save_that_is_repeated_after_a_lost_answer(
    behind: PostgresStore, store: PostgresStore, cut: Cut
) -> None:
    behind.load(KEY)
    cut.at(b"INSERT INTO trakt_auth_records", answered=True)
    with pytest.raises(StoreUnavailable):
        put(behind, "one")
    assert payload(store) == "one"
    version = put(behind, "one")
    stored = store.load(KEY)
    assert stored is not None
    assert stored.version == version


def test_a_save_with_version_0_that_is_repeated_finds_its_record(
    behind: PostgresStore, store: PostgresStore, cut: Cut
) -> None:
    behind.load(KEY)
    for answered in (True, False):
        store.delete(KEY)
        cut.at(b"INSERT INTO trakt_auth_records", answered=answered)
        with pytest.raises(StoreUnavailable):
            put(behind, "one", replacing=0)
        assert (store.load(KEY) is not None) == answered
        version = put(behind, "one", replacing=0)
        assert store.load(KEY) == Stored(payload="one", version=version, expires_at=END)
        with pytest.raises(StoreConflict):
            put(behind, "one", replacing=0)


def test_of_two_saves_with_version_0_one_succeeds(again: Callable[..., PostgresStore]) -> None:
    stores = [again(), again()]
    for number in range(20):
        key = AccountKey("client", str(number))

        def save(store: PostgresStore, key: AccountKey = key) -> None:
            store.save(key, "x", expires_at=END, replacing=0)

        raised = in_threads([lambda store=store: save(store) for store in stores])
        assert [type(error) for error in raised] == [StoreConflict]


def test_a_lock_whose_answer_was_lost_is_acquired_at_the_next_try(
    behind: PostgresStore, store: PostgresStore, cut: Cut
) -> None:
    lock = behind.lock(KEY, lease=1000)
    behind.load(KEY)
    cut.at(b"INSERT INTO trakt_auth_leases", answered=True)
    with pytest.raises(StoreUnavailable):
        lock.acquire()
    assert not store.lock(KEY).acquire()
    assert lock.acquire()
    lock.release()
    assert store.lock(KEY).acquire()


def test_a_save_that_never_arrived_is_repeated(
    behind: PostgresStore, store: PostgresStore, cut: Cut
) -> None:
    first = put(behind, "one")
    cut.at(b"UPDATE trakt_auth_records", answered=False)
    with pytest.raises(StoreUnavailable):
        put(behind, "two", replacing=first)
    assert payload(store) == "one"
    assert put(behind, "two", replacing=first) > first
    assert payload(store) == "two"


def test_a_record_of_another_writer_is_a_conflict(
    behind: PostgresStore, store: PostgresStore, cut: Cut
) -> None:
    first = put(behind, "one")
    cut.at(b"UPDATE trakt_auth_records", answered=True)
    with pytest.raises(StoreUnavailable):
        put(behind, "two", replacing=first)
    # The same payload, the same version to replace: but this one's answer was not lost.
    with pytest.raises(StoreConflict):
        put(store, "two", replacing=first)
    mine = store.load(KEY)
    assert mine is not None
    put(store, "two", replacing=mine.version)
    with pytest.raises(StoreConflict):
        put(behind, "two", replacing=first)


def test_the_memory_for_lost_answers_is_bounded(
    behind: PostgresStore, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MOST", 2)
    first = put(behind, "one")
    for number in range(4):
        cut.at(b"UPDATE trakt_auth_records", answered=False)
        with pytest.raises(StoreUnavailable):
            put(behind, str(number), replacing=first)
    assert len(behind._idempotency._keys) == 2


# -- servers that go away ------------------------------------------------------------------------


def test_a_server_that_is_killed_and_comes_back(
    own: Server, again: Callable[..., PostgresStore]
) -> None:
    with own.schema() as url:
        store, other = again(url), again(url)
        version = put(store, "kept")
        in_threads([lambda: store.load(KEY)] * 8)  # several connections
        other.load(KEY)
        lock = store.lock(KEY, lease=1000)
        assert lock.acquire()
        own.kill()
        for call in (*calls_of(store), *calls_of(other)):
            with pytest.raises(
                StoreUnavailable, match="cannot be reached: the connection was refused"
            ):
                call()
        own.start()
        assert store.load(KEY) == Stored(payload="kept", version=version, expires_at=END)
        assert not other.lock(KEY).acquire()  # leases outlive the server
        lock.release()
        own.kill()
        own.start()
        # There was no call meanwhile: the dead connections are noticed before they are used.
        assert put(store, "next", replacing=version) > version
        assert in_threads([lambda: other.load(KEY)] * 8) == []
        store.close()
        other.close()


def test_a_pool_without_connections_reports_at_once_what_is_wrong(
    own: Server, again: Callable[..., PostgresStore]
) -> None:
    with own.schema() as url:
        store = again(url)
        put(store, "x")
        pool = store._pool._pool
        assert pool is not None
        pool._nconns_min = 1
        pool._shrink_pool()  # as it does after ten minutes without a call
        own.kill()
        start = time.monotonic()
        with pytest.raises(StoreUnavailable, match="the connection was refused"):
            store.load(KEY)
        assert time.monotonic() - start < postgres_pool.WAIT / 2
        own.start()
        assert payload(store) == "x"
        store.close()


def test_waiting_threads_do_not_try_a_server_that_has_just_failed(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many threads wait for a frozen server, each waits as long as if it were alone."""
    tried: list[None] = []

    def frozen(_: postgres_pool.Pool) -> None:
        tried.append(None)
        raise StoreUnavailable("frozen", hint="thaw it")

    asked = time.monotonic()
    monkeypatch.setattr(postgres_pool.Pool, "direct", frozen)
    for moment in (asked, asked, asked, time.monotonic() + 1):
        with pytest.raises(StoreUnavailable, match="frozen") as caught:
            store._pool._opened(moment)
        assert caught.value.hint == "thaw it"
    assert len(tried) == 2


def test_a_server_that_closes_the_connection_in_use(
    postgres: Server, postgres_url: str, store: PostgresStore
) -> None:
    put(store, "x")
    with store._pool.use() as connection:
        backend = connection.info.backend_pid
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s"
    end += " AND wait_event = 'relation'"
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE trakt_auth_records")
        works = [
            lambda: put(store, "y"),
            lambda: eventually(lambda: postgres.sql(end, backend) != []),
        ]
        (error,) = in_threads(works)
    assert isinstance(error, StoreUnavailable)
    assert "it closed the connection" in str(error)
    assert payload(store) == "x"


def test_a_closed_connection_has_no_results(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "x")

    def none(pgconn: PGconn) -> Generator[object, object, list[object]]:
        pgconn.finish()
        yield from ()
        return []

    with monkeypatch.context() as patch:
        patch.setattr(postgres_connection, "fetch_many", none)
        with pytest.raises(StoreUnavailable, match="it closed the connection"):
            put(store, "y")
    assert payload(store) in ("x", "y")


@pytest.mark.parametrize("joined", [True, False])
def test_a_pool_that_is_closed_when_a_thread_joins_its_queue(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, joined: bool
) -> None:
    put(store, "x")
    pool, check = store._pool._pool, psycopg_pool.ConnectionPool._check_open_getconn

    def meanwhile(self: psycopg_pool.ConnectionPool) -> None:
        if joined:
            check(self)
        if self is pool:
            store.close()
        if not joined:
            check(self)

    monkeypatch.setattr(psycopg_pool.ConnectionPool, "_check_open_getconn", meanwhile)
    start = time.monotonic()
    assert payload(store) == "x"
    assert time.monotonic() - start < postgres_pool.WAIT / 2


def test_the_pool_writes_nothing_to_stderr() -> None:
    script = "import logging, trakt_auth.stores.postgres as _\n"
    script += "logging.getLogger('psycopg.pool').warning('error connecting')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stderr == b""


def test_nothing_that_was_acknowledged_is_lost(
    own: Server, again: Callable[..., PostgresStore]
) -> None:
    with own.schema() as url:
        stores = [again(url) for _ in range(3)]
        put(stores[0], "start")
        told: dict[str, int] = {}
        ready, over = threading.Semaphore(0), threading.Event()

        def write(store: PostgresStore, name: str) -> None:
            key, number, version = AccountKey("client", name), 0, None
            while not over.is_set():
                text = f"{name} {number}"
                try:
                    version = store.save(key, text, expires_at=END, replacing=version)
                except StoreUnavailable:
                    continue  # the same save once more
                told[name], number = version, number + 1
                ready.release()

        works = [lambda s=store, n=f"w{i}": write(s, n) for i, store in enumerate(stores)]

        def killer() -> None:
            try:
                for _ in range(3):
                    for _ in range(60):
                        assert ready.acquire(timeout=20)
                    own.kill()
                    own.start()
                for _ in range(60):
                    assert ready.acquire(timeout=20)
            finally:
                over.set()

        # A StoreConflict would mean that a writer did not recognise its own record.
        assert in_threads([*works, killer]) == []
        for name, version in told.items():
            stored = stores[0].load(AccountKey("client", name))
            assert stored is not None
            assert stored.version >= version
        for store in stores:
            store.close()


def test_a_server_that_is_frozen(
    own: Server, again: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    with own.schema() as url:
        store = again(f"{url}&connect_timeout=1")
        put(store, "x")
        monkeypatch.setattr(postgres_connection.Connection, "longest_wait", 0.2)
        with store._pool.use() as connection:
            backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailable, match="does not answer"):
                store.load(KEY)
        finally:
            os.kill(backend, signal.SIGCONT)
        assert payload(store) == "x"
        store.close()


def test_threads_that_waited_for_a_failure_share_it() -> None:
    # It accepts connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=1"
        store = PostgresStore(url)
        raised = in_threads([lambda: store.load(KEY)] * 8)
        assert {str(error) for error in raised} == {
            "The PostgreSQL database db on 127.0.0.1 cannot be reached: it does not answer"
        }
        assert len(raised) == 8
        silent.setblocking(False)
        accepted = []
        with pytest.raises(BlockingIOError):
            while True:
                accepted.append(silent.accept()[0])
        assert len(accepted) < 3
        for connection in accepted:
            connection.close()


def test_a_server_that_closes_every_connection(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connection.Connection, "alive", False)
    with pytest.raises(StoreUnavailable, match="closes every connection"):
        store.load(KEY)


# -- limits --------------------------------------------------------------------------------------


def test_a_statement_that_takes_too_long_is_stopped_by_the_server(
    postgres: Server,
    postgres_url: str,
    store: PostgresStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = put(store, "old")
    monkeypatch.setattr(postgres_store, "LIMIT", postgres_store.LIMIT.replace("'5s'", "'50ms'"))
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT FROM trakt_auth_records FOR UPDATE")
        for replacing in (version, None):
            with pytest.raises(StoreUnavailable, match="within 5 seconds"):
                put(store, "new", replacing=replacing)
    assert payload(store) == "old"  # and it is not saved later
    put(store, "new", replacing=version)


def test_the_log_of_the_server_has_no_token(
    postgres: Server, postgres_url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server logs statements that fail, and shows those that run."""
    put(store, "one")
    monkeypatch.setattr(postgres_store, "LIMIT", postgres_store.LIMIT.replace("5s", "50ms"))
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE trakt_auth_records")
        with pytest.raises(StoreUnavailable, match="57014"):
            put(store, "tok-3n")
    log = postgres.log()
    assert "INSERT INTO trakt_auth_records" in log
    assert "tok-3n" not in log
    assert b"tok-3n".hex() not in log


def test_a_connection_that_was_interrupted_is_not_lent_again(store: PostgresStore) -> None:
    put(store, "x")
    with store._pool.use() as connection:
        connection.pgconn.enter_pipeline_mode()  # as if Ctrl-C had come here
    assert connection.closed
    assert payload(store) == "x"


def test_a_libpq_without_pipelines(store: PostgresStore) -> None:
    told = psycopg.NotSupportedError("PQenterPipelineMode not available in this libpq")
    assert "libpq is older than 14" in str(store._pool.failure(told))


def test_all_connections_busy(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_pool, "SIZE", 2)
    monkeypatch.setattr(postgres_pool, "WAIT", 0.1)
    put(store, "x")
    with (
        store._pool.use(),
        store._pool.use(),
        pytest.raises(StoreUnavailable, match="no free connection"),
    ):
        store.load(KEY)
    assert payload(store) == "x"


def test_connections_that_were_lost_to_ctrl_c(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "SIZE", 2)
    monkeypatch.setattr(postgres_pool, "WAIT", 0.1)
    put(store, "x")
    pool = store._pool._pool
    assert pool is not None
    with store._pool.use(), store._pool.use():
        pass
    lost = [pool.getconn(10) for _ in range(2)]  # and never returns them
    assert payload(store) == "x"
    for connection in lost:
        connection.close()


def test_a_connection_keeps_no_state(store: PostgresStore) -> None:
    version = put(store, "x")
    for _ in range(10):  # by default, psycopg prepares a statement that it has seen five times
        version = put(store, "x", replacing=version)
        store.load(KEY)
        assert store.take_lease(KEY, "mine", 100.0)
        store.end_lease(KEY, "mine")
    with store._pool.use() as connection:
        row = connection.execute(
            "SELECT current_setting('statement_timeout'),"
            " (SELECT count(*) FROM pg_prepared_statements),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        ).fetchone()
        assert row == ("0", 0, 0)


def test_a_save_is_on_the_disk_even_with_synchronous_commit_off(
    postgres_url: str, again: Callable[..., PostgresStore]
) -> None:
    ask = "SELECT current_setting('synchronous_commit')"
    for setting, used in {"off": "on", "local": "local", "remote_apply": "remote_apply"}.items():
        store = again(f"{postgres_url}%20-csynchronous_commit%3D{setting}")
        assert store._write(ask) == used.encode()


# -- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["payload = '\\xff746f6b2d336e'", f"expires_at = {2**62}"])
def test_a_row_of_another_program(
    postgres: Server, postgres_url: str, store: PostgresStore, change: str
) -> None:
    put(store, "x")
    postgres.sql(f"UPDATE trakt_auth_records SET {change}", url=postgres_url)
    with pytest.raises(StoreCorrupt, match="'default' in PostgreSQL is not readable") as caught:
        store.load(KEY)
    assert "tok-3n" not in "".join(traceback.format_exception(caught.value))
    assert put(store, "a new login")
    assert payload(store) == "a new login"


def test_a_name_of_another_program(
    postgres: Server, postgres_url: str, store: PostgresStore
) -> None:
    put(store, "x")
    postgres.sql("UPDATE trakt_auth_records SET account = '\\xff'", url=postgres_url)
    for call in (
        lambda: store.accounts("client"),
        lambda: store.due("client", before=END + timedelta(1), limit=1),
    ):
        with pytest.raises(StoreCorrupt, match="name of an account"):
            call()


# -- many accounts -------------------------------------------------------------------------------


def test_due_accounts_are_found_by_the_index(
    postgres: Server, postgres_url: str, store: PostgresStore
) -> None:
    store.migrate()
    postgres.sql(
        "INSERT INTO trakt_auth_records SELECT 'client', convert_to('user-' || n, 'UTF8'), n,"
        " n * 1000000::bigint, 'payload', 'w' FROM generate_series(1, 20000) AS n;"
        "ANALYZE trakt_auth_records",
        url=postgres_url,
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for seconds, limit, rows in ((50, 1000, 49), (15_000, 100, 100)):
        before = epoch + timedelta(seconds=seconds)
        assert len(store.due("client", before=before, limit=limit)) == rows
        with store._pool.use() as connection:
            values = (b"client", seconds * 1_000_000, *postgres_store.SIGNED_OUT, limit)
            explain = f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {postgres_store.DUE}"
            plan = "\n".join(line for (line,) in connection.execute(explain, values))
        assert "trakt_auth_records_by_end" in plan
        assert "Seq Scan" not in plan
        assert "Sort" not in plan
        (scan,) = (line for line in plan.splitlines() if "by_end" in line)
        assert f"rows={rows}" in scan  # it stopped there
        (condition,) = (line for line in plan.splitlines() if "Index Cond" in line)
        assert "client_id =" in condition
        assert "expires_at <" in condition


# -- processes -----------------------------------------------------------------------------------

FORK = """
import gc, os, sys
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.engines import postgres_pool
from trakt_auth.stores.postgres import PostgresStore
KEY = AccountKey("client", "default")
store = PostgresStore(sys.argv[1])
version = store.save(KEY, "parent", expires_at=None, replacing=None)

def backend():
    with store._pool.use() as connection:
        return connection.execute("SELECT pg_backend_pid()").fetchone()[0]

ours = backend()
# As if another thread were using it: in the child it is never released.
middle = store._pool._pool._tasks.mutex
middle.acquire()
child = os.fork()
if not child:
    assert backend() != ours
    store.save(KEY, "child", expires_at=None, replacing=version)
    postgres_pool._abandoned.clear()  # the interpreter may do the same when it exits
    gc.collect()
    sys.exit()  # not _exit: cleaning up must not hurt the parent's connections
middle.release()
_, status = os.waitpid(child, 0)
assert status == 0, status
assert store.load(KEY).payload == "child"
assert backend() == ours
"""


def test_a_forked_child_has_connections_of_its_own(postgres_url: str) -> None:
    source = str(Path(trakt_auth.__file__).parents[1])
    done = subprocess.run(
        # Python 3.12 warns of every fork while there are threads, and a pool has some.
        [
            sys.executable,
            "-W",
            "error",
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            FORK,
            postgres_url,
        ],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def connections_to(postgres: Server) -> int:
    ask = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trakt-auth'"
    ((count,),) = postgres.sql(ask)
    return int(str(count))


def eventually(check: Callable[[], bool]) -> None:
    until = threading.Event()
    for _ in range(500):
        if check():
            return
        until.wait(0.01)  # the server notices a closed connection a moment later
    raise AssertionError


def test_connections_end_with_the_store(postgres: Server, postgres_url: str) -> None:
    gc.collect()  # collect the stores of other tests
    eventually(lambda: connections_to(postgres) == 0)
    for end in (PostgresStore.close, lambda _: None):
        store = PostgresStore(postgres_url)
        put(store, "x")
        assert connections_to(postgres) >= 1
        end(store)
        if end is PostgresStore.close:
            eventually(lambda: connections_to(postgres) == 0)
            assert payload(store) == "x"  # it opens again
        del store
        gc.collect()
        eventually(lambda: connections_to(postgres) == 0)


def test_closing_while_other_threads_work(store: PostgresStore) -> None:
    put(store, "x")

    def load() -> None:
        for _ in range(30):
            assert payload(store) == "x"

    def close() -> None:
        for _ in range(10):
            store.close()

    raised = in_threads([load, load, close, load])
    assert [error for error in raised if not isinstance(error, StoreError)] == []


# -- the documentation ---------------------------------------------------------------------------


def page() -> str:
    folder = Path(__file__).parents[2] / "docs" / "how-to"
    return (folder / "keep-tokens-in-postgresql.md").read_text()


def test_the_documentation_prints_the_sql_that_is_run() -> None:
    for step in postgres_schema.STEPS:
        assert step.strip() in page()


def test_the_documented_examples_run(
    postgres_url: str,
    store: PostgresStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    version = open_store("file:tokens.json").save(KEY, "moved", expires_at=END, replacing=None)
    assert version
    examples = re.findall(r"^```text\n(.*?)^```", page(), re.DOTALL | re.MULTILINE)
    assert len(examples) == 3
    names = {
        "app": trakt_auth.Application("client", user_agent="test/1"),
        "Client": trakt_auth.Client,
        "client_id": "client",
        "open_store": open_store,
    }
    for example in examples:
        here = re.sub(r"postgresql://\w+@db\.example/tokens(\?[\w=-]+)?", postgres_url, example)
        assert here != example
        exec(here, names)
    names["trakt"].close()
    names["new"].close()
    assert payload(store) == "moved"
    stored = store.load(KEY)
    assert stored is not None
    assert stored.expires_at == END
