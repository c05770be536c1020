"""Connections to a Redis server: bounded waits, forks, restarts, and errors without secrets.

The only file that uses the library redis. No key and no script is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha1
from queue import Empty
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from redis import BlockingConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.credentials import UsernamePasswordCredentialProvider
from redis.retry import Retry
from redis.sentinel import Sentinel

from trakt_auth.errors import StoreCorrupt, StoreUnavailable, UsageError
from trakt_auth.stores.engines.forks import on_fork

__all__ = ["Server"]

WAIT = 5.0  # seconds: to connect, for an answer, and for a free connection
SIZE = 50  # connections
# A pooled connection may have died while it was unused; a second failure is the server's.
RETRIES = 1
# What a URL may set after its "?". The library has more options, and some would break a store.
OPTIONS = (
    "client_name", "db", "health_check_interval", "max_connections", "socket_connect_timeout",
    "socket_keepalive", "socket_timeout", "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs",
    "ssl_certfile", "ssl_check_hostname", "ssl_keyfile", "ssl_min_version", "ssl_password",
)  # fmt: skip
VERIFIED = {"ssl_cert_reqs": {"required"}, "ssl_check_hostname": {"true", "1", "yes"}}
# The server's messages may quote commands, so none is passed on. On the left, a word in the message
# or in the class of the library's exception; on the right, what follows "The Redis server at ...".
PROBLEMS = {
    "unknown command": "does not know a command that this needs",
    "noperm": "does not allow this to the user",
    "authentication required": "wants a password",
    "authentication": "refuses the user name or the password",
    "readonly": "is a replica, which takes no writes",
    "oom": "has no memory left",
    "outofmemory": "has no memory left",
    "loading": "is loading its data",
    "masterdown": "has lost its master",
    "masternotfound": "is not known to any Sentinel that answers",
    "misconf": "cannot write to its disk, so it takes no writes",
    "clusterdown": "is a cluster that is down",
    "moved": "is a cluster, and another node has this application's keys",
    "noreplicas": "has too few replicas to take writes",
    "busy": "is busy with a script",
    "db index": "has no database of this number",
}
FAILURES = (exceptions.RedisError, exceptions.RedisClusterException)
REACH = "Check that the server runs and that the URL is right, then try again."
SERVER = "Check user, password and number in the URL, and the server's settings and log."
REASONS = {
    "max number of clients": "it has no connection left",
    "connection refused": "the connection was refused",
    "certificate_verify_failed": "its certificate is not trusted",
    "[ssl": "TLS failed",
    "no such file": "its socket, or a file with a certificate, is missing",
    "name or service not known": "its name is unknown",
    "no route to host": "there is no route to it",
    "timeout connecting": "it does not answer",
}


class Server:
    """Runs scripts and commands; every failure is a StoreError."""

    def __init__(self, url: str) -> None:
        name, self._open = _parse_many(url) if "+" in url.partition(":")[0] else _parse(url)
        self.name: str = name
        self._client: Any = self._open()
        on_fork(self, after_in_child=Server._abandon)

    def run(self, script: str, keys: list[bytes], *values: object) -> Any:  # noqa: ANN401
        """Run a script, which is atomic.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        with self._failures():
            try:
                return self._client.evalsha(digest, len(keys), *keys, *values)
            except exceptions.NoScriptError:  # the server was restarted, or has flushed its scripts
                return self._client.eval(script, len(keys), *keys, *values)

    def read(self, *commands: tuple[object, ...]) -> list[Any]:
        """Send commands together, return the answers.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        with self._failures(), self._client.pipeline(transaction=False) as together:
            for command in commands:
                together.execute_command(*command)
            # The library would put the command into the error, and an account's name is private.
            answers: list[Any] = together.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    def close(self) -> None:
        """Close the connections that are not in use; a later call opens new ones."""
        client, self._client = self._client, self._open()
        if isinstance(client, _Many):
            client.close()
            return
        pool = client.connection_pool.pool
        idle: list[Any] = []
        with suppress(Empty):
            while True:
                idle.append(pool.get_nowait())
        for connection in idle:
            if connection is not None:  # None stands for a connection that was not opened yet
                connection.disconnect()
            pool.put_nowait(connection)  # for a call that has just begun, in another thread

    def _abandon(self) -> None:
        # In a forked child. The library notices a fork by itself, but not that another thread may
        # have held one of its locks at that moment.
        self._client = self._open()

    @contextmanager
    def _failures(self) -> Generator[None, None, None]:
        try:
            yield
        except (*FAILURES, OSError, ValueError) as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> StoreCorrupt | StoreUnavailable:
        if isinstance(error, exceptions.TimeoutError):
            return StoreUnavailable(f"{self.name} does not answer", hint=REACH)
        text = f"{type(error).__name__} {error}".lower()
        if type(error) is exceptions.ConnectionError or not isinstance(
            error, exceptions.RedisError
        ):
            if "no connection available" in text:
                return StoreUnavailable(
                    f"{self.name} had no free connection for {WAIT:.0f} seconds"
                )
            # Not in PROBLEMS: the text may hold the name of the host, which can be any word.
            reason = next((f": {why}" for word, why in REASONS.items() if word in text), "")
            return StoreUnavailable(f"{self.name} cannot be reached{reason}", hint=REACH)
        if "wrongtype" in text:
            return StoreCorrupt(
                f"{self.name} has something else under trakt-auth's keys",
                hint="Give trakt-auth a database of its own, or remove what is there.",
            )
        if "readonly" in text:
            self.close()  # the name may lead to another server by now, which accepts writes
        known = (problem for word, problem in PROBLEMS.items() if word in text)
        problem = next(known, f"failed with {type(error).__name__}")
        return StoreUnavailable(f"{self.name} {problem}", hint=SERVER)


class _Many:
    """A client of several servers, made by the first call: making it asks the servers."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._guard = make, Lock()
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the library is typed in part
        with self._guard:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)

    def close(self) -> None:
        """Close the connections, if there are any."""
        made = self._made
        if made is not None:
            made.close()


def _parse_many(url: str) -> tuple[str, Callable[[], Any]]:
    """Do the same for a Redis Cluster (any of its nodes) or for Redis Sentinel.

    Raises: UsageError.
    """
    scheme, _, rest = url.partition("://")
    plain, kind = scheme.split("+", 1)
    place, mark, options = rest.partition("?")
    servers, _, path = place.partition("/")
    user, at, hosts = servers.rpartition("@")
    service, _, number = path.partition("/") if kind == "sentinel" else ("", "", path)
    try:
        places = [urlsplit(f"//{host}") for host in hosts.split(",")]
        port = 26379 if kind == "sentinel" else 6379
        nodes = [(str(place.hostname or "localhost"), place.port or port) for place in places]
        is_wrong = "/" in number or (not service if kind == "sentinel" else path)
        if is_wrong or any(place.username or place.path for place in places):
            raise ValueError  # noqa: TRY301 - one error for all that is wrong
    except ValueError:
        raise UsageError(
            f"The {scheme}:// URL is not valid",
            hint="Write redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT, or redis+sentinel://"
            "USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/NUMBER; in the password, write %40 for @.",
        ) from None
    # The rest is what one server would get, with the same checks.
    one = f"{plain}://{user}{at}{nodes[0][0]}:{nodes[0][1]}/{number}{mark}{options}"
    _parse(one)
    names = ", ".join(f"{host}:{port}" for host, port in nodes)
    what = "The Redis Cluster" if kind == "cluster" else f"The Redis server {service} of Sentinel"
    make = _cluster if kind == "cluster" else partial(_master, service)
    return f"{what} at {names}", lambda: _Many(partial(make, nodes, one))


def _settings(url: str) -> dict[str, Any]:
    client = _client(url)
    settings = dict(client.connection_pool.connection_kwargs)
    del settings["host"], settings["port"]
    return settings | ({"ssl": True} if url.startswith("rediss:") else {})


def _cluster(nodes: list[tuple[str, int]], url: str) -> Any:  # noqa: ANN401 - see above
    settings = _settings(url)
    for unknown in ("db", "retry"):
        settings.pop(unknown, None)
    node_class: Any = ClusterNode  # the library is typed in part
    return RedisCluster(startup_nodes=[node_class(*node) for node in nodes], **settings)


def _master(service: str, nodes: list[tuple[str, int]], url: str) -> Any:  # noqa: ANN401
    settings = _settings(url)
    # Sentinels often have no password, and never a database.
    asking = {name: settings[name] for name in ("socket_timeout", "socket_connect_timeout")}
    sentinel_class: Any = Sentinel
    return sentinel_class(nodes, sentinel_kwargs=asking).master_for(service, **settings)


def _parse(url: str) -> tuple[str, Callable[[], Any]]:
    """Return a name for the server, and a function that makes a client.

    Raises: UsageError.
    """
    try:
        name, options = _parts(url)
        pool = _client(url).connection_pool
        # The library reads most options only when it makes a connection; this one is not opened.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, exceptions.RedisError):
        raise UsageError(
            "The redis:// URL is not valid",
            hint="Write redis://USER:PASSWORD@HOST:PORT/NUMBER; in the password, write %40 for @,"
            f" %2F for /. Options after a ? may be: {', '.join(OPTIONS)}.",
        ) from None
    if any(value.lower() not in VERIFIED.get(option, {value.lower()}) for option, value in options):
        raise UsageError(
            "The URL switches the verification of the server's certificate off",
            hint="Leave it on; name a certificate of your own with ssl_ca_certs=FILE.",
        )
    return name, lambda: _client(url)


def _parts(url: str) -> tuple[str, list[tuple[str, str]]]:
    # Part of a password in which %40 and the like were not written must not be taken for a port, a
    # number or an option: the library's error would quote it.
    parts = urlsplit(url)
    is_socket = parts.scheme == "unix"
    number = "" if is_socket else parts.path.removeprefix("/")
    if is_socket and (parts.hostname or parts.path in ("", "/")):
        raise ValueError
    options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    known = all(name in OPTIONS for name, _ in options)
    if not known or parts.fragment or (number and not (number.isascii() and number.isdigit())):
        raise ValueError
    place = parts.path if is_socket else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    return f"The Redis server at {place}", options


def _client(url: str) -> Any:  # noqa: ANN401 - the library is typed in part
    pool_class: Any = BlockingConnectionPool
    defaults = {
        "decode_responses": False,
        "max_connections": SIZE,
        "protocol": 2,
        "retry": Retry(NoBackoff(), RETRIES, (exceptions.ConnectionError,)),
        "socket_connect_timeout": WAIT,
        "socket_keepalive": True,
        "socket_timeout": WAIT,
        "timeout": WAIT,
    }
    if url.startswith("unix:"):
        del defaults["socket_keepalive"]  # of TCP only
    pool = pool_class.from_url(url, **defaults)
    settings = pool.connection_kwargs
    user, password = settings.pop("username", None), settings.pop("password", None)
    if user or password:  # some versions of the library show the password in the pool's repr
        settings["credential_provider"] = UsernamePasswordCredentialProvider(user, password)
    return Redis(connection_pool=pool)
