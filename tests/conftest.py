"""Fixtures for tests of every folder: an emulator on a socket, and one way to drive both clients.

Also what holds for every test: no connection to another machine, and no deadline for an example.
"""

import os
import signal
import socket

import anyio
import pytest
from hypothesis import settings

from support.both_clients import APP, Driver, token_of
from support.postgres_server import postgres, postgres_url  # noqa: F401 - fixtures
from support.redis_server import redis_server, redis_url  # noqa: F401 - fixtures
from trakt_auth import AsyncClient, Client, Endpoints
from trakt_auth.emulator import Clock, Emulator
from trakt_auth.testing import VirtualClock


def _only_here(connect):
    """Fail a test that connects to another machine: no test may reach Trakt."""

    def connect_here(self, address):
        if isinstance(address, tuple):
            host = str(address[0])
            # 192.0.2.0/24 is reserved for documentation (RFC 5737): no machine has such an address.
            assert host.startswith(("127.", "::1", "192.0.2.")), f"A test would reach {host}"
        return connect(self, address)

    return connect_here


for _name in ("connect", "connect_ex"):
    setattr(socket.socket, _name, _only_here(getattr(socket.socket, _name)))


# A deadline for each example would only measure how busy the machine is.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")


# A shell starts background jobs with SIGINT ignored, and the programs that tests interrupt would
# inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Programs that tests start are not measured: Ctrl-C, or a fork beside threads, can leave coverage's
# own lock taken, and the program would wait for it for ever.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        del os.environ[_name]


@pytest.fixture
def emulator():
    return Emulator(clock=Clock.frozen())


@pytest.fixture
def url(emulator):
    with emulator.serving() as url:
        yield url


@pytest.fixture
def clock(emulator):
    return VirtualClock(emulator.clock)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def play(request, url, clock):
    """Run a scenario `async def scenario(driver)` with the sync client, on asyncio, on trio."""

    def play(scenario, **settings):
        settings = {"endpoints": Endpoints.at(url), "clock": clock, "timeout": 5.0} | settings
        app = settings.pop("app", APP)

        async def sync():
            with Client(app, **settings) as client:
                await scenario(Driver(client))

        async def asynchronous():
            async with AsyncClient(app, **settings) as client:
                await scenario(Driver(client))

        if request.param == "sync":
            anyio.run(sync)
        else:
            anyio.run(asynchronous, backend=request.param)

    return play


@pytest.fixture
def issue(emulator, clock):
    """Sign `ann` in on the emulator without any flow; returns her Token."""
    return lambda: token_of(emulator.issue_tokens("ann"), now=clock.now().wall)
