"""Records as text and back; any other text raises a StoreError and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.texts import ANY_TEXTS
from trakt_auth.errors import StoreCorrupt, StoreError, StoreUnavailable
from trakt_auth.protocol.token import Token
from trakt_auth.stores.record import (
    AccountKey,
    Attempt,
    Outcome,
    Record,
    Stored,
    pause_from,
    pause_to,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = Token(
    access_token="access-0123456789",
    refresh_token="refresh-0123456789",
    scope="public",
    created_at=NOW,
    expires_at=NOW + timedelta(days=7),
)
ATTEMPT = Attempt(
    outcome=Outcome.UNKNOWN,
    started_at=NOW,
    failures=3,
    retry_at=NOW + timedelta(seconds=8),
    lost_at=NOW,
    reason="no answer",
)
GOLDEN = {
    "format": 1,
    "token": {
        "access_token": "access-0123456789",
        "refresh_token": "refresh-0123456789",
        "token_type": "bearer",
        "scope": "public",
        "created_at": "2026-11-23T12:00:00+00:00",
        "expires_at": "2026-11-30T12:00:00+00:00",
    },
    "attempt": {
        "outcome": "unknown",
        "started_at": "2026-11-23T12:00:00+00:00",
        "failures": 3,
        "retry_at": "2026-11-23T12:00:08+00:00",
        "lost_at": "2026-11-23T12:00:00+00:00",
        "reason": "no answer",
    },
}

MOMENTS = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
)
TOKENS = st.builds(
    Token,
    access_token=ANY_TEXTS,
    refresh_token=st.none() | ANY_TEXTS,
    token_type=ANY_TEXTS,
    scope=st.none() | ANY_TEXTS,
    created_at=MOMENTS,
    expires_at=MOMENTS,
)
ATTEMPTS = st.builds(
    Attempt,
    outcome=st.sampled_from(Outcome),
    started_at=MOMENTS,
    failures=st.integers(0, 10**9),
    retry_at=st.none() | MOMENTS,
    lost_at=st.none() | MOMENTS,
    reason=ANY_TEXTS,
)
RECORDS = st.builds(
    Record,
    token=TOKENS,
    version=st.integers(1, 10**15),
    attempt=st.none() | ATTEMPTS,
    rejections=st.integers(0, 9),
    skew=st.just(0.0) | st.floats(-1e9, 1e9),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | MOMENTS.map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def stored(content: object, version: int = 7) -> Stored:
    text = content if isinstance(content, str) else json.dumps(content)
    return Stored(payload=text, version=version)


@given(RECORDS)
def test_round_trip(record: Record) -> None:
    assert Record.from_stored(stored(record.to_payload(), record.version)) == record


def test_the_format_of_a_record_never_changes() -> None:
    record = Record(token=TOKEN, version=7, attempt=ATTEMPT)
    assert json.loads(record.to_payload()) == GOLDEN
    assert Record.from_stored(stored(GOLDEN)) == record
    without = {key: value for key, value in GOLDEN.items() if key != "attempt"}
    assert json.loads(Record(token=TOKEN).to_payload()) == without
    assert Record.from_stored(stored(without)) == Record(token=TOKEN, version=7)


def test_moments_are_kept_in_utc() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    record = Record(token=TOKEN, attempt=Attempt(outcome=Outcome.BEGUN, started_at=east))
    assert json.loads(record.to_payload())["attempt"]["started_at"] == "2026-11-23T12:00:00+00:00"
    written = json.loads(json.dumps(GOLDEN))
    written["attempt"]["lost_at"] = "2026-11-23T21:00:00+09:00"
    attempt = Record.from_stored(stored(written)).attempt
    assert attempt is not None
    assert attempt.lost_at == NOW
    assert attempt.lost_at.tzinfo is UTC  # it is shown to users as UTC


def test_optional_fields() -> None:
    written = json.loads(json.dumps(GOLDEN))
    for name in ("refresh_token", "scope"):
        del written["token"][name]
    for name in ("retry_at", "lost_at"):
        del written["attempt"][name]
    record = Record.from_stored(stored(written))
    assert (record.token.refresh_token, record.token.scope) == (None, None)
    assert record.attempt is not None
    assert (record.attempt.retry_at, record.attempt.lost_at) == (None, None)


def test_fields_of_later_minor_versions_are_ignored() -> None:
    written = {**GOLDEN, "more": 1, "token": {**GOLDEN["token"], "id_token": "x"}}  # type: ignore[dict-item]
    assert Record.from_stored(stored(written)).token == TOKEN


BROKEN: list[tuple[str, str, object]] = [
    *(("token", name, value) for name in ("access_token", "token_type") for value in (None, 5)),
    ("token", "refresh_token", 5),
    ("token", "scope", ["public"]),
    *(
        (part, name, value)
        for part, name in (("token", "created_at"), ("token", "expires_at"),
                           ("attempt", "started_at"), ("attempt", "retry_at"),
                           ("attempt", "lost_at"))
        for value in (5, "today", "refresh-0123456789", "2026-11-23T12:00:00",
                      "0001-01-01T00:00:00+01:00",
                      "9999-12-31T23:59:59-01:00", "2026-13-01T00:00:00Z")
    ),
    ("attempt", "outcome", "dead"),
    ("attempt", "outcome", None),
    ("attempt", "failures", -1),
    ("attempt", "failures", True),
    ("attempt", "failures", "3"),
    ("attempt", "failures", 1.5),
    ("attempt", "reason", None),
]  # fmt: skip


@pytest.mark.parametrize(("part", "name", "value"), BROKEN)
def test_a_broken_field_is_corruption(part: str, name: str, value: object) -> None:
    written: dict[str, Any] = json.loads(json.dumps(GOLDEN))
    written[part][name] = value
    with pytest.raises(StoreCorrupt) as caught:
        Record.from_stored(stored(written))
    assert "0123456789" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("part", "name"),
    [("token", "access_token"), ("token", "expires_at"), ("attempt", "outcome")],
)
def test_a_missing_field_is_named(part: str, name: str) -> None:
    written: dict[str, Any] = json.loads(json.dumps(GOLDEN))
    del written[part][name]
    with pytest.raises(StoreCorrupt, match=rf"(?m)not readable: {part}\.{name} is missing$"):
        Record.from_stored(stored(written))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"text"',
        "5",
        "{}",
        '{"format":1}',
        '{"format":1,"token":null}',
        '{"format":1,"token":[]}',
        json.dumps(GOLDEN)[:-1],
        json.dumps({**GOLDEN, "attempt": "x"}),
        json.dumps({**GOLDEN, "attempt": 0}),
        "[" * 100_000,
        '{"format":' + "9" * 5000 + "}",
        "\ud800",
    ],
)
def test_other_text_is_corruption(text: str) -> None:
    for read in (Record.from_stored, pause_from):
        with pytest.raises(StoreCorrupt):
            read(stored(text))


@pytest.mark.parametrize("format_", [2, 10**18])
def test_a_newer_format_is_not_corruption(format_: int) -> None:
    for read, content in ((Record.from_stored, GOLDEN), (pause_from, {"paused_until": "x"})):
        with pytest.raises(StoreUnavailable, match="newer"):
            read(stored({**content, "format": format_}))


@given(
    ANY_TEXTS
    | JSON.map(json.dumps)
    | st.builds(
        lambda part, name, value: json.dumps({**GOLDEN, part: {**GOLDEN[part], name: value}}),  # type: ignore[dict-item]
        st.sampled_from(["token", "attempt"]),
        st.sampled_from([*GOLDEN["token"], *GOLDEN["attempt"]]),  # type: ignore[misc]
        JSON,
    )
    | st.builds(lambda name, value: json.dumps({**GOLDEN, name: value}), st.text(), JSON)
    | st.builds(lambda cut: json.dumps(GOLDEN)[:cut], st.integers(0, 400))
)
def test_any_text_is_a_record_or_a_store_error(text: str) -> None:
    for read, kind in ((Record.from_stored, Record), (pause_from, datetime)):
        value: object
        try:
            value = read(stored(text))
        except (StoreCorrupt, StoreUnavailable) as error:
            value = error
            shown = f"{error}{error!r}"
            assert "0123456789" not in shown
        assert isinstance(value, kind | StoreError)


# -- the pause -----------------------------------------------------------------------------------


@given(MOMENTS)
def test_a_pause_round_trip(until: datetime) -> None:
    assert pause_from(stored(pause_to(until))) == until


def test_the_format_of_a_pause_never_changes() -> None:
    expected = {"format": 1, "paused_until": "2026-11-23T12:00:00+00:00"}
    assert json.loads(pause_to(NOW)) == expected


@pytest.mark.parametrize("until", [None, 5, "soon", "2026-11-23T12:00:00"])
def test_a_broken_pause_is_corruption(until: object) -> None:
    with pytest.raises(StoreCorrupt):
        pause_from(stored({"format": 1, "paused_until": until}))


# -- keys ----------------------------------------------------------------------------------------


@given(ANY_TEXTS, ANY_TEXTS, ANY_TEXTS, ANY_TEXTS)
def test_keys_are_equal_only_in_both_parts(one: str, two: str, three: str, four: str) -> None:
    same = (one, two) == (three, four)
    assert (AccountKey(one, two) == AccountKey(three, four)) is same
    assert len({AccountKey(one, two), AccountKey(three, four)}) == (1 if same else 2)


def test_the_payload_is_not_in_the_repr() -> None:
    shown = repr(stored(GOLDEN)) + repr(Record(token=TOKEN, attempt=ATTEMPT))
    assert "0123456789" not in shown
