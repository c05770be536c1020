"""A simulated person with a browser: opens pages, fills in forms, keeps cookies.

Uses the standard library and HTTP only; calls no method of the emulator.
"""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.parse import urlencode, urljoin

__all__ = ["Person"]


@dataclass(slots=True)
class _Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict[str, str])
    buttons: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


class _Forms(HTMLParser):
    """Collects the forms of a page: their hidden fields, their inputs, their named buttons."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[_Form] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(_Form(given.get("action", "")))
        elif tag in ("input", "button") and self.found and "name" in given:
            pair = (given["name"], given.get("value", ""))
            if tag == "input":
                self.found[-1].fields.update([pair])
            else:
                self.found[-1].buttons.append(pair)


class Person:
    """A person with a user name and a browser."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._browser = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # the emulator is on this computer
            urllib.request.HTTPCookieProcessor(CookieJar()),
        )
        self._url = self._page = ""

    def visit(self, url: str) -> None:
        """Open a page, following redirects."""
        self._load(urllib.request.Request(url, headers={"accept": "text/html"}))  # noqa: S310

    def fill_in(self, name: str, value: str) -> None:
        """Fill in the form that asks for `name`, and send it."""
        self._submit(next(form for form in self._forms() if name in form.fields), {name: value})

    def press(self, value: str) -> None:
        """Press the button with this `value` and submit its form."""
        for form in self._forms():
            for button in form.buttons:
                if button[1] == value:
                    return self._submit(form, dict([button]))
        raise LookupError(f"the page has no button {value!r}")

    def approve_device(self, url: str, code: str) -> None:
        """Sign in at the address that the device shows, type the code, allow."""
        self.visit(url)
        self.fill_in("username", self.name)
        self.fill_in("code", code)
        self.press("allow")

    def approve_in_browser(self, url: str) -> None:
        """Sign in at the address that the program opened, allow, and follow the redirect."""
        self.visit(url)
        self.fill_in("username", self.name)
        self.press("allow")

    def _forms(self) -> list[_Form]:
        return _Forms(self._page).found

    def _submit(self, form: _Form, given: dict[str, str]) -> None:
        body = urlencode(form.fields | given).encode()
        url = urljoin(self._url, form.action)
        self._load(urllib.request.Request(url, body, {"accept": "text/html"}))  # noqa: S310

    def _load(self, request: urllib.request.Request) -> None:
        with self._browser.open(request, timeout=10) as page:
            self._url, self._page = page.url, page.read().decode()
