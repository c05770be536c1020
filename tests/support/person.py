"""A person at a real browser: what the browser tests do, and what they watch all the while.

Speaks to the emulator over a socket; knows nothing of the library's own client.
The browser tests import it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, expect

from support.emulator_client import OUT_OF_BAND, Desk, query_of

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

REFUSED = re.compile(r"the server responded with a status of (\d+)")


_HEAD = "<!DOCTYPE html><html lang=en><link rel=icon href=data:,><title>Application</title>"


class Watch:
    """Everything that a page must not do: complain, crash, or ask another origin for anything."""

    def __init__(self, context: BrowserContext, *allowed: str) -> None:
        self.allowed = set(allowed)
        self.problems: list[str] = []
        self.statuses: set[int] = set()
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        refused = REFUSED.search(message.text)
        if message.location["url"].endswith("/favicon.ico"):
            return  # asked for where the answer is JSON
        if refused is not None:  # Chromium says so of every page that is an error
            self.statuses.add(int(refused[1]))
        elif message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("data:", *(f"{one}/" for one in self.allowed))):
            self.problems.append(f"a request to {request.url}")


class Application:
    """Another site on this machine: where people come back to, and what else it may be up to."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.callback = f"{origin}/callback"
        self.pages = {"/callback": "You are back."}


@contextmanager
def application() -> Iterator[Application]:
    """Serve the pages of another origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            words = home.pages.get(self.path.partition("?")[0], "")
            page = f"{_HEAD}{words}".encode()
            self.send_response(200 if words else 404)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    home = Application(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield home
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Person:
    """A person with a keyboard, a window and a desk with an emulator on it."""

    def __init__(
        self, page: Page, desk: Desk, watch: Watch, *, url: str, home: Application
    ) -> None:
        self.page, self.desk, self.watch, self.url = page, desk, watch, url
        self.home, self.callback = home, home.callback
        self.application("app", "Emulator demo")

    def application(self, client_id: str, name: str) -> None:
        uris = [self.callback, OUT_OF_BAND]
        self.desk.emulator.register_application(client_id, redirect_uris=uris, name=name)

    def another_window(self) -> Person:
        """Open the same page once more, in the same browser."""
        page = self.page.context.new_page()
        page.goto(self.page.url)
        return Person(page, self.desk, self.watch, url=self.url, home=self.home)

    def open(self, path: str) -> Person:
        self.page.goto(self.url + path)
        return self

    def authorize(self, **changes: str | None) -> Person:
        return self.open(self.ask(**changes))

    def ask(self, **changes: str | None) -> str:
        given = {"client_id": "app", "redirect_uri": self.callback, **changes}
        return self.desk.authorize_url(**given).removeprefix("http://127.0.0.1:8999")

    def answer(self) -> dict[str, str]:
        """Wait until the application has the answer; return it."""
        self.page.wait_for_url(self.callback + "?*")
        return query_of(self.page.url)

    def sign_in(self, name: str = "sean") -> Person:
        """Type a name where the page has put the focus."""
        expect(self.page.get_by_label("Username")).to_be_focused()
        with self.page.expect_navigation():
            self.type(name).key("Enter")
        return self

    def at_the_code(self) -> Person:
        """Wait until the page has put the focus on the device's code."""
        expect(self.page.get_by_label("Code shown on your device")).to_be_focused()
        return self

    def type(self, text: str) -> Person:
        self.page.keyboard.type(text)
        return self

    def key(self, *names: str) -> Person:
        for name in names:
            self.page.keyboard.press(name)
        return self

    def tab_to(self, target: Locator) -> Person:
        """Press Tab until the focus is there."""
        expect(target).to_be_visible()
        for _ in range(60):
            if target.evaluate("one => one === document.activeElement"):
                return self
            self.key("Tab")
        raise AssertionError(f"Tab never comes to {target}")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def rack(self, fault: str) -> Locator:
        """Open a fault of the control room's rack."""
        code = self.page.get_by_text(fault, exact=True)
        self.page.locator("summary", has=code).click()
        return self.page.get_by_role("group").filter(has=self.button(f"Arm {fault}"))

    def sees(self, heading: str) -> Person:
        expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        return self

    def violations(self) -> list[str]:
        """What axe finds, each with the elements that it concerns."""
        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [
            f"{self.page.url}: {one['id']}: {[node['target'] for node in one['nodes']]}"
            for one in found
        ]

    def too_wide(self) -> list[str]:
        width = self.page.evaluate("document.scrollingElement.scrollWidth")
        room = self.page.evaluate("document.documentElement.clientWidth")
        return [f"{self.page.url} is {width} wide, not {room}"] if width > room else []


def every_page(person: Person) -> Iterator[str]:
    """Go through every page in every state; each name is one that the caller may look at."""
    page, desk = person.page, person.desk
    person.application("long", "An application of some length" * 2)
    person.open("/").sees("Control room")
    yield "control room, empty"
    person.open("/sign-in").sees("Sign in")
    yield "sign in"
    page.get_by_label("Username").fill("  ")
    person.key("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    yield "sign in, refused"
    person.open("/sign-up").sees("Sign up")
    yield "sign up"
    code, old, used = (desk.start_device()["user_code"] for _ in range(3))
    desk.emulator.approve_device(used, username="maria")
    person.open(f"/activate/{code}").sign_in("W" * 60)
    person.sees("Connect a device")
    yield "activate"
    person.button("Continue").click()
    person.sees("Allow Emulator demo to use your account?")
    yield "confirm"
    person.button("Allow").click()
    person.sees("Device connected")
    yield "success"
    yield from _refusals(person, old, used)
    for decision, heading in (("Deny", "Access denied"), ("Allow", "Copy this code")):
        person.authorize(client_id="long", redirect_uri=OUT_OF_BAND)
        expect(person.button(decision)).to_be_visible()
        if decision == "Deny":
            yield "authorize"
        person.button(decision).click()
        person.sees(heading)
        yield heading
    person.authorize(client_id="nobody").sees("This sign-in request is not valid")
    yield "error"
    person.open("/nowhere").sees("Not found")
    yield "not found"
    live_in(desk)
    person.open("/").sees("Control room")
    page.get_by_text("Fields").first.click()
    for name in ("status", "answer_lost", "cloudflare_403"):
        person.rack(name)
        yield f"control room, {name}"


def _refusals(person: Person, old: str, used: str) -> Iterator[str]:
    for typed, heading in (
        ("nope", "Connect a device"),
        (used, "Code already used"),
        (old, "Code expired"),
    ):
        if typed == old:
            person.desk.wait(600)
        person.open("/activate")
        person.page.get_by_label("Code shown on your device").fill(typed)
        person.button("Continue").click()
        person.sees(heading)
        yield heading


def live_in(desk: Desk) -> None:
    """Leave a bit of everything behind: codes, logins, refusals, a replay, armed faults."""
    token = desk.sign_in("maria")
    desk.wait(3600)
    desk.refresh(token)
    desk.refresh(token)
    desk.emulator.register_application("plain")
    desk.sign_in("sean", client_id="plain")
    desk.emulator.end_login("sean", client_id="plain")
    device = desk.start_device()
    desk.poll(device)
    desk.poll(device)
    desk.emulator.approve_device(desk.start_device()["user_code"], username="sean")
    desk.emulator.arm("status")
    desk.oauth("token")
    desk.emulator.arm("slow", times=None, probability=0.25)
    desk.emulator.arm("answer_lost")
