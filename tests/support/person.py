"""A user with a real browser: what the browser tests do, and what they check all the time.

The browser talks to the emulator over a socket; the library's own client is not used.
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

from support.emulator_client import OUT_OF_BAND, EmulatorClient, query_of

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

STATUS_MESSAGE = re.compile(r"the server responded with a status of (\d+)")


_HEAD = "<!DOCTYPE html><html lang=en><link rel=icon href=data:,><title>Application</title>"


class PageWatch:
    """Records what a page must not do: log or raise errors, or send requests to other origins."""

    def __init__(self, context: BrowserContext, *allowed: str) -> None:
        self.allowed = set(allowed)
        self.problems: list[str] = []
        self.statuses: set[int] = set()
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        refused = STATUS_MESSAGE.search(message.text)
        if message.location["url"].endswith("/favicon.ico"):
            return  # Chromium requests it for a URL that is not an HTML page
        if refused is not None:  # Chromium logs this for every page with an error status
            self.statuses.add(int(refused[1]))
        elif message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("data:", *(f"{one}/" for one in self.allowed))):
            self.problems.append(f"a request to {request.url}")


class Application:
    """Another website on this machine: the application, or a malicious site."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.callback = f"{origin}/callback"
        self.pages = {"/callback": "You are back."}


@contextmanager
def application() -> Iterator[Application]:
    """Serve the pages of another origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            words = site.pages.get(self.path.partition("?")[0], "")
            page = f"{_HEAD}{words}".encode()
            self.send_response(200 if words else 404)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Application(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Person:
    """A user with a browser window and a keyboard, at the pages of an emulator."""

    def __init__(
        self, page: Page, client: EmulatorClient, watch: PageWatch, *, url: str, site: Application
    ) -> None:
        self.page, self.client, self.watch, self.url = page, client, watch, url
        self.site, self.callback = site, site.callback
        self.application("app", "Emulator demo")

    def application(self, client_id: str, name: str) -> None:
        uris = [self.callback, OUT_OF_BAND]
        self.client.emulator.register_application(client_id, redirect_uris=uris, name=name)

    def another_window(self) -> Person:
        """Open the same page in another window of the same browser."""
        page = self.page.context.new_page()
        page.goto(self.page.url)
        return Person(page, self.client, self.watch, url=self.url, site=self.site)

    def open(self, path: str) -> Person:
        self.page.goto(self.url + path)
        return self

    def authorize(self, **changes: str | None) -> Person:
        return self.open(self.authorization_path(**changes))

    def authorization_path(self, **changes: str | None) -> str:
        given = {"client_id": "app", "redirect_uri": self.callback, **changes}
        return self.client.authorize_url(**given).removeprefix("http://127.0.0.1:8999")

    def answer(self) -> dict[str, str]:
        """Wait until the browser is redirected to the application; return the query."""
        self.page.wait_for_url(self.callback + "?*")
        return query_of(self.page.url)

    def sign_in(self, name: str = "sean") -> Person:
        """Type a username in the field that has the focus, and press Enter."""
        expect(self.page.get_by_label("Username")).to_be_focused()
        with self.page.expect_navigation():
            self.type(name).key("Enter")
        return self

    def at_the_code(self) -> Person:
        """Wait until the field for the user code has the focus."""
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
        """Press Tab until the target has the focus."""
        expect(target).to_be_visible()
        for _ in range(60):
            if target.evaluate("one => one === document.activeElement"):
                return self
            self.key("Tab")
        raise AssertionError(f"the focus never reaches {target}")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def open_fault(self, fault: str) -> Locator:
        """Select a fault on the dashboard, and return the form that arms it."""
        self.page.get_by_label("Fault", exact=True).select_option(fault)
        form = self.page.locator("form", has=self.button(f"Arm {fault}"))
        expect(form).to_be_visible()
        return form

    def sees(self, heading: str) -> Person:
        expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        return self

    def violations(self) -> list[str]:
        """Return the violations of accessibility that axe finds, each with its elements."""
        options = {"rules": {"target-size": {"enabled": True}}}  # WCAG 2.5.8: off by default
        found: list[dict[str, Any]] = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{self.page.url}: {one['id']}: {[node['target'] for node in one['nodes']]}"
            for one in found
        ]

    def too_wide(self) -> list[str]:
        width = self.page.evaluate("document.scrollingElement.scrollWidth")
        available = self.page.evaluate("document.documentElement.clientWidth")
        return [f"{self.page.url} is {width} wide, not {available}"] if width > available else []


def every_page(person: Person) -> Iterator[str]:
    """Open every page in every state; yield a name for each while it is open."""
    page, client = person.page, person.client
    person.application("long", "An application of some length" * 2)
    person.open("/").sees("Dashboard")
    yield "dashboard, empty"
    person.open("/sign-in").sees("Sign in")
    yield "sign in"
    page.get_by_label("Username").fill("  ")
    person.key("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    yield "sign in, with an error"
    person.open("/sign-up").sees("Sign up")
    yield "sign up"
    code, old, used = (client.start_device()["user_code"] for _ in range(3))
    client.emulator.approve_device(used, username="maria")
    person.open(f"/activate/{code}").sign_in("W" * 60)
    person.sees("Connect a device")
    yield "activate"
    person.button("Continue").click()
    person.sees("Allow Emulator demo to use your account?")
    yield "confirm"
    person.button("Allow").click()
    person.sees("Device connected")
    yield "success"
    yield from _rejected_codes(person, old, used)
    for decision, heading in (("Deny", "Access denied"), ("Allow", "Copy this code")):
        person.authorize(client_id="long", redirect_uri=OUT_OF_BAND)
        expect(person.button(decision)).to_be_visible()
        if decision == "Deny":
            yield "authorize"
        person.button(decision).click()
        person.sees(heading)
        yield heading
    person.authorize(client_id="unknown").sees("This sign-in request is not valid")
    yield "error"
    person.open("/nowhere").sees("Not found")
    yield "not found"
    fill_with_activity(client)
    person.open("/").sees("Dashboard")
    page.get_by_text("Fields").first.click()
    for name in ("status", "answer_lost", "cloudflare_403"):
        person.open_fault(name)
        yield f"dashboard, {name}"


def _rejected_codes(person: Person, old: str, used: str) -> Iterator[str]:
    for typed, heading in (
        ("nope", "Connect a device"),
        (used, "Code already used"),
        (old, "Code expired"),
    ):
        if typed == old:
            person.client.wait(600)
        person.open("/activate")
        person.page.get_by_label("Code shown on your device").fill(typed)
        person.button("Continue").click()
        person.sees(heading)
        yield heading


def fill_with_activity(client: EmulatorClient) -> None:
    """Do a bit of everything: codes, logins, errors, a replay, armed faults."""
    token = client.sign_in("maria")
    client.wait(3600)
    client.refresh(token)
    client.refresh(token)
    client.emulator.register_application("plain")
    client.sign_in("sean", client_id="plain")
    client.emulator.end_login("sean", client_id="plain")
    device = client.start_device()
    client.poll(device)
    client.poll(device)
    client.emulator.approve_device(client.start_device()["user_code"], username="sean")
    client.emulator.arm("status")
    client.oauth("token")
    client.emulator.arm("slow", times=None, probability=0.25)
    client.emulator.arm("answer_lost")
