"""The dashboard without a browser: its texts, its buttons, and whose requests it accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import trakt_auth.emulator
from support.emulator_client import FORM, Browser, EmulatorClient, body
from support.person import fill_with_activity
from trakt_auth.emulator import Emulator, Entry
from trakt_auth.emulator.dashboard.explain import FAULTS, explain
from trakt_auth.emulator.dashboard.fault_form import fault_forms
from trakt_auth.emulator.dashboard.view import format_duration
from trakt_auth.emulator.faults.armed import kinds
from trakt_auth.protocol.http import HttpRequest

SOURCE = Path(trakt_auth.emulator.__file__).parent


def press(browser: Browser, decision: str, **fields: str) -> int:
    """Press a button of the dashboard; return the status, 200 if it worked."""
    return browser.open("/").submit("/", decision=decision, **fields).last.status


# -- explanations ----------------------------------------------------------------------------------


def outcomes() -> set[str]:
    """Every outcome that the source names; those of faults are explained as faults."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).as_posix() != "faults/responses.py":
            text = path.read_text()
            found |= set(re.findall(r'outcome="(\w+)"', text))
            found |= set(re.findall(r'empty_response\(\d+, "(\w+)"\)', text))
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
        sentences = [explain(entry(outcome, endpoint)).sentence for endpoint in endpoints]
        assert any("The outcome was" not in sentence for sentence in sentences), outcome
        assert all(re.fullmatch(r"[A-Z4].*\.", sentence) for sentence in sentences)


def test_every_kind_of_activity_is_explained(client: EmulatorClient, browser: Browser) -> None:
    fill_with_activity(client)
    client.emulator.disarm()
    browser.open(client.authorize_url()).sign_in("new").submit(browser.url, decision="allow")
    client.send("GET", "/nowhere")
    client.send("GET", "/oauth/token")
    client.post("/emulator/clock", {"advance": 5})
    for line in client.emulator.log:
        explanation = explain(line)
        assert "The outcome was" not in explanation.sentence, line
        assert explanation.source or line.endpoint.startswith(("/emulator", "/sign", "(unknown"))
    last = explain(client.emulator.log[-1]).sentence
    assert last == "A program made a control call: advanced the clock by 5 s."


def test_an_outcome_without_an_explanation_is_named() -> None:
    assert explain(entry("odd", "/odd")).sentence == "The outcome was odd."


def test_an_error_is_explained_by_its_description(client: EmulatorClient) -> None:
    client.oauth("token", grant_type="authorization_code", code="x")
    client.oauth("token")
    bad, missing = (explain(line) for line in client.emulator.log)
    assert bad.sentence.endswith("is not valid: invalid authorization code.")
    assert missing.sentence == "The request is malformed: missing grant_type."
    assert missing.source == "RFC 6749 §5.2"


def test_the_two_messages_are_masked(client: EmulatorClient) -> None:
    token = client.sign_in()
    answer = body(client.refresh(token, client_secret="emulator-secret"))
    (line,) = client.emulator.log
    assert line.request_fields["grant_type"] == "refresh_token"
    assert line.request_fields["client_secret"] == "(hidden)"
    assert re.fullmatch("#[0-9a-f]{8}", line.request_fields["refresh_token"])
    assert line.response_fields["expires_in"] == "604800"
    logged = json.dumps([line.request_fields, line.response_fields])
    for secret in (token["refresh_token"], answer["refresh_token"], answer["access_token"]):
        assert secret not in logged


def test_a_redirect_is_masked(client: EmulatorClient, browser: Browser) -> None:
    browser.open(client.authorize_url()).sign_in().submit(browser.url, decision="allow")
    response_fields = client.emulator.log[-1].response_fields
    assert response_fields["location"] == "http://127.0.0.1:8765/callback"
    assert response_fields["code"].startswith("#")
    assert response_fields["state"].startswith("#")


# -- faults ----------------------------------------------------------------------------------------


def form_of(fault: dict[str, object]) -> dict[str, str]:
    """The fields that the page sends if the user has changed none of them."""
    form = {"fault": str(fault["name"]), "times": "1", "percent": "100"}
    form["endpoint"] = fault["endpoints"][0]  # type: ignore[index]
    for one in fault["parameters"]:  # type: ignore[attr-defined]
        if one["kind"] != "switch":
            form[one["field"]] = "" if one["default"] is None else str(one["default"])
        elif one["default"]:
            form[one["field"]] = "yes"
    return form


@pytest.mark.parametrize("fault", fault_forms(), ids=lambda fault: fault["name"])
def test_every_fault_can_be_armed_with_its_defaults(
    client: EmulatorClient, browser: Browser, fault: dict
) -> None:
    assert press(browser, "arm", **form_of(fault)) == 200
    by_hand = Emulator()
    by_hand.arm(fault["name"])
    assert client.emulator.state()["faults"] == by_hand.state()["faults"]
    assert f"Arm {fault['name']}" in browser.text


def test_every_fault_has_a_form() -> None:
    assert [fault["name"] for fault in fault_forms()] == list(kinds()) == list(FAULTS)
    choices = [
        (fault["name"], one["field"].removeprefix("with."), one["choices"])
        for fault in fault_forms()
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
def test_a_mistake_arms_nothing(
    client: EmulatorClient, browser: Browser, changes: dict[str, str]
) -> None:
    fields = {"fault": "slow", "times": "1", "percent": "100", **changes}
    assert press(browser, "arm", **fields) == 409
    assert "Nothing was changed" in browser.text
    assert client.emulator.state()["faults"] == []


def test_arming_how_often(client: EmulatorClient, browser: Browser) -> None:
    press(browser, "arm", fault="slow", times="", percent="25", endpoint="api")
    (fault,) = client.emulator.state()["faults"]  # type: ignore[misc]
    assert (fault["times"], fault["probability"], fault["endpoint"]) == (None, 0.25, "api")
    assert fault["processed"] is False, "a switch that is off is not sent"


# -- the other buttons -----------------------------------------------------------------------------


def test_buttons_for_items_that_are_gone(client: EmulatorClient, browser: Browser) -> None:
    client.sign_in("maria")
    for decision, fields in (
        ("disarm", {"number": "0"}),
        ("disconnect", {"username": "unknown"}),
        ("end", {"username": "unknown"}),
        ("end", {"username": "maria", "client_id": "emulator", "number": "99"}),
        ("nonsense", {}),
    ):
        assert press(browser, decision, **fields) == 404
    assert press(browser, "advance", seconds="x") == 409
    assert press(browser, "advance", seconds="-5") == 409


def test_buttons_that_end_things(client: EmulatorClient, browser: Browser) -> None:
    first, second = client.sign_in("maria"), client.sign_in("maria")
    fields = {"username": "maria", "client_id": "emulator"}
    assert press(browser, "end", number="2", **fields) == 200
    assert (client.alive(first), client.alive(second)) == (True, False)
    client.emulator.arm("reset")
    fault = client.emulator.arm("slow", seconds=2.5, processed=False)
    client.emulator.arm("status", times=3)
    assert press(browser, "disarm", number=str(fault.number)) == 200
    assert [one["fault"] for one in client.emulator.state()["faults"]] == ["reset", "status"]  # type: ignore[union-attr]
    assert press(browser, "disarm_all") == 200
    assert client.emulator.state()["faults"] == []


def test_texts_about_a_fault_and_the_clock(client: EmulatorClient, browser: Browser) -> None:
    client.emulator.arm("slow", seconds=2.5, processed=False)
    client.emulator.arm("status", times=None, probability=0.5)
    browser.open("/")
    assert "seconds 2.5, processed no" in browser.text
    assert "every time, 50% of requests" in browser.text
    assert "retry_after none" in browser.text
    assert "frozen, not advanced" in browser.text
    client.emulator = Emulator()
    client.wait(60)
    assert "running, advanced by 1 min" in Browser(client).open("/").text


def test_a_malformed_body_is_logged_without_fields(client: EmulatorClient) -> None:
    client.send("POST", "/oauth/token", body=b"{", headers={"content-type": "application/json"})
    client.emulator.arm("truncated_json")
    client.refresh(client.sign_in())
    broken, cut = client.emulator.log
    assert (broken.request_fields, broken.response_fields["error"]) == ({}, "invalid_request")
    assert cut.response_fields == {}


def test_disconnecting_does_what_it_does_on_trakt(client: EmulatorClient, browser: Browser) -> None:
    token = client.sign_in("Maria")
    assert press(browser, "disconnect", username="Maria", client_id="emulator") == 200
    assert not client.alive(token)
    assert "No user has signed in" in browser.text
    browser.open(client.authorize_url()).sign_in("maria")
    assert "Allow Emulator demo" in browser.text, "the user is asked again"


def test_a_program_that_presses_gets_json(client: EmulatorClient, browser: Browser) -> None:
    browser.open("/")
    headers = {**FORM, "Accept": "application/json"}
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    form = f"csrf={browser.csrf}&decision=advance&seconds=x".encode()
    answer = client.send("POST", "/", body=form, headers=headers)
    assert answer.status == 409
    assert body(answer) == {"error": "Seconds must be a number, not 'x'."}


def test_a_reset_is_the_first_line_of_the_new_log(client: EmulatorClient, browser: Browser) -> None:
    client.sign_in()
    assert press(browser, "reset") == 200
    assert "Deleted everything except the applications and the time." in browser.text
    assert [line.outcome for line in client.emulator.log] == ["reset", "page"]


# -- whose requests it accepts ---------------------------------------------------------------------


def ask(
    client: EmulatorClient, method: str, path: str, peer: str = "127.0.0.1", **headers: str
) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest(method=method, url=f"http://127.0.0.1:8999{path}", headers=named)
    answer = client.emulator.process(request, peer=peer).response
    assert answer is not None
    return answer.status


@pytest.mark.parametrize("path", ["/emulator/room", "/emulator/room.js", "/emulator/room.css"])
def test_parts_of_the_dashboard_are_for_this_machine(client: EmulatorClient, path: str) -> None:
    assert ask(client, "GET", path) == 200
    assert ask(client, "GET", path, sec_fetch_site="same-origin") == 200
    assert ask(client, "GET", path, sec_fetch_site="cross-site") == 403
    assert ask(client, "GET", path, "10.0.0.3") == 403
    assert client.counts() == {}, "the page's own requests are not logged"


def test_a_button_needs_the_same_site(client: EmulatorClient, browser: Browser) -> None:
    browser.open("/")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    form = f"csrf={browser.csrf}&decision=disarm_all".encode()

    def send(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**FORM, "Cookie": cookie, **named}
        return client.send("POST", "/", body=form, headers=sent).status

    assert send() == 303
    assert send(Origin="null", Sec_Fetch_Site="same-origin") == 303
    assert send(Origin="http://127.0.0.1:8999", Sec_Fetch_Site="same-origin") == 303
    assert send(Origin="null") == 403
    assert send(Origin="null", Sec_Fetch_Site="cross-site") == 403
    assert send(Origin="http://127.0.0.1:8998") == 403
    assert send(Sec_Fetch_Site="same-site") == 403


def test_only_the_dashboard_may_run_a_script(browser: Browser) -> None:
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
def test_format_duration(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
