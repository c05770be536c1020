"""A refresh under way survives what happens to its caller: cancellation, interrupts, exits.

Each test holds the answer back until the blow has fallen, so nothing depends on time.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import anyio
import pytest

from support.both_clients import APP, key_of, most_arrivals, refreshes, token_of
from trakt_auth import AsyncClient, Client, Endpoints, LoginRequired, open_store
from trakt_auth.stores.record import Record

LIFE = 604800


class Gate:
    """Stands before a transport: tells when a request arrived, lets it through when told."""

    def __init__(self, client):
        self.arrived, self.open = threading.Event(), threading.Event()
        transport = client._dependencies.transport
        send = transport.send

        def held(request, *check):
            self.arrived.set()
            assert self.open.wait(20)
            return send(request, *check)

        transport.send = held


def kept(store, url):
    return Record.from_stored(store.load(key_of(url))).token


@pytest.fixture
def expired(emulator, issue, clock, url):
    """A store with an expired token."""
    store = open_store("memory:")
    store.save(key_of(url), Record(token=issue()).to_payload(), expires_at=None, replacing=None)
    emulator.clock.advance(LIFE + 1)
    return store


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_task_leaves_the_refresh_to_finish(backend, url, emulator, expired, clock):
    async def main():
        async with AsyncClient(
            APP, endpoints=Endpoints.at(url), store=expired, clock=clock
        ) as client:
            gate = Gate(client)
            async with anyio.create_task_group() as group:
                group.start_soon(client.token)
                await anyio.to_thread.run_sync(gate.arrived.wait, 20)
                group.cancel_scope.cancel()
            gate.open.set()
            token = await client.token()
            assert token == kept(expired, url)

    anyio.run(main, backend=backend)
    assert refreshes(emulator) == 1
    assert most_arrivals(emulator) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_timeout_around_the_call(backend, url, emulator, expired, clock):
    async def main():
        async with AsyncClient(
            APP, endpoints=Endpoints.at(url), store=expired, clock=clock
        ) as client:
            gate = Gate(client)
            with anyio.move_on_after(0) as scope:
                await client.token()
            assert scope.cancelled_caught
            gate.open.set()

    anyio.run(main, backend=backend)
    assert refreshes(emulator) <= 1
    with Client(APP, endpoints=Endpoints.at(url), store=expired, clock=clock) as client:
        assert client.token() == kept(expired, url)
    assert refreshes(emulator) == 1
    assert most_arrivals(emulator) == 1


def test_a_native_asyncio_cancel_and_a_closed_loop(url, emulator, expired, clock):
    import asyncio

    client = AsyncClient(APP, endpoints=Endpoints.at(url), store=expired, clock=clock)
    gate = Gate(client)

    async def main():
        task = asyncio.create_task(client.token())
        await asyncio.to_thread(gate.arrived.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asyncio.create_task(client.token())  # noqa: RUF006 - left to the closing loop
        await asyncio.sleep(0)

    asyncio.run(main())  # the loop is closed while the answer is still held back
    gate.open.set()
    client._dependencies.workers.close()
    assert refreshes(emulator) == 1
    assert kept(expired, url).access_token != ""
    with Client(APP, endpoints=Endpoints.at(url), store=expired, clock=clock) as again:
        assert again.api.get("/users/me").status_code == 200
    assert refreshes(emulator) == 1
    client._transport.close()


def test_a_task_group_that_fails(url, emulator, expired, clock):
    async def main():
        async with AsyncClient(
            APP, endpoints=Endpoints.at(url), store=expired, clock=clock
        ) as client:
            gate = Gate(client)

            async def neighbour():
                await anyio.to_thread.run_sync(gate.arrived.wait, 20)
                raise ValueError("unrelated")

            with pytest.raises(ExceptionGroup):
                async with anyio.create_task_group() as group:
                    group.start_soon(client.token)
                    group.start_soon(neighbour)
            gate.open.set()
            assert (await client.token()) == kept(expired, url)

    anyio.run(main)
    assert refreshes(emulator) == 1


INTERRUPTED = """
    import os, signal, sys, threading
    from trakt_auth import Application, Client, Endpoints
    url, store = sys.argv[1:]
    app = Application("emulator", user_agent="t/1")
    client = Client(app, endpoints=Endpoints.at(url), store=store)
    send = client._dependencies.transport.send

    def interrupting(request, *check):
        os.kill(os.getpid(), signal.SIGINT)   # while the request is on its way
        return send(request, *check)

    client._dependencies.transport.send = interrupting
    try:
        client.token()
    except KeyboardInterrupt:
        print("interrupted")
"""

LOOP = """
    import asyncio, os, signal, sys
    from trakt_auth import Application, AsyncClient, Endpoints
    url, store = sys.argv[1:]
    app = Application("emulator", user_agent="t/1")

    async def main():
        client = AsyncClient(app, endpoints=Endpoints.at(url), store=store)
        send = client._dependencies.transport.send

        def interrupting(request, *check):
            os.kill(os.getpid(), signal.SIGINT)
            return send(request, *check)

        client._dependencies.transport.send = interrupting
        await client.token()

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.fixture
def file_store(tmp_path, emulator, url):
    """A file store with a token that has expired by every clock."""
    store = f"file:{tmp_path}/tokens.json"
    past = datetime(2026, 1, 1, tzinfo=UTC)
    token = token_of(emulator.issue_tokens("ann"), now=past)
    open_store(store).save(
        key_of(url), Record(token=token).to_payload(), expires_at=token.expires_at, replacing=None
    )
    return store


@pytest.mark.parametrize("program", [INTERRUPTED, LOOP], ids=["sync", "asyncio"])
def test_ctrl_c_in_the_middle_of_a_refresh(program, url, emulator, file_store):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), url, file_store],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "interrupted\n", done.stderr
    assert "Traceback" not in done.stderr
    assert refreshes(emulator) == 1
    record = Record.from_stored(open_store(file_store).load(key_of(url)))
    assert record.attempt is None
    with Client(APP, endpoints=Endpoints.at(url), store=file_store) as client:
        assert client.api.get("/users/me").status_code == 200
    assert refreshes(emulator) == 1


KILLED = """
    import os, signal, sys
    from trakt_auth import Application, Client, Endpoints
    url, store = sys.argv[1:]
    app = Application("emulator", user_agent="t/1")
    client = Client(app, endpoints=Endpoints.at(url), store=store)
    send = client._dependencies.transport.send

    def dying(request, *check):
        {before}
        send(request, *check)
        os.kill(os.getpid(), signal.SIGKILL)

    client._dependencies.transport.send = dying
    client.token()
"""
BEFORE = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("before", [BEFORE, "pass"], ids=["before", "after"])
def test_kill_9_around_the_send(before, url, emulator, file_store):
    program = textwrap.dedent(KILLED).replace("{before}", before)
    subprocess.run([sys.executable, "-c", program, url, file_store], timeout=60, check=False)
    with Client(APP, endpoints=Endpoints.at(url), store=file_store) as client:
        if before == BEFORE:
            assert client.api.get("/users/me").status_code == 200
            return
        with pytest.raises(LoginRequired, match="was lost"):
            client.token()
        with pytest.raises(LoginRequired, match="was lost"):
            client.token()
    assert most_arrivals(emulator) == 2  # once by the dead, once to be sure: never again


def _worker(arguments):
    url, store = arguments
    from concurrent.futures import ThreadPoolExecutor

    with (
        Client(APP, endpoints=Endpoints.at(url), store=store) as client,
        ThreadPoolExecutor(10) as pool,
    ):
        calls = [pool.submit(client.api.get, "/users/me") for _ in range(10)]
        return [call.result().status_code for call in calls]


def test_four_processes_of_ten_threads_on_one_file(url, emulator, file_store):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        statuses = [
            status for found in pool.map(_worker, [(url, file_store)] * 4) for status in found
        ]
    assert statuses == [200] * 40
    assert refreshes(emulator) == 1
    assert most_arrivals(emulator) == 1


FORK = """
    import os, sys
    from trakt_auth import Application, Client, Endpoints
    url, store = sys.argv[1:]
    app = Application("emulator", user_agent="t/1")
    client = Client(app, endpoints=Endpoints.at(url), store=store)
    client.token()
    child = os.fork()
    client.refresh()
    if child == 0:
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_refreshes_by_itself(url, emulator, file_store):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK), url, file_store],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert most_arrivals(emulator) == 1
    assert refreshes(emulator) in (2, 3)


def test_a_program_that_ends_while_refreshing_finishes_first(url, emulator, file_store):
    program = """
        import sys, threading
        from trakt_auth import Application, Client, Endpoints
        url, store = sys.argv[1:]
        client = Client(
            Application("emulator", user_agent="t/1"), endpoints=Endpoints.at(url), store=store
        )
        started = threading.Event()
        send = client._dependencies.transport.send
        client._dependencies.transport.send = lambda *one: (started.set(), send(*one))[1]
        threading.Thread(target=client.token, daemon=True).start()
        started.wait()
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), url, file_store], timeout=60, check=True
    )
    record = Record.from_stored(open_store(file_store).load(key_of(url)))
    assert record.attempt is None
    assert refreshes(emulator) == 1
    assert json.loads(record.to_payload())["token"]["access_token"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("threads", ["workers", "readers"])
def test_the_end_of_the_program_waits_for_what_is_under_way(capfd, threads):
    program = """
        import sys, threading
        from trakt_auth import Application, Client
        client = Client(Application("emulator", user_agent="t/1"))
        up = threading.Event()
        def work(_):
            up.set()
            threading.main_thread().join()
            print("landed", flush=True)
        getattr(client._dependencies, sys.argv[1]).start(work, key=None, wait=True)
        up.wait()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), threads]
    subprocess.run(command, check=True, timeout=60)
    assert capfd.readouterr().out == "landed\n"


def test_the_end_of_the_program_saves_what_is_unsaved(url, emulator, file_store):
    """Also when nobody closes the client, and with a fallback store that ends with the program."""
    program = """
        import sys
        from trakt_auth import Application, Client, Endpoints, TokenNotSaved, open_store
        from trakt_auth.flows import saving as keeping
        url, store = sys.argv[1:]
        keeping.SAVE_PAUSES = ()
        store = open_store(store)
        client = Client(Application("emulator", user_agent="t/1"), endpoints=Endpoints.at(url),
                        store=store)
        send, save = client._dependencies.transport.send, store.save

        def full(*args, **kwargs):
            raise OSError("No space left on device")

        def sending(request, *check):
            store.save = full
            return send(request, *check)

        client._dependencies.transport.send = sending
        try:
            client.token()
        except TokenNotSaved:
            store.save = save
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), url, file_store], timeout=60, check=True
    )
    record = Record.from_stored(open_store(file_store).load(key_of(url)))
    assert record.attempt is None
    with Client(APP, endpoints=Endpoints.at(url), store=file_store) as client:
        assert client.api.get("/users/me").status_code == 200
    assert refreshes(emulator) == 1


IMPORTS = """
    import asyncio, sys
    from trakt_auth import Application, AsyncClient, Client, Endpoints
    url, store, kind = sys.argv[1:]
    client = {"sync": Client, "async": AsyncClient}[kind](
        Application("emulator", user_agent="t/1"), endpoints=Endpoints.at(url), store=store
    )
    send = client._dependencies.transport.send

    def noting(request, *check):
        global before
        answer = send(request, *check)
        before = set(sys.modules)
        return answer

    client._dependencies.transport.send = noting
    token = client.token()
    if kind == "async":
        asyncio.run(asyncio.wait_for(token, 20))
    print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nothing_is_imported_between_the_answer_and_the_save(kind, url, emulator, file_store):
    """An import can fail, and it can wait for ever for one that was interrupted elsewhere."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(IMPORTS), url, file_store, kind],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "\n"
    assert refreshes(emulator) == 1
