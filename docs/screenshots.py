"""Takes the screenshots in docs/images: the emulator's pages in a real Chromium.

Needs what the browser tests need: the Python package playwright, and Debian's chromium.
Run it from anywhere: `python docs/screenshots.py`. The emulator's clock is frozen, so that only the
codes and the hashes differ between two runs.
"""

# ruff: noqa: INP001, T201 - a script, which prints the names of its files

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from trakt_auth.emulator import Clock, Emulator
from trakt_auth.protocol.http import HttpRequest

IMAGES = Path(__file__).parent / "images"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--font-render-hinting=none"]
DESKTOP, PHONE = (1280, 800), (390, 720)
CALLBACK = "http://127.0.0.1:8765/callback"


class Demo:
    """An emulator that an application has used for a while."""

    def __init__(self) -> None:
        self.emulator = Emulator(clock=Clock.frozen(1_795_082_400))
        self.emulator.register_application(
            "tv", redirect_uris=[CALLBACK], name="Living-room player"
        )

    def post(self, path: str, client_id: str = "emulator", **fields: str) -> dict[str, str]:
        """Send a request as a program does; return the fields of the response."""
        body = json.dumps({"client_id": client_id, **fields}).encode()
        headers = {"content-type": "application/json", "user-agent": "my-player/1.2"}
        url = f"http://127.0.0.1:8088{path}"
        answer = self.emulator.handle(
            HttpRequest(method="POST", url=url, headers=headers, body=body)
        )
        return json.loads(answer.body) if answer.body.startswith(b"{") else {}

    def fill(self) -> str:
        """Sign users in, refresh, poll too early, and meet a fault; return a pending user code."""
        clock, emulator = self.emulator.clock, self.emulator
        emulator.issue_tokens("maria", client_id="tv")
        clock.advance(4 * 86_400 + 3600)
        device = self.post("/oauth/device/code")
        for pause in (5, 2, 5):
            clock.advance(pause)
            self.post("/oauth/device/token", code=device["device_code"])
        emulator.approve_device(device["user_code"], username="sean")
        clock.advance(5)
        token = self.post("/oauth/device/token", code=device["device_code"])
        clock.advance(2 * 86_400)
        spent = token["refresh_token"]
        grant = {"grant_type": "refresh_token", "refresh_token": spent}
        self.post("/oauth/token", **grant)
        clock.advance(3)
        self.post("/oauth/token", **grant)
        emulator.arm("status", status=503, retry_after=30)
        waiting = self.post("/oauth/device/code", "tv")
        clock.advance(40)
        waiting = self.post("/oauth/device/code", "tv")
        self.post("/oauth/device/token", "tv", code=waiting["device_code"])
        emulator.arm("answer_lost", times=2)
        emulator.arm("slow", seconds=20.0, times=None, probability=0.25)
        return waiting["user_code"]


@contextmanager
def page_of(browser: Browser, size: tuple[int, int], scheme: str, url: str) -> Iterator[Page]:
    """Open a browser window of that size."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        base_url=url,
        reduced_motion="reduce",
    )
    yield context.new_page()
    context.close()


def save(page: Page, name: str) -> None:
    """Save a screenshot of the window."""
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    print(f"{name}.png", (IMAGES / f"{name}.png").stat().st_size // 1024, "kB")


def sign_in(page: Page, path: str, name: str = "sean") -> None:
    """Open a page that asks for a username, and sign in."""
    page.goto(path)
    page.get_by_label("Username").fill(name)
    page.get_by_role("button", name="Sign in").click()


def take_first(browser: Browser) -> None:
    """Take the screenshot of an emulator that no program has used."""
    emulator = Emulator(clock=Clock.frozen(1_795_082_400))
    with (
        emulator.serving(port=8088) as url,
        page_of(browser, DESKTOP, "light", url) as page,
    ):
        page.goto("/")
        page.get_by_role("button", name="Copy").wait_for()
        save(page, "dashboard-first")


def take(browser: Browser, url: str, code: str) -> None:
    """Open the pages and take their screenshots."""
    query = {"response_type": "code", "client_id": "tv", "redirect_uri": CALLBACK, "state": "s"}
    authorize_url = f"/oauth/authorize?{urlencode(query)}"
    with page_of(browser, DESKTOP, "light", url) as page:
        page.goto("/")
        save(page, "dashboard-light")
    with page_of(browser, DESKTOP, "dark", url) as page:
        page.goto("/")
        save(page, "dashboard-dark")
    with page_of(browser, PHONE, "dark", url) as page:
        page.goto("/")
        save(page, "dashboard-phone")
    with page_of(browser, PHONE, "light", url) as page:
        page.goto(authorize_url)
        page.get_by_label("Username").wait_for()
        save(page, "sign-in")
        sign_in(page, authorize_url)
        page.get_by_role("button", name="Deny").wait_for()
        save(page, "authorize")
    with page_of(browser, PHONE, "dark", url) as page:
        sign_in(page, f"/activate/{code}")
        page.get_by_label("Code shown").wait_for()
        save(page, "activate")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Deny").wait_for()
        save(page, "confirm")
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("heading", name="Device connected").wait_for()
        save(page, "success")
        page.goto(f"/oauth/authorize?{urlencode({**query, 'redirect_uri': CALLBACK + '/'})}")
        page.get_by_role("heading", name="not valid").wait_for()
        save(page, "bad-request")


def main() -> int:
    """Take all screenshots."""
    IMAGES.mkdir(exist_ok=True)
    demo = Demo()
    code = demo.fill()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        take_first(browser)
        with demo.emulator.serving(port=8088) as url:
            take(browser, url, code)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
