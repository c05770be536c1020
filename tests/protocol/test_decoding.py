"""JSON in and out: strict about types, deaf to unknown fields, silent about the text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trakt_auth.protocol.decoding import MalformedJsonError, from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    name: str
    count: float = 0
    moment: datetime | None = None


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SAMPLES = st.builds(
    Sample,
    name=TEXTS,
    count=st.floats(allow_nan=False, allow_infinity=False),
    moment=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(SAMPLES)
def test_round_trip(sample: Sample) -> None:
    text = to_json(sample)
    assert from_json(Sample, text) == sample
    assert from_json(Sample, text.encode()) == sample
    assert json.loads(text)["name"] == sample.name


def test_a_dataclass_becomes_an_object_and_a_moment_rfc_3339() -> None:
    sample = Sample(name="ü", moment=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert to_json(sample) == '{"name":"ü","count":0,"moment":"2026-01-02T03:04:05Z"}'


def test_unknown_fields_are_ignored() -> None:
    assert from_json(Sample, b'{"name":"x","id_token":{"a":[1]},"z":null}') == Sample(name="x")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b'{"name":"x"', "truncated"),
        (b"<html>", "malformed"),
        (b'{"name":"x"} trailing', "malformed"),
        (b"null", "object"),
        (b"[]", "object"),
        (b"{}", "name"),
        (b'{"name":null}', "name"),
        (b'{"name":5}', "name"),
        (b'{"name":"x","count":"5"}', "count"),
        (b'{"name":"x","count":true}', "count"),
        (b'{"name":"x","count":NaN}', "malformed"),
        (b'{"name":"x","moment":"today"}', "moment"),
        (b'{"name":"\xff"}', "utf-8"),
        (b'{"x":' + b"[" * 100_000, "recursion"),
    ],
)
def test_what_is_wrong_is_named(text: bytes, named: str) -> None:
    with pytest.raises(MalformedJsonError, match=f"(?i){named}"):
        from_json(Sample, text)


def test_half_a_character_in_a_string_is_malformed_too() -> None:
    with pytest.raises(MalformedJsonError):
        from_json(Sample, '{"name":"\ud800"}')


@given(st.binary() | TEXTS)
def test_anything_else_is_malformed_and_nothing_else_is_raised(text: bytes | str) -> None:
    with pytest.raises(MalformedJsonError) as caught:
        from_json(Sample, text)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, st.lists))
def test_any_json_that_is_no_object_is_malformed(value: object) -> None:
    with pytest.raises(MalformedJsonError):
        from_json(Sample, json.dumps(value))
