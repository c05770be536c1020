"""The pytest plugin: fixtures around an `EmulatedTrakt`, and the marker that configures it.

pytest imports this file in every run, so each fixture imports what it needs by itself.
PYTEST_DONT_REWRITE: pytest would warn that it cannot rewrite a file which is imported already.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from trakt_auth.client.asynchronous import AsyncClient
    from trakt_auth.client.sync import Client
    from trakt_auth.protocol.application import Application
    from trakt_auth.testing.clock import VirtualClock
    from trakt_auth.testing.trakt import EmulatedTrakt

__all__ = [
    "pytest_configure",
    "signed_in_async_client",
    "signed_in_client",
    "trakt_application",
    "trakt_clock",
    "trakt_emulator",
    "trakt_emulator_settings",
    "trakt_emulator_url",
    "trakt_signed_in_async_client",
    "trakt_signed_in_client",
]

MARKER = "trakt_emulator"


@contextmanager
def _failing_with(what: str, *errors: type[Exception]) -> Generator[None]:
    try:
        yield
    except errors as error:
        raise pytest.fail.Exception(f"{what}: {error}", pytrace=False) from None


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(**settings): how this test's emulated Trakt behaves, for instance "
        "access_token_lifetime=60, faults=['answer_lost'].",
    )


@pytest.fixture
def trakt_application() -> Application:
    """The application under test. Override it to test with your own client id and redirect URI."""
    from trakt_auth.testing.trakt import EMULATED_APPLICATION

    return EMULATED_APPLICATION


@pytest.fixture
def trakt_emulator_settings() -> dict[str, Any]:
    """Settings of the emulated Trakt. Override it for many tests; the marker's settings win."""
    return {}


@pytest.fixture
def trakt_emulator(
    request: pytest.FixtureRequest,
    trakt_application: Application,
    trakt_emulator_settings: dict[str, Any],
) -> Generator[EmulatedTrakt]:
    """An emulated Trakt for this test, in process, with its own clock. See EmulatedTrakt."""
    from trakt_auth.testing.trakt import EmulatedTrakt

    settings: dict[str, Any] = {"application": trakt_application, **trakt_emulator_settings}
    for mark in reversed(list(request.node.iter_markers(MARKER))):  # the closest one wins
        if mark.args:
            pytest.fail(f"The marker {MARKER} takes keyword arguments only", pytrace=False)
        settings.update(mark.kwargs)
    with _failing_with("The emulated Trakt cannot be set up", TypeError, ValueError):
        trakt = EmulatedTrakt(**settings)
    with trakt:
        yield trakt
        # pytest shows this if the test has failed.
        request.node.add_report_section("teardown", "log of the emulated Trakt", trakt.story())


@pytest.fixture
def trakt_emulator_url(trakt_emulator: EmulatedTrakt) -> str:
    """The URL of `trakt_emulator` on 127.0.0.1, for programs in any language."""
    with _failing_with("The emulated Trakt cannot be served", ImportError):
        return trakt_emulator.url


@pytest.fixture
def trakt_clock(trakt_emulator: EmulatedTrakt) -> VirtualClock:
    """The clock of the emulated Trakt and of its clients: `trakt_clock.advance(days=8)`."""
    return trakt_emulator.time


@pytest.fixture
def trakt_signed_in_client(trakt_emulator: EmulatedTrakt) -> Client:
    """A `Client` whose `default` account is signed in."""
    from trakt_auth.testing.trakt import DEFAULT_USERNAME

    return trakt_emulator.client(DEFAULT_USERNAME)


@pytest.fixture
def trakt_signed_in_async_client(trakt_emulator: EmulatedTrakt) -> AsyncClient:
    """An `AsyncClient`, for asyncio and trio, whose `default` account is signed in."""
    from trakt_auth.testing.trakt import DEFAULT_USERNAME

    return trakt_emulator.async_client(DEFAULT_USERNAME)


@pytest.fixture
def signed_in_client(trakt_signed_in_client: Client) -> Client:
    """The same as `trakt_signed_in_client`."""
    return trakt_signed_in_client


@pytest.fixture
def signed_in_async_client(trakt_signed_in_async_client: AsyncClient) -> AsyncClient:
    """The same as `trakt_signed_in_async_client`."""
    return trakt_signed_in_async_client
