from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.emulator_client import Browser, EmulatorClient

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

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
