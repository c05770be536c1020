from __future__ import annotations

import re

import pytest

from support.emulator_client import ORIGIN, Desk, body, error
from trakt_auth.emulator.state.codes import clean_user_code


def test_device_code(desk: Desk) -> None:
    answer = desk.oauth("device/code")
    assert answer.headers["cache-control"] == "no-store"
    device = body(answer)
    assert device["verification_url"] == f"{ORIGIN}/activate"
    assert (device["expires_in"], device["interval"]) == (600, 5)
    assert re.fullmatch(r"[A-Za-z0-9_-]{44}", device["device_code"])
    assert re.fullmatch(r"[BCDFGHJKMNPQRSTVWXYZ2-9]{8}", device["user_code"])


def test_user_codes_are_never_hexadecimal() -> None:
    desk = Desk()
    for _ in range(300):
        assert re.search(r"[^0-9A-F]", desk.start_device()["user_code"])


def test_origin_is_the_callers(desk: Desk) -> None:
    answer = desk.send(
        "POST",
        "/oauth/device/code",
        origin="https://Trakt.Example:8443",
        headers={"content-type": "application/json"},
        body=b'{"client_id":"emulator"}',
    )
    assert body(answer)["verification_url"] == "https://trakt.example:8443/activate"


def test_approved_device_gets_its_token_once(desk: Desk) -> None:
    device = desk.start_device()
    pending = desk.poll(device)
    assert (pending.status, pending.body) == (400, b"")
    desk.emulator.approve_device(device["user_code"].lower(), username="sean")
    desk.wait(5)
    granted = desk.poll(device)
    assert granted.status == 200
    assert body(desk.api(body(granted)))["user"]["username"] == "sean"
    desk.wait(5)
    used = desk.poll(device)
    assert (used.status, used.body) == (409, b"")
    assert desk.counts()["/oauth/device/token"] == {"pending": 1, "granted": 1, "used": 1}


def test_denied_device(desk: Desk) -> None:
    device = desk.start_device()
    desk.emulator.deny_device(device["user_code"])
    answer = desk.poll(device)
    assert (answer.status, answer.body) == (418, b"")


def test_expired_device(desk: Desk) -> None:
    device = desk.start_device()
    desk.wait(600)
    answer = desk.poll(device)
    assert (answer.status, answer.body) == (410, b"")
    with pytest.raises(ValueError, match="expired"):
        desk.emulator.approve_device(device["user_code"])
    desk.wait(86_400)
    assert desk.poll(device).status == 404
    with pytest.raises(LookupError):
        desk.emulator.approve_device(device["user_code"])


def test_approval_that_is_collected_too_late(desk: Desk) -> None:
    device = desk.start_device()
    desk.emulator.approve_device(device["user_code"])
    desk.wait(600)
    assert desk.poll(device).status == 410


def test_unknown_device_codes(desk: Desk) -> None:
    desk.emulator.register_application("other")
    assert desk.poll({"device_code": "nonsense"}).status == 404
    assert desk.poll(desk.start_device(), client_id="other").status == 404
    assert error(desk.oauth("device/token")) == (400, "invalid_request", "missing code")
    assert error(desk.oauth("device/token", client_id="nobody"))[0] == 401


def test_polling_too_fast(desk: Desk) -> None:
    device = desk.start_device()
    assert desk.poll(device).status == 400, "the first poll may come at once"
    desk.wait(3)
    answer = desk.poll(device)
    assert (answer.status, answer.body) == (429, b"")
    assert "retry-after" not in answer.headers
    desk.wait(2)
    assert desk.poll(device).status == 400, "an early poll does not push the next one away"
    desk.wait(4.95)
    assert desk.poll(device).status == 400, "a punctual poll may seem a little early"


def test_polling_too_fast_with_retry_after() -> None:
    desk = Desk(slow_down_retry_after=True, device_interval=10)
    device = desk.start_device()
    desk.poll(device)
    desk.wait(2.5)
    assert desk.poll(device).headers["retry-after"] == "8"


def test_interval_may_be_ignored() -> None:
    desk = Desk(enforce_interval=False)
    device = desk.start_device()
    assert {desk.poll(device).status for _ in range(3)} == {400}


def test_auto_approve() -> None:
    desk = Desk(auto_approve=20)
    device = desk.start_device()
    desk.wait(19)
    assert desk.poll(device).status == 400
    desk.wait(5)
    assert desk.poll(device).status == 200
    assert [one["username"] for one in desk.emulator.state()["accounts"]] == ["emulator-user"]


def test_auto_approve_after_the_end_is_none() -> None:
    desk = Desk(auto_approve=601)
    device = desk.start_device()
    desk.wait(700)
    assert desk.poll(device).status == 410


def test_a_person_decides_only_once(desk: Desk) -> None:
    code = desk.start_device()["user_code"]
    desk.emulator.approve_device(code)
    with pytest.raises(ValueError, match="already approved"):
        desk.emulator.deny_device(code)


def test_a_username_must_be_readable(desk: Desk) -> None:
    code = desk.start_device()["user_code"]
    for username in ("", "   ", "x" * 61, "a\nb"):
        with pytest.raises(ValueError, match="username"):
            desk.emulator.approve_device(code, username=username)
    desk.emulator.approve_device(code, username=" Séan ")
    assert desk.emulator.state()["accounts"][0]["username"] == "Séan"  # type: ignore[index]


@pytest.mark.parametrize("typed", ["abcd2345", " ABCD-2345 ", "abcd 2345", "\u200bABCD\u20112345"])
def test_typed_codes_are_forgiven(typed: str) -> None:
    assert clean_user_code(typed) == "ABCD2345"


def test_codes_and_tokens_that_ran_out_are_dropped() -> None:
    desk = Desk(access_token_lifetime=10)
    for _ in range(50):
        desk.start_device()
        desk.code()
        desk.sign_in()
    desk.send("GET", "/activate")
    desk.wait(90_000)
    site = desk.emulator._site
    desk.emulator.state()
    assert len(site.codes.devices()) == site.codes.outstanding() == len(site.sessions) == 0
    assert desk.emulator.state()["tokens"]["access"] == 0  # type: ignore[index]


def test_a_user_code_is_not_given_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter(["ZZZZZZZZ", "ZZZZZZZZ", "YYYYYYYY"])
    monkeypatch.setattr("trakt_auth.emulator.state.codes._short_code", lambda: next(codes))
    assert [desk.start_device()["user_code"] for _ in range(2)] == ["ZZZZZZZZ", "YYYYYYYY"]


def test_a_hexadecimal_user_code_is_made_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    signs = iter("22222222" + "2222222Z")
    monkeypatch.setattr("secrets.choice", lambda _: next(signs))
    assert desk.start_device()["user_code"] == "2222222Z"
