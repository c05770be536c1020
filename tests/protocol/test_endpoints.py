"""Golden requests, and a row for every answer that Trakt is known to have given.

`§` refers to the facts about Trakt that the project collected.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.texts import TEXTS
from trakt_auth import errors, protocol
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.authorization import (
    AuthorizationRequest,
    DeviceAuthorization,
    Granted,
    Pending,
    SlowDown,
)
from trakt_auth.protocol.http import HttpRequest, HttpResponse, http_date
from trakt_auth.protocol.token import Token

VECTORS = json.loads(Path(__file__).with_name("golden_requests.json").read_text())
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
APP = Application("my-client-id", user_agent="my-player/1.2")
JSON = {"content-type": "application/json; charset=utf-8"}
HTML = {"content-type": "text/html; charset=UTF-8"}
PLAIN = {"content-type": "text/plain"}
PAGE = b"<!DOCTYPE html><html><title>Just a moment...</title></html>"
DOORKEEPER = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection "
    "URI used in the authorization request, or was issued to another client."
)


def application(vector: dict[str, Any]) -> Application:
    return Application(
        "my-client-id",
        user_agent="my-player/1.2",
        client_secret=vector["secret"],
        redirect_uri=vector["redirect_uri"],
    )


def answer(status: int, body: object = b"", headers: dict[str, str] | None = None) -> HttpResponse:
    if isinstance(body, bytes):
        return HttpResponse(status=status, headers=headers or {}, body=body)
    return HttpResponse(status=status, headers=headers or JSON, body=json.dumps(body).encode())


# -- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_golden_request(vector: dict[str, Any]) -> None:
    build = getattr(protocol, vector["call"])
    request: HttpRequest = build(application(vector), Endpoints(), **vector["arguments"])
    assert request.method == "POST"
    assert request.url == vector["url"]
    assert dict(request.headers) == VECTORS["headers"]
    assert json.loads(request.body) == vector["body"]


def test_every_builder_has_a_golden_request() -> None:
    named = {vector["call"] for vector in VECTORS["vectors"]} | {"build_authorization_request"}
    assert named == {name for name in protocol.__all__ if name.startswith("build_")}


@pytest.mark.parametrize("vector", VECTORS["authorize"], ids=lambda vector: vector["name"])
def test_golden_authorization_request(vector: dict[str, Any]) -> None:
    arguments = vector["arguments"]
    request = protocol.build_authorization_request(APP, Endpoints(), **arguments)
    assert request == AuthorizationRequest(
        url=vector["url"],
        state=arguments["state"],
        redirect_uri=arguments["redirect_uri"],
        code_verifier=arguments["code_verifier"],
    )


def test_requests_go_to_the_given_server() -> None:
    there = Endpoints(auth="http://127.0.0.1:8080", api="https://other")
    for request in (
        protocol.build_device_code_request(APP, there),
        protocol.build_revoke_request(APP, there, token="a"),
        protocol.build_authorization_request(
            APP, there, redirect_uri="x://y", state="s", code_verifier=None
        ),
    ):
        assert request.url.startswith("http://127.0.0.1:8080/oauth/")


def test_api_headers_are_the_four_that_trakt_requires() -> None:
    without_accept = {k: v for k, v in VECTORS["headers"].items() if k != "accept"}
    assert protocol.api_headers(APP) == without_accept  # and no Authorization, §6


def test_the_challenge_of_rfc_7636_appendix_b() -> None:
    challenge = protocol.code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@given(TEXTS.filter(bool), TEXTS, st.none() | st.text("ABCabc019-._~", min_size=43, max_size=128))
def test_what_is_put_in_arrives(code: str, uri: str, verifier: str | None) -> None:
    exchange = protocol.build_exchange_request(
        APP, Endpoints(), code=code, redirect_uri=uri, code_verifier=verifier
    )
    body = json.loads(exchange.body)
    assert (body["code"], body["redirect_uri"], body.get("code_verifier")) == (code, uri, verifier)
    authorize = protocol.build_authorization_request(
        APP, Endpoints(), redirect_uri=uri, state=code, code_verifier=verifier
    )
    query = parse_qs(urlsplit(authorize.url).query, keep_blank_values=True, strict_parsing=True)
    assert (query["redirect_uri"], query["state"]) == ([uri], [code])
    assert ("code_challenge" in query) == (verifier is not None)


# -- a success from the token endpoint ------------------------------------------------------------

B64TOKENS = st.from_regex(r"[A-Za-z0-9._~+/-]{1,60}={0,2}", fullmatch=True)
FULL = {
    "access_token": "a1",
    "token_type": "bearer",
    "expires_in": 604800,
    "refresh_token": "r1",
    "scope": "public",
    "created_at": 1770000000,
}


def without(*names: str, **changes: object) -> dict[str, object]:
    return {k: v for k, v in FULL.items() if k not in names} | changes


A_DAY = {"expires_at": NOW + timedelta(days=1)}
TOKENS = [
    ("as documented", FULL, {}),
    ("90 days, 2024", without(expires_in=7776000), {"expires_at": NOW + timedelta(days=90)}),
    ("a day, 2025", without(expires_in=86400), {"expires_at": NOW + timedelta(days=1)}),
    ("no created_at", without("created_at"), {}),
    ("a wrong server clock", without(created_at=1), {}),
    ("created_at is no number", without(created_at=None), {}),
    ("OpenID fields, §2", without(id_token="x.y.z", expires_at=1), {}),
    ("extra fields of any type", without(x=None, y={"z": [1, {}]}), {}),
    ("no refresh token", without("refresh_token"), {"refresh_token": None}),
    ("null refresh token", without(refresh_token=None), {"refresh_token": None}),
    ("empty refresh token", without(refresh_token=""), {"refresh_token": None}),
    ("no scope", without("scope"), {"scope": None}),
    ("no token type", without("token_type"), {}),
    ("Bearer", without(token_type="Bearer"), {"token_type": "Bearer"}),
    ("a fraction", without(expires_in=0.5), {"expires_at": NOW + timedelta(seconds=0.5)}),
    ("64 hex digits", without(access_token="ab" * 32), {"access_token": "ab" * 32}),
    ("numbers beyond all", without(x=math.nan, y=math.inf, z=-math.inf, created_at=10**308), {}),
    ("half a character in an unknown field", without(x="\ud800"), {}),
    ("no lifetime", without("expires_in"), A_DAY),
    ("null lifetime", without(expires_in=None), A_DAY),
    ("a lifetime in quotes", without(expires_in="604800"), {}),
    ("a decimal in quotes", without(expires_in=" 604800.0 "), {}),
    ("a lifetime in words", without(expires_in="a week"), A_DAY),
    ("digits that are not ASCII", without(expires_in="٦"), A_DAY),
    ("an empty lifetime", without(expires_in=""), A_DAY),
    ("infinite in quotes", without(expires_in="inf"), A_DAY),
    ("true", without(expires_in=True), A_DAY),
    ("no life", without(expires_in=0), A_DAY),
    ("a negative life", without(expires_in=-5), A_DAY),
    ("longer than the calendar", without(expires_in=10**12), A_DAY),
    ("a lifetime of a wrong type", without(expires_in=[604800]), A_DAY),
    ("a refresh token of a wrong type", without(refresh_token=["r"]), {"refresh_token": None}),
    ("null token type", without(token_type=None), {}),
    ("a list of scopes", without(scope=["public"]), {"scope": None}),
    (
        "every character of a b64token",
        without(access_token="aZ09-._~+/=="),
        {"access_token": "aZ09-._~+/=="},
    ),
    ("an error beside the tokens", without(error="invalid_grant"), {}),
]


@pytest.mark.parametrize(("body", "differs"), [r[1:] for r in TOKENS], ids=[r[0] for r in TOKENS])
@pytest.mark.parametrize("headers", [JSON, {}, PLAIN], ids=["json", "none", "plain"])
def test_tokens_are_read(
    body: dict[str, object], differs: dict[str, Any], headers: dict[str, str]
) -> None:
    token = protocol.parse_token_response(
        answer(200, json.dumps(body).encode(), headers), requested_at=NOW
    )
    expected: dict[str, Any] = {
        "access_token": "a1",
        "refresh_token": "r1",
        "token_type": "bearer",
        "scope": "public",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
    }
    assert token == Token(**expected | differs)
    granted = protocol.parse_device_token_response(answer(200, body), requested_at=NOW)
    assert granted == Granted(token=token)


def test_a_token_that_outlives_the_calendar_by_a_wrong_clock() -> None:
    late = datetime(9999, 12, 31, tzinfo=UTC)
    token = protocol.parse_token_response(answer(200, FULL), requested_at=late)
    assert token.created_at == late
    assert token.expires_at == datetime.max.replace(tzinfo=UTC)


@given(B64TOKENS, TEXTS.filter(bool), st.integers(1, 10**9), st.dictionaries(TEXTS, TEXTS))
def test_a_token_round_trip(access: str, refresh: str, life: int, extra: dict[str, str]) -> None:
    body = extra | {"access_token": access, "refresh_token": refresh, "expires_in": life}
    body |= {"token_type": "bearer", "scope": "public"}
    token = protocol.parse_token_response(answer(200, body), requested_at=NOW)
    assert (token.access_token, token.refresh_token) == (access, refresh)
    assert token.lifetime == timedelta(seconds=life)


NO_TOKENS = [
    ("empty", b"", JSON, "not a token: the text is empty"),
    ("an interstitial page, SeriesGuide#1117", PAGE, HTML, "not a token"),
    ("a page that says it is JSON", PAGE, JSON, "not a token"),
    ("plain text", b"OK", PLAIN, "not a token"),
    ("truncated", json.dumps(FULL).encode()[:-20], JSON, "ends too early"),
    ("not UTF-8", b'{"access_token":"\xff\xfe","expires_in":1}', JSON, "not a token"),
    ("null", None, JSON, "not a token"),
    ("a list", [FULL], JSON, "not a token"),
    ("no access token", without("access_token"), JSON, "access_token"),
    ("null access token", without(access_token=None), JSON, "access_token"),
    ("empty access token", without(access_token=""), JSON, "access_token is empty"),
    ("access token of a wrong type", without(access_token=7), JSON, "access_token"),
    ("a line break in the access token", without(access_token="a\nx: y"), JSON, "access_token has"),
    ("a space", without(access_token="a b"), JSON, "access_token has"),
    ("a quote", without(access_token='a"b'), JSON, "access_token has"),
    ("padding in the middle", without(access_token="a=b"), JSON, "access_token has"),
    ("only padding", without(access_token="=="), JSON, "access_token has"),
    ("a character beyond ASCII", without(access_token="aé"), JSON, "access_token has"),
    ("a line break at the end", without(access_token="a1\n"), JSON, "access_token has"),
    ("an OAuth error in a 200", {"error": "invalid_grant"}, JSON, "access_token"),
    ("nested beyond reason", b'{"x":' + b"[" * 100_000, JSON, "not a token"),
]


@pytest.mark.parametrize(
    ("body", "headers", "says"), [r[1:] for r in NO_TOKENS], ids=[r[0] for r in NO_TOKENS]
)
@pytest.mark.parametrize("status", [200, 201])
def test_a_success_without_tokens(
    body: object, headers: dict[str, str], says: str, status: int
) -> None:
    for parse in (protocol.parse_token_response, protocol.parse_device_token_response):
        with pytest.raises(errors.UnexpectedResponse, match=says) as caught:
            parse(answer(status, body, headers), requested_at=NOW)
        assert caught.value.status == status
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


SPENT = Token(
    access_token="a0",
    refresh_token="r0",
    token_type="mac",
    scope="private",
    created_at=NOW - timedelta(days=9),
    expires_at=NOW - timedelta(days=2),
)


def refreshed(body: object) -> Token:
    return protocol.parse_refresh_response(answer(200, body), requested_at=NOW, replacing=SPENT)


def test_a_refresh_that_is_as_documented() -> None:
    plain = protocol.parse_token_response(answer(200, FULL), requested_at=NOW)
    assert refreshed(FULL) == plain


@pytest.mark.parametrize(
    ("life", "days"),
    [("604800", 7), *((life, 1) for life in (None, True, 0, -5, 10**12, [], {}))],
)
def test_an_odd_lifetime_does_not_cost_the_pair(life: object, days: int) -> None:
    token = refreshed(without(expires_in=life))
    assert (token.access_token, token.refresh_token) == ("a1", "r1")
    assert token.lifetime == timedelta(days=days)
    assert token.created_at == NOW


@pytest.mark.parametrize(
    ("body", "life"),
    [
        (b'\xef\xbb\xbf{"access_token":"a1","refresh_token":"r1","expires_in":60}', 60),
        (b'{"access_token":"a1","refresh_token":"r1","expires_in":1e999}', 86400),
        (b'{"access_token":"a1","refresh_token":"r1","expires_in":NaN}', 86400),
        (b'{"access_token":"a1","refresh_token":"r1","expires_in":' + b"9" * 5000 + b"}", 86400),
        (
            b'{"access_token":"a1","refresh_token":"r1","scope":"\xff","token_type":"\\udfff"}',
            86400,
        ),
        (b'{"access_token":"a1","refresh_token":"r1","x":"a\tb\r\n\x00"}', 86400),
        ('{"access_token":"a1","refresh_token":"r1"}'.encode("utf-16"), 86400),
    ],
    ids=[
        "byte order mark",
        "1e999",
        "NaN",
        "5000 digits",
        "not Unicode",
        "raw control characters",
        "UTF-16",
    ],
)
def test_what_stands_beside_a_new_pair_does_not_cost_it(body: bytes, life: float) -> None:
    token = refreshed(body)
    assert (token.access_token, token.refresh_token) == ("a1", "r1")
    assert (token.scope, token.token_type) == (SPENT.scope, SPENT.token_type)
    assert token.lifetime == timedelta(seconds=life)


@pytest.mark.parametrize("body", [b'{"access_token":"a1","expires_in":1e999}'])
def test_a_lifetime_beyond_all_numbers_counts_as_a_day(body: bytes) -> None:
    token = protocol.parse_token_response(answer(200, body), requested_at=NOW)
    assert token.lifetime == timedelta(days=1)


@settings(deadline=None)
@given(
    st.sampled_from([200, 201]),
    B64TOKENS,
    TEXTS.filter(bool),
    st.data(),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_whatever_stands_beside_a_pair_both_come_back(
    status: int, access: str, refresh: str, data: st.DataObject, mark: bytes
) -> None:
    beside = data.draw(st.dictionaries(st.sampled_from([*FULL, "error"]) | TEXTS, VALUES))
    headers = data.draw(HEADERS)
    body = mark + json.dumps(beside | {"access_token": access, "refresh_token": refresh}).encode()
    response = HttpResponse(status=status, headers=headers, body=body)
    first = protocol.parse_token_response(response, requested_at=NOW)
    later = protocol.parse_refresh_response(response, requested_at=NOW, replacing=SPENT)
    polled = protocol.parse_device_token_response(response, requested_at=NOW)
    assert polled == Granted(token=first)
    for token in (first, later):
        assert (token.access_token, token.refresh_token) == (access, refresh)
        assert timedelta(0) <= token.lifetime <= timedelta(days=36500)


# -- a local clock that is days off --------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "created_at"),
    [
        ("Mon, 23 Nov 2026 12:00:00 GMT", NOW),
        ("Tue, 24 Nov 2026 12:00:00 GMT", NOW),  # a day off is still right
        ("Sun, 22 Nov 2026 12:00:00 GMT", NOW),
        ("Tue, 24 Nov 2026 12:00:01 GMT", NOW + timedelta(days=1, seconds=1)),
        ("Sun, 22 Nov 2026 11:59:59 GMT", NOW - timedelta(days=1, seconds=1)),
        ("Monday, 30-Nov-26 12:00:00 GMT", NOW + WEEK),
        ("Mon, 30 Nov 2026 13:00:00 +0100", NOW + WEEK),
        ("Mon, 30 Nov 2026 12:00:00", NOW + WEEK),  # HTTP knows no other zone than GMT
        ("Thu, 01 Jan 1970 00:00:00 GMT", NOW),  # the server's clock has never been set
        ("Fri, 31 Dec 9999 23:59:59 GMT", NOW),
        ("Mon, 30 Nov 2026 12:00:00 +99999999999999", NOW),
        ("2026-11-30T12:00:00Z", NOW),
        ("soon", NOW),
        ("", NOW),
    ],
)
def test_the_answers_date_is_a_witness_against_the_local_clock(
    date: str, created_at: datetime
) -> None:
    response = answer(200, FULL, JSON | {"date": date})
    for token in (
        protocol.parse_token_response(response, requested_at=NOW),
        protocol.parse_refresh_response(response, requested_at=NOW, replacing=SPENT),
    ):
        assert (token.created_at, token.lifetime) == (created_at, WEEK)


@given(TEXTS | st.from_regex(r"[A-Z][a-z]{2}, [0-9]+ Nov [0-9]+ [0-9]+:[0-9]+:[0-9]+ [+-][0-9]+"))
def test_a_date_of_any_text_is_a_time_or_nothing(text: str) -> None:
    date = http_date(text)
    assert date is None or (date.tzinfo is not None and 2020 <= date.year < 2200)


def test_the_end_of_a_device_code_counts_by_the_local_clock() -> None:
    response = answer(200, CODES, JSON | {"date": "Mon, 30 Nov 2026 12:00:00 GMT"})
    device = protocol.parse_device_code_response(response, requested_at=NOW)
    assert device.expires_at == NOW + timedelta(seconds=600)


def test_what_a_refresh_leaves_out_is_as_it_was() -> None:
    token = refreshed({"access_token": "a1"})
    assert (token.refresh_token, token.token_type, token.scope) == ("r0", "mac", "private")
    assert refreshed(without(scope=7, token_type=None)).scope == "private"


@pytest.mark.parametrize(
    "body", [b"", PAGE, {}, without(access_token=""), without(access_token=7), FULL | {"x": 1}]
)
def test_a_refresh_without_an_access_token(body: object) -> None:
    if isinstance(body, dict) and "x" in body:
        assert refreshed(body).access_token == "a1"
        return
    with pytest.raises(errors.UnexpectedResponse):
        refreshed(body)


# -- errors, the same at every endpoint ----------------------------------------------------------


def oauth(error: str, description: str | None = None) -> dict[str, str | None]:
    return {"error": error, "error_description": description}


ERRORS: list[tuple[str, HttpResponse, type[errors.TraktAuthError], dict[str, object]]] = [
    (
        "dead refresh token, new server",
        answer(400, oauth("invalid_grant", "session not found")),
        errors.InvalidGrant,
        {"error": "invalid_grant", "error_description": "session not found", "status": 400},
    ),
    (
        "Doorkeeper 2025",
        answer(400, oauth("invalid_grant", DOORKEEPER)),
        errors.InvalidGrant,
        {"error_description": DOORKEEPER[:200]},
    ),
    (
        "Doorkeeper 2018",
        answer(
            401,
            oauth("invalid_grant", DOORKEEPER),
            JSON | {"www-authenticate": 'Bearer realm="Doorkeeper", error="invalid_grant"'},
        ),
        errors.InvalidGrant,
        {"status": 401},
    ),
    (
        "redirect mismatch, #863",
        answer(400, oauth("invalid_request", "redirect_uri mismatch")),
        errors.InvalidRequest,
        {"error_description": "redirect_uri mismatch"},
    ),
    (
        "deleted app, #902",
        answer(400, oauth("invalid_client", "client_id is required")),
        errors.InvalidClient,
        {"status": 400},
    ),
    ("wrong secret", answer(401, oauth("invalid_client")), errors.InvalidClient, {"status": 401}),
    ("deleted app, 403", answer(403, oauth("invalid_client")), errors.InvalidClient, {}),
    ("no grant type", answer(400, oauth("invalid_request")), errors.InvalidRequest, {}),
    (
        "unauthorized client",
        answer(400, oauth("unauthorized_client")),
        errors.UnauthorizedClient,
        {"error": "unauthorized_client"},
    ),
    (
        "unsupported grant type",
        answer(400, oauth("unsupported_grant_type")),
        errors.UnsupportedGrantType,
        {"error": "unsupported_grant_type"},
    ),
    ("invalid scope", answer(400, oauth("invalid_scope")), errors.InvalidScope, {}),
    (
        "unknown code",
        answer(400, oauth("temporarily_unavailable", "x")),
        errors.OAuthError,
        {"error": "temporarily_unavailable", "error_description": "x", "status": 400},
    ),
    (
        "an OAuth error as text/plain",
        answer(401, json.dumps(oauth("invalid_grant")).encode(), PLAIN),
        errors.InvalidGrant,
        {},
    ),
    ("an empty 401", answer(401), errors.UnexpectedResponse, {"status": 401, "body": ""}),
    ("a page with a 401", answer(401, PAGE, HTML), errors.UnexpectedResponse, {}),
    (
        "an OAuth error in a page",
        answer(401, json.dumps(oauth("invalid_grant")).encode(), HTML),
        errors.UnexpectedResponse,
        {},
    ),
    ("error of a wrong type", answer(401, {"error": 5}), errors.UnexpectedResponse, {}),
    ("error null", answer(401, {"error": None}), errors.UnexpectedResponse, {}),
    ("truncated error", answer(401, b'{"error":"inv', JSON), errors.UnexpectedResponse, {}),
    ("wrong content type, 412", answer(412), errors.UnexpectedResponse, {"status": 412}),
    ("405", answer(405), errors.UnexpectedResponse, {}),
    ("account limit, 420", answer(420), errors.UnexpectedResponse, {"status": 420}),
    ("validation, 422", answer(422, {"errors": {}}), errors.UnexpectedResponse, {}),
    ("VIP only, 426", answer(426), errors.UnexpectedResponse, {}),
    ("a redirect", answer(302, b"", {"location": "/x"}), errors.UnexpectedResponse, {}),
    ("204", answer(204), errors.UnexpectedResponse, {"status": 204}),
    (
        "default User-Agent: a page",
        answer(403, PAGE, HTML | {"server": "cloudflare", "cf-ray": "x"}),
        errors.Blocked,
        {"cause": "edge", "status": 403},
    ),
    (
        "default User-Agent: 1010",
        answer(403, b"error code: 1010", PLAIN),
        errors.Blocked,
        {"cause": "edge"},
    ),
    (
        "blocked integration, #933",
        answer(403, b"Forbidden", PLAIN),
        errors.Blocked,
        {"cause": "integration"},
    ),
    ("bad key", answer(403), errors.Blocked, {"cause": "key_or_app"}),
    (
        "locked",
        answer(423, b"", {"x-account-locked": "true"}),
        errors.Blocked,
        {"cause": "account_locked", "status": 423},
    ),
    (
        "deactivated",
        answer(423, b"", {"x-account-deactivated": "true", "x-account-locked": "false"}),
        errors.Blocked,
        {"cause": "account_deactivated"},
    ),
    *(
        (f"{status}: a page", answer(status, PAGE, HTML), errors.Unavailable, {"status": status})
        for status in (500, 502, 503, 504, 520, 521, 522)
    ),
    (
        "503 with Retry-After",
        answer(503, b"", {"retry-after": "30"}),
        errors.Unavailable,
        {"retry_after": 30.0},
    ),
    (
        "a 500 that quotes OAuth",
        answer(500, oauth("invalid_grant")),
        errors.Unavailable,
        {"status": 500},
    ),
]
LIMITED = [
    (
        "#632",
        answer(429, b"error code: 1015", PLAIN | {"retry-after": "143"}),
        errors.RateLimited,
        {"retry_after": 143.0, "status": 429},
    ),
    ("neither header", answer(429), errors.RateLimited, {"retry_after": None}),
    (
        "a 429 that quotes OAuth",
        answer(429, oauth("invalid_grant"), JSON | {"retry-after": "1"}),
        errors.RateLimited,
        {"retry_after": 1.0},
    ),
]
EVERYWHERE = {
    "token": lambda response: protocol.parse_token_response(response, requested_at=NOW),
    "revoke": protocol.parse_revoke_response,
    "device code": lambda response: protocol.parse_device_code_response(response, requested_at=NOW),
}


def check(
    caught: pytest.ExceptionInfo[errors.TraktAuthError],
    kind: type[errors.TraktAuthError],
    attributes: dict[str, object],
) -> None:
    assert type(caught.value) is kind
    assert vars(caught.value).items() >= attributes.items()


@pytest.mark.parametrize("endpoint", EVERYWHERE)
@pytest.mark.parametrize(
    ("response", "kind", "attributes"),
    [r[1:] for r in ERRORS + LIMITED],
    ids=[r[0] for r in ERRORS + LIMITED],
)
def test_an_error_answer(
    endpoint: str,
    response: HttpResponse,
    kind: type[errors.TraktAuthError],
    attributes: dict[str, object],
) -> None:
    with pytest.raises(errors.TraktAuthError) as caught:
        EVERYWHERE[endpoint](response)
    check(caught, kind, attributes)


@pytest.mark.parametrize("name", ["a bare 400", "a page", "text", "truncated", "OAuth in a page"])
def test_a_400_without_an_oauth_error(name: str) -> None:
    response = {
        "a bare 400": answer(400),  # #888: no visible reason
        "a page": answer(400, PAGE, HTML),
        "text": answer(400, b"Bad Request", PLAIN),
        "truncated": answer(400, b'{"error": "invalid_gr', JSON),
        "OAuth in a page": answer(400, b'{"error": "invalid_grant"}', HTML),
    }[name]
    for parse in EVERYWHERE.values():
        with pytest.raises(errors.UnexpectedResponse, match="400"):
            parse(response)
    # The device endpoint says "pending" with any of them, §3.
    assert protocol.parse_device_token_response(response, requested_at=NOW) == Pending()


def test_the_message_for_an_undocumented_answer_says_what_came() -> None:
    with pytest.raises(errors.UnexpectedResponse, match="418, text/html") as caught:
        protocol.parse_revoke_response(answer(418, PAGE, HTML))
    assert "Just a moment" in caught.value.body
    with pytest.raises(errors.UnexpectedResponse, match="418, no content type"):
        protocol.parse_revoke_response(answer(418))


@pytest.mark.parametrize("body", [b"", b"{}", PAGE, b"null"])
def test_a_revocation_is_a_200_whatever_its_body(body: bytes) -> None:
    protocol.parse_revoke_response(answer(200, body))


# -- POST /oauth/device/code ---------------------------------------------------------------------

CODES = {
    "device_code": "d9c126a7706328d808914cfd1e40274b6e009f684b1aca271b9b3f90b3630d64",
    "user_code": "5055CC52",
    "verification_url": "https://trakt.tv/activate",
    "expires_in": 600,
    "interval": 5,
}
DEVICE_CODES: list[tuple[str, dict[str, object], dict[str, object]]] = [
    ("the documented example", {}, {}),
    (
        "the new host: 6 seconds, a code that is not hex",
        {
            "device_code": "A" * 44,
            "user_code": "X5HZX8BX",
            "verification_url": "https://auth.trakt.tv/activate",
            "interval": 6,
        },
        {
            "device_code": "A" * 44,
            "user_code": "X5HZX8BX",
            "verification_uri": "https://auth.trakt.tv/activate",
            "interval": 6,
        },
    ),
    ("white space around", {"user_code": " 5055CC52\n"}, {"user_code": "5055CC52"}),
    ("extra fields", {"verification_uri": "https://x", "y": None}, {}),
    (
        "the name of RFC 8628",
        {"verification_url": None, "verification_uri": "https://x"},
        {"verification_uri": "https://x"},
    ),
    (
        "numbers in quotes",
        {"expires_in": "60", "interval": "7"},
        {"expires_at": NOW + timedelta(minutes=1), "interval": 7},
    ),
    ("no lifetime", {"expires_in": None}, {}),
    ("a list for a lifetime", {"expires_in": []}, {}),
    ("an empty lifetime", {"expires_in": ""}, {}),
    ("a negative lifetime", {"expires_in": -1}, {}),
    ("no interval", {"interval": None}, {}),
    ("a list for an interval", {"interval": []}, {}),
    ("an empty interval", {"interval": ""}, {}),
    ("an interval of a day", {"interval": 86400}, {}),
    ("interval 0", {"interval": 0}, {"interval": 1}),
    ("a negative interval", {"interval": -5}, {"interval": 5}),
    ("a fraction", {"interval": 2.5}, {"interval": 2.5}),
]


@pytest.mark.parametrize(
    ("changes", "differs"), [r[1:] for r in DEVICE_CODES], ids=[r[0] for r in DEVICE_CODES]
)
def test_device_codes_are_read(changes: dict[str, object], differs: dict[str, object]) -> None:
    device = protocol.parse_device_code_response(answer(200, CODES | changes), requested_at=NOW)
    expected: dict[str, Any] = {
        "device_code": CODES["device_code"],
        "user_code": "5055CC52",
        "verification_uri": "https://trakt.tv/activate",
        "expires_at": NOW + timedelta(minutes=10),
        "interval": 5,
    }
    assert device == DeviceAuthorization(**expected | differs)


def test_an_interval_of_5_seconds_is_the_default() -> None:
    body = {key: value for key, value in CODES.items() if key != "interval"}
    assert protocol.parse_device_code_response(answer(200, body), requested_at=NOW).interval == 5


@pytest.mark.parametrize("name", ["device_code", "user_code", "verification_url", "page", "empty"])
@pytest.mark.parametrize("value", [None, [], "", -1])
def test_a_200_without_device_codes(name: str, value: object) -> None:
    body: object = {"page": PAGE, "empty": b""}.get(name, CODES | {name: value})
    with pytest.raises(errors.UnexpectedResponse):
        protocol.parse_device_code_response(answer(200, body), requested_at=NOW)


# -- POST /oauth/device/token --------------------------------------------------------------------

POLLS: list[tuple[str, HttpResponse, object]] = [
    ("400", answer(400), Pending()),
    ("400, a JSON that is no object", answer(400, []), Pending()),
    ("400, an object without error", answer(400, {"x": 1}), Pending()),
    ("400, authorization_pending", answer(400, oauth("authorization_pending", "x")), Pending()),
    ("400, slow_down", answer(400, oauth("slow_down")), SlowDown()),
    (
        "400, slow_down, Retry-After",
        answer(400, oauth("slow_down"), JSON | {"retry-after": "7"}),
        SlowDown(retry_after=7.0),
    ),
    ("429", answer(429), SlowDown()),
    ("429, Retry-After", answer(429, b"", {"retry-after": "143"}), SlowDown(retry_after=143.0)),
    ("429, a page", answer(429, PAGE, HTML), SlowDown()),
    (
        "429, a date",
        answer(429, b"", {"retry-after": "Mon, 23 Nov 2026 12:00:00 GMT"}),
        SlowDown(),
    ),
    ("429, OAuth", answer(429, oauth("invalid_client")), SlowDown()),
]


@pytest.mark.parametrize(("response", "poll"), [r[1:] for r in POLLS], ids=[r[0] for r in POLLS])
def test_a_poll_that_goes_on(response: HttpResponse, poll: object) -> None:
    assert protocol.parse_device_token_response(response, requested_at=NOW) == poll


ENDS = [
    (404, errors.DeviceCodeUnknown, "invalid_grant"),
    (409, errors.DeviceCodeUsed, "invalid_grant"),
    (410, errors.DeviceCodeExpired, "expired_token"),
    (418, errors.AccessDenied, "access_denied"),
]


@pytest.mark.parametrize(("status", "kind", "error"), ENDS, ids=str)
@pytest.mark.parametrize("body", [b"", PAGE, b"null", b'{"error":"whatever"}'])
def test_a_poll_that_ends(
    status: int, kind: type[errors.OAuthError], error: str, body: bytes
) -> None:
    with pytest.raises(errors.OAuthError) as caught:
        protocol.parse_device_token_response(answer(status, body, JSON), requested_at=NOW)
    check(caught, kind, {"error": error, "status": status, "error_description": None})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("expired_token", errors.DeviceCodeExpired),
        ("access_denied", errors.AccessDenied),
        ("invalid_client", errors.InvalidClient),
        ("invalid_request", errors.InvalidRequest),
        ("invalid_grant", errors.InvalidGrant),
        ("something_new", errors.OAuthError),
    ],
)
def test_a_400_that_names_an_error_ends_the_poll(error: str, kind: type[errors.OAuthError]) -> None:
    with pytest.raises(errors.OAuthError) as caught:
        protocol.parse_device_token_response(answer(400, oauth(error)), requested_at=NOW)
    check(caught, kind, {"error": error, "status": 400})


@pytest.mark.parametrize(
    ("response", "kind", "attributes"),
    [r[1:] for r in ERRORS if r[1].status not in (400, 418)],
    ids=[r[0] for r in ERRORS if r[1].status not in (400, 418)],
)
def test_any_other_answer_to_a_poll(
    response: HttpResponse, kind: type[errors.TraktAuthError], attributes: dict[str, object]
) -> None:
    with pytest.raises(errors.TraktAuthError) as caught:
        protocol.parse_device_token_response(response, requested_at=NOW)
    check(caught, kind, attributes)


# -- anything at all -----------------------------------------------------------------------------

STATUSES = st.sampled_from([200, 400, 401, 403, 404, 409, 410, 418, 423, 429, 500, 520])
NAMES = ["content-type", "retry-after", "date", "x-account-deactivated", "x-request-id", "server"]
KEYS = ["error", "error_description", *FULL, *CODES]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES | st.sampled_from([*FULL.values()]))
HEADERS = st.dictionaries(
    st.sampled_from(NAMES), TEXTS | st.sampled_from(["application/json", "text/html", "9" * 9])
)
RESPONSES = st.builds(
    HttpResponse,
    status=STATUSES | st.integers(100, 999),
    headers=HEADERS,
    body=st.binary() | VALUES.map(lambda value: json.dumps(value).encode())
    | OBJECTS.map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda token, more: json.dumps({**FULL, **CODES, **token, **more}).encode(),
        OBJECTS,
        OBJECTS,
    ),
)  # fmt: skip


def result_of(parse: Callable[[], object]) -> object:
    try:
        return parse()
    except errors.TraktAuthError as error:
        return error


@settings(max_examples=300, deadline=None)
@given(RESPONSES, st.datetimes(timezones=st.just(UTC)))
def test_any_answer_is_a_value_or_an_error_of_the_tree(
    response: HttpResponse, requested_at: datetime
) -> None:
    for parse, kind in (
        (protocol.parse_token_response, Token),
        (protocol.parse_device_code_response, DeviceAuthorization),
        (protocol.parse_device_token_response, Pending | SlowDown | Granted),
    ):
        result = result_of(partial(parse, response, requested_at=requested_at))
        assert isinstance(result, kind | errors.ServerError | errors.OAuthError)
    refresh = partial(protocol.parse_refresh_response, response, replacing=SPENT)
    result = result_of(partial(refresh, requested_at=requested_at))
    assert isinstance(result, Token | errors.ServerError | errors.OAuthError)
    revoked = result_of(partial(protocol.parse_revoke_response, response))
    assert (revoked is None) is (response.status == 200)
