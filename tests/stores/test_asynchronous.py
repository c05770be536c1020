"""A store with `await`: what the contract in test_store_contract does not say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import anyio
import pytest

from trakt_auth.errors import StoreConflict, StoreUnavailable
from trakt_auth.stores.interface import Lock
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.wrappers.asynchronous import AsyncLock, AsyncStore

KEY = AccountKey("client", "default")
END = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class Gate:
    """Lets a call in, and stops it until the test opens the gate."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Event(), threading.Event()
        self.inside = 0
        self._guard = threading.Lock()

    def pass_(self) -> None:
        with self._guard:
            self.inside += 1
        self.entered.set()
        assert self._open.wait(20)

    def open(self) -> None:
        self._open.set()


class SlowStore(MemoryStore):
    """Waits at a gate before it saves, and after it has acquired a lock."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def save(
        self, key: AccountKey, payload: str, *, expires_at: datetime | None, replacing: int | None
    ) -> int:
        self._gate.pass_()
        return super().save(key, payload, expires_at=expires_at, replacing=replacing)

    def lock(self, key: AccountKey, *, lease: float = 60.0) -> Lock:  # type: ignore[override]
        return SlowLock(super().lock(key, lease=lease), self._gate)


class SlowLock:
    def __init__(self, lock: Lock, gate: Gate) -> None:
        self._lock, self._gate = lock, gate

    def acquire(self) -> bool:
        taken = self._lock.acquire()
        self._gate.pass_()
        return taken

    def remaining(self) -> float:
        return self._lock.remaining()

    def release(self) -> None:
        self._lock.release()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def slow(gate: Gate) -> SlowStore:
    return SlowStore(gate)


def test_the_same_methods_with_await(backend: str) -> None:
    async def main() -> None:
        store = AsyncStore(MemoryStore())
        assert await store.load(KEY) is None
        version = await store.save(KEY, "x", expires_at=END, replacing=None)
        stored = await store.load(KEY)
        assert stored is not None
        assert (stored.payload, stored.version, stored.expires_at) == ("x", version, END)
        assert await store.accounts("client") == ["default"]
        assert await store.due("client", before=END, limit=9) == []
        with pytest.raises(StoreConflict):
            await store.save(KEY, "y", expires_at=None, replacing=version + 1)
        lock, other = store.lock(KEY), store.lock(KEY)
        assert await lock.acquire()
        assert lock.remaining() > 0
        assert not await other.acquire()
        await lock.release()
        await store.delete(KEY)
        assert await store.load(KEY) is None
        await store.aclose()

    anyio.run(main, backend=backend)


def test_errors_are_passed_on(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: MemoryStore, __: AccountKey) -> None:
        raise StoreUnavailable("It is away")

    monkeypatch.setattr(MemoryStore, "load", load)

    async def main() -> None:
        with pytest.raises(StoreUnavailable, match="It is away"):
            await AsyncStore(MemoryStore()).load(KEY)

    anyio.run(main, backend=backend)


def test_the_event_loop_is_not_blocked(backend: str, slow: SlowStore, gate: Gate) -> None:
    async def main() -> None:
        store = AsyncStore(slow)
        async with anyio.create_task_group() as group:
            for number in range(50):  # more threads than the default limit allows
                key = AccountKey("client", f"{number:02}")
                group.start_soon(save, store, key)
            await until(lambda: gate.inside == 50)
            assert await store.load(KEY) is None
            gate.open()
        assert len(await store.accounts("client")) == 50

    async def save(store: AsyncStore, key: AccountKey) -> None:
        await store.save(key, "x", expires_at=None, replacing=None)

    anyio.run(main, backend=backend)


async def until(check: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not check():  # noqa: ASYNC110 - another thread sets it
            await anyio.sleep(0.001)


def test_a_call_that_has_begun_is_finished(backend: str, slow: SlowStore, gate: Gate) -> None:
    async def main() -> None:
        store = AsyncStore(slow)
        async with anyio.create_task_group() as group:
            group.start_soon(save, store)
            await until(gate.entered.is_set)
            group.cancel_scope.cancel()
            gate.open()
        assert await store.load(KEY) is not None

    async def save(store: AsyncStore) -> None:
        await store.save(KEY, "x", expires_at=None, replacing=None)

    anyio.run(main, backend=backend)


def test_cancelling_leaves_no_lock_behind(backend: str, slow: SlowStore, gate: Gate) -> None:
    async def main() -> None:
        lock = AsyncStore(slow).lock(KEY)
        async with anyio.create_task_group() as group:
            group.start_soon(use, lock)
            await until(gate.entered.is_set)
            group.cancel_scope.cancel()
            gate.open()
        assert await lock.acquire()
        await lock.release()

    async def use(lock: AsyncLock) -> None:
        if await lock.acquire():  # trio returns the result, and cancels at the next checkpoint
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await lock.release()

    anyio.run(main, backend=backend)


def test_cancelling_an_asyncio_task_leaves_no_lock_behind(slow: SlowStore, gate: Gate) -> None:
    async def main() -> None:
        lock = AsyncStore(slow).lock(KEY)
        task = asyncio.create_task(lock.acquire())
        await until(gate.entered.is_set)
        for _ in range(3):  # repeated cancelling changes nothing
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await lock.acquire()
        await lock.release()

    asyncio.run(main())


def test_a_loop_that_ends_leaves_no_lock_behind(slow: SlowStore, gate: Gate) -> None:
    lock = AsyncStore(slow).lock(KEY)

    async def main() -> None:
        tasks.append(asyncio.create_task(lock.acquire()))
        await until(gate.entered.is_set)
        asyncio.get_running_loop().call_later(0.01, gate.open)

    tasks: list[asyncio.Task[bool]] = []
    asyncio.run(main())  # cancels the tasks that are left
    assert tasks[0].cancelled()
    assert slow.lock(KEY).acquire()


def test_cancelling_a_second_try_keeps_the_first(slow: SlowStore, gate: Gate) -> None:
    async def main() -> None:
        lock = AsyncStore(slow).lock(KEY)
        gate.open()
        assert await lock.acquire()
        task = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await AsyncStore(slow).lock(KEY).acquire()
        await lock.release()

    asyncio.run(main())


def test_a_task_that_was_cancelled_before_its_start_calls_nothing(
    backend: str, slow: SlowStore, gate: Gate
) -> None:
    async def main() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await AsyncStore(slow).save(KEY, "x", expires_at=None, replacing=None)
        assert not gate.entered.is_set()

    anyio.run(main, backend=backend)
