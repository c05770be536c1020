"""The sentences of the dashboard's log: what each request did, and what a fault did to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import trakt_auth.emulator
from support.emulator_client import Browser, EmulatorClient, body
from support.person import fill_with_activity
from trakt_auth.emulator import ConnectionLost, Entry
from trakt_auth.emulator.dashboard.explain import explain

SOURCE = Path(trakt_auth.emulator.__file__).parent


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


def test_a_malformed_body_is_logged_without_fields(client: EmulatorClient) -> None:
    client.send("POST", "/oauth/token", body=b"{", headers={"content-type": "application/json"})
    client.emulator.arm("truncated_json")
    client.refresh(client.sign_in())
    broken, cut = client.emulator.log
    assert (broken.request_fields, broken.response_fields["error"]) == ({}, "invalid_request")
    assert cut.response_fields == {}


# -- faults that fired -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "settings", "expected"),
    [
        ("status", {"status": 429, "retry_after": 30}, "429, Retry-After 30."),
        ("status", {"status": 521}, "in front of Trakt. Responded with 521."),
        (
            "refuse",
            {"error": "invalid_client", "status": 401},
            "Responded with 401, invalid_client.",
        ),
        ("html_200", {}, "Responded with 200."),
        ("slow", {}, "the response was late. Responded with 200. Refreshed: the refresh token"),
        ("truncated_json", {}, "ended in the middle. Responded with 200. Refreshed:"),
    ],
)
def test_a_fired_fault_is_explained_by_what_was_sent(
    client: EmulatorClient, fault: str, settings: dict, expected: str
) -> None:
    token = client.sign_in()
    client.emulator.arm(fault, **settings)
    client.refresh(token)
    sentence = explain(client.emulator.log[-1]).sentence
    assert sentence.startswith(f"Fault {fault}: ")
    assert expected in sentence
    if fault in {"status", "refuse", "html_200"}:
        assert sentence.endswith(expected), "the request had no effect of its own"


def test_a_fault_is_not_explained_as_the_program_s_own_error(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.arm("unauthorized")
    client.api(token)
    assert explain(client.emulator.log[-1]).sentence == (
        "Fault unauthorized: the access token was rejected, although it may be valid. "
        "Responded with 401."
    )


@pytest.mark.parametrize("fault", ["answer_lost", "reset"])
def test_a_fault_that_ends_the_connection_sends_no_status(
    client: EmulatorClient, fault: str
) -> None:
    token = client.sign_in()
    client.emulator.arm(fault)
    with pytest.raises(ConnectionLost):
        client.refresh(token)
    sentence = explain(client.emulator.log[-1]).sentence
    assert "No response was sent." in sentence
    assert ("Refreshed" in sentence) is (fault == "answer_lost")
