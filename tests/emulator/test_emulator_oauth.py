from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

import pytest

from support.emulator_client import (
    CALLBACK,
    CHALLENGE,
    FORM,
    JSON,
    ORIGIN,
    OUT_OF_BAND,
    VERIFIER,
    Desk,
    body,
    error,
    query_of,
)
from trakt_auth.emulator import fingerprint

NOT_FOUND = (400, "invalid_grant", "session not found")


def test_code_is_exchanged_for_a_token(desk: Desk) -> None:
    answer = desk.exchange(desk.code("sean"))
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    token = body(answer)
    assert sorted(token) == [
        "access_token",
        "created_at",
        "expires_in",
        "refresh_token",
        "scope",
        "token_type",
    ]
    assert (token["token_type"], token["scope"]) == ("bearer", "public")
    assert token["expires_in"] == 604_800
    assert token["created_at"] == desk.emulator.clock.now()
    assert body(desk.api(token))["user"]["username"] == "sean"


@pytest.mark.parametrize("secret", ["emulator-secret", None, ""])
def test_secret_is_optional(desk: Desk, secret: str | None) -> None:
    assert desk.exchange(desk.code(), client_secret=secret).status == 200


def test_form_bodies_are_read(desk: Desk) -> None:
    fields = {
        "client_id": "emulator",
        "grant_type": "authorization_code",
        "code": desk.code(),
        "redirect_uri": CALLBACK,
    }
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = desk.send("POST", "/oauth/token", body=urlencode(fields).encode(), headers=headers)
    assert answer.status == 200


def test_doubled_and_trailing_slashes_count_as_one(desk: Desk) -> None:
    assert desk.oauth("/device/code").status == 200
    assert desk.post("//oauth/device/code/", {"client_id": "emulator"}).status == 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", "client_secret is wrong")),
        ({"client_id": "nobody"}, (401, "invalid_client", "client_id is required")),
        ({"client_id": None}, (401, "invalid_client", "client_id is required")),
        ({"grant_type": None}, (400, "invalid_request", "missing grant_type")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", "'password' is not served")),
        ({"code": None}, (400, "invalid_request", "missing code")),
        ({"code": "nonsense"}, (400, "invalid_grant", "invalid authorization code")),
        ({"redirect_uri": None}, (400, "invalid_request", "redirect_uri mismatch")),
        ({"redirect_uri": CALLBACK.upper()}, (400, "invalid_request", "redirect_uri mismatch")),
        ({"redirect_uri": OUT_OF_BAND}, (400, "invalid_request", "redirect_uri mismatch")),
        ({"code": 7}, (400, "invalid_request", "'code' is not a string")),
        ({"code": ["x"]}, (400, "invalid_request", "'code' is not a string")),
    ],
)
def test_exchange_refusals(
    desk: Desk, fields: dict[str, object], expected: tuple[int, str, str]
) -> None:
    code = desk.code()
    assert error(desk.exchange(**{"code": code, **fields})) == expected  # type: ignore[arg-type]
    assert desk.exchange(code).status == 200, "a refusal does not use the code up"


def test_public_application_has_no_secret_to_know(desk: Desk) -> None:
    desk.emulator.register_application("tv", redirect_uris=["tv://back"])
    assert desk.oauth("device/code", client_id="tv").status == 200
    assert desk.oauth("device/code", client_id="tv", client_secret="guess").status == 401


def test_code_of_another_client_is_unknown(desk: Desk) -> None:
    desk.emulator.register_application("other", redirect_uris=[CALLBACK])
    assert error(desk.exchange(desk.code(), client_id="other"))[1] == "invalid_grant"


def test_code_expires(desk: Desk) -> None:
    code = desk.code()
    desk.wait(600)
    assert error(desk.exchange(code)) == (400, "invalid_grant", "invalid authorization code")


def test_second_use_of_a_code_ends_its_tokens(desk: Desk) -> None:
    code = desk.code()
    token = body(desk.exchange(code))
    refreshed = body(desk.refresh(token))
    assert error(desk.exchange(code))[1] == "invalid_grant"
    assert not desk.alive(token)
    assert not desk.alive(refreshed)
    assert error(desk.refresh(refreshed)) == NOT_FOUND


def test_pkce(desk: Desk) -> None:
    def code() -> str:
        return desk.code(code_challenge=CHALLENGE, code_challenge_method="S256")

    assert desk.exchange(code(), code_verifier=VERIFIER).status == 200
    long = code()
    assert error(desk.exchange(long))[2] == "code_verifier is required"
    for malformed in ("short", "v" * 129, "é" * 43, "v" * 42 + "+"):
        assert error(desk.exchange(long, code_verifier=malformed))[1] == "invalid_request"
    assert error(desk.exchange(long, code_verifier="w" * 43))[1] == "invalid_grant"
    unchallenged = error(desk.exchange(desk.code(), code_verifier=VERIFIER))
    assert unchallenged == (400, "invalid_request", "code_verifier without a code_challenge")


def test_refresh_rotates(desk: Desk) -> None:
    first = desk.sign_in()
    desk.wait(100)
    second = body(desk.refresh(first))
    assert second["refresh_token"] != first["refresh_token"]
    assert second["created_at"] == first["created_at"] + 100
    assert desk.alive(first), "rotation leaves the old access token alone"
    assert desk.alive(second)
    assert error(desk.refresh(first)) == NOT_FOUND
    assert desk.refresh(second, redirect_uri=OUT_OF_BAND).status == 200


def test_rotation_may_end_the_old_access_token() -> None:
    desk = Desk(rotation_ends_access=True)
    first = desk.sign_in()
    second = body(desk.refresh(first))
    assert not desk.alive(first)
    assert desk.alive(second)


def test_refresh_refusals(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.register_application("other")
    assert error(desk.refresh({"refresh_token": "nonsense"})) == NOT_FOUND
    assert error(desk.refresh(token, client_id="other")) == NOT_FOUND
    assert error(desk.refresh(token, redirect_uri="http://else"))[2] == "redirect_uri mismatch"
    assert error(desk.refresh({"refresh_token": ""}))[2] == "missing refresh_token"
    assert desk.refresh(token).status == 200


def test_refresh_token_lifetime() -> None:
    desk = Desk(refresh_token_lifetime=1000)
    token = desk.sign_in()
    desk.wait(999)
    token = body(desk.refresh(token))
    desk.wait(1000)
    assert error(desk.refresh(token)) == NOT_FOUND
    assert desk.emulator.state()["tokens"]["refresh"] == 0  # type: ignore[index]


def test_state_counts_every_arrival_of_a_refresh_token(desk: Desk) -> None:
    first = desk.sign_in()
    second = body(desk.refresh(first))
    desk.refresh(first)
    state = desk.emulator.state()
    assert state["families"] == [
        {
            "number": 1,
            "client_id": "emulator",
            "account": "sean",
            "alive": True,
            "refresh_tokens": {
                fingerprint(first["refresh_token"]): 2,
                fingerprint(second["refresh_token"]): 0,
            },
        }
    ]
    assert state["tokens"] == {
        "access": 2,
        "refresh": 1,
        "rotations": 1,
        "replays": 1,
        "most_arrivals_of_one_refresh_token": 2,
    }


def test_family_replay_ends_everything_of_user_and_client() -> None:
    desk = Desk(replay="family")
    desk.emulator.register_application("other")
    here, device, neighbour = desk.sign_in(), desk.sign_in(), desk.sign_in("maria")
    elsewhere = desk.sign_in(client_id="other")
    newer = body(desk.refresh(here))
    assert error(desk.refresh(here)) == NOT_FOUND
    for dead in (here, newer, device):
        assert not desk.alive(dead)
        assert error(desk.refresh(dead)) == NOT_FOUND
    assert desk.alive(neighbour)
    assert desk.api(elsewhere, trakt_api_key="other").status == 200
    assert desk.refresh(neighbour).status == 200


def test_family_replay_spares_the_loser_of_a_race() -> None:
    desk = Desk(replay="family", replay_harmless_within=0.005)
    token = desk.sign_in()
    newer = body(desk.refresh(token))
    desk.wait(0.004)
    assert error(desk.refresh(token)) == NOT_FOUND
    assert desk.alive(newer)
    desk.wait(0.002)
    desk.refresh(token)
    assert not desk.alive(newer)


def test_grace_replay_gives_the_same_answer_again() -> None:
    desk = Desk(replay="grace")
    token = desk.sign_in()
    answer = body(desk.refresh(token))
    desk.wait(30)
    again = body(desk.refresh(token))
    assert again == {**answer, "expires_in": answer["expires_in"] - 30}
    desk.wait(1)
    assert error(desk.refresh(token)) == NOT_FOUND
    assert desk.alive(answer)


def test_grace_ends_with_the_login() -> None:
    desk = Desk(replay="grace")
    token = desk.sign_in()
    answer = body(desk.refresh(token))
    desk.oauth("revoke", token=answer["access_token"])
    assert error(desk.refresh(token)) == NOT_FOUND


def test_only_so_many_spent_tokens_are_remembered() -> None:
    desk = Desk(remember_spent=3)
    token = first = desk.sign_in()
    for _ in range(5):
        token = body(desk.refresh(token))
    (family,) = desk.emulator.state()["families"]  # type: ignore[misc]
    assert len(family["refresh_tokens"]) == 4
    desk.refresh(first)
    assert desk.emulator.state()["tokens"]["replays"] == 0  # type: ignore[index]


@pytest.mark.parametrize("given", ["access_token", "refresh_token"])
def test_revoke_ends_the_whole_login(desk: Desk, given: str) -> None:
    token = desk.sign_in()
    older = token
    token = body(desk.refresh(token))
    answer = desk.oauth("revoke", token=token[given])
    assert (answer.status, answer.body) == (200, b"")
    assert not desk.alive(token)
    assert not desk.alive(older)
    assert error(desk.refresh(token)) == NOT_FOUND
    assert desk.emulator.state()["tokens"]["replays"] == 0  # type: ignore[index]


def test_revoke_may_end_one_token_only() -> None:
    desk = Desk(revoke_whole_grant=False)
    token = desk.sign_in()
    desk.oauth("revoke", token=token["access_token"])
    assert not desk.alive(token)
    token = body(desk.refresh(token))
    desk.oauth("revoke", token=token["refresh_token"])
    assert desk.alive(token)
    assert error(desk.refresh(token)) == NOT_FOUND


def test_revoke_answers_200_for_any_token_but_only_of_the_same_client(desk: Desk) -> None:
    desk.emulator.register_application("other")
    token = desk.sign_in()
    spent = token["refresh_token"]
    desk.refresh(token)
    for text in ("nonsense", spent):
        assert desk.oauth("revoke", token=text).status == 200
    assert desk.oauth("revoke", token=token["access_token"], client_id="other").status == 200
    assert desk.alive(token)
    assert error(desk.oauth("revoke")) == (400, "invalid_request", "missing token")
    assert error(desk.oauth("revoke", token="x", client_id="nobody"))[0] == 401
    assert desk.counts()["/oauth/revoke"]["nothing_to_revoke"] == 3


def test_end_login_is_what_disconnecting_on_the_site_does(desk: Desk) -> None:
    token = desk.sign_in()
    desk.emulator.end_login("sean")
    assert not desk.alive(token)
    assert error(desk.refresh(token)) == NOT_FOUND
    assert desk.emulator.state()["accounts"][0]["applications"] == []  # type: ignore[index]


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_basic_is_refused_by_the_current_server(desk: Desk) -> None:
    answer = desk.post(
        "/oauth/device/code", {"client_id": "emulator"}, **basic("emulator:emulator-secret")
    )
    assert error(answer)[:2] == (400, "invalid_request")


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        (basic("emulator:emulator-secret"), 200),
        (basic("emulator:"), 200),
        (basic("emulator:wrong"), 401),
        (basic("nobody:x"), 401),
        ({"authorization": "Basic !!"}, 401),
        ({"authorization": "Basic " + base64.b64encode(b"\xff").decode()}, 401),
        ({"authorization": "Basic é"}, 401),
        ({"authorization": "Bearer x"}, 401),
    ],
)
def test_basic_is_read_by_the_legacy_server(credentials: dict[str, str], status: int) -> None:
    desk = Desk(profile="legacy")
    assert desk.post("/oauth/device/code", {}, **credentials).status == status


def test_legacy_server(desk: Desk) -> None:
    desk = Desk(profile="legacy")
    token = desk.sign_in()
    assert len(token["access_token"]) == len(bytes.fromhex(token["refresh_token"])) * 2 == 64
    device = desk.start_device()
    assert len(bytes.fromhex(device["user_code"])) == 4
    answer = desk.refresh({"refresh_token": "x"})
    status, word, description = error(answer)
    assert (status, word) == (401, "invalid_grant")
    assert "does not match the redirection URI" in description
    assert answer.headers["www-authenticate"].startswith('Bearer realm="Doorkeeper", error="inval')


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", {}),
        (b'{"grant_type":"refresh_token"}', {"content-type": "text/plain"}),
        (b"{", JSON),
        (b"\xff", JSON),
        (b"[]", JSON),
        (b'"text"', JSON),
        (b"[" * 30_000, JSON),
        (b'{"a":' + b"9" * 5000 + b"}", JSON),
        (b'{"code":"\\ud800"}', JSON),
        (b"grant_type=a&grant_type=b", FORM),
        (b"a=1&" * 200, FORM),
        (b"grant_type=%FF%FE", FORM),
    ],
)
def test_malformed_bodies(desk: Desk, content: bytes, headers: dict[str, str]) -> None:
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/device/code", "/oauth/device/token"):
        answer = desk.send("POST", path, body=content, headers=headers)
        assert error(answer)[0] in {400, 401}


def test_long_bodies(desk: Desk) -> None:
    content = json.dumps({"client_id": "emulator", "x": "y" * 65_536}).encode()
    answer = desk.send("POST", "/oauth/device/code", body=content, headers=JSON)
    assert error(answer)[0] == 413
    head = desk.send("HEAD", "/", body=content)
    assert (head.status, head.body) == (413, b"")


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "ftp://127.0.0.1",
        "http://",
        "http://[::1",
        "http://h:99999",
        "http://a b",
        "http://\ud800",
    ],
)
def test_unreadable_urls(desk: Desk, origin: str) -> None:
    assert error(desk.send("GET", "/", origin=origin))[0] == 400


@pytest.mark.parametrize("path", ["token", "revoke", "device/code", "device/token"])
def test_oauth_endpoints_are_not_found_by_get(desk: Desk, path: str) -> None:
    answer = desk.send("GET", f"/oauth/{path}")
    assert error(answer)[0] == 404
    assert answer.headers["allow"] == "POST"


def test_approving_an_authorization_in_process(desk: Desk) -> None:
    emulator = desk.emulator
    assert query_of(emulator.deny_authorization(desk.authorize_url())) == {
        "error": "access_denied",
        "error_description": "The user denied the request",
        "state": "s t&te",
    }
    bad = desk.authorize_url(response_type="token")
    assert query_of(emulator.approve_authorization(bad))["error"] == "unsupported_response_type"
    assert query_of(emulator.deny_authorization(bad))["error"] == "unsupported_response_type"
    oob = emulator.approve_authorization(desk.authorize_url(redirect_uri=OUT_OF_BAND))
    assert oob.startswith(f"{ORIGIN}/oauth/authorize/native?code=")
    assert desk.exchange(query_of(oob)["code"], redirect_uri=OUT_OF_BAND).status == 200
    with pytest.raises(LookupError, match="no application"):
        emulator.issue_tokens(client_id="nobody")


def test_dates_are_on_the_emulators_clock(desk: Desk) -> None:
    assert desk.send("GET", "/").headers["date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    desk.wait(86_400)
    assert desk.send("GET", "/nowhere").headers["date"] == "Sat, 16 Jan 2027 08:00:00 GMT"
