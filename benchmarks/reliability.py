"""The proofs of tests/test_proofs.py with large counts, and beside other libraries.

`make bench` runs everything; `python benchmarks/reliability.py storm` one part: storm, peers, kill,
signals, throughput. What is counted is what the emulator saw. Stores can be named: `storm redis`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import keychains, postgres_server, redis_server
from support import stress as proving
from support.stress import EXPIRED, Place, Tally
from trakt_auth.emulator import Emulator
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.wrappers.encrypted import generate_key

CONSOLE = Console(width=None if sys.stdout.isatty() else 110)
STORES = ("file", "sqlite", "encrypted", "keyring", "postgresql", "redis")
LEASE = 1.0  # seconds
ROUNDS, KILLS, SIGNALS = 100, 1000, 200
LOADS, CYCLES = 2000, 100  # in one measurement of nine


@contextmanager
def place(kind: str, url: str, lease: float | None = None) -> Iterator[Place]:
    """Open an empty store of a kind, its server included."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        keys: tuple[str, ...] = ()
        match kind:
            case "postgresql":
                server = stack.enter_context(postgres_server.running())
                store = stack.enter_context(server.schema())
            case "redis":
                store = stack.enter_context(redis_server.running(Path(folder))).url
            case "encrypted":
                store, keys = f"sqlite:{folder}/tokens", (generate_key(),)
            case "keyring":
                os.environ |= {
                    "TEST_KEYCHAIN": f"{folder}/keychain.json",
                    "XDG_DATA_HOME": folder,
                    "PYTHON_KEYRING_BACKEND": "support.keychains.Shared",
                    "PYTHONPATH": str(Path(__file__).parents[1] / "tests"),
                }
                stack.enter_context(keychains.installed(keychains.Shared()))
                store = "keyring:"
            case _:
                store = f"{kind}:{folder}/tokens"
        yield Place(store=store, url=url, keys=keys, lease=lease)


@contextmanager
def trakt() -> Iterator[tuple[Emulator, str]]:
    """Start an emulator for one measurement."""
    emulator = Emulator(log_size=10)
    with emulator.serving() as url:
        yield emulator, url


def storm(kinds: tuple[str, ...] = STORES) -> None:
    """4 processes ask at once for a token that has expired, a new one in each round."""
    for kind in kinds:
        table = Table(
            "store", "callers", "rounds", "calls", "refreshes", "failed", "came twice", "seconds"
        )
        for crowd, count, hold, rounds in (
            ("threads", 50, 0.0, ROUNDS),
            ("coroutines", 250, 0.0, ROUNDS),
            ("threads", 50, LEASE * 2, 3),
        ):
            if hold and kind not in ("postgresql", "redis"):
                continue
            with trakt() as (emulator, url), place(kind, url, LEASE if hold else None) as here:
                start = time.perf_counter()
                found = proving.storms(
                    emulator, [here] * 4, kind=crowd, count=count, rounds=rounds, hold=hold
                )
                took = time.perf_counter() - start
            held = f", answer held {hold:.0f} s, lease {LEASE:.0f} s" if hold else ""
            failed = sum(found.failed.values())
            table.add_row(
                *(kind, f"4 x {count} {crowd}{held}", str(rounds), f"{found.calls:,}"),
                *(str(found.refreshes), str(failed), str(found.arrivals - 1), f"{took:.0f}"),
            )
        CONSOLE.print(table)


def kill(kinds: tuple[str, ...] = STORES) -> None:
    """Kill -9 at random moments of a refresh; after each the next one asks."""
    tallies("kill -9", kinds, LEASE, KILLS, proving.kills)


def signals(kinds: tuple[str, ...] = STORES) -> None:
    """SIGINT and SIGTERM, in turns, at random moments of a refresh."""
    tallies("signal", kinds, None, SIGNALS, proving.signals)


def tallies(
    what: str, kinds: tuple[str, ...], lease: float | None, times: int, work: Callable[..., Tally]
) -> None:
    names = (
        "blows", "finished", "kept", "lost", "unexplained", "corrupt", "stuck", "spent_twice",
        "half",
    )  # fmt: skip
    for kind in kinds:
        table = Table("store", *names, title=what)
        with trakt() as (emulator, url), place(kind, url, lease) as here:
            found = work(emulator, here, times=times, seed=1)
        table.add_row(kind, *(str(getattr(found, name)) for name in names))
        CONSOLE.print(table)


# -- other libraries -------------------------------------------------------------------------------
# Each as its documentation shows it: the token in a file, written by the library's own hook.


def requests_oauthlib(url: str, path: Path) -> Callable[[], int]:
    from requests_oauthlib import OAuth2Session

    session = OAuth2Session(
        "emulator",
        token=json.loads(path.read_text()),
        auto_refresh_url=f"{url}/oauth/token",
        auto_refresh_kwargs={"client_id": "emulator", "client_secret": "emulator-secret"},
        token_updater=lambda token: path.write_text(json.dumps(token)),
    )
    return lambda: session.get(f"{url}/users/me", headers=HEADERS).status_code


def authlib(url: str, path: Path) -> Callable[[], int]:
    from authlib.integrations.requests_client import OAuth2Session

    session = OAuth2Session(
        "emulator",
        "emulator-secret",
        token=json.loads(path.read_text()),
        token_endpoint=f"{url}/oauth/token",
        token_endpoint_auth_method="client_secret_post",
        update_token=lambda token, **_: path.write_text(json.dumps(token)),
    )
    return lambda: session.get(f"{url}/users/me", headers=HEADERS).status_code


def pytrakt(url: str, path: Path) -> Callable[[], int]:
    import trakt.core

    config = path.with_suffix(".pytrakt.json")
    token = json.loads(path.read_text())
    with suppress(FileExistsError), config.open("x") as file:
        json.dump(
            {
                "CLIENT_ID": "emulator",
                "CLIENT_SECRET": "emulator-secret",
                "OAUTH_TOKEN": token["access_token"],
                "OAUTH_REFRESH": token["refresh_token"],
                "OAUTH_EXPIRES_AT": int(token["expires_at"]),
            },
            file,
        )
    trakt.core.BASE_URL, trakt.core.CONFIG_PATH = f"{url}/", str(config)
    trakt.core.api.cache_clear()
    trakt.core.config.cache_clear()
    api = trakt.core.api()

    def call() -> int:
        api.get("users/settings")
        return 200

    return call


def trakt_py(url: str, path: Path) -> Callable[[], int]:
    sys.path.insert(0, TRAKT_PY)  # its package has the name of PyTrakt's
    from trakt import Trakt

    Trakt.base_url = url
    Trakt.configuration.defaults.client(id="emulator", secret="emulator-secret")
    Trakt.configuration.defaults.oauth.from_response(json.loads(path.read_text()), refresh=True)
    Trakt.on("oauth.refresh", lambda _, token: path.write_text(json.dumps(token)))
    return lambda: Trakt.http.get("/users/settings", authenticated=True).status_code


def ours(url: str, path: Path) -> Callable[[], int]:
    from trakt_auth import Client, Endpoints

    client = Client(proving.APP, store=f"file:{path}.store", endpoints=Endpoints.at(url))
    return lambda: client.api.get("/users/me").status_code


TRAKT_PY = str(Path(sys.prefix) / "trakt-py")
HEADERS = {"trakt-api-key": "emulator", "trakt-api-version": "2", "user-agent": "proofs/1"}
PEERS = {
    "trakt-auth": ours,
    "authlib": authlib,
    "requests-oauthlib": requests_oauthlib,
    "pytrakt": pytrakt,
    "trakt.py": trakt_py,
}


def _peer(*, name: str, url: str, path: str, count: int, gate: object, pipe: object) -> None:
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    call, said = PEERS[name](url, Path(path)), []
    start = threading.Barrier(count)

    def ask() -> None:
        start.wait()
        try:
            said.append(call())
        except Exception as error:
            said.append(type(error).__name__)

    gate.wait()
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send(said)


def _next_run(name: str, url: str, path: Path) -> object:
    """Start once more: is what was kept still of use?"""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    arguments = {"name": name, "url": url, "path": str(path), "count": 1}
    arguments |= {"gate": context.Barrier(1), "pipe": theirs}
    worker = context.Process(target=_peer, kwargs=arguments)
    worker.start()
    (said,) = mine.recv()
    worker.join()
    return said


def peers(rounds: int = 10, processes: int = 4, count: int = 50) -> None:
    """4 processes of 50 threads call the API at once with an expired token."""
    table = Table("library", "rounds", "calls", "failed", "refreshes sent", "logins lost")
    context = multiprocessing.get_context("spawn")
    for name in PEERS:
        calls = failed = sent = lost = 0
        for _ in range(rounds):
            with trakt() as (emulator, url), tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "token.json"
                issued = emulator.issue_tokens("ann")
                ended = int(time.time()) - 3600
                dates = {"expires_at": ended, "created_at": ended - issued["expires_in"]}
                path.write_text(json.dumps(issued | dates))
                here = Place(store=f"file:{path}.store", url=url)
                if name == "trakt-auth":
                    proving.sign_in(emulator, here, "default", age=EXPIRED)
                gate, pipes, workers = context.Barrier(processes), [], []
                for _ in range(processes):
                    mine, theirs = context.Pipe()
                    arguments = {"name": name, "url": url, "path": str(path), "count": count}
                    arguments |= {"gate": gate, "pipe": theirs}
                    workers.append(context.Process(target=_peer, kwargs=arguments))
                    workers[-1].start()
                    pipes.append(mine)
                said = [status for pipe in pipes for status in pipe.recv()]
                for worker in workers:
                    worker.join()
                calls += len(said)
                failed += sum(status != 200 for status in said)
                tokens = emulator.state()["tokens"]
                sent += tokens["rotations"] + tokens["replays"]
                lost += _next_run(name, url, path) != 200
        table.add_row(name, *(str(value) for value in (rounds, calls, failed, sent, lost)))
    CONSOLE.print(table)


# -- throughput ------------------------------------------------------------------------------------


def throughput(kinds: tuple[str, ...] = ("file", "sqlite", "postgresql", "redis")) -> None:
    """One account's load, and what a refresh does in its store, beside the same by hand."""
    table = Table("store", "load", "by hand", "ratio", "cycle", "by hand", "ratio")
    for kind in kinds:
        with place(kind, "http://127.0.0.1:9") as here:
            store, raw = here.opened(), RAW[kind](here)
            key, payload = AccountKey("emulator", "ann"), json.dumps({"x": "y" * 400})
            end = datetime.now(UTC)
            store.save(key, payload, expires_at=end, replacing=None)
            raw.start(payload)

            cycle = partial(_cycle, store, key, payload, end)
            sides = (
                (LOADS, partial(store.load, key)), (LOADS, raw.load),
                (CYCLES, cycle), (CYCLES, raw.cycle),
            )  # fmt: skip
            rates: list[list[float]] = [[], [], [], []]
            for _ in range(9):
                for (times, side), found in zip(sides, rates, strict=True):
                    start = time.perf_counter()
                    for _ in range(times):
                        side()
                    found.append(times / (time.perf_counter() - start))
            load, load_raw, whole, whole_raw = (statistics.median(found) for found in rates)
            table.add_row(
                *(kind, f"{load:,.0f}/s", f"{load_raw:,.0f}/s", f"{load / load_raw:.2f}"),
                *(f"{whole:,.0f}/s", f"{whole_raw:,.0f}/s", f"{whole / whole_raw:.2f}"),
            )
            store.close()
    CONSOLE.print(table)


def _cycle(store: object, key: AccountKey, text: str, end: datetime) -> None:
    lock = store.lock(key)
    assert lock.acquire()
    version = store.load(key).version
    version = store.save(key, text, expires_at=end, replacing=version)
    store.save(key, text, expires_at=end, replacing=version)
    lock.release()


class RawFile:
    """A JSON file that is replaced and synced, and a lock file."""

    def __init__(self, here: Place) -> None:
        from filelock import FileLock

        self.path = here.store.removeprefix("file:") + ".raw"
        self.lock, self.writing = FileLock(self.path + ".l"), FileLock(self.path + ".w")

    def start(self, payload: str) -> None:
        self.payload = payload
        self.save()

    def load(self) -> object:
        with open(self.path, encoding="utf-8") as file:
            return json.load(file)

    def save(self) -> None:
        with self.writing:
            if os.path.exists(self.path):
                self.load()
            with open(self.path + ".new", "w", encoding="utf-8") as file:
                json.dump({"payload": self.payload}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(self.path + ".new", self.path)
            folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def cycle(self) -> None:
        with self.lock:
            self.load()
            self.save()
            self.save()


class RawSqlite:
    """The store's own tables and statements, by sqlite3 on one connection."""

    def __init__(self, here: Place) -> None:
        import sqlite3

        from filelock import FileLock

        import trakt_auth.stores.engines.sqlite_connection as ours

        path = here.store.removeprefix("sqlite:") + ".raw"
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(ours.SETTINGS + ours.SCHEMA)
        self.db.execute("INSERT INTO counter VALUES (1)")
        self.db.execute("COMMIT")
        self.lock, self.names = FileLock(path + ".l"), (b"emulator", b"ann")

    def start(self, payload: str) -> None:
        self.payload = payload.encode()
        self.save()

    def load(self) -> object:
        sql = "SELECT payload, version, expires_at FROM records WHERE client_id = ? AND account = ?"
        return self.db.execute(sql, self.names).fetchone()

    def save(self) -> None:
        one = "SELECT version FROM records WHERE client_id = ? AND account = ?"
        put = (
            "REPLACE INTO records (client_id, account, expires_at, payload, version)"
            " VALUES (?, ?, ?, ?, ?)"
        )
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute(one, self.names).fetchone()
        self.db.execute("UPDATE counter SET version = version + 1")
        (version,) = self.db.execute("SELECT version FROM counter").fetchone()
        self.db.execute(put, (*self.names, 1, self.payload, version))
        self.db.execute("COMMIT")

    def cycle(self) -> None:
        with self.lock:
            self.load()
            self.save()
            self.save()


class RawPostgres:
    """The store's own statements, by psycopg and its pool."""

    def __init__(self, here: Place) -> None:
        from psycopg_pool import ConnectionPool

        import trakt_auth.stores.postgres as ours

        self.sql, self.names = ours, (b"emulator", b"ann")
        # Nothing is prepared, as PgBouncer may want it.
        settings = {"autocommit": True, "prepare_threshold": None}
        self.pool = ConnectionPool(here.store, min_size=1, open=True, kwargs=settings)

    def start(self, payload: str) -> None:
        self.payload = payload.encode()

    def write(self, sql: str, *values: object) -> object:
        with self.pool.connection() as connection:
            with connection.pipeline():
                connection.execute(self.sql.LIMIT)
                cursor = connection.execute(sql, values, binary=True)
            return cursor.fetchone() if cursor.description else None

    def load(self) -> object:
        with self.pool.connection() as connection:
            return connection.execute(self.sql.LOAD, self.names, binary=True).fetchone()

    def save(self, version: int) -> int:
        row = self.write(self.sql.SWAP, 1, self.payload, b"raw", *self.names, version)
        return row[0]

    def cycle(self) -> None:
        self.write(self.sql.TAKE, *self.names, "raw", 60.0, *self.names, "raw", 60.0)
        self.save(self.save(self.load()[1]))
        self.write(self.sql.END, *self.names, "raw")


class RawRedis:
    """The same round trips by redis-py."""

    def __init__(self, here: Place) -> None:
        import redis

        self.redis = redis.Redis.from_url(here.store)
        self.script = self.redis.register_script(
            "local v = redis.call('HGET', KEYS[1], 'v')"
            " redis.call('HSET', KEYS[1], 'p', ARGV[1], 'v', v + 1) return v + 1"
        )

    def start(self, payload: str) -> None:
        self.payload = payload
        self.redis.hset("raw", mapping={"p": payload, "v": 1, "e": 1})

    def load(self) -> object:
        with self.redis.pipeline(transaction=False) as together:
            return together.get("raw format").hmget("raw", "p", "v", "e").execute()

    def cycle(self) -> None:
        self.redis.set("lock", "me", nx=True, px=60000)
        self.load()
        self.script(["raw"], [self.payload])
        self.script(["raw"], [self.payload])
        self.redis.delete("lock")


RAW = {"file": RawFile, "sqlite": RawSqlite, "postgresql": RawPostgres, "redis": RawRedis}
PARTS = {
    "storm": storm, "peers": peers, "kill": kill, "signals": signals, "throughput": throughput,
}  # fmt: skip


def main(arguments: list[str]) -> int:
    chosen = [name for name in arguments if name in PARTS] or list(PARTS)
    stores = tuple(name for name in arguments if name in STORES)
    for name in chosen:
        CONSOLE.rule(f"{name}: {PARTS[name].__doc__}")
        if stores and name != "peers":
            PARTS[name](stores)
        else:
            PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
