from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.emulator_client import EmulatorClient
from trakt_auth.emulator import Emulator
from trakt_auth.protocol.http import HttpRequest

ENDPOINTS = st.sampled_from(
    [
        "/oauth/token",
        "/oauth/revoke",
        "/oauth/device/code",
        "/oauth/device/token",
        "/oauth/authorize",
        "/oauth/authorize/native",
        "/users/settings",
        "/users/me",
        "/sync/last_activities",
        "/sign-in",
        "/sign-up",
        "/sign-out",
        "/activate",
        "/activate/CODE",
        "/",
        "/emulator/state",
        "/emulator/clock",
        "/emulator/faults",
        "/emulator/device/X/approve",
    ]
)
NAMES = st.sampled_from(
    [
        "client_id",
        "client_secret",
        "grant_type",
        "code",
        "refresh_token",
        "redirect_uri",
        "code_verifier",
        "token",
        "response_type",
        "state",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "signup",
        "next",
        "username",
        "decision",
        "csrf",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            "emulator",
            "emulator-secret",
            "code",
            "refresh_token",
            "authorization_code",
            "login",
            "S256",
            "http://127.0.0.1:8765/callback",
            "urn:ietf:wg:oauth:2.0:oob",
            "allow",
        ]
    ),
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.none(),
    st.lists(st.booleans(), max_size=2),
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(NAMES, VALUES, max_size=6).map(lambda fields: json.dumps(fields).encode()),
    st.lists(st.tuples(NAMES, st.text(max_size=9)), max_size=6).map(
        lambda pairs: "&".join(f"{k}={v}" for k, v in pairs).encode("utf-8", "replace")
    ),
    st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)).map(
        lambda value: json.dumps(value).encode()
    ),
)
HEADERS = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["Authorization", "Cookie", "User-Agent", "Accept", "Origin", "Trakt-Api-Key"]
        ),
        st.text(max_size=10),
    ),
    st.one_of(
        st.sampled_from(["Bearer x", "Basic eDp5", "emulator", "text/html", "2"]),
        st.text(max_size=20),
    ),
    max_size=4,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    profile=st.sampled_from(["current", "legacy"]),
    method=st.one_of(st.sampled_from(["GET", "POST", "HEAD", "PUT"]), st.text(max_size=5)),
    path=st.one_of(ENDPOINTS, st.text(max_size=20).map(lambda text: "/" + text)),
    query=st.one_of(
        st.just(""),
        st.text(max_size=30),
        st.lists(st.tuples(NAMES, st.text(max_size=12)), max_size=6).map(
            lambda pairs: "&".join(f"{k}={v}" for k, v in pairs)
        ),
    ),
    media_type=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "", "a/b;c=\x00"]
    ),
    headers=HEADERS,
    sent=BODIES,
)
def test_nothing_makes_the_server_fail(
    *,
    profile: str,
    method: str,
    path: str,
    query: str,
    media_type: str,
    headers: dict[str, str],
    sent: bytes,
) -> None:
    client = EmulatorClient(profile=profile)
    answer = client.send(
        method, f"{path}?{query}", body=sent, headers={**headers, "Content-Type": media_type}
    )
    assert 200 <= answer.status < 500
    assert all(value.isprintable() and value.isascii() for value in answer.headers.values())
    if path.startswith("/oauth/") and answer.media_type == "application/json":
        assert answer.status == 200 or "error" in json.loads(answer.body or b'{"error":1}')


@settings(max_examples=150, deadline=None)
@given(url=st.text(max_size=40), body=st.binary(max_size=20))
def test_no_url_makes_the_server_fail(url: str, body: bytes) -> None:
    for start in ("", "http://127.0.0.1/", "http://", "https://["):
        request = HttpRequest(method="GET", url=start + url, body=body)
        assert 200 <= Emulator().handle(request).status < 500


@settings(max_examples=100, deadline=None)
@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["fault", "times", "seed", "seconds", "endpoint", "advance", "status"]
                ),
                inner | st.sampled_from(["slow", "status", "refuse", "forbidden"]),
            )
        ),
    )
)
def test_no_fault_list_makes_the_control_calls_fail(content: object) -> None:
    client = EmulatorClient()
    for path in ("faults", "clock"):
        assert client.post(f"/emulator/{path}", content).status in {200, 400}
    assert client.send("GET", "/emulator/state").status == 200
