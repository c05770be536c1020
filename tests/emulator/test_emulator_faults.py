from __future__ import annotations

import json

import pytest

from support.emulator_client import EmulatorClient, body, error
from trakt_auth.emulator import Clock, ConnectionLost
from trakt_auth.protocol.http import HttpRequest

BAD_REFRESH = {"refresh_token": "nonsense"}


def test_answer_lost(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("answer_lost")
    with pytest.raises(ConnectionLost) as caught:
        client.refresh(token)
    assert caught.value.processed
    assert error(client.refresh(token))[1] == "invalid_grant", "the refresh took effect"
    assert client.counts()["/oauth/token"] == {"refreshed": 1, "replay_refused": 1}
    assert [entry.status for entry in client.emulator.log] == [None, 400]


def test_reset(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("reset")
    with pytest.raises(ConnectionLost) as caught:
        client.refresh(token)
    assert not caught.value.processed
    assert client.refresh(token).status == 200


def test_slow_calls_on_delay(client: EmulatorClient) -> None:
    late: list[float] = []
    client.emulator.on_delay = late.append
    client.emulator.arm("slow", seconds=30)
    assert client.refresh(client.sign_in()).status == 200
    assert late == [30]


def test_on_delay_may_time_out(client: EmulatorClient) -> None:
    def give_up(seconds: float) -> None:
        raise TimeoutError(seconds)

    token = client.sign_in()
    client.emulator.on_delay = give_up
    client.emulator.arm("slow")
    with pytest.raises(TimeoutError):
        client.refresh(token)
    assert error(client.refresh(token))[1] == "invalid_grant", "the state changed before the wait"


def test_slow_before_processing(client: EmulatorClient) -> None:
    def wait(seconds: float) -> None:
        assert client.alive(token)
        client.wait(seconds)

    token = client.sign_in()
    client.emulator.on_delay = wait
    client.emulator.arm("slow", seconds=60, processed=False)
    assert body(client.refresh(token))["created_at"] == token["created_at"] + 60


def test_faults_are_combined(client: EmulatorClient) -> None:
    late: list[float] = []
    client.emulator.on_delay = late.append
    client.emulator.arm("slow", seconds=1)
    client.emulator.arm("slow", seconds=2)
    client.emulator.arm("status", status=502)
    client.emulator.arm("status", status=504)
    assert [client.refresh(BAD_REFRESH).status for _ in range(3)] == [502, 504, 400]
    assert late == [3]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 521, 522, 599])
def test_server_errors_are_pages(client: EmulatorClient, status: int) -> None:
    token = client.sign_in()
    client.emulator.arm("status", status=status)
    answer = client.refresh(token)
    assert (answer.status, answer.media_type) == (status, "text/html")
    assert ("cf-ray" in answer.headers) is (status >= 520)
    assert client.refresh(token).status == 200, "the request had no effect"


def test_rate_limit(client: EmulatorClient) -> None:
    client.emulator.arm("status", status=429)
    client.emulator.arm("status", status=429, retry_after=143)
    bare, told = client.oauth("device/code"), client.oauth("device/code")
    assert (bare.status, bare.media_type, len(bare.body)) == (429, "text/plain", 16)
    assert "retry-after" not in bare.headers
    assert "x-ratelimit" not in bare.headers
    assert told.headers["retry-after"] == "143"
    until = client.emulator.clock.now() + 143
    assert json.loads(told.headers["x-ratelimit"])["until"] == until


def test_an_error_may_hide_a_success(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("status", processed=True)
    assert client.refresh(token).status == 503
    assert error(client.refresh(token))[1] == "invalid_grant"


def test_cloudflare_403(client: EmulatorClient) -> None:
    client.emulator.arm("cloudflare_403", times=None)
    token = client.sign_in()
    assert client.api(token).status == 403
    assert client.api(token, user_agent="python-httpx2/2.16").status == 403
    assert client.api(token, user_agent="my-player/1.2").status == 200
    client.emulator.disarm()
    client.emulator.arm("cloudflare_403", every_agent=True, plain=True)
    answer = client.api(token, user_agent="my-player/1.2")
    assert (answer.status, answer.body) == (403, b"error code: 1010")


@pytest.mark.parametrize(
    ("cause", "media_type"),
    [("key", "application/json"), ("unapproved", "application/json"), ("blocked", "text/plain")],
)
def test_forbidden(client: EmulatorClient, cause: str, media_type: str) -> None:
    client.emulator.arm("forbidden", cause=cause)
    answer = client.api(client.sign_in())
    assert (answer.status, answer.media_type) == (403, media_type)
    assert (len(answer.body) == 9) is (cause == "blocked")


@pytest.mark.parametrize("deactivated", [False, True])
def test_account_locked(client: EmulatorClient, deactivated: bool) -> None:
    client.emulator.arm("account_locked", deactivated=deactivated)
    answer = client.api(client.sign_in())
    assert answer.status == 423
    assert answer.headers["x-account-deactivated"] == str(deactivated).lower()
    assert answer.headers["x-account-locked"] == str(not deactivated).lower()


def test_unauthorized(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("unauthorized")
    answer = client.api(token)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert client.alive(token)


def test_successes_without_a_token(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("html_200")
    client.emulator.arm("json_200_without_token")
    html, empty = client.refresh(token), client.refresh(token)
    assert (html.status, html.media_type) == (200, "text/html")
    assert (empty.status, body(empty)) == (200, {"message": "ok"})
    assert client.refresh(token).status == 200


def test_truncated_json(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("truncated_json")
    answer = client.refresh(token)
    assert (answer.status, answer.media_type) == (200, "application/json")
    with pytest.raises(ValueError):
        json.loads(answer.body)


@pytest.mark.parametrize("status", [400, 401])
def test_legacy_errors(client: EmulatorClient, status: int) -> None:
    client.emulator.arm("legacy_errors", status=status)
    answer = client.refresh(BAD_REFRESH)
    assert error(answer)[:2] == (status, "invalid_grant")
    assert "expired, revoked" in body(answer)["error_description"]
    assert ("www-authenticate" in answer.headers) is (status == 401)


def test_shorter_lifetime(client: EmulatorClient) -> None:
    client.emulator.arm("shorter_lifetime", seconds=60)
    token = body(client.refresh(client.sign_in()))
    assert token["expires_in"] == 60
    client.wait(60)
    assert not client.alive(token)


def test_shorter_lifetime_of_a_device_token(client: EmulatorClient) -> None:
    client.emulator.arm("shorter_lifetime")
    device = client.start_device()
    client.emulator.approve_device(device["user_code"])
    assert body(client.poll(device))["expires_in"] == 60


@pytest.mark.parametrize("seconds", [3600, -7200.0])
def test_skewed_clock(client: EmulatorClient, seconds: float) -> None:
    client.emulator.arm("skewed_clock", seconds=seconds)
    answer = client.refresh(client.sign_in())
    assert body(answer)["created_at"] == client.emulator.clock.now() + seconds
    assert answer.headers["date"] != client.send("GET", "/").headers["date"]


def test_skew_before_the_epoch() -> None:
    client = EmulatorClient()
    client.emulator = type(client.emulator)(clock=Clock.frozen(1000))
    client.emulator.arm("skewed_clock", seconds=-5000)
    assert client.refresh(BAD_REFRESH).headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_device_error(client: EmulatorClient) -> None:
    device = client.start_device()
    client.emulator.arm("device_error")
    assert error(client.poll(device))[:2] == (400, "invalid_request")
    assert client.poll(device).body == b""


def test_refuse(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("refuse")
    client.emulator.arm("refuse", error="temporarily_unavailable", description="", status=503)
    assert error(client.refresh(token)) == (400, "invalid_grant", "session not found")
    assert error(client.refresh(token)) == (503, "temporarily_unavailable", "")
    assert client.refresh(token).status == 200


def test_replay_family(client: EmulatorClient) -> None:
    token = client.sign_in()
    newer = body(client.refresh(token))
    fault = client.emulator.arm("replay_family")
    assert client.refresh(BAD_REFRESH).status == 400
    assert fault.fired == 0, "only a replay makes it fire"
    client.refresh(token)
    assert fault.fired == 1
    assert not client.alive(newer)
    assert client.emulator.log[-2].faults == ("replay_family",)


def test_replay_grace(client: EmulatorClient) -> None:
    token = client.sign_in()
    newer = body(client.refresh(token))
    client.emulator.arm("slow", times=None)
    client.emulator.arm("replay_grace", within=10)
    client.wait(9)
    assert body(client.refresh(token))["access_token"] == newer["access_token"]
    assert error(client.refresh(token))[1] == "invalid_grant"


def test_times_and_skip(client: EmulatorClient) -> None:
    fault = client.emulator.arm("status", times=2, skip=1)
    statuses = [client.refresh(BAD_REFRESH).status for _ in range(5)]
    assert statuses == [400, 503, 503, 400, 400]
    assert fault.spent
    assert client.emulator.state()["faults"] == []


def test_probability_repeats_with_its_seed(client: EmulatorClient) -> None:
    def run() -> list[int]:
        client.emulator.disarm()
        client.emulator.arm("status", times=None, probability=0.5, seed=7)
        return [client.refresh(BAD_REFRESH).status for _ in range(20)]

    first = run()
    assert set(first) == {400, 503}
    assert run() == first


def test_faults_stay_until_disarmed(client: EmulatorClient) -> None:
    fault = client.emulator.arm("status", times=None)
    other = client.emulator.arm("status", times=None, endpoint="/users/me")
    assert {client.refresh(BAD_REFRESH).status for _ in range(5)} == {503}
    client.emulator.disarm(fault)
    assert client.refresh(BAD_REFRESH).status == 400
    assert client.emulator.state()["faults"] == [other.to_dict()]


@pytest.mark.parametrize(
    ("matchers", "struck"),
    [
        ({}, {"token", "code", "api", "any path"}),
        ({"endpoint": "oauth"}, {"token", "code"}),
        ({"endpoint": "api"}, {"api", "any path"}),
        ({"endpoint": "/sync/*"}, {"any path"}),
        ({"endpoint": "/oauth/device/*"}, {"code"}),
        ({"endpoint": "/activate"}, {"page"}),
        ({"endpoint": "/emulator/*"}, set()),
        ({"grant_type": "refresh_token"}, {"token"}),
        ({"grant_type": "authorization_code"}, set()),
        ({"client_id": "emulator"}, {"token", "code"}),
        ({"client_id": "other"}, set()),
    ],
)
def test_matchers(client: EmulatorClient, matchers: dict[str, object], struck: set[str]) -> None:
    client.emulator.arm("status", status=599, times=None, **matchers)
    answers = {
        "token": client.refresh(BAD_REFRESH),
        "code": client.oauth("device/code"),
        "api": client.api(client.sign_in()),
        "page": client.send("GET", "/activate"),
        "control": client.send("GET", "/emulator/state"),
        "nowhere": client.send("GET", "/oauth/nowhere"),
        "any path": client.send("DELETE", "/sync/history/7"),
    }
    assert {name for name, answer in answers.items() if answer.status == 599} == struck


def test_a_body_that_cannot_be_read_matches_no_field(client: EmulatorClient) -> None:
    client.emulator.arm("status", grant_type="refresh_token")
    answer = client.send(
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
        ("forbidden", {"cause": "other"}),
        ("forbidden", {"cause": []}),
        ("answer_lost", {"how": "other"}),
        ("legacy_errors", {"status": 403}),
        ("refuse", {"error": 1}),
        ("refuse", {"status": 200}),
        ("shorter_lifetime", {"seconds": 0}),
    ],
)
def test_invalid_settings_are_explained(
    client: EmulatorClient, name: str, settings: dict[str, object]
) -> None:
    with pytest.raises(ValueError) as caught:
        client.emulator.arm(name, **settings)
    assert str(caught.value)
    assert client.emulator.state()["faults"] == []


def test_respond_does_not_wait(client: EmulatorClient) -> None:
    client.emulator.arm("slow", seconds=2, processed=False)
    client.emulator.arm("answer_lost", how="reset")
    request = HttpRequest(
        method="POST",
        url="http://127.0.0.1/oauth/token",
        headers={"content-type": "application/json"},
        body=b"{}",
    )
    first = client.emulator.process(request)
    assert (first.delay, first.response) == (2, None)
    assert first.resume is not None
    second = first.resume()
    assert (second.delay, second.cut, second.processed) == (0, "reset", True)
