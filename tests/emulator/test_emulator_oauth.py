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
    EmulatorClient,
    body,
    error,
    query_of,
)
from trakt_auth.emulator import fingerprint

NOT_FOUND = (400, "invalid_grant", "session not found")


def test_code_is_exchanged_for_a_token(client: EmulatorClient) -> None:
    answer = client.exchange(client.code("sean"))
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
    assert token["created_at"] == client.emulator.clock.now()
    assert body(client.api(token))["user"]["username"] == "sean"


@pytest.mark.parametrize("secret", ["emulator-secret", None, ""])
def test_secret_is_optional(client: EmulatorClient, secret: str | None) -> None:
    assert client.exchange(client.code(), client_secret=secret).status == 200


def test_form_bodies_are_read(client: EmulatorClient) -> None:
    fields = {
        "client_id": "emulator",
        "grant_type": "authorization_code",
        "code": client.code(),
        "redirect_uri": CALLBACK,
    }
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = client.send("POST", "/oauth/token", body=urlencode(fields).encode(), headers=headers)
    assert answer.status == 200


def test_doubled_and_trailing_slashes_count_as_one(client: EmulatorClient) -> None:
    assert client.oauth("/device/code").status == 200
    assert client.post("//oauth/device/code/", {"client_id": "emulator"}).status == 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", "client_secret is wrong")),
        ({"client_id": "unknown"}, (401, "invalid_client", "client_id is required")),
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
def test_exchange_errors(
    client: EmulatorClient, fields: dict[str, object], expected: tuple[int, str, str]
) -> None:
    code = client.code()
    assert error(client.exchange(**{"code": code, **fields})) == expected  # type: ignore[arg-type]
    assert client.exchange(code).status == 200, "an error does not use the code up"


def test_a_public_application_has_no_secret(client: EmulatorClient) -> None:
    client.emulator.register_application("tv", redirect_uris=["tv://back"])
    assert client.oauth("device/code", client_id="tv").status == 200
    assert client.oauth("device/code", client_id="tv", client_secret="guess").status == 401


def test_code_of_another_client_is_unknown(client: EmulatorClient) -> None:
    client.emulator.register_application("other", redirect_uris=[CALLBACK])
    assert error(client.exchange(client.code(), client_id="other"))[1] == "invalid_grant"


def test_code_expires(client: EmulatorClient) -> None:
    code = client.code()
    client.wait(600)
    assert error(client.exchange(code)) == (400, "invalid_grant", "invalid authorization code")


def test_second_use_of_a_code_ends_its_tokens(client: EmulatorClient) -> None:
    code = client.code()
    token = body(client.exchange(code))
    refreshed = body(client.refresh(token))
    assert error(client.exchange(code))[1] == "invalid_grant"
    assert not client.alive(token)
    assert not client.alive(refreshed)
    assert error(client.refresh(refreshed)) == NOT_FOUND


def test_pkce(client: EmulatorClient) -> None:
    def code() -> str:
        return client.code(code_challenge=CHALLENGE, code_challenge_method="S256")

    assert client.exchange(code(), code_verifier=VERIFIER).status == 200
    long = code()
    assert error(client.exchange(long))[2] == "code_verifier is required"
    for malformed in ("short", "v" * 129, "é" * 43, "v" * 42 + "+"):
        assert error(client.exchange(long, code_verifier=malformed))[1] == "invalid_request"
    assert error(client.exchange(long, code_verifier="w" * 43))[1] == "invalid_grant"
    unchallenged = error(client.exchange(client.code(), code_verifier=VERIFIER))
    assert unchallenged == (400, "invalid_request", "code_verifier without a code_challenge")


def test_refresh_rotates(client: EmulatorClient) -> None:
    first = client.sign_in()
    client.wait(100)
    second = body(client.refresh(first))
    assert second["refresh_token"] != first["refresh_token"]
    assert second["created_at"] == first["created_at"] + 100
    assert client.alive(first), "rotation leaves the old access token alone"
    assert client.alive(second)
    assert error(client.refresh(first)) == NOT_FOUND
    third = body(client.refresh(second, redirect_uri=OUT_OF_BAND))
    assert client.refresh(third, redirect_uri="https://not.registered/back").status == 200


def test_rotation_may_end_the_old_access_token() -> None:
    client = EmulatorClient(rotation_ends_access=True)
    first = client.sign_in()
    second = body(client.refresh(first))
    assert not client.alive(first)
    assert client.alive(second)


def test_refresh_errors(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.register_application("other")
    assert error(client.refresh({"refresh_token": "nonsense"})) == NOT_FOUND
    assert error(client.refresh(token, client_id="other")) == NOT_FOUND
    for malformed in ("else", "http://", "http://a/?b", "http://a/#b", "http://a b"):
        answer = client.refresh(token, redirect_uri=malformed)
        assert error(answer) == (400, "invalid_request", "redirect_uri is malformed")
    assert error(client.refresh({"refresh_token": ""}))[2] == "missing refresh_token"
    assert client.refresh(token).status == 200


def test_refresh_token_lifetime() -> None:
    client = EmulatorClient(refresh_token_lifetime=1000)
    token = client.sign_in()
    client.wait(999)
    token = body(client.refresh(token))
    client.wait(1000)
    assert error(client.refresh(token)) == NOT_FOUND
    assert client.emulator.state()["tokens"]["refresh"] == 0  # type: ignore[index]


def test_state_counts_every_arrival_of_a_refresh_token(client: EmulatorClient) -> None:
    first = client.sign_in()
    second = body(client.refresh(first))
    client.refresh(first)
    state = client.emulator.state()
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
    client = EmulatorClient(replay="family")
    client.emulator.register_application("other")
    here, device, neighbour = client.sign_in(), client.sign_in(), client.sign_in("maria")
    elsewhere = client.sign_in(client_id="other")
    newer = body(client.refresh(here))
    assert error(client.refresh(here)) == NOT_FOUND
    for dead in (here, newer, device):
        assert not client.alive(dead)
        assert error(client.refresh(dead)) == NOT_FOUND
    assert client.alive(neighbour)
    assert client.api(elsewhere, trakt_api_key="other").status == 200
    assert client.refresh(neighbour).status == 200


def test_family_replay_ends_nothing_in_a_race() -> None:
    client = EmulatorClient(replay="family", replay_harmless_within=0.005)
    token = client.sign_in()
    newer = body(client.refresh(token))
    client.wait(0.004)
    assert error(client.refresh(token)) == NOT_FOUND
    assert client.alive(newer)
    client.wait(0.002)
    client.refresh(token)
    assert not client.alive(newer)


def test_grace_replay_gives_the_same_answer_again() -> None:
    client = EmulatorClient(replay="grace")
    token = client.sign_in()
    answer = body(client.refresh(token))
    client.wait(30)
    again = body(client.refresh(token))
    assert again == {**answer, "expires_in": answer["expires_in"] - 30}
    client.wait(1)
    assert error(client.refresh(token)) == NOT_FOUND
    assert client.alive(answer)


def test_grace_ends_with_the_login() -> None:
    client = EmulatorClient(replay="grace")
    token = client.sign_in()
    answer = body(client.refresh(token))
    client.oauth("revoke", token=answer["access_token"])
    assert error(client.refresh(token)) == NOT_FOUND


def test_the_number_of_remembered_spent_tokens_is_limited() -> None:
    client = EmulatorClient(remember_spent=3)
    token = first = client.sign_in()
    for _ in range(5):
        token = body(client.refresh(token))
    (family,) = client.emulator.state()["families"]  # type: ignore[misc]
    assert len(family["refresh_tokens"]) == 4
    client.refresh(first)
    assert client.emulator.state()["tokens"]["replays"] == 0  # type: ignore[index]


@pytest.mark.parametrize("given", ["access_token", "refresh_token"])
def test_revoke_ends_the_whole_login(client: EmulatorClient, given: str) -> None:
    token = client.sign_in()
    older = token
    token = body(client.refresh(token))
    answer = client.oauth("revoke", token=token[given])
    assert (answer.body, answer.media_type) == (b"", "text/plain")
    assert (answer.status, answer.body) == (200, b"")
    assert not client.alive(token)
    assert not client.alive(older)
    assert error(client.refresh(token)) == NOT_FOUND
    assert client.emulator.state()["tokens"]["replays"] == 0  # type: ignore[index]


def test_revoke_may_end_one_token_only() -> None:
    client = EmulatorClient(revoke_whole_grant=False)
    token = client.sign_in()
    client.oauth("revoke", token=token["access_token"])
    assert not client.alive(token)
    token = body(client.refresh(token))
    client.oauth("revoke", token=token["refresh_token"])
    assert client.alive(token)
    assert error(client.refresh(token)) == NOT_FOUND


def test_revoke_answers_200_for_any_token_but_only_of_the_same_client(
    client: EmulatorClient,
) -> None:
    client.emulator.register_application("other")
    token = client.sign_in()
    spent = token["refresh_token"]
    client.refresh(token)
    for text in ("nonsense", spent):
        assert client.oauth("revoke", token=text).status == 200
    assert client.oauth("revoke", token=token["access_token"], client_id="other").status == 200
    assert client.alive(token)
    assert error(client.oauth("revoke")) == (400, "invalid_request", "missing token")
    assert error(client.oauth("revoke", token="x", client_id="unknown"))[0] == 401
    assert client.counts()["/oauth/revoke"]["nothing_to_revoke"] == 3


def test_end_login_does_what_disconnecting_on_trakt_does(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.emulator.end_login("sean")
    assert not client.alive(token)
    assert error(client.refresh(token)) == NOT_FOUND
    assert client.emulator.state()["accounts"][0]["applications"] == []  # type: ignore[index]


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_basic_is_rejected_in_the_current_profile(client: EmulatorClient) -> None:
    answer = client.post(
        "/oauth/device/code", {"client_id": "emulator"}, **basic("emulator:emulator-secret")
    )
    assert error(answer)[:2] == (400, "invalid_request")


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        (basic("emulator:emulator-secret"), 200),
        (basic("emulator:"), 200),
        (basic("emulator:wrong"), 401),
        (basic("unknown:x"), 401),
        ({"authorization": "Basic !!"}, 401),
        ({"authorization": "Basic " + base64.b64encode(b"\xff").decode()}, 401),
        ({"authorization": "Basic é"}, 401),
        ({"authorization": "Bearer x"}, 401),
    ],
)
def test_basic_is_accepted_in_the_legacy_profile(credentials: dict[str, str], status: int) -> None:
    client = EmulatorClient(profile="legacy")
    assert client.post("/oauth/device/code", {}, **credentials).status == status


def test_tokens_codes_and_errors_of_the_legacy_profile(client: EmulatorClient) -> None:
    client = EmulatorClient(profile="legacy")
    token = client.sign_in()
    assert len(token["access_token"]) == len(bytes.fromhex(token["refresh_token"])) * 2 == 64
    device = client.start_device()
    assert len(bytes.fromhex(device["user_code"])) == 4
    answer = client.refresh({"refresh_token": "x"})
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
def test_malformed_bodies(client: EmulatorClient, content: bytes, headers: dict[str, str]) -> None:
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/device/code", "/oauth/device/token"):
        answer = client.send("POST", path, body=content, headers=headers)
        assert error(answer)[0] in {400, 401}


def test_long_bodies(client: EmulatorClient) -> None:
    content = json.dumps({"client_id": "emulator", "x": "y" * 65_536}).encode()
    answer = client.send("POST", "/oauth/device/code", body=content, headers=JSON)
    assert error(answer)[0] == 413
    head = client.send("HEAD", "/", body=content)
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
def test_unreadable_urls(client: EmulatorClient, origin: str) -> None:
    assert error(client.send("GET", "/", origin=origin))[0] == 400


@pytest.mark.parametrize("path", ["token", "revoke", "device/code", "device/token"])
def test_oauth_endpoints_are_not_found_by_get(client: EmulatorClient, path: str) -> None:
    answer = client.send("GET", f"/oauth/{path}")
    assert error(answer)[0] == 404
    assert answer.headers["allow"] == "POST"


def test_approving_an_authorization_in_process(client: EmulatorClient) -> None:
    emulator = client.emulator
    assert query_of(emulator.deny_authorization(client.authorize_url())) == {
        "error": "access_denied",
        "error_description": "The user denied the request",
        "state": "s t&te",
    }
    bad = client.authorize_url(response_type="token")
    assert query_of(emulator.approve_authorization(bad))["error"] == "unsupported_response_type"
    assert query_of(emulator.deny_authorization(bad))["error"] == "unsupported_response_type"
    oob = emulator.approve_authorization(client.authorize_url(redirect_uri=OUT_OF_BAND))
    assert oob.startswith(f"{ORIGIN}/oauth/authorize/native?code=")
    assert client.exchange(query_of(oob)["code"], redirect_uri=OUT_OF_BAND).status == 200
    with pytest.raises(LookupError, match="no application"):
        emulator.issue_tokens(client_id="unknown")


def test_dates_are_on_the_emulators_clock(client: EmulatorClient) -> None:
    assert client.send("GET", "/").headers["date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    client.wait(86_400)
    assert client.send("GET", "/nowhere").headers["date"] == "Sat, 16 Jan 2027 08:00:00 GMT"
