"""The values: what they accept, what their repr hides, and when a token is due."""

# ruff: noqa: RUF001 - hosts with look-alikes of ASCII characters are what some tests are about
from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.texts import ANY_TEXTS, TEXTS
from trakt_auth.errors import CallbackError, TraktAuthError, UsageError
from trakt_auth.protocol import application as models
from trakt_auth.protocol import authorization
from trakt_auth.protocol import token as tokens
from trakt_auth.protocol.application import AUTH, Application, Endpoints, _is_loopback
from trakt_auth.protocol.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    DeviceAuthorization,
)
from trakt_auth.protocol.endpoints.authorize import (
    build_authorization_request,
    code_challenge,
)
from trakt_auth.protocol.token import Token, TokenState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
MOMENTS = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
APP = Application("id", user_agent="t/1")
VERIFIERS = st.from_regex(r"[A-Za-z0-9._~-]{43,128}", fullmatch=True)
LIVES = st.timedeltas(timedelta(seconds=1), timedelta(days=400))
TOKENS = st.builds(
    lambda created, life: Token(access_token="a", created_at=created, expires_at=created + life),
    MOMENTS,
    LIVES,
)


def device(**changes: object) -> DeviceAuthorization:
    fields: dict[str, object] = {
        "device_code": "d",
        "user_code": "X5HZX8BX",
        "verification_uri": "https://auth.trakt.tv/activate",
        "expires_at": NOW,
        "interval": 5,
    }
    return DeviceAuthorization(**fields | changes)  # type: ignore[arg-type]


def test_all_values_are_frozen_slotted_and_keyword_only() -> None:
    values = [
        getattr(home, name) for home in (models, authorization, tokens) for name in home.__all__
    ]
    assert len(values) == 11
    for kind in values:
        name = kind.__name__ if isinstance(kind, type) else "DevicePoll"
        if dataclasses.is_dataclass(kind):
            assert kind.__dataclass_params__.frozen, name  # type: ignore[attr-defined]
            assert "__dict__" not in dir(kind), name
            allowed = ["client_id"] if name == "Application" else []
            assert [f.name for f in dataclasses.fields(kind) if not f.kw_only] == allowed


# -- Application, Endpoints ----------------------------------------------------------------------


def test_an_application_needs_an_id_and_a_name_for_itself() -> None:
    app = Application("id", user_agent="my-player/1.2 (+https://example.com)")
    assert (app.client_secret, app.redirect_uri) == (None, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_id", ""),
        ("client_id", " id"),
        ("client_id", "id\n"),
        ("client_id", "i\x00d"),
        ("client_id", "id漢"),
        ("user_agent", ""),
        ("user_agent", "my-player/1.2\r\nx: y"),
        ("user_agent", "plüsch/1"),
        ("user_agent", "Mozilla/5.0 (X11)"),
        ("user_agent", "mozilla/4.0"),
        ("client_secret", ""),
        ("client_secret", "\x16"),  # a bad paste in a hidden prompt: PlexTraktSync#2318
        ("client_secret", "geheim "),
        ("redirect_uri", ""),
        ("redirect_uri", "https://example.com/\n"),
    ],
)
def test_an_application_refuses(field: str, value: str) -> None:
    fields = {"client_id": "id", "user_agent": "t/1"} | {field: value}
    with pytest.raises(UsageError, match=field) as caught:
        Application(**fields)  # type: ignore[arg-type]
    assert "geheim" not in str(caught.value)


@given(ANY_TEXTS, ANY_TEXTS)
def test_what_an_application_accepts_fits_into_a_header(client_id: str, user_agent: str) -> None:
    try:
        Application(client_id, user_agent=user_agent)
    except UsageError:
        return
    assert f"{client_id}{user_agent}".isascii()
    assert f"{client_id}{user_agent}".isprintable()


def test_the_default_endpoints_are_trakts() -> None:
    assert Endpoints() == Endpoints(auth="https://auth.trakt.tv", api="https://api.trakt.tv")
    assert Endpoints.at("http://127.0.0.1:8080/").api == "http://127.0.0.1:8080"
    assert Endpoints.at("http://[::1]:8080") == Endpoints.at("http://[::1]:8080/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "auth.trakt.tv",
        "//auth.trakt.tv",
        "ftp://auth.trakt.tv",
        "https://",
        "https://auth.trakt.tv?x=1",
        "https://auth.trakt.tv#x",
        "https://auth.trakt.tv\n",
        " https://auth.trakt.tv",
        "https://host:99999",
        "https://host:port",
        "https://[::1",
        "http://auth.trakt.tv",
        "HTTP://AUTH.TRAKT.TV",
        "http://trakt.tv",
        "http://trakt.tv.",
        "http://trakt．tv",
        "http://trakt。tv",
        "http://ｔｒａｋｔ.tv",
        "http://example.com",
        "http://emulator:8080",
        "http://192.168.1.2",
        "http://0.0.0.0",
        "http://[::]",
        "http://[::2]",
        "http://[::ffff:10.0.0.1]",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.1",
        "http://2130706433",
        "http://0177.0.0.1",
        "https://trakt%2Etv",
        "https://%74rakt.tv",
        "https://[fe80::1%25eth0]",
        "https://trakt.tv\\.evil.example",
        "https://trakt.tv\\",
        "https:\\\\trakt.tv",
        "https://trakt.tv＼x",
        "https://tra kt.tv",
        "https://trakt.tv／.evil.example:",
        "https://trakt.tv？x",
        "https://..",
        "https://a" + "é" * 64,
    ],
)
def test_endpoints_refuse(url: str) -> None:
    for make in (
        lambda: Endpoints(auth=url),
        lambda: Endpoints(api=url),
        lambda: Endpoints.at(url),
    ):
        with pytest.raises(UsageError):
            make()


@pytest.mark.parametrize(
    "url",
    [
        "https://me:geheim＠trakt.tv",
        "https://me:geheim@trakt.tv",
        "ftp://me:geheim@x",
        "https://geheim@[",
    ],
)
def test_endpoints_refuse_a_password_and_do_not_repeat_it(url: str) -> None:
    with pytest.raises(UsageError, match="password") as caught:
        Endpoints(auth=url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://localhost/", "http://localhost"),
        ("http://LOCALHOST", "http://LOCALHOST"),
        ("http://１２７.0.0.1", "http://127.0.0.1"),
        ("https://auth．trakt．tv", AUTH),
        ("https://auth。trakt｡tv", AUTH),
        ("https://ａｕｔｈ.trakt.tv/", AUTH),
        ("https://bücher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
        ("https://my_server", "https://my_server"),
    ],
)
def test_endpoints_are_kept_in_ascii(url: str, kept: str) -> None:
    assert Endpoints.at(url) == Endpoints(auth=kept, api=kept)
    assert Endpoints.at(url).auth == kept
    assert Endpoints.at(url).issuer.isascii()


@given(ANY_TEXTS, st.sampled_from(["http://", "https://"]))
def test_an_endpoint_of_any_text_is_loopback_or_encrypted(text: str, scheme: str) -> None:
    try:
        endpoints = Endpoints.at(scheme + text)
    except UsageError:
        return
    host = urlsplit(endpoints.auth).hostname or ""
    assert host.isascii()
    assert endpoints.auth.startswith("https://") or _is_loopback(host.rstrip("."))


# -- the redirect --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://x/cb?code=c&state=s", {"code": "c", "state": "s"}),
        ("http://127.0.0.1:8765/callback?state=s&code=c&x=1#_=_", {"code": "c", "state": "s"}),
        ("my-app://done?code=c", {"code": "c"}),
        ("?code=c&state=s", {"code": "c", "state": "s"}),
        ("code=c&state=s", {"code": "c", "state": "s"}),
        ("  https://x/cb?code=c%2F%2B&state=s \n", {"code": "c/+", "state": "s"}),
        ("https://x/cb?error=access_denied&state=s", {"error": "access_denied", "state": "s"}),
        (
            "https://x/cb?error=e&error_description=no+way",
            {"error": "e", "error_description": "no way"},
        ),
        ("https://x/cb?code=&error=e", {"error": "e"}),
        ("?code=c&iss=https%3A%2F%2Fx", {"code": "c", "iss": "https://x"}),
    ],
)
def test_from_url_reads(url: str, found: dict[str, str]) -> None:
    assert AuthorizationResponse.from_url(url) == AuthorizationResponse(**found)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "EF9DA95A",
        "https://x/cb",
        "https://x/cb?state=s",
        "https://x/cb?code=",
        "https://x/cb?code=c&error=e",
        "https://x/cb?code=a&code=b",
        "https://x/cb?code=a&state=s&state=t",
        "https://x/cb?error=a&error=b",
        "https://x/cb?code=c&iss=a&iss=b",
        "https://x/cb#code=c",
        "https://[/cb?code=c",
        "https://x/cb?" + "&".join(f"a{n}=1" for n in range(101)) + "&code=c",
        "https://x/cb?code=\ud800",
    ],
)
def test_from_url_refuses(url: str) -> None:
    with pytest.raises(CallbackError):
        AuthorizationResponse.from_url(url)


def test_from_url_names_what_is_there_twice() -> None:
    with pytest.raises(CallbackError, match="code and state twice"):
        AuthorizationResponse.from_url("https://x/cb?code=a&code=b&state=s&state=t")


@given(ANY_TEXTS | ANY_TEXTS.map("https://x/cb?code={}".format))
def test_from_url_on_any_text(text: str) -> None:
    try:
        response = AuthorizationResponse.from_url(text)
    except CallbackError:
        return
    assert (response.code is None) != (response.error is None)
    f"{response.code}{response.state}".encode()  # fit to be sent and compared


@given(TEXTS.filter(bool), TEXTS.filter(bool))
def test_from_url_reads_back_whatever_a_server_encodes(code: str, state: str) -> None:
    response = AuthorizationResponse.from_url(
        "https://x/cb?" + urlencode({"code": code, "state": state})
    )
    assert (response.code, response.state) == (code, state)


# -- serialising ---------------------------------------------------------------------------------


@given(st.builds(AuthorizationRequest, url=TEXTS, state=TEXTS.filter(bool),
                 redirect_uri=TEXTS, code_verifier=st.none() | VERIFIERS))  # fmt: skip
def test_an_authorization_request_round_trip(request: AuthorizationRequest) -> None:
    assert AuthorizationRequest.from_json(request.to_json()) == request


@given(
    TEXTS, TEXTS, TEXTS, st.datetimes(timezones=st.just(UTC)), st.floats(0, allow_infinity=False)
)
def test_a_device_authorization_round_trip(
    code: str, user: str, uri: str, end: datetime, interval: float
) -> None:
    authorization = DeviceAuthorization(
        device_code=code, user_code=user, verification_uri=uri, expires_at=end, interval=interval
    )
    assert DeviceAuthorization.from_json(authorization.to_json()) == authorization


@pytest.mark.parametrize(
    "verifier",
    [
        "",
        "v",
        "v" * 42,
        "v" * 129,
        "v" * 42 + "=",
        "v" * 42 + "+",
        "v" * 42 + "\u00e9",
        "v" * 43 + "\n",
    ],
)
def test_a_code_verifier_that_rfc_7636_forbids(verifier: str) -> None:
    good = AuthorizationRequest(
        url="https://x", state="s", redirect_uri="app://cb", code_verifier="v" * 43
    )
    written = good.to_json().replace("v" * 43, verifier.replace("\n", "\\n"))
    for make in (
        lambda: AuthorizationRequest.from_json(written),
        lambda: dataclasses.replace(good, code_verifier=verifier),
        lambda: code_challenge(verifier),
        lambda: build_authorization_request(
            APP, Endpoints(), redirect_uri="app://cb", state="s", code_verifier=verifier
        ),
    ):
        with pytest.raises(UsageError, match="43 to 128") as caught:
            make()
        assert caught.value.hint
    for length in (43, 128):
        assert dataclasses.replace(good, code_verifier="-._~" + "v" * (length - 4))


def test_an_empty_state_is_refused() -> None:
    request = AuthorizationRequest(url="https://x", state="s", redirect_uri="app://cb")
    for make in (
        lambda: dataclasses.replace(request, state=""),
        lambda: AuthorizationRequest.from_json(request.to_json().replace('"s"', '""')),
        lambda: build_authorization_request(
            APP, Endpoints(), redirect_uri="app://cb", state="", code_verifier=None
        ),
    ):
        with pytest.raises(UsageError, match="state is empty"):
            make()


def test_the_serialised_text_never_changes() -> None:
    request = AuthorizationRequest(
        url="https://x/?a=ü", state="s", redirect_uri="app://cb", code_verifier=None
    )
    written = '{"url":"https://x/?a=ü","state":"s","redirect_uri":"app://cb","code_verifier":null}'
    assert request.to_json() == written
    assert AuthorizationRequest.from_json(written) == request
    assert AuthorizationRequest.from_json(written.replace(',"code_verifier":null', "")) == request
    written = (
        '{"device_code":"d","user_code":"X5HZX8BX",'
        '"verification_uri":"https://auth.trakt.tv/activate",'
        '"expires_at":"2026-11-23T12:00:00.250000Z","interval":5.0}'
    )
    authorization = device(expires_at=NOW + timedelta(seconds=0.25), interval=5.0)
    assert authorization.to_json() == written
    assert DeviceAuthorization.from_json(written) == authorization
    assert DeviceAuthorization.from_json(written.replace("5.0}", "5}")) == authorization
    elsewhere = written.replace("12:00:00.250000Z", "21:00:00.25+09:00")
    assert DeviceAuthorization.from_json(elsewhere) == authorization


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "\ud800",
        device().to_json()[:-1],
        device().to_json().replace("2026", "9999"),
        device().to_json().replace("12:00:00Z", "12:00:00"),
        device(expires_at=datetime.max.replace(tzinfo=UTC)).to_json().replace("Z", "-01:00"),
        device(expires_at=datetime.min.replace(tzinfo=UTC)).to_json().replace("Z", "+01:00"),
    ],
)
def test_what_was_not_serialised_here_is_refused(text: str) -> None:
    if "9999-11" in text:  # a far date alone is no reason
        DeviceAuthorization.from_json(text)
        return
    with pytest.raises(UsageError, match="not a serialised DeviceAuthorization"):
        DeviceAuthorization.from_json(text)


@given(ANY_TEXTS)
def test_any_other_text_is_a_usage_error(text: str) -> None:
    for kind in (AuthorizationRequest, DeviceAuthorization):
        with pytest.raises(UsageError):
            kind.from_json(text)


def test_the_end_of_a_device_authorization_is_kept_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert device(expires_at=there) == device()
    assert device(expires_at=there).expires_at.tzinfo is UTC
    with pytest.raises(UsageError, match="expires_at has no time zone"):
        device(expires_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(UsageError, match="expires_at is outside the calendar"):
        device(expires_at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))))


def test_the_complete_uri_is_the_page_with_the_code() -> None:
    assert device().verification_uri_complete == "https://auth.trakt.tv/activate/X5HZX8BX"
    slash = device(verification_uri="https://x/activate/")
    assert slash.verification_uri_complete == "https://x/activate/X5HZX8BX"


# -- Token ---------------------------------------------------------------------------------------


def test_moments_are_utc_inside() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-5)))
    token = Token(access_token="a", created_at=there, expires_at=there + WEEK)
    assert token.created_at.tzinfo is UTC
    assert (token.created_at, token.expires_at) == (NOW, NOW + WEEK)


@pytest.mark.parametrize("field", ["created_at", "expires_at"])
@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 1),  # noqa: DTZ001 - that is the point
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_a_moment_without_a_zone_or_outside_the_calendar_is_refused(
    field: str, moment: datetime
) -> None:
    with pytest.raises(ValueError, match=field):
        Token(**{"access_token": "a", "created_at": NOW, "expires_at": NOW, field: moment})  # type: ignore[arg-type]


def test_a_life_is_never_negative() -> None:
    token = Token(access_token="a", created_at=NOW, expires_at=NOW - WEEK)
    assert token.lifetime == timedelta(0)
    assert token.due_at() == token.expires_at
    assert token.state(NOW) is TokenState.EXPIRED


def test_the_spread_of_an_account_never_changes() -> None:
    # Another formula would make a whole fleet due at once on the day of the upgrade.
    token = Token(access_token="a", created_at=NOW, expires_at=NOW + WEEK)
    assert token.due_at() == token.due_at("default")
    # The CRC-32 of the name: 0xe35e00df, 0xcecf23d5.
    for account, due in (
        ("default", datetime(2026, 11, 27, 1, 52, 44, tzinfo=UTC)),
        ("jürgen", datetime(2026, 11, 27, 3, 13, 41, tzinfo=UTC)),
    ):
        assert token.due_at(account).replace(microsecond=0) == due
    assert token.due_at("half a \ud800") < token.expires_at


def test_a_thousand_accounts_spread_evenly() -> None:
    token = Token(access_token="a", created_at=NOW, expires_at=NOW + timedelta(seconds=1000))
    tenths = [0] * 10
    for number in range(1000):
        left = (token.expires_at - token.due_at(f"user-{number}")).total_seconds()
        tenths[int((left - 400) // 10)] += 1
    assert min(tenths) > 60


@given(TOKENS, ANY_TEXTS)
def test_a_token_is_due_with_40_to_50_percent_of_its_life_left(token: Token, account: str) -> None:
    left = token.expires_at - token.due_at(account)
    rounding = timedelta(microseconds=1)
    assert token.lifetime * 0.4 - rounding <= left <= token.lifetime * 0.5 + rounding
    assert token.due_at(account) == token.due_at(account)


@given(TOKENS, ANY_TEXTS, st.lists(st.floats(-0.39, 1.5), min_size=2, max_size=8))
def test_a_token_only_ages(token: Token, account: str, shares: list[float]) -> None:
    order = [TokenState.FRESH, TokenState.STALE, TokenState.EXPIRED]
    moments = sorted(token.created_at + token.lifetime * share for share in shares)
    ages = [order.index(token.state(moment, account=account)) for moment in moments]
    assert ages == sorted(ages)
    last = [token.in_last_minutes(moment) for moment in moments]
    assert last == sorted(last)


@given(TOKENS, ANY_TEXTS)
def test_the_states_change_exactly_at_their_moments(token: Token, account: str) -> None:
    tick = timedelta(microseconds=1)
    due = token.due_at(account)
    assert token.state(due - tick, account=account) is TokenState.FRESH
    assert token.state(due, account=account) is TokenState.STALE
    assert token.state(token.expires_at - tick, account=account) is TokenState.STALE
    assert token.state(token.expires_at, account=account) is TokenState.EXPIRED


def test_a_token_from_the_future_is_due() -> None:
    """Made while the clock was wrong: its end, reckoned by that clock, may lie far behind us."""
    token = Token(access_token="a", created_at=NOW, expires_at=NOW + WEEK)
    tick = timedelta(microseconds=1)
    assert token.state(NOW - WEEK * 0.4) is TokenState.FRESH  # its true end is after its due date
    assert token.state(NOW - WEEK * 0.4 - tick) is TokenState.STALE
    for moment in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        Token(access_token="a", created_at=moment, expires_at=moment).state(NOW)


def test_the_last_minutes_are_a_share_of_the_life() -> None:
    week = Token(access_token="a", created_at=NOW, expires_at=NOW + WEEK)
    assert not week.in_last_minutes(week.expires_at - timedelta(minutes=21))
    assert week.in_last_minutes(week.expires_at - timedelta(minutes=20))
    day = Token(access_token="a", created_at=NOW, expires_at=NOW + timedelta(days=1))
    assert not day.in_last_minutes(day.expires_at - timedelta(minutes=3))
    assert day.in_last_minutes(day.expires_at)


def test_usage_errors_belong_to_the_tree() -> None:
    assert issubclass(UsageError, TraktAuthError)


@pytest.mark.parametrize(
    ("url", "issuer"),
    [
        ("https://auth.trakt.tv", "trakt.tv"),
        ("https://trakt.tv", "trakt.tv"),
        ("https://api.trakt.tv:443/", "trakt.tv"),
        ("https://AUTH.trakt.tv.", "trakt.tv"),
        ("https://auth.trakt.tv:8443", "https://auth.trakt.tv:8443"),
        ("https://api-staging.trakt.tv", "https://api-staging.trakt.tv"),
        ("https://trakt.tv.evil.test", "https://trakt.tv.evil.test"),
        ("http://127.0.0.1:8088", "http://127.0.0.1:8088"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://LOCALHOST:8088/", "http://localhost:8088"),
        ("http://[::1]:8088", "http://[::1]:8088"),
    ],
)
def test_the_issuer_of_a_server(url: str, issuer: str) -> None:
    endpoints = Endpoints.at(url)
    assert endpoints.issuer == issuer
    owner = endpoints.owner("abc")
    assert owner == ("abc" if issuer == "trakt.tv" else f"abc at {issuer}")
