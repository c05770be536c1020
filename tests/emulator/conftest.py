from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.emulator_client import Browser, EmulatorClient

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

    from support.person import PageWatch, Person

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def client() -> EmulatorClient:
    return EmulatorClient()


@pytest.fixture
def browser(client: EmulatorClient) -> Browser:
    return Browser(client)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Debian's Chromium, for one module: playwright keeps an event loop running meanwhile."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # milliseconds, so that a busy machine fails no test
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def new_person(chromium: Chromium) -> Iterator[Callable[..., Person]]:
    """Open a browser window for a new user; a page that logs an error fails the test."""
    from support.person import PageWatch, Person, application  # they need playwright

    with ExitStack() as stack:
        watches: list[tuple[PageWatch, set[int]]] = []

        def new_person(
            client: EmulatorClient | None = None, *, refused: set[int] | None = None, **context: Any
        ):
            client = client or EmulatorClient()
            url = stack.enter_context(client.emulator.serving())
            site = stack.enter_context(application())
            opened = chromium.new_context(**context)
            stack.callback(opened.close)
            opened.set_default_timeout(20_000)
            watch = PageWatch(opened, url, site.origin)
            watches.append((watch, refused or set()))
            return Person(opened.new_page(), client, watch, url=url, site=site)

        yield new_person
        for watch, refused in watches:
            assert watch.problems == []
            assert watch.statuses == refused
