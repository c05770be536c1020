"""The token files: what is read from them, round trips, and invalid content."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.texts import ANY_TEXTS
from trakt_auth import Token, TokenState, UsageError
from trakt_auth.cli.parser import FORMATS
from trakt_auth.cli.token_files.formats import WRITERS, read_tokens

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
WEEK = 604800
PYTRAKT_4 = {
    "APPLICATION_ID": None,
    "CLIENT_ID": "app",
    "CLIENT_SECRET": "hush",
    "OAUTH_EXPIRES_AT": EPOCH + 3600,
    "OAUTH_REFRESH": "refresh",
    "OAUTH_TOKEN": "access",
}
PYTRAKT_3 = {name: PYTRAKT_4[name] for name in PYTRAKT_4 if name != "APPLICATION_ID"}
PYTRAKT_3_PIN = {
    "CLIENT_ID": "app",
    "CLIENT_SECRET": "hush",
    "OAUTH_TOKEN": "access",
    "APPLICATION_ID": "12",
}
RESPONSE = {
    "access_token": "access",
    "token_type": "bearer",
    "expires_in": WEEK,
    "refresh_token": "refresh",
    "scope": "public",
    "created_at": EPOCH - 60,
}


def read(content):
    return read_tokens(json.dumps(content).encode(), now=NOW)


def only(content):
    (login,) = read(content).logins
    return login


def test_the_command_offers_every_writer():
    assert tuple(WRITERS) == FORMATS


@pytest.mark.parametrize("content", [PYTRAKT_4, PYTRAKT_3])
def test_pytrakt(content):
    found = read(content)
    assert (found.kind, found.client_id) == ("a PyTrakt file", "app")
    token = only(content).token
    assert (token.access_token, token.refresh_token) == ("access", "refresh")
    assert token.expires_at == NOW + timedelta(hours=1)
    # The file does not say when it was issued; with an hour left it is due whatever the age.
    assert token.state(NOW) is TokenState.STALE


def test_pytrakt_with_much_life_left_is_fresh():
    token = only(PYTRAKT_4 | {"OAUTH_EXPIRES_AT": EPOCH + WEEK}).token
    assert token.state(NOW) is TokenState.FRESH
    assert token.created_at == NOW


@pytest.mark.parametrize("absent", [PYTRAKT_3_PIN, PYTRAKT_4 | {"OAUTH_EXPIRES_AT": None}])
def test_pytrakt_that_does_not_tell_its_end(absent):
    login = only(absent)
    assert not login.dated
    assert login.token.state(NOW) is TokenState.EXPIRED
    assert login.token.refresh_token == absent.get("OAUTH_REFRESH")


def test_a_response():
    found = read(RESPONSE)
    assert found.client_id is None
    (login,) = found.logins
    assert login.dated
    assert login.account is None
    assert login.token == Token(
        access_token="access",
        refresh_token="refresh",
        scope="public",
        created_at=NOW - timedelta(seconds=60),
        expires_at=NOW + timedelta(seconds=WEEK - 60),
    )


SAME = [
    {"created_at": str(EPOCH - 60), "expires_in": str(WEEK)},
    {"created_at": (EPOCH - 60) * 1000},
    {"created_at": f"{EPOCH - 60}.0"},
    {"expires_in": None, "expires_at": EPOCH + WEEK - 60},
    {"created_at": None, "expires_at": EPOCH + WEEK - 60},  # as oauthlib and authlib write it
    {"created_at": None, "expires_at": float(EPOCH + WEEK - 60)},
]


@pytest.mark.parametrize("fields", SAME)
def test_other_spellings_of_the_same_moment(fields):
    assert only(RESPONSE | fields) == only(RESPONSE)


UNDATED = [
    {"created_at": None},
    {"created_at": None, "expires_at": "soon"},
    {"created_at": None, "expires_at": 10**30},
    {"expires_in": None},
    {"created_at": EPOCH + 3600},  # from the future
    {"expires_in": WEEK * 1000},  # in milliseconds, or nonsense
    {"expires_in": -1},
    {"created_at": None, "expires_in": None, "expires_at": EPOCH + 10**9},
]


@pytest.mark.parametrize("fields", UNDATED)
def test_what_is_of_unknown_age_counts_as_expired(fields):
    login = only(RESPONSE | fields)
    assert not login.dated
    assert login.token.state(NOW) is TokenState.EXPIRED
    assert login.token.lifetime > timedelta(hours=1)  # a refresh without expires_in takes this over


DAMAGED = [
    b"",
    b"null",
    b"[1]",
    b"{}",
    b"\xff\xfe\xff",
    b"[" * 100_000,
    b'{"access_token": "acc',
    b'{"error": "invalid_grant"}',
    b'{"access_token": ' + b"9" * 5000 + b"}",
]
WRONG = [
    {"access_token": ""},
    {"access_token": 5},
    {"access_token": "two words"},
    {"access_token": "line\nbreak"},
    {"access_token": "ünicode"},
    {"refresh_token": ["x"]},
    {"created_at": "soon"},
    {"created_at": True},
    {"created_at": -5},
    {"created_at": 10**15},
    {"expires_in": float("nan")},
    {"expires_in": {}},
    {"OAUTH_TOKEN": None},
]
OWN = {
    "trakt-auth-export": 1,
    "client_id": "app",
    "accounts": [
        {
            "account": "default",
            "access_token": "access",
            "refresh_token": None,
            "token_type": "bearer",
            "scope": None,
            "created_at": "2026-11-24T12:00:00+00:00",
            "expires_at": "2026-12-01T12:00:00+00:00",
        }
    ],
}
ONE = OWN["accounts"][0]
WRONG_OWN = [
    {"trakt-auth-export": 2},
    {"trakt-auth-export": "1"},
    {"client_id": None},
    {"accounts": []},
    {"accounts": [5]},
    {"accounts": [ONE, ONE]},
    {"accounts": [ONE | {"account": ""}]},
    {"accounts": [ONE | {"created_at": "2026-11-24T12:00:00"}]},
    {"accounts": [ONE | {"expires_at": 5}]},
    {"accounts": [ONE | {"access_token": None}]},
]
BAD = [
    *DAMAGED,
    *(json.dumps(RESPONSE | fields).encode() for fields in WRONG),
    *(json.dumps(OWN | fields).encode() for fields in WRONG_OWN),
    json.dumps({"trakt-auth": 1, "version": 1, "records": []}).encode(),
]


@pytest.mark.parametrize("content", BAD)
def test_what_cannot_be_read(content):
    with pytest.raises(UsageError) as caught:
        read_tokens(content, now=NOW)
    assert caught.value.hint
    said = f"{caught.value} {caught.value.hint}"
    assert not any(secret in said for secret in ("two words", "ünicode", "soon", "9999"))


def test_a_store_is_no_export():
    with pytest.raises(UsageError, match="token store of trakt-auth"):
        read_tokens(BAD[-1], now=NOW)


VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
# PyTrakt and trakt.py store whole seconds; a lifetime is one that Trakt could have given.
TOKENS = st.builds(
    lambda access, refresh, scope, born, life: Token(
        access_token=access,
        refresh_token=refresh,
        scope=scope,
        created_at=NOW - timedelta(microseconds=born),
        expires_at=NOW - timedelta(microseconds=born) + timedelta(seconds=life),
    ),
    VISIBLE,
    st.none() | VISIBLE,
    st.none() | st.text(),
    st.integers(0, 10**15),
    st.integers(0, 90 * 86400),
)


@given(st.dictionaries(ANY_TEXTS.filter(bool), TOKENS, min_size=1, max_size=4), VISIBLE)
def test_our_own_format_keeps_everything(tokens, client_id):
    found = read(WRITERS["trakt-auth"](tokens, client_id, None))
    assert found.client_id == client_id
    assert {login.account: login.token for login in found.logins} == tokens


@pytest.mark.parametrize("kind", ["response", "trakt.py"])
@given(token=TOKENS)
def test_a_response_keeps_everything_to_the_second(kind, token):
    back = only(WRITERS[kind]({"x": token}, "app", "hush"))
    assert back.dated
    for name in ("access_token", "refresh_token", "scope", "token_type"):
        assert getattr(back.token, name) == getattr(token, name)
    for name in ("created_at", "expires_at"):
        lost = getattr(token, name) - getattr(back.token, name)
        assert timedelta(0) <= lost < timedelta(seconds=1)


@given(TOKENS)
def test_pytrakt_keeps_the_end_to_the_second(token):
    content = WRITERS["pytrakt"]({"x": token}, "app", "hush")
    assert set(content) == set(PYTRAKT_4)
    assert (content["CLIENT_ID"], content["CLIENT_SECRET"]) == ("app", "hush")
    back = only(content).token
    assert (back.access_token, back.refresh_token) == (token.access_token, token.refresh_token)
    assert timedelta(0) <= token.expires_at - back.expires_at < timedelta(seconds=1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = sorted({*PYTRAKT_4, *RESPONSE, *OWN, *ONE, "expires_at", "records", "trakt-auth"})
NEARLY = st.one_of(
    *(
        st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4).map(lambda more, b=base: b | more)
        for base in ({}, PYTRAKT_4, RESPONSE, OWN)
    ),
    st.dictionaries(st.sampled_from(NAMES), JSON).map(lambda one: OWN | {"accounts": [ONE | one]}),
).map(lambda content: json.dumps(content).encode())


@given(st.binary() | NEARLY)
@example(json.dumps(RESPONSE | {"created_at": 0, "expires_in": 0}).encode())
def test_any_content_is_read_or_refused(content):
    try:
        found = read_tokens(content, now=NOW)
    except UsageError:
        return
    for login in found.logins:
        assert login.token.access_token.isascii()
        assert login.dated or login.token.state(NOW) is TokenState.EXPIRED
