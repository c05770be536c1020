"""Requests of scripts in a browser: which origins may read the responses (CORS)."""

from __future__ import annotations

import pytest

from support.emulator_client import EmulatorClient

HERE = "https://app.example"
PREFLIGHT = {
    "origin": HERE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "trakt-api-key,authorization",
}
SHARED = ["/oauth/token", "/oauth/device/code", "/users/me", "/sync/history", "/scrobble/start"]
SHARED += ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("path", SHARED)
def test_a_preflight_is_answered(client: EmulatorClient, path: str) -> None:
    client.emulator.arm("status", endpoint="*")
    answer = client.send("OPTIONS", path, headers=PREFLIGHT)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == HERE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "trakt-api-key,authorization"
    assert client.emulator.state()["faults"], "the fault is for the request that follows"


@pytest.mark.parametrize("path", ["/", "/activate", "/oauth/authorize", "/emulator/state"])
def test_pages_and_control_calls_are_not_shared(client: EmulatorClient, path: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        answer = client.send(method, path, headers=PREFLIGHT)
        assert "access-control-allow-origin" not in answer.headers


def test_a_script_may_read_responses_and_their_headers(client: EmulatorClient) -> None:
    token = client.sign_in()
    for answer in (
        client.api(token, "/sync/history", origin=HERE),
        client.api({"access_token": "x"}, origin=HERE),
        client.post("/oauth/token", {}, origin=HERE),
        client.send("GET", "/.well-known/openid-configuration", headers={"origin": HERE}),
    ):
        assert answer.headers["access-control-allow-origin"] == HERE
        assert answer.headers["vary"] == "Origin"
        exposed = answer.headers["access-control-expose-headers"]
        assert "Retry-After" in exposed
        assert "X-Pagination-Page-Count" in exposed
    assert "access-control-allow-origin" not in client.api(token).headers


def test_origins_are_those_of_the_application(client: EmulatorClient) -> None:
    client.emulator.allow_origins([HERE])
    token = client.sign_in()
    assert client.api(token, origin=HERE).headers["access-control-allow-origin"] == HERE
    other = "https://other.example"
    assert "access-control-allow-origin" not in client.api(token, origin=other).headers
    refused = client.send("OPTIONS", "/users/me", headers=PREFLIGHT | {"origin": other})
    assert refused.status == 204
    assert "access-control-allow-origin" not in refused.headers
    client.emulator.register_application("open")
    told = client.post("/oauth/device/code", {"client_id": "open"}, origin=other)
    assert told.headers["access-control-allow-origin"] == other


@pytest.mark.parametrize("origin", ["*", "app.example", "https://app.example/", "https://a/b", ""])
def test_what_is_no_origin_cannot_be_registered(client: EmulatorClient, origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        client.emulator.register_application("web", allowed_origins=[origin])
