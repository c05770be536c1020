"""Connections to a Redis server: bounded waits, forks, restarts, and errors without secrets.

And the only file that uses the library redis. No key and no script is known here.
`stores/redis.py` uses this file; it imports layer 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import sha1
from queue import Empty
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from weakref import WeakSet

from redis import BlockingConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider
from redis.retry import Retry

from trakt_auth.errors import StoreCorrupt, StoreUnavailable, UsageError

__all__ = ["Server"]

WAIT = 5.0  # seconds: to connect, for an answer, and for a free connection
SIZE = 50  # connections
# A pooled connection may have died while nobody used it; a second failure is the server's.
RETRIES = 1
# What may stand behind the ? of a URL. The library knows more, and some of it would break a store.
OPTIONS = (
    "client_name", "db", "health_check_interval", "max_connections", "socket_connect_timeout",
    "socket_keepalive", "socket_timeout", "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs",
    "ssl_certfile", "ssl_check_hostname", "ssl_keyfile", "ssl_min_version", "ssl_password",
)  # fmt: skip
VERIFIED = {"ssl_cert_reqs": {"required"}, "ssl_check_hostname": {"true", "1", "yes"}}
# The server's words can quote commands, so only these are passed on: a word of the server's, or
# of the class that the library makes of it.
SAYS = {
    "unknown command": "does not know a command that this needs",
    "noperm": "does not allow this to the user",
    "authentication required": "wants a password",
    "authentication": "refuses the user name or the password",
    "readonly": "is a replica, which takes no writes",
    "oom": "has no memory left",
    "outofmemory": "has no memory left",
    "loading": "is loading its data",
    "masterdown": "has lost its master",
    "misconf": "cannot write to its disk, so it takes no writes",
    "clusterdown": "is a cluster that is down",
    "moved": "is a cluster, and another node has this application's keys",
    "noreplicas": "has too few replicas to take writes",
    "busy": "is busy with a script",
    "db index": "has no database of this number",
}
REACH = "Check that the server runs and that the URL is right, then try again."
SERVER = "Check user, password and number in the URL, and the server's settings and log."
REASONS = {
    "max number of clients": "it has no connection left",
    "connection refused": "the connection was refused",
    "certificate_verify_failed": "its certificate is not trusted",
    "[ssl": "TLS failed",
    "no such file": "a file with a certificate is missing",
    "name or service not known": "its name is unknown",
    "no route to host": "there is no route to it",
    "timeout connecting": "it does not answer",
}


class Server:
    """Runs scripts and commands; whatever goes wrong is a StoreError."""

    def __init__(self, url: str) -> None:
        self.name, self._open = _understood(url)
        self._client = self._open()
        _servers.add(self)

    def run(self, script: str, keys: list[bytes], *values: object) -> Any:  # noqa: ANN401
        """Run a script in one step that nobody can come between.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        known = sha1(script.encode(), usedforsecurity=False).hexdigest()
        with self._failures():
            try:
                return self._client.evalsha(known, len(keys), *keys, *values)
            except exceptions.NoScriptError:  # a new server, or one that was told to forget
                return self._client.eval(script, len(keys), *keys, *values)

    def read(self, *commands: tuple[object, ...]) -> list[Any]:
        """Send commands together, return the answers.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        with self._failures(), self._client.pipeline(transaction=False) as together:
            for command in commands:
                together.execute_command(*command)
            # The library would write the command into the error, and names are anybody's.
            answers: list[Any] = together.execute(raise_on_error=False)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    def close(self) -> None:
        """Close the connections that nobody uses; a later call opens new ones."""
        pool, self._client = self._client.connection_pool.pool, self._open()
        idle: list[Any] = []
        with suppress(Empty):
            while True:
                idle.append(pool.get_nowait())
        for connection in idle:
            if connection is not None:  # a place for one
                connection.disconnect()
            pool.put_nowait(connection)  # for a call that has only just begun

    def abandon(self) -> None:
        """Let go, in a forked child, of what only the parent may use."""
        self._client = self._open()

    @contextmanager
    def _failures(self) -> Generator[None, None, None]:
        try:
            yield
        except (exceptions.RedisError, OSError, ValueError) as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> StoreCorrupt | StoreUnavailable:
        if isinstance(error, exceptions.TimeoutError):
            return StoreUnavailable(f"{self.name} does not answer", hint=REACH)
        said = f"{type(error).__name__} {error}".lower()
        if type(error) is exceptions.ConnectionError or not isinstance(
            error, exceptions.RedisError
        ):
            if "no connection available" in said:
                return StoreUnavailable(
                    f"{self.name} had no free connection for {WAIT:.0f} seconds"
                )
            # A host may be called anything, so these words are looked for apart.
            reason = next((f": {why}" for word, why in REASONS.items() if word in said), "")
            return StoreUnavailable(
                f"{self.name} cannot be reached{reason}",
                hint=REACH,
            )
        if "wrongtype" in said:
            return StoreCorrupt(
                f"{self.name} has something else under trakt-auth's keys",
                hint="Give trakt-auth a database of its own, or remove what is there.",
            )
        if "readonly" in said:
            self.close()  # behind this name may be another server by now, which takes writes
        says = next((says for word, says in SAYS.items() if word in said), None)
        said = says or f"failed with {type(error).__name__}"
        return StoreUnavailable(f"{self.name} {said}", hint=SERVER)


def _understood(url: str) -> tuple[str, Callable[[], Any]]:
    """Return how the server is called, and a function that makes a client."""
    try:
        name, options = _parts(url)
        pool = _client(url).connection_pool
        # The library reads most options only when it makes a connection.
        pool.connection_class(**pool.connection_kwargs)
    except (TypeError, ValueError, exceptions.RedisError):
        raise UsageError(
            "The redis:// URL is not one that is understood here",
            hint="Write redis://USER:PASSWORD@HOST:PORT/NUMBER; in the password, write %40 for @,"
            f" %2F for /. Behind a ? may stand: {', '.join(OPTIONS)}.",
        ) from None
    if any(value.lower() not in VERIFIED.get(option, {value.lower()}) for option, value in options):
        raise UsageError(
            "The URL switches the verification of the server's certificate off",
            hint="Leave it on; name a certificate of your own with ssl_ca_certs=FILE.",
        )
    return name, lambda: _client(url)


def _parts(url: str) -> tuple[str, list[tuple[str, str]]]:
    # Half of a password that is not written with %40 and the like must not be taken for a port,
    # a number or an option, and an error of the library's would quote it.
    parts = urlsplit(url)
    number = parts.path.removeprefix("/")
    options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    known = all(name in OPTIONS for name, _ in options)
    if not known or parts.fragment or (number and not (number.isascii() and number.isdigit())):
        raise ValueError
    return f"The Redis server at {parts.hostname or 'localhost'}:{parts.port or 6379}", options


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
    pool = pool_class.from_url(url, **defaults)
    settings = pool.connection_kwargs
    user, password = settings.pop("username", None), settings.pop("password", None)
    if user or password:  # some versions of the library show a password in the pool's repr
        settings["credential_provider"] = UsernamePasswordCredentialProvider(user, password)
    return Redis(connection_pool=pool)


# -- forks ---------------------------------------------------------------------------------------
# The library notices a fork, but not that another thread may have held one of its locks just then.
_servers: WeakSet[Server] = WeakSet()


def _after_fork_in_child() -> None:
    for server in list(_servers):
        server.abandon()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
