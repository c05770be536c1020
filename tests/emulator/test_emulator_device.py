from __future__ import annotations

import re

import pytest

from support.emulator_client import ORIGIN, EmulatorClient, body, error
from trakt_auth.emulator.state.codes import normalize_user_code


def test_device_code(client: EmulatorClient) -> None:
    answer = client.oauth("device/code")
    assert answer.headers["cache-control"] == "no-store"
    device = body(answer)
    assert device["verification_url"] == f"{ORIGIN}/activate"
    assert (device["expires_in"], device["interval"]) == (600, 5)
    assert re.fullmatch(r"[A-Za-z0-9_-]{44}", device["device_code"])
    assert re.fullmatch(r"[BCDFGHJKMNPQRSTVWXYZ2-9]{8}", device["user_code"])


def test_user_codes_are_never_hexadecimal() -> None:
    client = EmulatorClient()
    for _ in range(300):
        assert re.search(r"[^0-9A-F]", client.start_device()["user_code"])


def test_the_verification_url_has_the_origin_that_the_caller_used(client: EmulatorClient) -> None:
    answer = client.send(
        "POST",
        "/oauth/device/code",
        origin="https://Trakt.Example:8443",
        headers={"content-type": "application/json"},
        body=b'{"client_id":"emulator"}',
    )
    assert body(answer)["verification_url"] == "https://trakt.example:8443/activate"


def test_approved_device_gets_its_token_once(client: EmulatorClient) -> None:
    device = client.start_device()
    pending = client.poll(device)
    assert (pending.status, pending.body) == (400, b"")
    client.emulator.approve_device(device["user_code"].lower(), username="sean")
    client.wait(5)
    granted = client.poll(device)
    assert granted.status == 200
    assert body(client.api(body(granted)))["user"]["username"] == "sean"
    client.wait(5)
    used = client.poll(device)
    assert (used.status, used.body) == (409, b"")
    assert client.counts()["/oauth/device/token"] == {"pending": 1, "granted": 1, "used": 1}


def test_denied_device(client: EmulatorClient) -> None:
    device = client.start_device()
    client.emulator.deny_device(device["user_code"])
    answer = client.poll(device)
    assert (answer.status, answer.body) == (418, b"")


def test_expired_device(client: EmulatorClient) -> None:
    device = client.start_device()
    client.wait(600)
    answer = client.poll(device)
    assert (answer.status, answer.body) == (410, b"")
    with pytest.raises(ValueError, match="expired"):
        client.emulator.approve_device(device["user_code"])
    client.wait(86_400)
    assert client.poll(device).status == 404
    with pytest.raises(LookupError):
        client.emulator.approve_device(device["user_code"])


def test_an_approval_that_is_collected_too_late(client: EmulatorClient) -> None:
    device = client.start_device()
    client.emulator.approve_device(device["user_code"])
    client.wait(600)
    assert client.poll(device).status == 410


def test_unknown_device_codes(client: EmulatorClient) -> None:
    client.emulator.register_application("other")
    assert client.poll({"device_code": "nonsense"}).status == 404
    assert client.poll(client.start_device(), client_id="other").status == 404
    assert error(client.oauth("device/token")) == (400, "invalid_request", "missing code")
    assert error(client.oauth("device/token", client_id="unknown"))[0] == 401


def test_polling_too_fast(client: EmulatorClient) -> None:
    device = client.start_device()
    assert client.poll(device).status == 400, "the first poll may come at once"
    client.wait(3)
    answer = client.poll(device)
    assert (answer.status, answer.body) == (429, b"")
    assert "retry-after" not in answer.headers
    client.wait(2)
    assert client.poll(device).status == 400, "an early poll does not push the next one away"
    client.wait(4.95)
    assert client.poll(device).status == 400, "a punctual poll may seem a little early"


def test_polling_too_fast_with_retry_after() -> None:
    client = EmulatorClient(slow_down_retry_after=True, device_interval=10)
    device = client.start_device()
    client.poll(device)
    client.wait(2.5)
    assert client.poll(device).headers["retry-after"] == "8"


def test_interval_may_be_ignored() -> None:
    client = EmulatorClient(enforce_interval=False)
    device = client.start_device()
    assert {client.poll(device).status for _ in range(3)} == {400}


def test_auto_approve() -> None:
    client = EmulatorClient(auto_approve=20)
    device = client.start_device()
    client.wait(19)
    assert client.poll(device).status == 400
    client.wait(5)
    assert client.poll(device).status == 200
    assert [one["username"] for one in client.emulator.state()["accounts"]] == ["emulator-user"]


def test_a_code_that_has_expired_is_not_auto_approved() -> None:
    client = EmulatorClient(auto_approve=601)
    device = client.start_device()
    client.wait(700)
    assert client.poll(device).status == 410


def test_a_person_decides_only_once(client: EmulatorClient) -> None:
    code = client.start_device()["user_code"]
    client.emulator.approve_device(code)
    with pytest.raises(ValueError, match="already approved"):
        client.emulator.deny_device(code)


def test_a_username_must_be_readable(client: EmulatorClient) -> None:
    code = client.start_device()["user_code"]
    for username in ("", "   ", "x" * 61, "a\nb"):
        with pytest.raises(ValueError, match="username"):
            client.emulator.approve_device(code, username=username)
    client.emulator.approve_device(code, username=" Séan ")
    assert client.emulator.state()["accounts"][0]["username"] == "Séan"  # type: ignore[index]


@pytest.mark.parametrize("typed", ["abcd2345", " ABCD-2345 ", "abcd 2345", "\u200bABCD\u20112345"])
def test_user_codes_are_normalized(typed: str) -> None:
    assert normalize_user_code(typed) == "ABCD2345"


def test_expired_codes_and_tokens_are_dropped() -> None:
    client = EmulatorClient(access_token_lifetime=10)
    for _ in range(50):
        client.start_device()
        client.code()
        client.sign_in()
    client.send("GET", "/activate")
    client.wait(90_000)
    state = client.emulator._state
    client.emulator.state()
    assert len(state.codes.devices()) == state.codes.outstanding() == len(state.sessions) == 0
    assert client.emulator.state()["tokens"]["access"] == 0  # type: ignore[index]


def test_a_user_code_is_not_given_twice(
    client: EmulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter(["ZZZZZZZZ", "ZZZZZZZZ", "YYYYYYYY"])
    monkeypatch.setattr("trakt_auth.emulator.state.codes._short_code", lambda: next(codes))
    assert [client.start_device()["user_code"] for _ in range(2)] == ["ZZZZZZZZ", "YYYYYYYY"]


def test_a_hexadecimal_user_code_is_replaced(
    client: EmulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    characters = iter("22222222" + "2222222Z")
    monkeypatch.setattr("secrets.choice", lambda _: next(characters))
    assert client.start_device()["user_code"] == "2222222Z"
