"""Callers of an emulator in this process: a program and a browser, with short methods for tests.

They send HTTP requests only; the library's own client is not used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from trakt_auth.emulator import Clock, Emulator
from trakt_auth.protocol.http import HttpRequest, HttpResponse

ORIGIN = "http://127.0.0.1:8999"
CALLBACK = "http://127.0.0.1:8765/callback"
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class EmulatorClient:
    """An emulator with a frozen clock, and the requests that a program sends to it."""

    def __init__(self, **settings: Any) -> None:
        self.emulator = Emulator(clock=Clock.frozen(), **settings)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        origin: str = ORIGIN,
    ) -> HttpResponse:
        return self.emulator.handle(
            HttpRequest(method=method, url=origin + path, headers=headers or {}, body=body)
        )

    def post(self, path: str, content: object = None, **headers: str) -> HttpResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", path, body=json.dumps(content).encode(), headers={**JSON, **named})

    def oauth(self, path: str, **fields: object) -> HttpResponse:
        return self.post(f"/oauth/{path}", {"client_id": "emulator", **fields})

    def wait(self, seconds: float) -> None:
        self.emulator.clock.advance(seconds)

    def start_device(self) -> dict[str, Any]:
        return body(self.oauth("device/code"))

    def poll(self, device: dict[str, Any], **fields: object) -> HttpResponse:
        return self.oauth("device/token", code=device["device_code"], **fields)

    def authorize_url(self, **changes: str | None) -> str:
        query: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "emulator",
            "redirect_uri": CALLBACK,
            "state": "s t&te",
        }
        query.update(changes)
        given = {name: value for name, value in query.items() if value is not None}
        return f"{ORIGIN}/oauth/authorize?{urlencode(given)}"

    def code(self, username: str = "sean", **changes: str | None) -> str:
        url = self.emulator.approve_authorization(self.authorize_url(**changes), username=username)
        return query_of(url)["code"]

    def exchange(self, code: str, **fields: object) -> HttpResponse:
        given = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, **fields}
        return self.oauth("token", code=code, **given)

    def refresh(self, token: Mapping[str, object], **fields: object) -> HttpResponse:
        return self.oauth(
            "token",
            grant_type="refresh_token",
            refresh_token=token["refresh_token"],
            **fields,
        )

    def sign_in(self, username: str = "sean", **fields: object) -> dict[str, Any]:
        return dict(self.emulator.issue_tokens(username, **fields))

    def api(
        self, token: Mapping[str, object], path: str = "/users/settings", **headers: str | None
    ):
        sent: dict[str, str | None] = {
            "trakt-api-key": "emulator",
            "trakt-api-version": "2",
            "authorization": f"Bearer {token['access_token']}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self.send("GET", path, headers={k: v for k, v in sent.items() if v is not None})

    def alive(self, token: Mapping[str, object]) -> bool:
        return self.api(token).status == 200

    def counts(self) -> dict[str, dict[str, int]]:
        return self.emulator.state()["requests"]  # type: ignore[return-value]


class Browser:
    """A browser: it keeps cookies, follows the emulator's own redirects and sends forms."""

    def __init__(self, client: EmulatorClient, origin: str = ORIGIN) -> None:
        self.client = client
        self.origin = origin
        self.cookies: dict[str, str] = {}
        self.url = origin
        self.last = HttpResponse(status=0)

    @property
    def text(self) -> str:
        return self.last.body.decode()

    @property
    def location(self) -> str:
        return self.last.headers["location"]

    def open(self, url: str, *, follow: bool = True) -> Browser:
        return self._go("GET", urljoin(self.url, url), b"", {}, follow=follow)

    def submit(self, action: str, *, follow: bool = True, **fields: str) -> Browser:
        sent = {"csrf": self.csrf, **fields}
        body = urlencode(sent).encode()
        return self._go("POST", urljoin(self.url, action), body, FORM, follow=follow)

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]*)"', self.text)
        assert found is not None, self.text
        return found[1]

    def sign_in(self, username: str = "sean") -> Browser:
        found = re.search(r'name="next" value="([^"]*)"', self.text)
        assert found is not None, self.text
        following = found[1].replace("&amp;", "&")
        return self.submit("/sign-in", username=username, next=following)

    def _go(
        self, method: str, url: str, sent: bytes, headers: dict[str, str], *, follow: bool
    ) -> Browser:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        request = HttpRequest(
            method=method, url=url, headers={**headers, "Cookie": cookie}, body=sent
        )
        self.url = url
        self.last = self.client.emulator.handle(request)
        given = self.last.headers.get("set-cookie", "").partition(";")[0]
        if given:
            name, _, value = given.partition("=")
            self.cookies[name] = value
        if follow and self.last.status == 303:
            target = urljoin(url, self.location)
            if target.startswith(self.origin):
                return self._go("GET", target, b"", {}, follow=True)
        return self


def body(response: HttpResponse) -> dict[str, Any]:
    return json.loads(response.body)


def error(response: HttpResponse) -> tuple[int, str, str]:
    """Return the status, error and description of an OAuth error; check its headers."""
    assert response.media_type == "application/json"
    assert response.headers["cache-control"] == "no-store"
    content = body(response)
    return response.status, content["error"], content["error_description"]


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
