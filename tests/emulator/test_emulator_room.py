"""The control room without a browser: what it says, what its buttons do, and whom it answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import trakt_auth.emulator
from support.emulator_client import FORM, Browser, Desk, body
from support.person import live_in
from trakt_auth.emulator import Emulator, Entry
from trakt_auth.emulator.dashboard.explain import FAULTS, explain
from trakt_auth.emulator.dashboard.fault_form import rack
from trakt_auth.emulator.dashboard.view import span
from trakt_auth.emulator.faults.armed import kinds
from trakt_auth.protocol.http import HttpRequest

SOURCE = Path(trakt_auth.emulator.__file__).parent


def press(browser: Browser, decision: str, **fields: str) -> int:
    """Press a button of the room; return the status, 200 when all is well."""
    return browser.open("/").submit("/", decision=decision, **fields).last.status


# -- explanations ----------------------------------------------------------------------------------


def outcomes() -> set[str]:
    """Every word by which the source calls the end of a request; faults explain themselves."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).as_posix() != "faults/responses.py":
            text = path.read_text()
            found |= set(re.findall(r'outcome="(\w+)"', text))
            found |= set(re.findall(r'empty\(\d+, "(\w+)"\)', text))
            found |= set(re.findall(r'oauth_error\("(\w+)"', text))
    return found


def entry(outcome: str, endpoint: str, **fields: object) -> Entry:
    given = {"at": 0.0, "method": "POST", "status": 200, "notes": {}, "faults": (), **fields}
    return Entry(outcome=outcome, endpoint=endpoint, **given)  # type: ignore[arg-type]


def test_every_outcome_has_a_sentence() -> None:
    endpoints = ["/oauth/token", "/oauth/device/token", "/oauth/device/code", "/oauth/revoke", "/"]
    endpoints += ["/activate", "/oauth/authorize", "/users/me", "/emulator/clock"]
    endpoints += ["/oauth/authorize/native"]
    words = outcomes()
    assert len(words) > 25
    for outcome in words - {"forbidden_by_edge", "html_200", "status"}:
        said = [explain(entry(outcome, endpoint)).sentence for endpoint in endpoints]
        assert any("Answered with" not in sentence for sentence in said), outcome
        assert all(re.fullmatch(r"[A-Z4].*\.", sentence) for sentence in said)


def test_all_that_was_lived_through_is_explained(desk: Desk, browser: Browser) -> None:
    live_in(desk)
    desk.emulator.disarm()
    browser.open(desk.authorize_url()).sign_in("new").submit(browser.url, decision="allow")
    desk.send("GET", "/nowhere")
    desk.send("GET", "/oauth/token")
    desk.post("/emulator/clock", {"advance": 5})
    for line in desk.emulator.log:
        said = explain(line)
        assert "Answered with" not in said.sentence, line
        assert said.source or line.endpoint.startswith(("/emulator", "/sign", "(unknown"))
    assert explain(desk.emulator.log[-1]).sentence == "Done for a program: the clock moved by 5 s."


def test_what_cannot_be_explained_is_still_told() -> None:
    assert explain(entry("odd", "/odd")).sentence == "Answered with odd."


def test_an_error_is_explained_in_the_words_that_the_program_got(desk: Desk) -> None:
    desk.oauth("token", grant_type="authorization_code", code="x")
    desk.oauth("token")
    bad, missing = (explain(line) for line in desk.emulator.log)
    assert bad.sentence.endswith("is not good: invalid authorization code.")
    assert missing.sentence == "The request is malformed: missing grant_type."
    assert missing.source == "RFC 6749 §5.2"


def test_the_two_messages_are_masked(desk: Desk) -> None:
    token = desk.sign_in()
    answer = body(desk.refresh(token, client_secret="emulator-secret"))
    (line,) = desk.emulator.log
    assert line.sent["grant_type"] == "refresh_token"
    assert line.sent["client_secret"] == "(hidden)"
    assert re.fullmatch("#[0-9a-f]{8}", line.sent["refresh_token"])
    assert line.answered["expires_in"] == "604800"
    told = json.dumps([line.sent, line.answered])
    for secret in (token["refresh_token"], answer["refresh_token"], answer["access_token"]):
        assert secret not in told


def test_a_redirect_is_masked(desk: Desk, browser: Browser) -> None:
    browser.open(desk.authorize_url()).sign_in().submit(browser.url, decision="allow")
    answered = desk.emulator.log[-1].answered
    assert answered["location"] == "http://127.0.0.1:8765/callback"
    assert answered["code"].startswith("#")
    assert answered["state"].startswith("#")


# -- faults ----------------------------------------------------------------------------------------


def form_of(fault: dict[str, object]) -> dict[str, str]:
    """What the page sends when nobody has changed anything."""
    form = {"fault": str(fault["name"]), "times": "1", "percent": "100"}
    form["endpoint"] = fault["endpoints"][0]  # type: ignore[index]
    for one in fault["parameters"]:  # type: ignore[attr-defined]
        if one["kind"] != "switch":
            form[one["field"]] = "" if one["default"] is None else str(one["default"])
        elif one["default"]:
            form[one["field"]] = "yes"
    return form


@pytest.mark.parametrize("fault", rack(), ids=lambda fault: fault["name"])
def test_every_fault_can_be_armed_as_it_stands(desk: Desk, browser: Browser, fault: dict) -> None:
    assert press(browser, "arm", **form_of(fault)) == 200
    by_hand = Emulator()
    by_hand.arm(fault["name"])
    assert desk.emulator.state()["faults"] == by_hand.state()["faults"]
    assert f"Arm {fault['name']}" in browser.text


def test_the_rack_is_complete() -> None:
    assert [fault["name"] for fault in rack()] == list(kinds()) == list(FAULTS)
    choices = [
        (fault["name"], one["field"].removeprefix("with."), one["choices"])
        for fault in rack()
        for one in fault["parameters"]  # type: ignore[attr-defined]
        if one["choices"]
    ]
    assert len(choices) == 3
    for name, parameter, values in choices:
        for value in values:
            Emulator().arm(name, **{parameter: int(value) if value.isdigit() else value})
        with pytest.raises(ValueError, match="one of"):
            Emulator().arm(name, **{parameter: "other"})


@pytest.mark.parametrize(
    "changes",
    [
        {"fault": "none"},
        {"times": "x"},
        {"times": "1.5"},
        {"percent": "x"},
        {"percent": "101"},
        {"with.seconds": "soon"},
        {"with.seconds": "-1"},
        {"with.seconds": "nan"},
    ],
)
def test_a_mistake_arms_nothing(desk: Desk, browser: Browser, changes: dict[str, str]) -> None:
    fields = {"fault": "slow", "times": "1", "percent": "100", **changes}
    assert press(browser, "arm", **fields) == 409
    assert "Nothing was done" in browser.text
    assert desk.emulator.state()["faults"] == []


def test_arming_how_often(desk: Desk, browser: Browser) -> None:
    press(browser, "arm", fault="slow", times="", percent="25", endpoint="api")
    (fault,) = desk.emulator.state()["faults"]  # type: ignore[misc]
    assert (fault["times"], fault["probability"], fault["endpoint"]) == (None, 0.25, "api")
    assert fault["processed"] is False, "a switch that is off is not sent"


# -- the other buttons -----------------------------------------------------------------------------


def test_buttons_for_what_is_gone(desk: Desk, browser: Browser) -> None:
    desk.sign_in("maria")
    for decision, fields in (
        ("disarm", {"number": "0"}),
        ("disconnect", {"username": "nobody"}),
        ("end", {"username": "nobody"}),
        ("end", {"username": "maria", "client_id": "emulator", "number": "99"}),
        ("nonsense", {}),
    ):
        assert press(browser, decision, **fields) == 404
    assert press(browser, "advance", seconds="x") == 409
    assert press(browser, "advance", seconds="-5") == 409


def test_buttons_that_end_things(desk: Desk, browser: Browser) -> None:
    first, second = desk.sign_in("maria"), desk.sign_in("maria")
    fields = {"username": "maria", "client_id": "emulator"}
    assert press(browser, "end", number="2", **fields) == 200
    assert (desk.alive(first), desk.alive(second)) == (True, False)
    desk.emulator.arm("reset")
    fault = desk.emulator.arm("slow", seconds=2.5, processed=False)
    desk.emulator.arm("status", times=3)
    assert press(browser, "disarm", number=str(fault.number)) == 200
    assert [one["fault"] for one in desk.emulator.state()["faults"]] == ["reset", "status"]  # type: ignore[union-attr]
    assert press(browser, "disarm_all") == 200
    assert desk.emulator.state()["faults"] == []


def test_what_is_said_of_a_fault_and_of_a_clock(desk: Desk, browser: Browser) -> None:
    desk.emulator.arm("slow", seconds=2.5, processed=False)
    desk.emulator.arm("status", times=None, probability=0.5)
    browser.open("/")
    assert "seconds 2.5, processed no" in browser.text
    assert "every time, 50% of requests" in browser.text
    assert "retry_after none" in browser.text
    assert "stands still, not moved" in browser.text
    desk.emulator = Emulator()
    desk.wait(60)
    assert "runs, 1 min ahead" in Browser(desk).open("/").text


def test_a_body_that_cannot_be_read_is_told_as_nothing(desk: Desk) -> None:
    desk.send("POST", "/oauth/token", body=b"{", headers={"content-type": "application/json"})
    desk.emulator.arm("truncated_json")
    desk.refresh(desk.sign_in())
    broken, cut = desk.emulator.log
    assert (broken.sent, broken.answered["error"]) == ({}, "invalid_request")
    assert cut.answered == {}


def test_disconnecting_is_what_the_person_does_on_trakt(desk: Desk, browser: Browser) -> None:
    token = desk.sign_in("Maria")
    assert press(browser, "disconnect", username="Maria", client_id="emulator") == 200
    assert not desk.alive(token)
    assert "Nobody has signed in" in browser.text
    browser.open(desk.authorize_url()).sign_in("maria")
    assert "Allow Emulator demo" in browser.text, "the person is asked again"


def test_a_program_that_presses_gets_json(desk: Desk, browser: Browser) -> None:
    browser.open("/")
    headers = {**FORM, "Accept": "application/json"}
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    form = f"csrf={browser.csrf}&decision=advance&seconds=x".encode()
    answer = desk.send("POST", "/", body=form, headers=headers)
    assert answer.status == 409
    assert body(answer) == {"error": "The clock moves by a number of seconds, not by 'x'."}


def test_a_reset_is_the_first_line_of_the_new_log(desk: Desk, browser: Browser) -> None:
    desk.sign_in()
    assert press(browser, "reset") == 200
    assert "Forgot everything but the applications and the time." in browser.text
    assert [line.outcome for line in desk.emulator.log] == ["reset", "page"]


# -- whom it answers -------------------------------------------------------------------------------


def ask(desk: Desk, method: str, path: str, peer: str = "127.0.0.1", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest(method=method, url=f"http://127.0.0.1:8999{path}", headers=named)
    answer = desk.emulator.respond(request, peer=peer).response
    assert answer is not None
    return answer.status


@pytest.mark.parametrize("path", ["/emulator/room", "/emulator/room.js", "/emulator/room.css"])
def test_parts_of_the_room_are_for_this_machine(desk: Desk, path: str) -> None:
    assert ask(desk, "GET", path) == 200
    assert ask(desk, "GET", path, sec_fetch_site="same-origin") == 200
    assert ask(desk, "GET", path, sec_fetch_site="cross-site") == 403
    assert ask(desk, "GET", path, "10.0.0.3") == 403
    assert desk.counts() == {}, "watching leaves no trace"


def test_a_button_needs_the_same_site(desk: Desk, browser: Browser) -> None:
    browser.open("/")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    form = f"csrf={browser.csrf}&decision=disarm_all".encode()

    def send(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**FORM, "Cookie": cookie, **named}
        return desk.send("POST", "/", body=form, headers=sent).status

    assert send() == 303
    assert send(Origin="null", Sec_Fetch_Site="same-origin") == 303
    assert send(Origin="http://127.0.0.1:8999", Sec_Fetch_Site="same-origin") == 303
    assert send(Origin="null") == 403
    assert send(Origin="null", Sec_Fetch_Site="cross-site") == 403
    assert send(Origin="http://127.0.0.1:8998") == 403
    assert send(Sec_Fetch_Site="same-site") == 403


def test_only_the_room_may_run_a_script(browser: Browser) -> None:
    policy = browser.open("/").last.headers["content-security-policy"]
    nonce = re.search(r"script-src 'nonce-([^']+)'; connect-src 'self';", policy)
    assert nonce is not None
    assert f'<script nonce="{nonce[1]}" src="/emulator/room.js" defer></script>' in browser.text
    assert browser.text.count("<script") == 1
    assert "style=" not in browser.text
    for path in ("/sign-in", "/activate/success", "/nowhere"):
        policy = browser.open(path).last.headers.get("content-security-policy", "")
        assert "script-src" not in policy


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (600, "10 min"),
        (599.9, "9 min 59 s"),
        (3601, "1 h"),
        (604_799, "6 d 23 h"),
    ],
)
def test_span(seconds: float, words: str) -> None:
    assert span(seconds) == words
