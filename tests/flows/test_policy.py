"""The table of decisions: what a record calls for, and what a failure says about the login."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trakt_auth import protocol
from trakt_auth.errors import (
    LockTimeout,
    LoginRequired,
    RateLimited,
    ServerError,
    StoreUnavailable,
    TraktAuthError,
    TransportError,
    Unavailable,
    UnexpectedResponse,
)
from trakt_auth.flows import policy
from trakt_auth.flows.policy import Need, RefreshRequest, after_failure, pause_after, refresh_need
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.http import HttpResponse
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.runtime.transport import HttpTransport
from trakt_auth.stores.record import Attempt, Outcome, Record, answer_lost_at

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND, HOUR, WEEK = timedelta(seconds=1), timedelta(hours=1), timedelta(days=7)

TOKEN = Token(access_token="a1", refresh_token="r1", created_at=NOW, expires_at=NOW + WEEK)

# -- refresh_need -------------------------------------------------------------------------------

AGES = {  # how much of the token's week is left
    "fresh": timedelta(days=5),
    "stale": timedelta(days=1),
    "last": timedelta(minutes=10),
    "expired": timedelta(0),
}
NOTES = {
    "none": None,
    "begun": Outcome.BEGUN,
    "failed": Outcome.FAILED,
    "unknown": Outcome.UNKNOWN,
    "refused": Outcome.REFUSED,
}
ASKS = {
    "plain": RefreshRequest(account="default"),
    "other": RefreshRequest(account="default", rejected_token="another token"),
    "rejected": RefreshRequest(account="default", rejected_token="a1"),
    "told": RefreshRequest(account="default", rejected_token="a1", forced=True),
}
WAITS = {  # when the last refresh started, and when the next is allowed
    "none": (NOW - HOUR, None),
    "over": (NOW - HOUR, NOW),
    "short": (NOW - 10 * SECOND, NOW + 20 * SECOND),
    "long": (NOW - HOUR, NOW + HOUR),  # too long for who has nothing to serve
}
ANY = frozenset({"any"})


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The first row that fits decides. `lost` stands for a note that says that the refresh token may
# be spent: unknown, or begun by somebody who died (we hold the lock).
TABLE: list[tuple[str, str, str, str, str, object]] = [
    # age                note           asked              wait         refresh    ->
    ("fresh",            "any",         "plain other",     "any",       "any",     Need.NOTHING),
    ("stale last",       "refused",     "plain other",     "any",       "any",     Need.NOTHING),
    ("any",              "refused",     "any",             "any",       "any",     LoginRequired),
    ("stale last",       "any",         "plain other",     "any",       "without", Need.NOTHING),
    ("any",              "any",         "any",             "any",       "without", LoginRequired),
    ("any",              "none",        "told rejected",   "any",       "any",     Need.REQUIRED),
    ("stale last",       "none",        "any",             "any",       "any",     Need.OPTIONAL),
    ("any",              "none",        "any",             "any",       "any",     Need.REQUIRED),
    ("fresh stale",      "lost",        "told",            "any",       "with",    TransportError),
    ("stale",            "lost",        "plain other",     "any",       "with",    Need.NOTHING),
    ("any",              "any",         "told",            "any",       "any",     Need.REQUIRED),
    ("stale last",       "any",         "plain other",     "short long", "any",    Need.NOTHING),
    ("any",              "any",         "any",             "short",     "any",     Unavailable),
    ("stale last",       "any",         "plain other",     "none over", "any",     Need.OPTIONAL),
    ("any",              "any",         "any",             "any",       "any",     Need.REQUIRED),
]  # fmt: skip
CASES = list(product(AGES, NOTES, ASKS, WAITS, ("with", "without", "impatient"), (False, True)))


def row_of(case: tuple[str, str, str, str, str, bool]) -> int:
    age, note, ask, wait, refresh, locked = case
    lost = note == "unknown" or (note == "begun" and locked)
    facts = ({age}, {note, "lost"} if lost else {note}, {ask}, {wait}, {refresh})
    for number, row in enumerate(TABLE):
        wanted = [words(cell) for cell in row[:5]]  # type: ignore[arg-type]
        if all(cell == ANY or cell & fact for cell, fact in zip(wanted, facts, strict=True)):
            return number
    raise AssertionError(case)


def record_of(age: str, note: str, wait: str, refresh: str) -> Record:
    end = NOW + AGES[age]
    token = Token(
        access_token="a1",
        refresh_token=None if refresh == "without" else "r1",
        created_at=end - WEEK,
        expires_at=end,
    )
    outcome, (started, retry) = NOTES[note], WAITS[wait]
    if outcome is None:
        return Record(token=token)
    attempt = Attempt(
        outcome=outcome,
        started_at=started,
        retry_at=retry,
        lost_at=started if outcome is Outcome.UNKNOWN else None,
        reason="the reason",
    )
    return Record(token=token, attempt=attempt)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("age", AGES)
def test_what_a_record_needs(age: str, note: str, ask: str) -> None:
    for case in CASES:
        if case[:3] == (age, note, ask):
            assert decision(case) is TABLE[row_of(case)][5], case


def decision(case: tuple[str, str, str, str, str, bool]) -> object:
    age, note, ask, wait, refresh, locked = case
    request = replace(ASKS[ask], replay_unknown=refresh == "impatient")
    try:
        return refresh_need(record_of(age, note, wait, refresh), request, NOW, locked=locked)
    except TraktAuthError as error:
        return type(error)


def test_every_row_of_the_table_decides_something() -> None:
    assert {row_of(case) for case in CASES} == set(range(len(TABLE)))


def test_the_errors_say_what_is_known() -> None:
    with pytest.raises(LoginRequired, match="the reason"):
        refresh_need(record_of("expired", "refused", "none", "with"), ASKS["plain"], NOW)
    with pytest.raises(LoginRequired, match="no refresh token"):
        refresh_need(record_of("expired", "none", "none", "without"), ASKS["plain"], NOW)
    with pytest.raises(TransportError, match="serves until 2026-11-24 12:00:00 UTC") as lost:
        refresh_need(record_of("stale", "unknown", "none", "with"), ASKS["told"], NOW)
    assert "at 2026-11-23 11:00:00 UTC was lost" in str(lost.value)
    assert lost.value.outcome_unknown
    with pytest.raises(Unavailable, match=r"the reason.*in 20 seconds") as early:
        refresh_need(record_of("expired", "failed", "short", "with"), ASKS["plain"], NOW)
    assert early.value.retry_after == 20


@pytest.mark.parametrize(
    ("age", "changes", "ask", "need"),
    [
        (59, {}, "rejected", Need.NOTHING),
        (60, {}, "rejected", Need.REQUIRED),
        (-1, {}, "rejected", Need.REQUIRED),  # no clock can tell how old it is
        (59, {}, "told", Need.REQUIRED),
        (59, {"rejections": 0}, "rejected", Need.REQUIRED),
    ],
)
def test_one_401_after_the_other(age: int, changes: dict[str, bool], ask: str, need: Need) -> None:
    token = replace(TOKEN, created_at=NOW - age * SECOND, expires_at=NOW + WEEK)
    record = replace(Record(token=token, rejections=1), **changes)  # type: ignore[arg-type]
    assert refresh_need(record, ASKS[ask], NOW) is need
    refused = Attempt(outcome=Outcome.REFUSED, started_at=NOW, reason="x")
    with pytest.raises(LoginRequired):
        refresh_need(replace(record, attempt=refused), ASKS[ask], NOW)


def test_who_has_nothing_to_serve_waits_a_minute_at_most() -> None:
    record = record_of("expired", "failed", "none", "with")
    assert record.attempt is not None
    attempt = replace(record.attempt, started_at=NOW, retry_at=NOW + HOUR)
    blocked = replace(record, attempt=attempt)
    with pytest.raises(Unavailable) as caught:
        refresh_need(blocked, ASKS["plain"], NOW + 59 * SECOND)
    assert caught.value.retry_after == 1
    assert refresh_need(blocked, ASKS["plain"], NOW + 60 * SECOND) is Need.REQUIRED


MOMENTS = st.datetimes(
    datetime(2026, 11, 10),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2026, 12, 5),  # noqa: DTZ001
    timezones=st.just(UTC),
)
RECORDS = st.builds(
    lambda life, refresh, attempt, rejections: Record(
        token=Token(
            access_token="a1", refresh_token=refresh, created_at=NOW, expires_at=NOW + life
        ),
        attempt=attempt,
        rejections=rejections,
    ),
    st.timedeltas(timedelta(0), WEEK),
    st.sampled_from(["r1", None]),
    st.none()
    | st.builds(
        Attempt,
        outcome=st.sampled_from(Outcome),
        started_at=MOMENTS,
        failures=st.integers(0, 50),
        retry_at=st.none() | MOMENTS,
        lost_at=st.none() | MOMENTS,
        reason=st.just("x"),
        access_rejected=st.booleans(),
    ),
    st.integers(0, 3),
)
REQUESTS = st.builds(
    RefreshRequest,
    account=st.just("default"),
    rejected_token=st.sampled_from([None, "a1", "a0"]),
    forced=st.booleans(),
    replay_unknown=st.booleans(),
)


@given(RECORDS, REQUESTS, MOMENTS, st.booleans())
def test_a_token_is_served_exactly_when_it_can_be(
    record: Record, request: RefreshRequest, at: datetime, locked: bool
) -> None:
    young = record.rejections > 0 and record.attempt is None and not request.forced
    wait = timedelta(minutes=2 ** max(record.rejections - 1, 0))
    kept = request.rejected_token != "a1" or (young and NOW <= at < NOW + wait)
    attempt = record.attempt
    over = attempt is not None and attempt.outcome is Outcome.REFUSED and attempt.access_rejected
    serves = at < record.token.expires_at and kept and not over
    try:
        need = refresh_need(record, request, at, locked=locked)
    except (LoginRequired, TransportError):
        assert not serves
        return
    except Unavailable as early:
        assert not serves
        wait = early.retry_after
        assert wait is not None
        assert wait > 0
        return
    assert (need is not Need.REQUIRED) is serves
    if need is not Need.NOTHING:  # somebody is going to spend it
        assert record.token.refresh_token is not None
        assert record.attempt is None or record.attempt.outcome is not Outcome.REFUSED


# -- what a failure says about the refresh token -------------------------------------------------

JSON, HTML = {"content-type": "application/json"}, {"content-type": "text/html"}
PAGE = b"<html>Just a moment...</html>"
ANSWERS: list[tuple[str, int, bytes, dict[str, str], Outcome]] = [
    ("edge block, trakt-integration#157", 403, PAGE, HTML, Outcome.FAILED),
    ("1010", 403, b"error code: 1010", {"content-type": "text/plain"}, Outcome.FAILED),
    ("blocked integration, #933", 403, b"Forbidden", {}, Outcome.FAILED),
    ("locked", 423, b"", {"x-account-locked": "true"}, Outcome.FAILED),
    ("deactivated", 423, b"", {"x-account-deactivated": "true"}, Outcome.FAILED),
    ("rate limit, #632", 429, b"", {"retry-after": "143"}, Outcome.FAILED),
    ("rate limit of the edge", 429, PAGE, HTML, Outcome.FAILED),
    ("a bare 400, #888", 400, b"", {}, Outcome.FAILED),
    ("a page with a 404, #676", 404, PAGE, HTML, Outcome.FAILED),
    ("wrong content type", 412, b"", {}, Outcome.FAILED),
    ("account limit", 420, b"", {}, Outcome.FAILED),
    ("invalid_client", 401, b'{"error":"invalid_client"}', JSON, Outcome.FAILED),
    ("invalid_request", 400, b'{"error":"invalid_request"}', JSON, Outcome.FAILED),
    *(
        (str(status), status, PAGE, HTML, Outcome.UNKNOWN)
        for status in (500, 502, 503, 504, 520, 521, 522)
    ),
    ("a page in a 200, SeriesGuide#1117", 200, PAGE, HTML, Outcome.UNKNOWN),
    ("truncated", 200, b'{"access_token":"a2","refr', JSON, Outcome.UNKNOWN),
    ("no token", 200, b"{}", JSON, Outcome.UNKNOWN),
    ("an empty 200", 200, b"", {}, Outcome.UNKNOWN),
    ("a redirect", 302, b"", {"location": "/"}, Outcome.UNKNOWN),
    ("204", 204, b"", {}, Outcome.UNKNOWN),
]
BEGUN = Attempt(outcome=Outcome.BEGUN, started_at=NOW)


@pytest.mark.parametrize(
    ("status", "body", "headers", "outcome"), [r[1:] for r in ANSWERS], ids=[r[0] for r in ANSWERS]
)
def test_which_answers_leave_the_refresh_token_unspent(
    status: int, body: bytes, headers: dict[str, str], outcome: Outcome
) -> None:
    response = HttpResponse(status=status, headers=headers, body=body)
    with pytest.raises(TraktAuthError) as caught:
        protocol.parse_token_response(response, requested_at=NOW)
    attempt = after_failure(BEGUN, caught.value, NOW + SECOND)
    assert attempt.outcome is outcome  # and never REFUSED: no login is over by any of these
    assert attempt.lost_at == (NOW if outcome is Outcome.UNKNOWN else None)


FAULTS: list[tuple[type[httpx2.TransportError], str, Outcome]] = [
    (httpx2.ConnectError, "[Errno -2] Name or service not known", Outcome.FAILED),
    (httpx2.ConnectError, "[Errno 111] Connection refused", Outcome.FAILED),
    (httpx2.ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED]", Outcome.FAILED),
    (httpx2.ConnectTimeout, "", Outcome.FAILED),
    (httpx2.PoolTimeout, "", Outcome.FAILED),
    (httpx2.ProxyError, "407", Outcome.FAILED),
    (httpx2.WriteTimeout, "", Outcome.UNKNOWN),
    (httpx2.WriteError, "[Errno 32] Broken pipe", Outcome.UNKNOWN),
    (httpx2.ReadError, "[Errno 104] Connection reset by peer", Outcome.UNKNOWN),
    (httpx2.ReadTimeout, "", Outcome.UNKNOWN),
    (httpx2.RemoteProtocolError, "Server disconnected", Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("kind", "text", "outcome"), FAULTS)
def test_which_faults_leave_the_refresh_token_unspent(
    kind: type[httpx2.TransportError], text: str, outcome: Outcome
) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise kind(text)

    transport = HttpTransport(timeout=1, inner=httpx2.MockTransport(fail))
    request = protocol.build_refresh_request(
        Application("id", user_agent="t/1"), Endpoints(), refresh_token="r1"
    )
    with pytest.raises(TransportError) as caught:
        transport.send(request)
    transport.close()
    assert after_failure(BEGUN, caught.value, NOW).outcome is outcome


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (LockTimeout("the lease ran out before sending"), Outcome.FAILED),
        (StoreUnavailable("x"), Outcome.FAILED),
        (UnexpectedResponse("status unknown"), Outcome.UNKNOWN),
        (UnexpectedResponse("x", status=399), Outcome.UNKNOWN),
        (UnexpectedResponse("x", status=499), Outcome.FAILED),
        (UnexpectedResponse("x", status=500), Outcome.UNKNOWN),
        (Unavailable("remembered"), Outcome.UNKNOWN),
    ],
)
def test_other_errors(error: TraktAuthError, outcome: Outcome) -> None:
    assert after_failure(BEGUN, error, NOW).outcome is outcome


def test_the_note_is_settled_with_all_that_is_known() -> None:
    begun = replace(BEGUN, failures=2, lost_at=None)
    error = TransportError("no answer", outcome_unknown=True)
    settled = after_failure(begun, error, NOW + 5 * SECOND)
    assert settled == Attempt(
        outcome=Outcome.UNKNOWN,
        started_at=NOW,
        failures=3,
        retry_at=NOW + 13 * SECOND,
        lost_at=NOW,
        reason="no answer",
    )


def test_the_first_loss_is_remembered_through_later_failures() -> None:
    lost = NOW - HOUR
    for unknown in (True, False):
        error = TransportError("x", outcome_unknown=unknown)
        assert after_failure(replace(BEGUN, lost_at=lost), error, NOW).lost_at == lost


@pytest.mark.parametrize(
    ("outcome", "noted", "locked", "expected"),
    [
        (Outcome.BEGUN, None, False, None),  # somebody may be at it right now
        (Outcome.BEGUN, None, True, NOW),  # somebody died
        (Outcome.BEGUN, NOW - HOUR, True, NOW - HOUR),
        (Outcome.BEGUN, NOW - HOUR, False, NOW - HOUR),
        (Outcome.FAILED, None, True, None),
        (Outcome.FAILED, NOW - HOUR, True, NOW - HOUR),
        (Outcome.UNKNOWN, NOW, False, NOW),
        (Outcome.REFUSED, None, True, None),
    ],
)
def test_lost_at(
    outcome: Outcome, noted: datetime | None, locked: bool, expected: datetime | None
) -> None:
    attempt = Attempt(outcome=outcome, started_at=NOW, lost_at=noted)
    assert answer_lost_at(attempt, locked=locked) == expected


def test_why_refused() -> None:
    assert policy.why_refused(None) == policy.REFUSED
    assert policy.why_refused(BEGUN) == policy.REFUSED
    why = policy.why_refused(replace(BEGUN, lost_at=NOW))
    assert "2026-11-23 12:00:00 UTC was lost" in why


def test_a_refresh_without_refresh_token_says_what_is_true() -> None:
    for left, says in ((HOUR, "serves until it ends"), (-HOUR, "has ended")):
        token = Token(access_token="a1", created_at=NOW - WEEK, expires_at=NOW + left)
        request = RefreshRequest(account="default", rejected_token="a1", forced=True)
        with pytest.raises(LoginRequired) as caught:
            refresh_need(Record(token=token), request, NOW)
        assert says in caught.value.reason


def test_why_over() -> None:
    def record(
        left: timedelta, *, attempt: Attempt | None = None, renewable: bool = True
    ) -> Record:
        token = Token(
            access_token="a1",
            refresh_token="r1" if renewable else None,
            created_at=NOW - WEEK,
            expires_at=NOW + left,
        )
        return Record(token=token, attempt=attempt)

    refused = Attempt(outcome=Outcome.REFUSED, started_at=NOW, reason="signed out elsewhere")
    assert policy.why_over(record(HOUR), NOW) is None
    assert policy.why_over(record(-HOUR), NOW) is None  # a refresh brings it back
    assert policy.why_over(record(-HOUR, attempt=BEGUN), NOW) is None
    assert policy.why_over(record(HOUR, renewable=False), NOW) is None
    assert policy.why_over(record(-HOUR, renewable=False), NOW) == policy.NO_REFRESH_TOKEN
    assert policy.why_over(record(HOUR, attempt=refused), NOW) == "signed out elsewhere"


# -- pauses --------------------------------------------------------------------------------------

DOWN = Unavailable("503", status=503)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 2), (1, 4), (2, 8), (8, 512), (9, 1024), (10, 1800), (16, 1800), (10**9, 1800)],
)
def test_pauses_double_up_to_half_an_hour(failures: int, seconds: int) -> None:
    assert pause_after(DOWN, failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("asked", "failures", "seconds"),
    [
        (None, 0, 2),
        (0, 0, 2),
        (1, 0, 2),  # less than our own pause
        (143, 0, 143),
        (143, 9, 1024),
        (3600, 0, 3600),
        (3601, 0, 3600),  # not believed
        (999_999_999, 0, 3600),
    ],
)
@pytest.mark.parametrize("kind", [RateLimited, Unavailable, ServerError])
def test_what_the_server_asks_for_counts_up_to_an_hour(
    kind: type[ServerError], asked: float | None, failures: int, seconds: int
) -> None:
    error = kind("x", status=429, retry_after=asked)
    assert pause_after(error, failures) == timedelta(seconds=seconds)


@given(st.integers(0, 200), st.none() | st.floats(0, 1e9))
def test_pauses_grow_and_stay_within_bounds(failures: int, asked: float | None) -> None:
    error = RateLimited("x", retry_after=asked)
    pause, longer = pause_after(error, failures), pause_after(error, failures + 1)
    assert 2 * SECOND <= pause <= longer <= HOUR
    assert TransportError("x", outcome_unknown=False).retryable
    assert pause_after(TransportError("x", outcome_unknown=False), failures) <= HOUR / 2


# -- an API that rejects every token, clocks that are wrong ---------------------------------------


def test_an_api_that_rejects_everything_costs_fewer_and_fewer_refreshes() -> None:
    """It is asked every second for two hours, with the newest token each time."""
    record, at, refreshes = Record(token=TOKEN), NOW, 0
    while at < NOW + 2 * HOUR:
        request = RefreshRequest(account="default", rejected_token=record.token.access_token)
        if refresh_need(record, request, at) is Need.REQUIRED:
            refreshes += 1
            token = replace(
                TOKEN, access_token=f"b{refreshes}", created_at=at, expires_at=at + WEEK
            )
            record = Record(token=token, rejections=policy.next_rejections(record, request, at))
        at += SECOND
    assert refreshes <= 8


def test_a_token_that_served_for_long_starts_the_count_anew() -> None:
    request = RefreshRequest(account="default", rejected_token="a1")
    record = Record(token=replace(TOKEN, created_at=NOW - 10 * HOUR), rejections=4)
    assert policy.next_rejections(record, request, NOW) == 1
    young = Record(token=replace(TOKEN, created_at=NOW - timedelta(minutes=9)), rejections=4)
    assert policy.next_rejections(young, request, NOW) == 5
    assert policy.next_rejections(young, replace(request, forced=True), NOW) == 0
    assert policy.next_rejections(young, replace(request, rejected_token=None), NOW) == 0


@pytest.mark.parametrize("days", [-300, -7, 7, 300])
def test_a_host_with_a_wrong_clock_serves_what_it_has_just_asked_for(days: int) -> None:
    """The token is dated by the server's clock; both hosts take it for fresh."""
    skew = timedelta(days=days)
    record = Record(token=TOKEN, skew=skew.total_seconds())
    request = RefreshRequest(account="default")
    assert refresh_need(record, request, NOW + HOUR) is Need.NOTHING
    assert refresh_need(record, request, NOW + skew + HOUR) is Need.NOTHING
    assert policy.token_state(record, NOW + 400 * WEEK, account="default") is TokenState.EXPIRED


def test_a_login_whose_access_token_was_rejected_too_is_over_at_once() -> None:
    refused = Attempt(outcome=Outcome.REFUSED, started_at=NOW, reason="x", access_rejected=True)
    record = Record(token=TOKEN, attempt=refused)
    with pytest.raises(LoginRequired):
        refresh_need(record, RefreshRequest(account="default"), NOW)
    serving = Record(token=TOKEN, attempt=replace(refused, access_rejected=False))
    assert refresh_need(serving, RefreshRequest(account="default"), NOW) is Need.NOTHING
