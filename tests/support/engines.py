"""The stores that the contract is tested on: how each is opened, sync and with `await`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from support.keychains import Keychain, installed
from trakt_auth.stores import open_store
from trakt_auth.stores.interface import Lock, TokenStore
from trakt_auth.stores.wrappers.asynchronous import AsyncStore
from trakt_auth.stores.wrappers.encrypted import generate_key

Open = Callable[[], TokenStore]


@contextmanager
def memory(_: pytest.FixtureRequest, __: Path) -> Iterator[Open]:
    store = open_store("memory:")
    yield lambda: store


@contextmanager
def file(_: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    yield lambda: open_store(f"file:{folder}/tokens/tokens")


@contextmanager
def sqlite(_: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    yield lambda: open_store(f"sqlite:{folder}/tokens/tokens")


@contextmanager
def postgresql(request: pytest.FixtureRequest, _: Path) -> Iterator[Open]:
    stores: list[TokenStore] = []
    with request.getfixturevalue("postgres").schema() as url:

        def again() -> TokenStore:
            stores.append(open_store(url))
            return stores[-1]

        yield again
        for store in stores:
            store.close()


@contextmanager
def redis(request: pytest.FixtureRequest, _: Path) -> Iterator[Open]:
    server = request.getfixturevalue("redis_server")
    server.command("FLUSHALL")
    stores: list[TokenStore] = []

    def again() -> TokenStore:
        stores.append(open_store(server.url))
        return stores[-1]

    yield again
    for store in stores:
        store.close()


@contextmanager
def keyring(_: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    with pytest.MonkeyPatch.context() as patch, installed(Keychain()):
        patch.setattr("platformdirs.user_data_dir", lambda *_, **__: f"{folder}/tokens")
        yield lambda: open_store("keyring:")


@contextmanager
def encrypted(_: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    keys = [generate_key()]
    yield lambda: open_store(f"sqlite:{folder}/tokens/tokens", keys=keys)


# Each is a context manager that yields a function, which opens the same store once more, as
# another process would. Servers are session fixtures, taken by `request.getfixturevalue`.
ENGINES = {
    "memory": memory,
    "file": file,
    "keyring": keyring,
    "encrypted": encrypted,
    "sqlite": sqlite,
    "postgresql": postgresql,
    "redis": redis,
}
LEASED = {"postgresql", "redis"}  # their locks are leases, which expire


class Blocking:
    """An AsyncStore with blocking methods, so that one contract tests both."""

    def __init__(self, store: AsyncStore, portal: BlockingPortal) -> None:
        self._store, self._portal = store, portal

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self._store, "aclose" if name == "close" else name)

        def call(*args: object, **kwargs: object) -> object:
            async def inside() -> object:
                return await method(*args, **kwargs)

            return self._portal.call(inside)

        return call

    def lock(self, *args: object, **kwargs: object) -> BlockingLock:
        return BlockingLock(self._store.lock(*args, **kwargs), self._portal)


class BlockingLock:
    def __init__(self, lock: Lock, portal: BlockingPortal) -> None:
        self._lock, self._portal = lock, portal

    def acquire(self) -> bool:
        return self._portal.call(self._lock.acquire)

    def release(self) -> None:
        self._portal.call(self._lock.release)

    def remaining(self) -> float:
        return self._lock.remaining()


@contextmanager
def opened(kind: str, face: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    """Yield a function that opens the same store once more.

    `face` is "sync", or the event loop of an AsyncStore: "asyncio" or "trio".
    """
    with ENGINES[kind](request, folder) as again:
        if face == "sync":
            yield again
        else:
            with start_blocking_portal(face) as portal:
                yield lambda: Blocking(AsyncStore(again()), portal)
