from __future__ import annotations

import json
import time

import pytest

from support.emulator_client import FORM, Browser, EmulatorClient, body
from trakt_auth.emulator import Application, Clock, Emulator, Options, fingerprint
from trakt_auth.emulator.http.request import is_loopback
from trakt_auth.emulator.options import Settings
from trakt_auth.protocol.http import HttpRequest


def test_state_over_http(client: EmulatorClient) -> None:
    device = client.start_device()
    client.code("sean")
    client.sign_in("sean")
    state = body(client.send("GET", "/emulator/state"))
    assert state["now"] == client.emulator.clock.now()
    assert state["options"]["device_interval"] == 5
    assert state["applications"][0]["client_id"] == "emulator"
    assert state["accounts"][0]["username"] == "sean"
    assert state["authorization_codes"] == 1
    assert state["requests"] == {"/oauth/device/code": {"started": 1}}
    (code,) = state["device_codes"]
    assert code == {
        "user_code": device["user_code"],
        "client_id": "emulator",
        "status": "pending",
        "account": None,
        "expires_in": 600.0,
        "polls": 0,
    }
    assert json.dumps(client.emulator.state())


def test_approve_and_deny_over_http(client: EmulatorClient) -> None:
    first, second = client.start_device(), client.start_device()
    answer = client.post(
        f"/emulator/device/{first['user_code'].lower()}/approve", {"username": "al"}
    )
    assert body(answer) == {"user_code": first["user_code"], "status": "approved"}
    assert client.send("POST", f"/emulator/device/{second['user_code']}/deny").status == 200
    assert client.poll(first).status == 200
    assert client.poll(second).status == 418
    assert client.emulator.state()["accounts"][0]["username"] == "al"  # type: ignore[index]
    again = client.send("POST", f"/emulator/device/{second['user_code']}/approve")
    assert (again.status, body(again)) == (409, {"error": "this code is already denied"})
    assert client.send("POST", "/emulator/device/NOPE/approve").status == 404


def test_clock_over_http(client: EmulatorClient) -> None:
    answer = client.post("/emulator/clock", {"advance": 3600})
    assert body(answer)["now"] == client.emulator.clock.now() == Clock.frozen().now() + 3600


def test_faults_over_http(client: EmulatorClient) -> None:
    client.emulator.arm("reset")
    answer = client.post("/emulator/faults", [{"fault": "slow", "seconds": 9}, {"fault": "status"}])
    assert [one["fault"] for one in body(answer)["faults"]] == ["slow", "status"]
    assert body(client.post("/emulator/faults", [])) == {"faults": []}


def test_a_wrong_fault_leaves_the_others_armed(client: EmulatorClient) -> None:
    client.emulator.arm("reset")
    answer = client.post("/emulator/faults", [{"fault": "slow"}, {"fault": "slow", "seconds": "x"}])
    assert (answer.status, body(answer)["error"]) == (400, "seconds must be a number, not 'x'")
    assert len(client.emulator.state()["faults"]) == 1  # type: ignore[arg-type]


def test_reset_deletes_all_but_applications_and_time(client: EmulatorClient) -> None:
    client.emulator.register_application("other")
    token = client.sign_in()
    client.start_device()
    client.emulator.arm("status", times=None)
    client.wait(50)
    assert client.post("/emulator/reset").status == 200
    state = client.emulator.state()
    assert state["accounts"] == state["device_codes"] == state["faults"] == []
    assert len(state["applications"]) == 2  # type: ignore[arg-type]
    assert state["now"] == Clock.frozen().now() + 50
    assert not client.alive(token)
    client.emulator.reset()
    assert client.emulator.log == []


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("clock", b""),
        ("clock", b"{"),
        ("clock", b"[]"),
        ("clock", b"{}"),
        ("clock", b'{"advance":"1"}'),
        ("clock", b'{"advance":true}'),
        ("clock", b'{"advance":-1}'),
        ("clock", b'{"advance":NaN}'),
        ("clock", b'{"advance":1e300}'),
        ("clock", b'{"advance":1' + b"0" * 400 + b"}"),
        ("faults", b"{}"),
        ("faults", b"[1]"),
        ("faults", b"[{}]"),
        ("faults", b'[{"fault":"slow","kind":1}]'),
        ("faults", b'[{"fault":"\\ud800"}]'),
        ("faults", b"[" * 60_000),
        ("device/CODE/approve", b'{"username":7}'),
        ("device/CODE/approve", b"7"),
        ("device/CODE/approve", b"{"),
    ],
)
def test_bad_input_is_explained(client: EmulatorClient, path: str, content: bytes) -> None:
    path = path.replace("CODE", client.start_device()["user_code"])
    answer = client.send("POST", f"/emulator/{path}", body=content, headers=FORM)
    assert answer.status == 400
    assert body(answer)["error"]


def test_an_unreadable_username_over_http(client: EmulatorClient) -> None:
    code = client.start_device()["user_code"]
    assert client.post(f"/emulator/device/{code}/approve", {"username": ""}).status == 409


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS"])
def test_wrong_methods(client: EmulatorClient, method: str) -> None:
    answer = client.send(method, "/emulator/reset")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("url", "peer", "headers", "status"),
    [
        ("http://127.0.0.1", "127.0.0.1", {}, 200),
        ("http://localhost:1", "::1", {}, 200),
        ("http://[::1]:1", "127.0.0.5", {}, 200),
        ("http://127.0.0.1", "::ffff:127.0.0.1", {}, 200),
        ("http://127.0.0.1", "127.0.0.1", {"Origin": "http://127.0.0.1"}, 200),
        ("http://127.0.0.1", "127.0.0.1", {"Sec-Fetch-Site": "none"}, 200),
        ("http://127.0.0.1", "192.168.1.4", {}, 403),
        ("http://127.0.0.1", "::ffff:192.168.1.4", {}, 403),
        ("http://127.0.0.1", "", {}, 403),
        ("http://evil.example", "127.0.0.1", {}, 403),
        ("http://localhost.evil.example", "127.0.0.1", {}, 403),
        ("http://127.0.0.1", "127.0.0.1", {"Origin": "http://evil.example"}, 403),
        ("http://127.0.0.1", "127.0.0.1", {"Origin": "null"}, 403),
        ("http://127.0.0.1", "127.0.0.1", {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_control_is_for_this_machine(
    client: EmulatorClient, url: str, peer: str, headers: dict[str, str], status: int
) -> None:
    device = client.start_device()["user_code"]
    for method, path in (
        ("GET", "state"),
        ("POST", "reset"),
        ("POST", "clock"),
        ("POST", "faults"),
        ("POST", f"device/{device}/approve"),
    ):
        request = HttpRequest(method=method, url=f"{url}/emulator/{path}", headers=headers)
        answer = client.emulator.process(request, peer=peer).response
        assert answer is not None
        assert (answer.status == 403) is (status == 403)


def test_is_loopback() -> None:
    assert is_loopback("127.9.9.9")
    assert not is_loopback("testclient")
    assert not is_loopback("::ffff:10.0.0.1")


def test_the_dashboard_lists_and_decides_codes(client: EmulatorClient, browser: Browser) -> None:
    browser.open("/")
    assert "No device codes yet" in browser.text
    assert "No user has signed in" in browser.text
    first, second, _ = client.start_device(), client.start_device(), client.start_device()
    browser.open("/").submit("/", user_code=first["user_code"], decision="approve")
    assert "has not collected the tokens yet" in browser.text
    assert "emulator-user" in browser.text
    browser.submit("/", user_code=second["user_code"], decision="deny")
    assert f'id="code-{first["user_code"]}"' in browser.text
    assert f'id="code-{second["user_code"]}"' not in browser.text
    assert client.poll(first).status == 200
    assert client.poll(second).status == 418
    browser.open("/")
    assert browser.submit("/", user_code="NOPE", decision="approve").last.status == 404
    browser.open("/")
    assert browser.submit("/", user_code=first["user_code"], decision="?").last.status == 404
    browser.open("/")
    browser.submit("/", user_code=second["user_code"], decision="approve")
    assert browser.last.status == 409


def test_the_dashboard_shows_no_data_to_other_machines(client: EmulatorClient) -> None:
    code = client.start_device()["user_code"]
    client.sign_in("sean")
    request = HttpRequest(method="GET", url="http://10.0.0.2:80/")
    answer = client.emulator.process(request, peer="10.0.0.3").response
    assert answer is not None
    assert answer.status == 200
    assert code not in answer.body.decode()
    assert "sean" not in answer.body.decode()
    press = HttpRequest(method="POST", url="http://10.0.0.2:80/")
    refused = client.emulator.process(press, peer="10.0.0.3").response
    assert refused is not None
    assert refused.status == 403


def test_the_log_contains_everything_but_secrets(client: EmulatorClient) -> None:
    token = client.sign_in("sean")
    client.wait(3)
    answer = body(client.refresh(token, client_secret="emulator-secret"))
    (entry,) = client.emulator.log
    assert entry.to_dict() == {
        "at": client.emulator.clock.now(),
        "method": "POST",
        "endpoint": "/oauth/token",
        "outcome": "refreshed",
        "status": 200,
        "notes": {
            "grant_type": "refresh_token",
            "client_id": "emulator",
            "refresh_token": fingerprint(token["refresh_token"]),
            "account": "sean",
            "issued": fingerprint(answer["refresh_token"]),
        },
        "faults": (),
    }
    seen = repr(client.emulator.log) + json.dumps(client.emulator.state())
    for secret in (*token.values(), *answer.values(), "emulator-secret"):
        assert not isinstance(secret, str) or len(secret) < 20 or secret not in seen


def test_log_is_bounded() -> None:
    client = EmulatorClient(log_size=3)
    for _ in range(5):
        client.send("X" * 1000, "/")
    assert [entry.method for entry in client.emulator.log] == ["(other)"] * 3


def test_the_lists_of_the_state_can_be_limited(client: EmulatorClient) -> None:
    for name in "abc":
        client.sign_in(name)
    state = client.emulator.state(limit=2)
    assert len(state["accounts"]) == len(state["families"]) == 2  # type: ignore[arg-type]


def test_a_clock_is_the_real_time_plus_its_offset() -> None:
    clock = Clock()
    assert abs(clock.now() - time.time()) < 5
    assert not clock.is_frozen
    clock.advance(1000)
    assert 990 < clock.now() - time.time() < 1010


def test_frozen_clock() -> None:
    clock = Clock.frozen(5)
    assert clock.is_frozen
    assert clock.advance(2.5) == clock.now() == 7.5
    for seconds in (-1, float("nan"), float("inf"), 1e15):
        with pytest.raises(ValueError, match="seconds"):
            clock.advance(seconds)


@pytest.mark.parametrize(
    "settings",
    [
        {"access_token_lifetime": 0},
        {"refresh_token_lifetime": 0},
        {"device_interval": -1},
        {"auto_approve": float("nan")},
        {"profile": "modern"},
        {"replay": "maybe"},
        {"log_size": 0},
    ],
)
def test_impossible_options(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Emulator(**settings)  # type: ignore[arg-type]


def test_settings_are_the_options() -> None:
    assert list(Settings.__annotations__) == list(Options().to_dict())
    assert Emulator(device_interval=7).options == Options(device_interval=7)


def test_applications_are_registered_beside_the_built_in_one() -> None:
    emulator = Emulator(applications=[Application(client_id="mine")])
    ids = [one["client_id"] for one in emulator.state()["applications"]]  # type: ignore[union-attr]
    assert ids == ["emulator", "mine"]


def test_polls_do_not_slow_down_with_the_number_of_codes_and_tokens() -> None:
    def rate(client: EmulatorClient) -> float:
        device = client.start_device()
        started = time.perf_counter()
        for _ in range(300):
            client.poll(device)
        return time.perf_counter() - started

    full = EmulatorClient(enforce_interval=False)
    state = full.emulator._state
    for number in range(5000):
        state.codes.start_device("emulator", now=number + 1.0e9)
        full.sign_in(f"user-{number % 50}")
    assert rate(full) < 10 * rate(EmulatorClient(enforce_interval=False)) + 0.2
