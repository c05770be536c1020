"""Malformed requests, the differences between the profiles, and what is stored and how long."""

from __future__ import annotations

import gc
import json
import logging
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.emulator_client import (
    CALLBACK,
    CHALLENGE,
    FORM,
    JSON,
    ORIGIN,
    VERIFIER,
    EmulatorClient,
    body,
    error,
)
from trakt_auth.emulator import Application, Emulator
from trakt_auth.emulator.expiring_dict import ExpiringDict
from trakt_auth.emulator.faults.cloudflare import is_default_agent
from trakt_auth.emulator.hashing import encrypt, matches_hash

OAUTH = ["/oauth/token", "/oauth/revoke", "/oauth/device/code", "/oauth/device/token"]


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "description"),
    [
        (b'{"client_id":"emulator","client_id":"x"}', "'client_id' is given more than once"),
        (b'{"client_id":"emulator","x":1,"x":1}', "'x' is given more than once"),
        (b'{"client_id":"emulator","x":NaN}', "the body is not valid JSON"),
        (b'{"client_id":"emulator","x":-Infinity}', "the body is not valid JSON"),
        ('{"client_id":"emulator"}'.encode("utf-16"), "the body is not valid JSON"),
        ('{"client_id":"emulator"}'.encode("utf-32"), "the body is not valid JSON"),
        (b'\xef\xbb\xbf{"client_id":"emulator"}', "the body is not valid JSON"),
        (b'{"client_id":"emulator","x":"\\udc00"}', "the body is not valid JSON"),
        (b'{"client_id":["emulator"]}', "'client_id' is not a string"),
    ],
)
@pytest.mark.parametrize("path", OAUTH)
def test_json_is_read_strictly(
    client: EmulatorClient, path: str, content: bytes, description: str
) -> None:
    answer = client.send("POST", path, body=content, headers=JSON)
    assert error(answer) == (400, "invalid_request", description)


def test_unknown_parameters_are_ignored(client: EmulatorClient) -> None:
    assert (
        client.oauth("device/code", anything={"at": ["all", 1, None, True]}, more=1.5).status == 200
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    path=st.sampled_from(OAUTH),
    content=st.binary(max_size=300)
    | st.text(max_size=60).flatmap(
        lambda text: st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-7", "latin-1"]).map(
            lambda codec: json.dumps({"client_id": text}).encode(codec, "replace")
        )
    ),
    media_type=st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-16",
            "APPLICATION/JSON",
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded;charset=utf-7",
            "multipart/form-data; boundary=x",
            "text/json",
            ";",
            "",
        ]
    ),
    headers=st.dictionaries(
        st.sampled_from(["Authorization", "Content-Encoding", "Accept", "Host", "Cookie", "Expect"])
        | st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=255), max_size=8),
        st.text(alphabet=st.characters(max_codepoint=255), max_size=30),
        max_size=4,
    ),
    profile=st.sampled_from(["current", "legacy"]),
)
def test_any_malformed_request_gets_an_oauth_error(
    path: str, content: bytes, media_type: str, headers: dict[str, str], profile: str
) -> None:
    client = EmulatorClient(profile=profile)
    answer = client.send(
        "POST", path, body=content, headers={**headers, "Content-Type": media_type}
    )
    assert error(answer)[0] in {400, 401, 413}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    path=st.sampled_from(OAUTH),
    fields=st.dictionaries(
        st.sampled_from(
            ["client_secret", "grant_type", "code", "refresh_token", "redirect_uri", "token"]
        ),
        st.sampled_from(["authorization_code", "refresh_token", "emulator-secret", CALLBACK])
        | st.text(max_size=2000),
    ),
    form=st.booleans(),
)
def test_any_text_in_a_parameter_is_handled(path: str, fields: dict[str, str], form: bool) -> None:
    given = {"client_id": "emulator", **fields}
    encoded = urlencode(given) if form else json.dumps(given)
    answer = EmulatorClient().send(
        "POST", path, body=encoded.encode(), headers=FORM if form else JSON
    )
    assert 200 <= answer.status < 500
    if answer.body and answer.status >= 400:
        assert error(answer)[0] == answer.status


# -- bytes on a socket -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Emulator().serving() as address:
        yield address


def talk(url: str, sent: bytes) -> bytes:
    """Send bytes and close; return what comes back before the connection ends."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=30) as connection:
        received = b""
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                received += more
        except ConnectionError:  # a server may close before it has read malformed input to its end
            pass
        return received


def statuses(received: bytes) -> set[int]:
    found = re.findall(rb"(?:^|\n)HTTP/1\.1 (\d{3}) ", received)
    return {int(status) for status in found}


POST = b"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"\x00\x01\x02\r\n\r\n", {400}),
        (b"GET / HTTP/9.9\r\n\r\n", {400}),
        (b"POST /oauth/token HTTP/1.1\r\n\r\n", {400}),
        (b"POST /oauth/token HTTP/1.0\r\n\r\n", {400}),
        (POST + b"Content-Length: -1\r\n\r\n", {400}),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", {400}),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", {400}),
        (POST + b"Content-Type: \xff\xfe\r\nContent-Length: 0\r\n\r\n", {400}),
        (POST + b"Content-Length: 100\r\n\r\nnot all of it", set[int]()),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", set[int]()),
        (b"POST /oauth/" + b"a" * 80_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
    ],
)
def test_malformed_http_is_not_an_error_of_the_server(
    url: str, sent: bytes, expected: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    assert statuses(talk(url, sent)) == expected
    assert statuses(talk(url, b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")) == {200}
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    head=st.sampled_from([b"", POST, POST + b"Content-Type: application/json\r\n"]),
    content=st.binary(max_size=200),
    counted=st.booleans(),
)
def test_no_bytes_make_the_server_fail(
    url: str, head: bytes, content: bytes, counted: bool
) -> None:
    length = b"Content-Length: %d\r\n\r\n" % len(content) if counted else b""
    assert all(status < 500 for status in statuses(talk(url, head + length + content)))


# -- the profiles ----------------------------------------------------------------------------------


def test_redirect_uris_are_case_sensitive_since_july_2026() -> None:
    for profile, expected in (("current", 400), ("legacy", 200)):
        client = EmulatorClient(profile=profile)
        other = CALLBACK.replace("callback", "Callback")
        assert client.exchange(client.code(), redirect_uri=other).status == expected
        wrong = 400 if profile == "legacy" else 200  # since then a refresh checks the form only
        assert client.refresh(client.sign_in(), redirect_uri=other).status == 200
        assert client.refresh(client.sign_in(), redirect_uri=CALLBACK + "/").status == wrong


def test_the_legacy_profile_ignores_a_revocation_by_form() -> None:
    for profile in ("current", "legacy"):
        client = EmulatorClient(profile=profile)
        token = client.sign_in()
        sent = urlencode({"client_id": "emulator", "token": token["access_token"]}).encode()
        answer = client.send("POST", "/oauth/revoke", body=sent, headers=FORM)
        assert (answer.status, answer.body) == (200, b"")
        assert client.alive(token) == (profile == "legacy")
        assert client.oauth("revoke", token=token["access_token"]).status == 200
        assert not client.alive(token)


def test_the_legacy_profile_sends_a_challenge_with_every_401() -> None:
    answer = EmulatorClient(profile="legacy").oauth("device/code", client_secret="wrong")
    assert answer.status == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="Doorkeeper", error="invalid_client"')
    assert (
        "www-authenticate"
        not in EmulatorClient().oauth("device/code", client_secret="wrong").headers
    )


def test_the_server_describes_itself(client: EmulatorClient) -> None:
    described = body(client.send("GET", "/.well-known/openid-configuration"))
    assert described["issuer"] == ORIGIN
    assert described["code_challenge_methods_supported"] == ["S256"]
    methods = ["none", "client_secret_post"]
    assert described["token_endpoint_auth_methods_supported"] == methods
    assert "device_authorization_endpoint" not in described, "it does not follow RFC 8628"
    old = EmulatorClient(profile="legacy").send("GET", "/.well-known/openid-configuration")
    assert error(old)[0] == 404


@pytest.mark.parametrize("cause", ["key", "unapproved"])
def test_responses_of_cloudflare_have_no_request_id(client: EmulatorClient, cause: str) -> None:
    client.emulator.arm("forbidden", cause=cause)
    assert "x-request-id" in client.api(client.sign_in()).headers
    client.emulator.arm("forbidden", cause="blocked")
    blocked = client.api(client.sign_in())
    assert (blocked.body, blocked.media_type) == (b"Forbidden", "text/plain")
    client.emulator.arm("cloudflare_403", every_agent=True)
    assert "x-request-id" not in client.api(client.sign_in()).headers


@pytest.mark.parametrize(
    ("agent", "default"),
    [
        ("", True),
        ("  ", True),
        ("python-requests/2.32", True),
        ("Python-urllib/3.11", True),
        ("python-httpx2/2.1", True),
        ("node", True),
        ("node-fetch/1.0 (+https://github.com/x)", True),
        ("Ruby", True),
        ("okhttp/4.12", True),
        ("nodecast/2.0", False),
        ("rubyplayer 1", False),
        ("javanese-subtitles/3", False),
        ("python-trakt-sync/1.0", False),
        ("my-player/1.2", False),
    ],
)
def test_which_user_agents_are_defaults(agent: str, *, default: bool) -> None:
    assert is_default_agent(agent) is default


# -- secrets ---------------------------------------------------------------------------------------


def held(root: object) -> str:
    """Return the text of everything that an object references, directly or not, except code."""
    seen: set[int] = set()
    texts: list[str] = []
    queue = [root]
    while queue:
        one = queue.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes):
            texts.append(one if isinstance(one, str) else one.decode("latin-1"))
        queue += gc.get_referents(one)
    return "\n".join(texts)


def test_no_secret_is_stored_as_text() -> None:
    client = EmulatorClient(replay="grace")
    client.emulator.register_application("tv", "a-very-secret-secret")
    device = client.start_device()
    code = client.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    first = body(client.exchange(code, code_verifier=VERIFIER))
    second = body(client.refresh(first))
    client.oauth("device/code", client_id="tv", client_secret="a-very-secret-secret")
    client.poll(device)
    memory = held(client.emulator._state)
    assert "sean" in memory, "the search finds what is stored"
    secrets = [device["device_code"], code, VERIFIER, "a-very-secret-secret", "emulator-secret"]
    for token in (first, second):
        secrets += [token["access_token"], token["refresh_token"]]
    for secret in secrets:
        assert secret not in memory
    again = body(client.refresh(first))
    assert again["refresh_token"] == second["refresh_token"], "the token itself decrypts it"


def test_encrypt_is_undone_with_the_same_secret_only() -> None:
    encrypted = encrypt(b"pair of tokens", "spent")
    assert encrypted != b"pair of tokens"
    assert encrypt(encrypted, "spent") == b"pair of tokens"
    assert encrypt(encrypted, "other") != b"pair of tokens"


def test_an_application_stores_a_hash_of_its_secret() -> None:
    application = Application(client_id="tv", client_secret="hush")
    assert "hush" not in repr(application)
    assert application.secret_hash is not None
    assert matches_hash("hush", application.secret_hash)
    assert Application(client_id="tv").secret_hash is None
    assert application != Application(client_id="tv", client_secret="other")


# -- memory, and the cost of a request -------------------------------------------------------------


class Watched(dict[Any, Any]):
    """A dictionary that must not be iterated over."""

    def __iter__(self) -> Any:
        raise AssertionError("a request iterated over everything")

    values = items = keys = __iter__


def test_no_request_iterates_over_all_tokens_or_codes() -> None:
    client = EmulatorClient(replay="family")
    logins = [client.sign_in() for _ in range(20)]
    devices = [client.start_device() for _ in range(20)]
    state = client.emulator._state
    stored: list[Any] = [
        state.grants._access,
        state.grants._refresh,
        state.codes._devices,
        state.codes._user_codes,
        state.codes._authorizations,
        state.sessions,
    ]
    for expiring in stored:
        expiring._items = Watched(expiring._items)
    account = state.accounts["sean"]
    account.grants = {name: Watched(grants) for name, grants in account.grants.items()}
    assert client.alive(logins[0])
    newer = body(client.refresh(logins[1]))
    assert client.oauth("revoke", token=newer["access_token"]).status == 200
    assert client.exchange(client.code()).status == 200
    client.emulator.approve_device(devices[0]["user_code"])
    assert client.poll(devices[0]).status == 200
    assert client.poll(devices[1]).status == 400
    with pytest.raises(AssertionError, match="iterated over"):
        state.grants._access.values()


def test_what_has_expired_or_ended_is_dropped() -> None:
    client = EmulatorClient(
        access_token_lifetime=100, refresh_token_lifetime=1000, remember_spent=1000
    )
    for turn in range(30):
        token = client.sign_in(f"user {turn % 3}")
        for _ in range(4):
            token = body(client.refresh(token))
        if turn % 2:
            client.oauth("revoke", token=token["access_token"])
        client.start_device()
        client.code()
    client.wait(1000 + 86_400)
    client.send("GET", "/oauth/token")
    state = client.emulator._state
    grants, codes = state.grants, state.codes
    stored: list[Any] = [grants._access, grants._refresh, grants._responses, grants._retired]
    stored += [codes._devices, codes._user_codes, codes._authorizations]
    assert [len(expiring) for expiring in stored] == [0] * len(stored)
    assert [account.grants for account in state.accounts.values()] == [{}] * len(state.accounts)
    assert grants._access.deadline_count == grants._refresh.deadline_count == 0


def test_the_memory_of_a_long_login_is_bounded() -> None:
    client = EmulatorClient(rotation_ends_access=True, remember_spent=50)
    token = client.sign_in()
    for _ in range(600):
        token = body(client.refresh(token))
    grants = client.emulator._state.grants
    (grant,) = client.emulator._state.accounts["sean"].grants["emulator"].values()
    assert len(grants._retired) == 50
    assert (len(grant.access_hashes), len(grant.refresh_by_hash)) == (1, 51)
    assert grants._access.deadline_count < 200, "the deadlines of dropped tokens are dropped, too"


def test_ending_a_login_may_drop_its_oldest_tokens() -> None:
    client = EmulatorClient(remember_spent=1)
    token = client.sign_in()
    for _ in range(3):
        token = body(client.refresh(token))
    assert client.oauth("revoke", token=token["refresh_token"]).status == 200
    assert not client.alive(token)
    assert error(client.refresh(token))[1] == "invalid_grant"


def test_an_expiring_dict_drops_stale_deadlines() -> None:
    expiring: ExpiringDict[str, int] = ExpiringDict()
    for number in range(1000):
        expiring.put(str(number), number, until=10)
        expiring.drop(str(number - 5))
    assert (len(expiring), expiring.deadline_count < 100) == (5, True)
    assert expiring.expire(10) == [995, 996, 997, 998, 999]
    assert expiring.deadline_count == 0


def test_an_expiring_dict_drops_thousands_at_once() -> None:
    expiring: ExpiringDict[str, int] = ExpiringDict()
    for number in range(5000):
        expiring.put(str(number), number, until=number)
    assert sorted(expiring.expire(3999)) == list(range(4000))
    assert (len(expiring), expiring.deadline_count) == (1000, 1000)
    assert expiring.expire(4000) == [4000]
    assert expiring.get("4001") == 4001
