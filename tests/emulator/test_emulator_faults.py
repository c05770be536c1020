from __future__ import annotations

import json

import pytest

from support.emulator_client import Desk, body, error
from trakt_auth.emulator import Clock, ConnectionLost
from trakt_auth.protocol.http import HttpRequest

BAD_REFRESH = {"refresh_token": "nonsense"}


def test_answer_lost(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.arm("answer_lost")
    with pytest.raises(ConnectionLost) as caught:
        desk.refresh(token)
    assert caught.value.processed
    assert error(desk.refresh(token))[1] == "invalid_grant", "the refresh took effect"
    assert desk.counts()["/oauth/token"] == {"refreshed": 1, "replay_refused": 1}
    assert [entry.status for entry in desk.emulator.log] == [None, 400]


def test_reset(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.arm("reset")
    with pytest.raises(ConnectionLost) as caught:
        desk.refresh(token)
    assert not caught.value.processed
    assert desk.refresh(token).status == 200


def test_slow_is_told_to_the_caller(desk: Desk) -> None:
    late: list[float] = []
    desk.emulator.on_delay = late.append
    desk.emulator.arm("slow", seconds=30)
    assert desk.refresh(desk.sign_in()).status == 200
    assert late == [30]


def test_slow_answer_may_be_given_up(desk: Desk) -> None:
    def give_up(seconds: float) -> None:
        raise TimeoutError(seconds)

    token = desk.sign_in()
    desk.emulator.on_delay = give_up
    desk.emulator.arm("slow")
    with pytest.raises(TimeoutError):
        desk.refresh(token)
    assert error(desk.refresh(token))[1] == "invalid_grant", "the state changed before the wait"


def test_slow_before_processing(desk: Desk) -> None:
    def wait(seconds: float) -> None:
        assert desk.alive(token)
        desk.wait(seconds)

    token = desk.sign_in()
    desk.emulator.on_delay = wait
    desk.emulator.arm("slow", seconds=60, processed=False)
    assert body(desk.refresh(token))["created_at"] == token["created_at"] + 60


def test_faults_add_up(desk: Desk) -> None:
    late: list[float] = []
    desk.emulator.on_delay = late.append
    desk.emulator.arm("slow", seconds=1)
    desk.emulator.arm("slow", seconds=2)
    desk.emulator.arm("status", status=502)
    desk.emulator.arm("status", status=504)
    assert [desk.refresh(BAD_REFRESH).status for _ in range(3)] == [502, 504, 400]
    assert late == [3]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 522, 599])
def test_server_errors_are_pages(desk: Desk, status: int) -> None:
    token = desk.sign_in()
    desk.emulator.arm("status", status=status)
    answer = desk.refresh(token)
    assert (answer.status, answer.media_type) == (status, "text/html")
    assert ("cf-ray" in answer.headers) is (status >= 520)
    assert desk.refresh(token).status == 200, "the request had no effect"


def test_rate_limit(desk: Desk) -> None:
    desk.emulator.arm("status", status=429)
    desk.emulator.arm("status", status=429, retry_after=143)
    bare, told = desk.oauth("device/code"), desk.oauth("device/code")
    assert (bare.status, bare.media_type, len(bare.body)) == (429, "text/plain", 16)
    assert "retry-after" not in bare.headers
    assert "x-ratelimit" not in bare.headers
    assert told.headers["retry-after"] == "143"
    until = desk.emulator.clock.now() + 143
    assert json.loads(told.headers["x-ratelimit"])["until"] == until


def test_an_error_may_hide_a_success(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.arm("status", processed=True)
    assert desk.refresh(token).status == 503
    assert error(desk.refresh(token))[1] == "invalid_grant"


def test_cloudflare_403(desk: Desk) -> None:
    desk.emulator.arm("cloudflare_403", times=None)
    token = desk.sign_in()
    assert desk.api(token).status == 403
    assert desk.api(token, user_agent="python-httpx2/2.16").status == 403
    assert desk.api(token, user_agent="my-player/1.2").status == 200
    desk.emulator.disarm()
    desk.emulator.arm("cloudflare_403", every_agent=True, plain=True)
    answer = desk.api(token, user_agent="my-player/1.2")
    assert (answer.status, answer.body) == (403, b"error code: 1010")


@pytest.mark.parametrize(
    ("cause", "media_type"),
    [("key", "application/json"), ("unapproved", "application/json"), ("blocked", "text/plain")],
)
def test_forbidden(desk: Desk, cause: str, media_type: str) -> None:
    desk.emulator.arm("forbidden", cause=cause)
    answer = desk.api(desk.sign_in())
    assert (answer.status, answer.media_type) == (403, media_type)
    assert (len(answer.body) == 9) is (cause == "blocked")


@pytest.mark.parametrize("deactivated", [False, True])
def test_account_locked(desk: Desk, deactivated: bool) -> None:
    desk.emulator.arm("account_locked", deactivated=deactivated)
    answer = desk.api(desk.sign_in())
    assert answer.status == 423
    assert answer.headers["x-account-deactivated"] == str(deactivated).lower()
    assert answer.headers["x-account-locked"] == str(not deactivated).lower()


def test_unauthorized(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.arm("unauthorized")
    answer = desk.api(token)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert desk.alive(token)


def test_successes_without_a_token(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.arm("html_200")
    desk.emulator.arm("json_200_without_token")
    html, empty = desk.refresh(token), desk.refresh(token)
    assert (html.status, html.media_type) == (200, "text/html")
    assert (empty.status, body(empty)) == (200, {"message": "ok"})
    assert desk.refresh(token).status == 200


def test_truncated_json(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.arm("truncated_json")
    answer = desk.refresh(token)
    assert (answer.status, answer.media_type) == (200, "application/json")
    with pytest.raises(ValueError):
        json.loads(answer.body)


@pytest.mark.parametrize("status", [400, 401])
def test_legacy_errors(desk: Desk, status: int) -> None:
    desk.emulator.arm("legacy_errors", status=status)
    answer = desk.refresh(BAD_REFRESH)
    assert error(answer)[:2] == (status, "invalid_grant")
    assert "expired, revoked" in body(answer)["error_description"]
    assert ("www-authenticate" in answer.headers) is (status == 401)


def test_shorter_lifetime(desk: Desk) -> None:
    desk.emulator.arm("shorter_lifetime", seconds=60)
    token = body(desk.refresh(desk.sign_in()))
    assert token["expires_in"] == 60
    desk.wait(60)
    assert not desk.alive(token)


def test_shorter_lifetime_of_a_device_token(desk: Desk) -> None:
    desk.emulator.arm("shorter_lifetime")
    device = desk.start_device()
    desk.emulator.approve_device(device["user_code"])
    assert body(desk.poll(device))["expires_in"] == 60


@pytest.mark.parametrize("seconds", [3600, -7200.0])
def test_skewed_clock(desk: Desk, seconds: float) -> None:
    desk.emulator.arm("skewed_clock", seconds=seconds)
    answer = desk.refresh(desk.sign_in())
    assert body(answer)["created_at"] == desk.emulator.clock.now() + seconds
    assert answer.headers["date"] != desk.send("GET", "/").headers["date"]


def test_skew_before_the_epoch() -> None:
    desk = Desk()
    desk.emulator = type(desk.emulator)(clock=Clock.frozen(1000))
    desk.emulator.arm("skewed_clock", seconds=-5000)
    assert desk.refresh(BAD_REFRESH).headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_device_error(desk: Desk) -> None:
    device = desk.start_device()
    desk.emulator.arm("device_error")
    assert error(desk.poll(device))[:2] == (400, "invalid_request")
    assert desk.poll(device).body == b""


def test_refuse(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.arm("refuse")
    desk.emulator.arm("refuse", error="temporarily_unavailable", description="", status=503)
    assert error(desk.refresh(token)) == (400, "invalid_grant", "session not found")
    assert error(desk.refresh(token)) == (503, "temporarily_unavailable", "")
    assert desk.refresh(token).status == 200


def test_replay_family(desk: Desk) -> None:
    token = desk.sign_in()
    newer = body(desk.refresh(token))
    fault = desk.emulator.arm("replay_family")
    assert desk.refresh(BAD_REFRESH).status == 400
    assert fault.fired == 0, "only a replay uses it up"
    desk.refresh(token)
    assert fault.fired == 1
    assert not desk.alive(newer)
    assert desk.emulator.log[-2].faults == ("replay_family",)


def test_replay_grace(desk: Desk) -> None:
    token = desk.sign_in()
    newer = body(desk.refresh(token))
    desk.emulator.arm("slow", times=None)
    desk.emulator.arm("replay_grace", within=10)
    desk.wait(9)
    assert body(desk.refresh(token))["access_token"] == newer["access_token"]
    assert error(desk.refresh(token))[1] == "invalid_grant"


def test_times_and_skip(desk: Desk) -> None:
    fault = desk.emulator.arm("status", times=2, skip=1)
    statuses = [desk.refresh(BAD_REFRESH).status for _ in range(5)]
    assert statuses == [400, 503, 503, 400, 400]
    assert fault.spent
    assert desk.emulator.state()["faults"] == []


def test_probability_repeats_with_its_seed(desk: Desk) -> None:
    def run() -> list[int]:
        desk.emulator.disarm()
        desk.emulator.arm("status", times=None, probability=0.5, seed=7)
        return [desk.refresh(BAD_REFRESH).status for _ in range(20)]

    first = run()
    assert set(first) == {400, 503}
    assert run() == first


def test_faults_stay_until_disarmed(desk: Desk) -> None:
    fault = desk.emulator.arm("status", times=None)
    other = desk.emulator.arm("status", times=None, endpoint="/users/me")
    assert {desk.refresh(BAD_REFRESH).status for _ in range(5)} == {503}
    desk.emulator.disarm(fault)
    assert desk.refresh(BAD_REFRESH).status == 400
    assert desk.emulator.state()["faults"] == [other.to_dict()]


@pytest.mark.parametrize(
    ("matchers", "struck"),
    [
        ({}, {"token", "code", "api"}),
        ({"endpoint": "oauth"}, {"token", "code"}),
        ({"endpoint": "api"}, {"api"}),
        ({"endpoint": "/oauth/device/*"}, {"code"}),
        ({"endpoint": "/activate"}, {"page"}),
        ({"endpoint": "/emulator/*"}, set()),
        ({"grant_type": "refresh_token"}, {"token"}),
        ({"grant_type": "authorization_code"}, set()),
        ({"client_id": "emulator"}, {"token", "code"}),
        ({"client_id": "other"}, set()),
    ],
)
def test_matchers(desk: Desk, matchers: dict[str, object], struck: set[str]) -> None:
    desk.emulator.arm("status", status=599, times=None, **matchers)
    answers = {
        "token": desk.refresh(BAD_REFRESH),
        "code": desk.oauth("device/code"),
        "api": desk.api(desk.sign_in()),
        "page": desk.send("GET", "/activate"),
        "control": desk.send("GET", "/emulator/state"),
        "nowhere": desk.send("GET", "/nowhere"),
    }
    assert {name for name, answer in answers.items() if answer.status == 599} == struck


def test_a_body_that_cannot_be_read_matches_no_field(desk: Desk) -> None:
    desk.emulator.arm("status", grant_type="refresh_token")
    answer = desk.send(
        "POST", "/oauth/token", body=b"{", headers={"content-type": "application/json"}
    )
    assert answer.status == 400


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("nonsense", {}),
        ("slow", {"minutes": 1}),
        ("slow", {"seconds": "1"}),
        ("slow", {"seconds": True}),
        ("slow", {"seconds": -1}),
        ("slow", {"seconds": float("nan")}),
        ("slow", {"seconds": 1e12}),
        ("slow", {"processed": 1}),
        ("slow", {"times": -1}),
        ("slow", {"times": 1.5}),
        ("slow", {"skip": None}),
        ("slow", {"probability": 2}),
        ("slow", {"probability": "x"}),
        ("slow", {"probability": True}),
        ("slow", {"seed": [1]}),
        ("slow", {"endpoint": 1}),
        ("slow", {"endpoint": None}),
        ("slow", {"client_id": 1}),
        ("status", {"status": 200}),
        ("status", {"status": 503.0}),
        ("status", {"retry_after": -1}),
        ("status", {"retry_after": 1.5}),
        ("forbidden", {"cause": "mood"}),
        ("forbidden", {"cause": []}),
        ("answer_lost", {"how": "gently"}),
        ("legacy_errors", {"status": 403}),
        ("refuse", {"error": 1}),
        ("refuse", {"status": 200}),
        ("shorter_lifetime", {"seconds": 0}),
    ],
)
def test_mistakes_are_named(desk: Desk, name: str, settings: dict[str, object]) -> None:
    with pytest.raises(ValueError) as caught:
        desk.emulator.arm(name, **settings)
    assert str(caught.value)
    assert desk.emulator.state()["faults"] == []


def test_respond_leaves_waiting_to_the_caller(desk: Desk) -> None:
    desk.emulator.arm("slow", seconds=2, processed=False)
    desk.emulator.arm("answer_lost", how="reset")
    request = HttpRequest(
        method="POST",
        url="http://127.0.0.1/oauth/token",
        headers={"content-type": "application/json"},
        body=b"{}",
    )
    first = desk.emulator.respond(request)
    assert (first.delay, first.response) == (2, None)
    assert first.resume is not None
    second = first.resume()
    assert (second.delay, second.cut, second.processed) == (0, "reset", True)
