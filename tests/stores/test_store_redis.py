"""What only the Redis store promises; the contract is in test_store_contract."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha1
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.crc import key_slot

import trakt_auth
from support.redis_server import Server, running
from support.threads import in_threads
from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreError, StoreUnavailable, UsageError
from trakt_auth.stores import open_store
from trakt_auth.stores import redis as redis_store
from trakt_auth.stores.engines import redis_connection as redis_server
from trakt_auth.stores.record import AccountKey, Stored
from trakt_auth.stores.redis import RedisStore

KEY = AccountKey("client", "default")
END = datetime(2026, 11, 30, tzinfo=UTC)
RECORD, LOCK = redis_store._record(KEY), redis_store._lock(KEY)
FORMAT, NAMES, ENDS = redis_store._lists(KEY)
VERSION = redis_store._key("client", "version")


@pytest.fixture
def again(redis_url: str) -> Iterator[Callable[..., RedisStore]]:
    """Return a function that opens a store anew, of the same server unless another is given."""
    with ExitStack() as stack:

        def open_again(url: str = redis_url) -> RedisStore:
            store = open_store(url)
            assert isinstance(store, RedisStore)
            stack.callback(store.close)
            return store

        yield open_again


@pytest.fixture
def store(again: Callable[..., RedisStore]) -> RedisStore:
    return again()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, which it may damage."""
    with running(tmp_path) as server:
        yield server


def put(store: RedisStore, text: str, *, replacing: int | None = None) -> int:
    return store.save(KEY, text, expires_at=END, replacing=replacing)


def payload(store: RedisStore) -> str:
    stored = store.load(KEY)
    assert stored is not None
    return stored.payload


def reads_of(store: RedisStore) -> list[Callable[[], object]]:
    return [
        lambda: store.load(KEY),
        lambda: store.accounts("client"),
        lambda: store.due("client", before=END + timedelta(1), limit=1),
    ]


def writes_of(store: RedisStore) -> list[Callable[[], object]]:
    return [
        lambda: put(store, "tok-3n", replacing=1),
        lambda: put(store, "tok-3n"),
        lambda: store.delete(KEY),
    ]


def locks_of(store: RedisStore) -> list[Callable[[], object]]:
    return [
        lambda: store.take_lease(KEY, "mine", 60.0),
        lambda: store.renew_lease(KEY, "mine", 60.0),
        lambda: store.end_lease(KEY, "mine"),
    ]


def calls_of(store: RedisStore) -> list[Callable[[], object]]:
    return [*reads_of(store), *writes_of(store), *locks_of(store)]


def refused(
    calls: list[Callable[[], object]], says: str, error: type[StoreError] = StoreUnavailable
) -> str:
    """Check that each call fails with these words; return all text that a user could see."""
    shown: list[str] = []
    for call in calls:
        with pytest.raises(error, match=says) as caught:
            call()
        assert caught.value.__suppress_context__
        shown += [*traceback.format_exception(caught.value), caught.value.hint]
    return "".join(shown)


def sha(script: str) -> bytes:
    return sha1(script.encode(), usedforsecurity=False).hexdigest().encode()


class Between:
    """A proxy for a server, which loses requests or answers; with TLS if it is given a context."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._to, self._tls = port, tls
        self._word, self._times, self._answered = b"", 0, True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def lose(self, word: bytes, *, times: int, answered: bool = True) -> None:
        """Close the connection at a request with `word`: after the server ran it, or before."""
        self._word, self._times, self._answered = word, times, answered

    @property
    def left(self) -> int:
        return self._times

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), ExitStack() as stack:
            stack.callback(client.close)
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                stack.callback(client.close)
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._to)))
            while True:
                ready, _, _ = select.select([client, server], [], [], 30)
                source = client if client in ready else server
                data = source.recv(1_000_000)
                if not data:
                    return
                if source is client and self._times and self._word in data:
                    self._times -= 1
                    if self._answered:
                        server.sendall(data)
                        server.recv(1_000_000)
                    return
                (server if source is client else client).sendall(data)


@pytest.fixture
def between(redis_server: Server) -> Iterator[Between]:
    between = Between(redis_server.port)
    yield between
    between.close()


@pytest.fixture
def behind(between: Between, again: Callable[..., RedisStore]) -> Iterator[RedisStore]:
    """A store whose answers may be lost."""
    store = again(f"redis://127.0.0.1:{between.port}/0")
    put(store, "warm")
    store.delete(KEY)
    yield store
    store.close()


@contextmanager
def saying(line: bytes) -> Iterator[str]:
    """Yield the URL of a server that answers everything with one line."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError):
                    while data := client.recv(1_000_000):
                        commands = len(re.findall(rb"^\*\d+\r", data, re.MULTILINE))
                        client.sendall((line + b"\r\n") * commands)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


# -- URLs ----------------------------------------------------------------------------------------


def test_opening_connects_to_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for scheme in ("redis", "rediss", "Redis"):
            url = f"{scheme}://me@127.0.0.1:{listener.getsockname()[1]}/0"
            assert isinstance(open_store(url), RedisStore)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("url", ["redis:", "redis:db", "redis", "redis:/db", "rediss:x"])
def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(UsageError, match="names no store") as caught:
        open_store(url)
    assert "redis://" in caught.value.hint


def test_a_socket_on_this_machine(tmp_path: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="redis-") as folder,  # a socket's name has to be short
        running(tmp_path, "--unixsocket", f"{folder}/socket") as server,
    ):
        socket = f"{folder}/socket"
        store, other = (open_store(f"unix://{socket}?db={number}") for number in (1, 2))
        version = put(store, "one")
        lock = store.lock(KEY)
        assert lock.acquire()
        lock.release()
        assert store.load(KEY) == Stored(payload="one", version=version, expires_at=END)
        assert other.load(KEY) is None
        store.close()
        assert store.load(KEY) is not None
        server.kill()
        refused([lambda: store.load(KEY)], f"The Redis server at {socket}")
        store.close()
        other.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((), []),
        (("--maxmemory", "100mb"), []),
        (("--maxmemory-policy", "allkeys-lru"), []),  # without a limit nothing is deleted
        (("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), ["deletes logins"]),
        (("--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"), ["deletes the locks"]),
        (("--appendonly", "no"), ["appendonly no"]),
    ],
)
def test_a_server_that_may_lose_logins(
    tmp_path: Path, settings: tuple[str, ...], said: list[str]
) -> None:
    with running(tmp_path, *settings) as server:
        store = open_store(server.url)
        assert isinstance(store, RedisStore)
        problems = store.durability_problems()
        assert len(problems) == len(said)
        for problem, words in zip(problems, said, strict=True):
            assert words in problem
        server.command("ACL", "SETUSER", "limited", "on", "nopass", "~*", "+@all", "-info")
        limited = open_store(server.url.replace("redis://", "redis://limited:x@"))
        assert isinstance(limited, RedisStore)
        with pytest.raises(StoreUnavailable, match="does not allow this"):
            limited.durability_problems()
        store.close()
        limited.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:ge/heim@host/0",  # the first half of "geheim" would be the port
        "redis://me:12/heim@host/0",
        "redis://me:12?heim@host/0",
        "redis://me:12?db=1&heim@host/0",
        "redis://me:12#heim@host/0",
        "redis://me:geheim@[host/0",
        "redis://me:geheim@host:99999/0",
        "redis://me:geheim@host/zero",
        "redis://me:geheim@host/0?nonsense=1",
        "redis://me:geheim@host/0?decode_responses=1",
        "redis://me:geheim@host/0?socket_timeout=soon",
        "redis://me:geheim@host/0?max_connections=-1",
        "redis://me:geheim@host/0?ssl_ca_certs=file",  # an option of TLS without TLS
        "unix://me:geheim@host/run/redis.sock",  # a socket is on this machine
        "unix://me:geheim@/",
        "unix://me:geheim@/run/redis.sock?nonsense=1",
    ],
)
def test_an_invalid_url(url: str) -> None:
    with pytest.raises(UsageError, match="The redis:// URL is not valid") as caught:
        open_store(url)
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert "heim" not in shown
    assert "%40" in caught.value.hint
    assert "ssl_ca_certs" in caught.value.hint


@pytest.mark.parametrize(
    "option",
    [
        "ssl_cert_reqs=none",
        "ssl_cert_reqs=optional",
        "ssl_cert_reqs=none&ssl_cert_reqs=required",
        "ssl_cert_reqs=required&ssl_cert_reqs=none",
        "ssl_check_hostname=false",
        "ssl_check_hostname=no",
    ],
)
def test_certificates_are_always_verified(option: str) -> None:
    with pytest.raises(UsageError, match="switches the verification"):
        open_store(f"rediss://host/0?{option}")


def test_options_in_a_url() -> None:
    for options in ("?ssl_cert_reqs=required&ssl_check_hostname=True&ssl_min_version=771", ""):
        assert isinstance(open_store(f"rediss://:p%40ss@host:1/2{options}"), RedisStore)
    store = open_store("redis://h?socket_timeout=1.5&max_connections=3&db=2&client_name=x")
    assert isinstance(store, RedisStore)
    pool = store._server._client.connection_pool
    assert pool.connection_kwargs["socket_timeout"] == 1.5
    assert pool.connection_kwargs["socket_connect_timeout"] == redis_server.WAIT
    assert pool.max_connections == 3


def test_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("redis", "engines.redis_connection"):
        monkeypatch.delitem(sys.modules, f"trakt_auth.stores.{name}")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(UsageError, match="needs redis") as caught:
        open_store("redis://host/0")
    assert "pip install 'trakt-auth[redis]'" in caught.value.hint


# -- secrets and TLS -----------------------------------------------------------------------------


def test_the_password_is_used_and_never_shown(
    own: Server, again: Callable[..., RedisStore], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    own.command("ACL", "SETUSER", "guarded", "on", ">geh@im", "~*", "+@all")
    own.command("ACL", "SETUSER", "default", "resetpass", ">other")
    right = own.url.replace("//", "//guarded:geh%40im@")
    store = again(right)
    put(store, "tok-3n")
    assert payload(store) == "tok-3n"
    # Error reporting tools show the variables of every frame, those of the library included.
    assert "geh@im" not in str(vars(store._server._client.connection_pool))
    shown = "".join(
        [repr(store), str(vars(store)), str(vars(store._server)), repr(store.lock(KEY))]
    )
    shown += refused(calls_of(again(own.url)), "wants a password")
    for wrong in (right.replace("im@", "imer@"), right.replace("guarded", "missing")):
        shown += refused(calls_of(again(wrong)), "refuses the user name or the password")
    shown += refused(
        calls_of(again("redis://guarded:geh%40im@127.0.0.1:1/0")), "the connection was refused"
    )
    shown += "".join(record.getMessage() for record in caplog.records)
    for secret in ("geh@im", "geh%40im", "tok-3n"):
        # Source lines of a traceback show names of variables, never their values.
        assert secret not in shown.replace('"tok-3n"', "")


def certificate(folder: Path) -> ssl.SSLContext:
    """Write a certificate for 127.0.0.1 to `ca.pem`, return what a server needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


def test_tls(redis_server: Server, again: Callable[..., RedisStore], tmp_path: Path) -> None:
    between = Between(redis_server.port, certificate(tmp_path))
    try:
        url = f"rediss://127.0.0.1:{between.port}/0"
        trusting = again(f"{url}?ssl_ca_certs={tmp_path}/ca.pem")
        put(trusting, "x")
        assert payload(trusting) == "x"
        refused(calls_of(again(url)), "reached: its certificate is not trusted")
        named = f"rediss://localhost:{between.port}/0?ssl_ca_certs={tmp_path}/ca.pem"
        refused(reads_of(again(named)), "reached: its certificate is not trusted")
        refused(reads_of(again(f"{url}?ssl_ca_certs={tmp_path}/none")), "certificate, is missing")
        trusting.close()
    finally:
        between.close()


# -- errors of a server --------------------------------------------------------------------------


def test_a_server_without_memory_can_still_be_read(
    own: Server, again: Callable[..., RedisStore]
) -> None:
    store = again(own.url)
    version = put(store, "x")
    own.command("CONFIG", "SET", "maxmemory", "1")
    refused([*writes_of(store)[1:2], store.lock(KEY).acquire], "has no memory left")
    assert store.load(KEY) == Stored(payload="x", version=version, expires_at=END)
    own.command("CONFIG", "SET", "maxmemory", "0")
    put(store, "y", replacing=version)


def test_a_replica_takes_no_writes(own: Server, again: Callable[..., RedisStore]) -> None:
    store = again(own.url)
    version = put(store, "x")
    own.command("REPLICAOF", "127.0.0.1", "1")
    refused([*writes_of(store)[1:], store.lock(KEY).acquire], "is a replica, which takes no writes")
    assert payload(store) == "x"
    own.command("REPLICAOF", "NO", "ONE")
    put(store, "y", replacing=version)


def test_another_server_behind_the_same_name(
    own: Server, redis_server: Server, again: Callable[..., RedisStore]
) -> None:
    """After a fail-over, connections to the old master, a replica by now, are replaced."""
    between = Between(own.port)
    try:
        store = again(f"redis://127.0.0.1:{between.port}/0")
        put(store, "x")
        own.command("REPLICAOF", "127.0.0.1", str(redis_server.port))
        between._to = redis_server.port
        with pytest.raises(StoreUnavailable, match="is a replica"):
            put(store, "y")
        put(store, "y")
        assert payload(again(redis_server.url)) == "y"
        store.close()
    finally:
        between.close()


def test_a_server_that_cannot_write_to_its_disk(
    own: Server, again: Callable[..., RedisStore]
) -> None:
    store = again(own.url)
    put(store, "x")
    (own.folder / "dump.rdb" / "in the way").mkdir(parents=True)
    own.command("CONFIG", "SET", "save", "3600 1000")
    own.command("BGSAVE")
    eventually(lambda: b"rdb_last_bgsave_status:err" in raw(own, "INFO", "persistence"))
    refused([*writes_of(store)[1:], store.lock(KEY).acquire], "cannot write to its disk")
    assert payload(store) == "x"


def raw(server: Server, *words: object) -> bytes:
    import redis

    with redis.Redis(port=server.port, protocol=2) as client:
        client.response_callbacks.clear()
        answer = client.execute_command(*words)
        assert isinstance(answer, bytes)
        return answer


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("-MOVED 3999 127.0.0.1:6381", "another node has this application's keys"),
        ("-LOADING Redis is loading the dataset in memory", "is loading its data"),
        ("-MASTERDOWN Link with MASTER is down", "has lost its master"),
        ("-NOREPLICAS Not enough good replicas to write.", "has too few replicas"),
        ("-BUSY Redis is busy running a script.", "is busy with a script"),
        ("-ERR max number of clients reached", "reached: it has no connection left"),
        ("-ERR unknown command `X`, with args beginning with: `oom`", "does not know a command"),
        ("-ERR something tok-3n", "failed with ResponseError"),
        ("nothing that Redis would say", "failed with InvalidResponse"),
    ],
)
def test_other_errors(line: str, says: str, again: Callable[..., RedisStore]) -> None:
    with saying(line.encode()) as url:
        store = again(url)
        assert "tok-3n" not in refused(calls_of(store), says).replace('"tok-3n"', "")
        store.close()


def test_names_of_accounts_are_not_taken_for_errors(again: Callable[..., RedisStore]) -> None:
    with saying(b"-ERR something") as url:
        store, key = again(url), AccountKey("client", "readonly moved wrongtype")
        calls = [lambda: store.load(key), lambda: store.delete(key), store.lock(key).acquire]
        refused(calls, "failed with ResponseError")
        store.close()


def test_other_reasons_for_not_connecting(again: Callable[..., RedisStore]) -> None:
    refused(calls_of(again("redis://missing.invalid/0")), "reached: its name is unknown")
    refused(
        calls_of(again("redis://oom..readonly/0")), r"(?m)oom..readonly:6379 cannot be reached$"
    )
    refused(calls_of(again("redis://127.0.0.1:1/0?socket_timeout=-1")), "cannot be reached")


def test_a_database_that_does_not_exist(redis_url: str, again: Callable[..., RedisStore]) -> None:
    refused(calls_of(again(redis_url.replace("/0", "/999"))), "no database of this number")


def test_a_frozen_server(
    own: Server, again: Callable[..., RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "WAIT", 0.1)
    pooled, fresh = again(own.url), again(own.url)
    put(pooled, "x")
    assert own._process is not None
    own._process.send_signal(signal.SIGSTOP)
    try:
        refused([*calls_of(pooled), *calls_of(fresh)], "does not answer")
    finally:
        own._process.send_signal(signal.SIGCONT)
    eventually(lambda: own.command("PING") is True)
    assert isinstance(pooled.load(KEY), Stored | None)


def test_a_server_that_does_not_know_the_scripts(redis_server: Server, store: RedisStore) -> None:
    for call in (*writes_of(store)[1:], *locks_of(store)):
        redis_server.command("SCRIPT", "FLUSH")
        call()
    redis_server.command("SCRIPT", "FLUSH")
    version = put(store, "x")
    assert payload(store) == "x"
    put(store, "y", replacing=version)


# -- persistence ---------------------------------------------------------------------------------


def test_what_was_acknowledged_survives_a_kill(
    own: Server, again: Callable[..., RedisStore]
) -> None:
    store = again(own.url)
    version = put(store, "first")
    lock = store.lock(KEY, lease=600.0)
    assert lock.acquire()
    for round_ in range(3):
        for number in range(20):
            version = put(store, f"{round_} {number}", replacing=version)
        own.kill()
        refused(reads_of(store)[:1], "cannot be reached: the connection was refused")
        own.start()
        assert store.load(KEY) == Stored(payload=f"{round_} 19", version=version, expires_at=END)
        assert store.accounts("client") == ["default"]
        assert not again(own.url).lock(KEY).acquire()  # the lock has survived as well
    lock.release()
    assert put(store, "last", replacing=version)


def test_a_server_that_was_restarted_between_two_calls(
    own: Server, again: Callable[..., RedisStore]
) -> None:
    store = again(own.url)
    version = put(store, "x")
    own.kill()
    own.start()
    assert put(store, "y", replacing=version) > version


# -- answers that are lost -----------------------------------------------------------------------


def test_one_lost_answer_is_not_noticed(
    between: Between, behind: RedisStore, store: RedisStore
) -> None:
    between.lose(sha(redis_store.SAVE), times=1)
    first = put(behind, "one")
    assert between.left == 0
    assert first == loaded(store).version
    between.lose(sha(redis_store.SAVE), times=1)
    second = put(behind, "two", replacing=first)  # its own record is not a conflict
    assert between.left == 0
    assert second == loaded(store).version > first
    between.lose(sha(redis_store.DELETE), times=1)
    behind.delete(KEY, replacing=second)
    assert between.left == 0
    assert store.load(KEY) is None


def test_the_same_deletion_again_finds_out(
    between: Between, behind: RedisStore, store: RedisStore
) -> None:
    version = put(behind, "one")
    between.lose(sha(redis_store.DELETE), times=2)
    refused([lambda: behind.delete(KEY, replacing=version)], "cannot be reached")
    assert store.load(KEY) is None
    behind.delete(KEY, replacing=version)
    with pytest.raises(StoreConflict):
        behind.delete(KEY, replacing=version)
    put(store, "two")
    with pytest.raises(StoreConflict):
        behind.delete(KEY, replacing=version)


def loaded(store: RedisStore) -> Stored:
    stored = store.load(KEY)
    assert stored is not None
    return stored


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("conditional", [True, False])
def test_the_same_save_again_finds_out(
    between: Between, behind: RedisStore, store: RedisStore, *, answered: bool, conditional: bool
) -> None:
    first = put(behind, "one")
    replacing = first if conditional else None
    between.lose(sha(redis_store.SAVE), times=2, answered=answered)
    refused([lambda: put(behind, "two", replacing=replacing)], "cannot be reached")
    assert payload(store) == ("two" if answered else "one")
    was = loaded(store).version
    version = put(behind, "two", replacing=replacing)
    assert loaded(store).version == version
    assert (version == was) is answered
    assert put(behind, "three", replacing=version) > version


def test_only_its_own_record_is_recognised(
    between: Between, behind: RedisStore, store: RedisStore
) -> None:
    first = put(behind, "one")
    between.lose(sha(redis_store.SAVE), times=2)
    refused([lambda: put(behind, "two", replacing=first)], "cannot be reached")
    # The same payload, the same version to replace: but this one's answer was not lost.
    with pytest.raises(StoreConflict):
        put(store, "two", replacing=first)
    put(store, "two", replacing=loaded(store).version)
    with pytest.raises(StoreConflict):
        put(behind, "two", replacing=first)


@pytest.mark.parametrize("times", [1, 2])
def test_a_lease_whose_answer_was_lost(
    between: Between, behind: RedisStore, store: RedisStore, times: int
) -> None:
    assert behind.take_lease(KEY, "warm", 60.0)
    store._server._client.flushall()
    lock = behind.lock(KEY)
    between.lose(sha(redis_store.TAKE), times=times)
    if times == 2:
        refused([lock.acquire], "cannot be reached")
        assert not store.lock(KEY).acquire()
    assert lock.acquire()
    assert between.left == 0
    lock.release()
    assert store.take_lease(KEY, "next", 60.0)


# -- leases --------------------------------------------------------------------------------------


def test_a_lease_lives_as_long_as_it_says(redis_server: Server, store: RedisStore) -> None:
    assert store.take_lease(KEY, "mine", 100.0005)
    assert 90_000 < int(str(redis_server.command("PTTL", LOCK))) <= 100_001
    assert store.renew_lease(KEY, "mine", 1000.0)
    assert 990_000 < int(str(redis_server.command("PTTL", LOCK))) <= 1_000_000
    assert store.take_lease(KEY, "mine", 1e-9)  # neither without an end nor an error
    assert int(str(redis_server.command("PTTL", LOCK))) <= 1


@pytest.mark.parametrize("how", [("PEXPIRE", LOCK, -1), ("DEL", LOCK)])
def test_a_holder_that_lost_the_lease_does_not_end_the_next_one(
    redis_server: Server, again: Callable[..., RedisStore], how: tuple[object, ...]
) -> None:
    late, next_ = again(), again()
    version = put(late, "old")
    assert late.take_lease(KEY, "late", 60.0)
    redis_server.command(*how)
    assert not late.renew_lease(KEY, "late", 60.0)
    assert next_.take_lease(KEY, "next", 60.0)
    assert not late.renew_lease(KEY, "late", 60.0)
    assert not late.take_lease(KEY, "late", 60.0)
    late.end_lease(KEY, "late")
    assert next_.renew_lease(KEY, "next", 60.0)
    put(next_, "new", replacing=version)
    with pytest.raises(StoreConflict):
        put(late, "late", replacing=version)
    assert payload(next_) == "new"


# -- versions ------------------------------------------------------------------------------------


def test_versions_grow_when_the_clock_does_not(redis_server: Server, store: RedisStore) -> None:
    assert put(store, "now") > 1_700_000_000_000_000
    ahead = 4_000_000_000_123_457  # a server whose clock was decades ahead
    redis_server.command("SET", VERSION, ahead)
    first = put(store, "x")
    assert first == ahead + 1
    assert put(store, "y", replacing=first) == ahead + 2
    store.delete(KEY)
    assert put(store, "z") == ahead + 3


def test_versions_grow_when_the_counter_is_lost(redis_server: Server, store: RedisStore) -> None:
    ahead = 4_000_000_000_123_457
    redis_server.command("SET", VERSION, ahead)
    first = put(store, "x")
    redis_server.command("DEL", VERSION)
    assert put(store, "y", replacing=first) == first + 1


def test_versions_are_the_time_of_the_server_when_all_data_are_lost(
    redis_server: Server, store: RedisStore
) -> None:
    first = put(store, "x")
    redis_server.command("FLUSHALL")
    assert put(store, "y") > first
    with pytest.raises(StoreConflict):
        put(store, "late", replacing=first)


@pytest.mark.parametrize("garbage", ["rubbish", "", "inf", "-inf", "nan", "1e300", "0x1p60"])
def test_a_counter_of_another_program(
    redis_server: Server, store: RedisStore, garbage: str
) -> None:
    first = put(store, "x")
    redis_server.command("SET", VERSION, garbage)
    second = put(store, "y", replacing=first)
    assert first < second < 2**53
    redis_server.command("HSET", RECORD, "version", garbage)
    assert put(store, "z") > second
    assert payload(store) == "z"


# -- keys and records ----------------------------------------------------------------------------


def test_all_keys_of_an_application_are_in_one_slot(
    redis_server: Server, store: RedisStore
) -> None:
    key = AccountKey("cli}ent{1", "a}{b")
    store.save(key, "x", expires_at=END, replacing=None)
    assert store.take_lease(key, "mine", 60.0)
    keys = redis_server.command("KEYS", "*")
    assert isinstance(keys, list)
    assert len(keys) == 6
    assert len({key_slot(name) for name in keys}) == 1
    assert all(name.startswith(b"trakt-auth:{") for name in keys)
    put(store, "x")
    keys = redis_server.command("KEYS", "*")
    assert isinstance(keys, list)
    assert len({key_slot(name) for name in keys}) == 2


def test_due_accounts_are_found_without_reading_the_others(
    redis_server: Server, store: RedisStore
) -> None:
    for minute in range(30):
        end = END + timedelta(minutes=minute)
        store.save(AccountKey("client", f"{minute:02}"), "x", expires_at=end, replacing=None)
    redis_server.command("CONFIG", "RESETSTAT")
    assert store.due("client", before=END + timedelta(minutes=9), limit=3) == ["00", "01", "02"]
    stats = redis_server.command("INFO", "commandstats")
    assert isinstance(stats, dict)
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    ours = {
        name: count
        for name, count in calls.items()
        if not name.startswith(("client", "config", "hello", "info"))
    }
    assert ours == {"get": 1, "zrangebyscore": 1}  # O(log accounts + due), with LIMIT


def test_records_of_a_newer_version_are_left_alone(redis_server: Server, store: RedisStore) -> None:
    version = put(store, "x")
    assert redis_server.command("GET", FORMAT) == b"1"
    redis_server.command("SET", FORMAT, "2")
    for call in (*reads_of(store), *writes_of(store), lambda: put(store, "y", replacing=version)):
        with pytest.raises(StoreUnavailable, match="newer version") as caught:
            call()
        assert "Upgrade" in caught.value.hint
    redis_server.command("SET", FORMAT, "1")
    assert loaded(store) == Stored(payload="x", version=version, expires_at=END)
    assert store.accounts("client") == ["default"]


@pytest.mark.parametrize(
    ("key", "calls"),
    [(RECORD, 0), (NAMES, 1), (ENDS, 2), (FORMAT, None)],
)
def test_keys_of_another_type(
    redis_server: Server, store: RedisStore, key: bytes, calls: int | None
) -> None:
    version = put(store, "old")
    redis_server.command("DEL", key)
    redis_server.command("LPUSH", key, "something else")
    reads = reads_of(store) if calls is None else [reads_of(store)[calls]]
    saves = [lambda: put(store, "new", replacing=version), lambda: put(store, "new")]
    refused([*reads, *saves], "has something else under", StoreCorrupt)
    redis_server.command("DEL", key)
    if key != RECORD:
        assert loaded(store) == Stored(payload="old", version=version, expires_at=END)
    assert put(store, "new") > version


@pytest.mark.parametrize(
    ("field", "value"),
    [("payload", b"\xfftok-3n"), ("version", b"one"), ("end", b"soon"), ("end", 2**70)],
)
def test_a_record_of_another_program(
    redis_server: Server, store: RedisStore, field: str, value: object
) -> None:
    put(store, "tok-3n")
    redis_server.command("HSET", RECORD, field, value)
    shown = refused([lambda: store.load(KEY)], "'default' in Redis is not readable", StoreCorrupt)
    assert "tok-3n" not in shown
    assert put(store, "a new login")
    assert payload(store) == "a new login"


@pytest.mark.parametrize("gone", [["version"], ["payload"], ["version", "payload"]])
def test_half_a_record_is_corrupt_and_not_missing(
    redis_server: Server, store: RedisStore, gone: list[str]
) -> None:
    put(store, "x")
    redis_server.command("HDEL", RECORD, *gone)
    refused([lambda: store.load(KEY)], "not readable", StoreCorrupt)
    with pytest.raises(StoreConflict):
        put(store, "y", replacing=0)
    put(store, "a new login")
    assert payload(store) == "a new login"


def test_load_and_save_agree_on_a_missing_record(redis_server: Server, store: RedisStore) -> None:
    """Otherwise a writer that saves what it has loaded would never succeed."""
    put(store, "x")
    redis_server.command("HDEL", RECORD, "payload", "version", "end")
    assert store.load(KEY) is None
    assert put(store, "y", replacing=0)


def test_a_name_of_another_program(redis_server: Server, store: RedisStore) -> None:
    redis_server.command("SADD", NAMES, b"\xff")
    redis_server.command("ZADD", ENDS, 1, b"\xff")
    refused(reads_of(store)[1:], "name of an account", StoreCorrupt)


# -- clusters ------------------------------------------------------------------------------------


@contextmanager
def cluster(folder: Path) -> Iterator[Server]:
    server = Server(folder, "--cluster-enabled", "yes")
    while server.port > 55_000:  # its nodes also use a port that is higher by 10000
        server.stop()
        server = Server(folder, "--cluster-enabled", "yes")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_a_cluster_of_one(tmp_path: Path, again: Callable[..., RedisStore]) -> None:
    with cluster(tmp_path) as server:
        store = again(server.url)
        refused(calls_of(store), "is a cluster that is down")
        server.command("CLUSTER", "ADDSLOTS", *range(16384))
        eventually(lambda: b"cluster_state:ok" in raw(server, "CLUSTER", "INFO"))
        version = put(store, "x")  # CROSSSLOT, if a script's keys were not in one slot
        assert put(store, "y", replacing=version) > version
        for call in calls_of(store)[3:]:
            with suppress(StoreConflict):
                call()
        assert store.accounts("client") == []


# -- threads and processes -----------------------------------------------------------------------


def eventually(check: Callable[[], bool]) -> None:
    until = threading.Event()
    for _ in range(1000):
        if check():
            return
        until.wait(0.01)  # the server notices a moment later
    raise AssertionError


def test_more_threads_than_connections(
    again: Callable[..., RedisStore], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = again(f"{redis_url}?max_connections=2")
    put(store, "x")

    def work() -> None:
        for _ in range(20):
            assert payload(store) == "x"

    assert in_threads([work] * 10) == []
    monkeypatch.setattr(redis_server, "WAIT", 0.1)
    busy = again(f"{redis_url}?max_connections=1")
    pool = busy._server._client.connection_pool
    connection = pool.get_connection()
    refused(calls_of(busy), "had no free connection for 0 seconds")
    pool.release(connection)
    assert payload(busy) == "x"


def test_of_many_saves_at_once_one_succeeds(again: Callable[..., RedisStore]) -> None:
    stores = [again() for _ in range(8)]
    version = put(stores[0], "x")
    raised = in_threads([partial(put, s, "y", replacing=version) for s in stores])
    assert [type(error) for error in raised] == [StoreConflict] * 7


def clients(server: Server) -> int:
    return len(raw(server, "CLIENT", "LIST").splitlines()) - 1


def test_connections_end_with_the_store(own: Server) -> None:
    for end in (RedisStore.close, lambda _: None):
        store = RedisStore(own.url)
        put(store, "x")
        assert clients(own) >= 1
        end(store)
        if end is RedisStore.close:
            eventually(lambda: clients(own) == 0)
            assert payload(store) == "x"  # it opens again
        del store
        gc.collect()
        eventually(lambda: clients(own) == 0)


def test_an_error_that_is_kept_keeps_no_connection(own: Server) -> None:
    store = RedisStore(own.url)
    own.command("SET", RECORD, "something else")
    with pytest.raises(StoreCorrupt) as caught:
        store.load(KEY)
    assert clients(own) >= 1
    store.close()
    eventually(lambda: clients(own) == 0)
    assert caught.value.__traceback__ is not None


def test_a_call_that_has_just_begun_goes_on_after_closing(store: RedisStore) -> None:
    put(store, "x")
    begun = store._server._client
    begun.connection_pool.timeout = 0.1
    store.close()
    assert begun.ping()
    begun.connection_pool.disconnect()


def test_closing_while_other_threads_work(store: RedisStore) -> None:
    put(store, "x")

    def load() -> None:
        for _ in range(50):
            assert payload(store) == "x"

    def close() -> None:
        for _ in range(20):
            store.close()

    assert in_threads([load, load, close, load]) == []


FORK = """
import os, signal, sys, threading
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.redis import RedisStore
KEY = AccountKey("client", "default")
store = RedisStore(sys.argv[1])
version = store.save(KEY, "parent", expires_at=None, replacing=None)
lock = store.lock(KEY)
assert lock.acquire()

def connection():
    return store._server._client.execute_command("CLIENT", "ID")

ours = connection()
pool = store._server._client.connection_pool
ready, end = threading.Event(), threading.Event()

def hold():
    # What another thread may hold at the moment of a fork is never released in the child.
    with pool._lock, pool._fork_lock, pool._event_dispatcher._lock, lock._guard:
        ready.set()
        end.wait()

holder = threading.Thread(target=hold)
holder.start()
ready.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    assert connection() != ours
    assert lock.remaining() < 0
    assert not lock.acquire()
    assert not store.lock(KEY).acquire()
    lock.release()
    store.save(KEY, "child", expires_at=None, replacing=version)
    os.close(1)
    sys.stderr.flush()
    del store, pool, lock
    os._exit(0)
_, status = os.waitpid(child, 0)
end.set()
holder.join()
assert status == 0, status
assert store.load(KEY).payload == "child"
assert connection() == ours
assert lock.remaining() > 50
assert not store.lock(KEY).acquire()
lock.release()
assert store.lock(KEY).acquire()
"""


def test_a_forked_child_has_connections_of_its_own(redis_url: str) -> None:
    source = str(Path(trakt_auth.__file__).parents[1])
    # Python 3.12 warns of every fork while there are threads.
    words = ["-W", "error", "-W", "ignore::DeprecationWarning", "-c", FORK, redis_url]
    done = subprocess.run(
        [sys.executable, *words],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- the documentation ---------------------------------------------------------------------------


def page() -> str:
    folder = Path(__file__).parents[2] / "docs" / "how-to"
    return (folder / "keep-tokens-in-redis.md").read_text()


def test_the_documented_examples_run(
    redis_url: str, store: RedisStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("file:tokens.json").save(KEY, "moved", expires_at=END, replacing=None)
    examples = re.findall(r"^```text\n(.*?)^```", page(), re.DOTALL | re.MULTILINE)
    assert len(examples) == 2
    names: dict[str, object] = {
        "app": trakt_auth.Application("client", user_agent="test/1"),
        "Client": trakt_auth.Client,
        "client_id": "client",
        "open_store": open_store,
    }
    for example in examples:
        here = re.sub(r"rediss://my_program@cache\.example/0", redis_url, example)
        assert here != example
        exec(here, names)
    for name in ("trakt", "new"):
        opened = names[name]
        assert isinstance(opened, trakt_auth.Client | RedisStore)
        opened.close()
    assert loaded(store).payload == "moved"
    assert loaded(store).expires_at == END


def test_the_documented_user_is_allowed_what_it_needs_and_no_more(
    own: Server, again: Callable[..., RedisStore]
) -> None:
    (rules,) = re.findall(r"^(ACL SETUSER .*?)^```", page(), re.DOTALL | re.MULTILINE)
    own.command(*rules.replace("\\\n", "").replace("PASSWORD", "geheim").split())
    own.command("ACL", "SETUSER", "default", "resetkeys")
    store = again(own.url.replace("//", "//my_program:geheim@"))
    version = put(store, "x")
    for call in calls_of(store):
        with suppress(StoreConflict):
            call()
    assert put(store, "y") > version
    client = store._server._client
    for forbidden in (("FLUSHALL",), ("KEYS", "*"), ("GET", "other"), ("CONFIG", "GET", "*")):
        import redis

        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*forbidden)


def test_the_documented_settings_are_those_of_the_tests() -> None:
    from support.redis_server import SETTINGS

    for name in ("appendonly yes", "appendfsync always"):
        assert name in page()
        assert f"--{name}" in " ".join(SETTINGS)
    assert "maxmemory-policy noeviction" in page()
