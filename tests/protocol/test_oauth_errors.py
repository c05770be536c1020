"""Which error an unsuccessful answer is, and how much of its body may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trakt_auth import errors
from trakt_auth.protocol import oauth_errors
from trakt_auth.protocol.http import HttpResponse

PAGE = b"<!DOCTYPE html><html><body>Sorry, you have been blocked</body></html>"


def response(status: int, body: bytes = b"", **headers: str) -> HttpResponse:
    return HttpResponse(
        status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=body
    )


# -- Retry-After ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("143", 143),
        ("0", 0),
        (" 10 ", 10),
        ("3600", 3600),
        ("3601", 3600),
        ("999999999", 3600),
        ("9999999999", 3600),
        ("9" * 400, 3600),
        ("9" * 5000, 3600),
        ("-5", None),
        ("+5", None),
        ("1.5", 1.5),
        (".5", None),
        ("5.", None),
        ("1,5", None),
        ("1e3", None),
        ("1_000", None),
        ("٣", None),  # a digit, but not an ASCII one
        ("²", None),
        ("Mon, 23 Nov 2026 12:00:00 GMT", None),  # without a `Date` to count from
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert oauth_errors.retry_after(response(429, retry_after=value)) == seconds


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("Mon, 23 Nov 2026 12:02:00 GMT", "Mon, 23 Nov 2026 12:00:00 GMT", 120),
        ("Monday, 23-Nov-26 12:02:00 GMT", "Mon, 23 Nov 2026 12:00:00 GMT", 120),
        ("Mon Nov 23 12:02:00 2026", "Mon, 23 Nov 2026 12:00:00 GMT", 120),
        ("Mon, 23 Nov 2026 11:00:00 GMT", "Mon, 23 Nov 2026 12:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 12:00:00 GMT", "Mon, 23 Nov 2026 12:00:00 GMT", 3600),
        ("Mon, 23 Nov 2026 12:02:00 GMT", "soon", None),
        ("Mon, 23 Nov 2026 25:02:00 GMT", "Mon, 23 Nov 2026 12:00:00 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 23 Nov 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_as_a_date(value: str, date: str, seconds: float | None) -> None:
    assert oauth_errors.retry_after(response(429, retry_after=value, date=date)) == seconds


def test_no_retry_after() -> None:
    assert oauth_errors.retry_after(response(429)) is None


@given(st.text())
def test_retry_after_is_never_negative_nor_endless(value: str) -> None:
    seconds = oauth_errors.retry_after(response(429, retry_after=value))
    assert seconds is None or 0 <= seconds <= 3600


def test_a_rate_limit_says_how_long() -> None:
    error = oauth_errors.from_response(response(429, retry_after="143"))
    assert "143 seconds" in str(error)
    assert "seconds" not in str(oauth_errors.from_response(response(429)))
    assert "wait 2 seconds" in str(oauth_errors.from_response(response(429, retry_after="1.2")))


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_names_the_pause_that_is_kept(status: int) -> None:
    error = oauth_errors.from_response(response(status, retry_after="86400"))
    assert isinstance(error, errors.RateLimited | errors.Unavailable)
    assert error.retry_after == 3600
    assert "86400" not in str(error)
    assert ("wait 3600 seconds" in str(error)) is (status == 429)


# -- 403 and 423: four causes and two --------------------------------------------------------------

HTML = "text/html; charset=UTF-8"


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (response(403, PAGE, content_type=HTML, server="cloudflare", cf_ray="8f-FRA"), "edge"),
        (response(403, PAGE, content_type="application/xml"), "key_or_app"),
        (response(403, b"", content_type="TEXT/HTML"), "edge"),
        (response(403, b"error code: 1010", content_type="text/plain; charset=UTF-8"), "edge"),
        (response(403, b"error code: 1020"), "edge"),
        (response(403, PAGE, content_type=HTML, x_request_id="1"), "key_or_app"),
        (response(403, PAGE, content_type=HTML, x_runtime="0.01"), "key_or_app"),
        (response(403, b"Forbidden", content_type="text/plain"), "integration"),
        (response(403, b"Forbidden", content_type="text/plain; charset=utf-8"), "integration"),
        (response(403, b"x" * 33, content_type="text/plain"), "key_or_app"),
        (response(403, b"x" * 32, content_type="text/plain"), "integration"),
        (response(403, b"Forbidden", content_type="application/json"), "key_or_app"),
        (response(403, b"", content_type="text/plain"), "key_or_app"),
        (response(403), "key_or_app"),
        (response(423, x_account_locked="true", x_account_deactivated="false"), "account_locked"),
        (response(423, x_account_deactivated="TRUE"), "account_deactivated"),
        (response(423), "account_locked"),
        (response(423, b'{"error":"invalid_grant"}', x_account_locked="true"), "account_locked"),
    ],
)
def test_the_cause_of_a_block(answer: HttpResponse, cause: str) -> None:
    error = oauth_errors.from_response(answer)
    assert isinstance(error, errors.Blocked)
    assert error.cause == cause
    message, hint = oauth_errors.BLOCKED[cause]
    assert str(error) == f"{message} ({answer.status})"
    assert error.hint == hint
    assert not error.retryable


def test_every_cause_is_documented_at_the_error() -> None:
    for cause in oauth_errors.BLOCKED:
        assert f"`{cause}`" in (errors.Blocked.__doc__ or "")


# -- OAuth errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), oauth_errors.BY_NAME.items())
def test_an_error_code_has_its_class(name: str, kind: type[errors.OAuthError]) -> None:
    error = oauth_errors.error_for(name, "why", status=400)
    assert type(error) is kind
    assert (error.error, error.error_description, error.status) == (name, "why", 400)


@pytest.mark.parametrize(
    "code",
    [
        "authorization_pending",
        "temporarily_unavailable",
        "unsupported_response_type",
        "account_selection_required",
        "slow_down",
    ],
)
def test_an_unknown_error_code_is_kept_as_it_is(code: str) -> None:
    error = oauth_errors.error_for(code)
    assert type(error) is errors.OAuthError
    assert error.error == code


def test_a_code_of_another_case_is_not_the_same_code() -> None:
    assert type(oauth_errors.error_for("Invalid_Grant")) is errors.OAuthError


def test_secrets_and_length_are_kept_out_of_oauth_errors() -> None:
    error = oauth_errors.error_for(
        "4f8AA29c0e7B11d2ff", "token 4f8AA29c0e7B11d2ff is dead " + "no " * 100
    )
    assert error.error == "[...]"
    assert (error.error_description or "").startswith("token [...] is dead no no")
    assert len(error.error_description or "") <= 200
    assert len(oauth_errors.error_for("e " * 500).error) <= 200
    assert oauth_errors.error_for("x", "").error_description is None


def test_line_breaks_and_terminal_escapes_are_not_passed_on() -> None:
    assert oauth_errors.excerpt(response(400, b"a\r\nb\n\nc\x1b[31md\x07\x00")) == "a b c [31md"
    assert oauth_errors.error_for("x", "no\x1b[2J way").error_description == "no [2J way"


# -- the excerpt -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ""),
        (b"Forbidden", "Forbidden"),
        (b"error code: 1015", "error code: 1015"),
        (b"bad \xff bytes", "bad \ufffd bytes"),
        (b"token=0123456789abcdef rest", "token=[...] rest"),
        (b"0123456789abcde", "0123456789abcde"),
        (b'{"a":"0123456789-_.~+/abcdef"', '{"a":"[...]"'),
    ],
)
def test_excerpt(body: bytes, shown: str) -> None:
    assert oauth_errors.excerpt(response(500, body)) == shown


@given(st.binary(max_size=2000))
def test_an_excerpt_is_short_and_holds_no_long_run(body: bytes) -> None:
    text = oauth_errors.excerpt(response(500, body))
    assert len(text) <= 200
    assert oauth_errors.SECRET.search(text) is None


@pytest.mark.parametrize("length", [1, 100, 790, 799])
def test_a_secret_at_the_cut_shows_less_than_its_mask(length: int) -> None:
    secret = "S3cr3tS3cr3tS3cr3tS3cr3tS3cr3t"
    text = oauth_errors.excerpt(response(500, b". " * (length // 2) + secret.encode()))
    assert secret[:16] not in text
