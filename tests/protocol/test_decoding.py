"""JSON in and out: strict where a field is asked for, lenient beside it, silent about the text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.texts import ANY_TEXTS, TEXTS
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError, if_valid, to_json

MOMENTS = st.datetimes(timezones=st.just(UTC))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXTS | MOMENTS.map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
READERS = (
    "text",
    "optional_text",
    "number",
    "lenient_number",
    "count",
    "moment",
    "optional_moment",
    "nested",
    "optional_nested",
    "nested_list",
)


def field(json_value: str | bytes) -> JsonObject:
    """Return an object whose field `f` has a value that is written in JSON."""
    if isinstance(json_value, bytes):
        return JsonObject.parse(b'{"f":' + json_value + b"}")
    return JsonObject.parse(f'{{"f":{json_value}}}')


def refused(read: Callable[[], object]) -> MalformedJsonError:
    with pytest.raises(MalformedJsonError) as caught:
        read()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # the decoder's exception holds the whole text
    return caught.value


def read(fields: JsonObject, reader: str, name: str = "f") -> object:
    """Return what a method returns, or its error."""
    try:
        value: object = getattr(fields, reader)(name)
    except MalformedJsonError as error:
        return error
    return value


def problem(fields: JsonObject, reader: str, name: str = "f") -> str:
    return refused(lambda: getattr(fields, reader)(name)).problem


# -- the text as a whole -------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["line\nbreak", "tab\t", "\x00", "\x1b[2J"])
def test_control_characters_inside_of_a_text_cost_nothing(text: str) -> None:
    assert JsonObject.parse(f'{{"a":"{text}"}}').text("a") == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"{", "is JSON that ends too early"),
        (b'{"a":"x"', "is JSON that ends too early"),
        (b'{"a":"x"  ', "is JSON that ends too early"),
        (b'{"a":"x', "is JSON that ends too early"),
        (b'{"a":', "is JSON that ends too early"),
        (b"<html>", "is not JSON"),
        (b'{"a":"x"} more', "is not JSON"),
        (b"{'a': 1}", "is not JSON"),
        (b"null", "is not a JSON object"),
        (b"[]", "is not a JSON object"),
        (b"NaN", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b'{"a":' + b"[" * 100_000, "is nested too deeply"),
        (b'{"a":' * 100_000, "is nested too deeply"),
        ('{"a":"x"}'.encode("utf-16")[:-1], "is neither UTF-8 nor UTF-16"),
        ('{"a":"x"}'.encode("utf-16-le"), "is not JSON"),
    ],
)
def test_a_text_that_is_no_object(text: bytes, says: str) -> None:
    error = refused(lambda: JsonObject.parse(text))
    assert (error.field, error.problem) == ("", says)
    assert str(error) == f"the text {says}"


@pytest.mark.parametrize("text", ['{"f":"ü"}', ' \r\n{"f":\t"ü"} '])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_skipped(text: str, encoding: str) -> None:
    assert JsonObject.parse(text.encode(encoding)).text("f") == "ü"
    assert JsonObject.parse("\ufeff" + text).text("f") == "ü"


def test_of_a_name_that_occurs_twice_the_last_counts() -> None:
    assert JsonObject.parse('{"f":1,"f":"x","g":2,"g":null}').text("f") == "x"
    assert JsonObject.parse('{"g":2,"g":null}').value("g") is None


@given(st.binary() | ANY_TEXTS)
@example("\ufeff")
def test_any_text_is_an_object_or_malformed(text: bytes | str) -> None:
    assert refused(lambda: JsonObject.parse(text)).field == ""


@given(st.recursive(st.none() | st.booleans() | st.floats() | TEXTS, st.lists))
def test_any_json_that_is_no_object_is_malformed(value: object) -> None:
    error = refused(lambda: JsonObject.parse(json.dumps(value)))
    assert error.problem == "is not a JSON object"


# -- an odd field beside the one that is asked for -------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"-" + b"9" * 5000,
        rb'"\ud800"',
        b'"\xff\xfe"',
        b'"\xed\xa0\x80"',
        b"[[[{}]]]",
        b"null",
    ],
)
def test_it_does_no_harm(odd: bytes) -> None:
    fields = JsonObject.parse(b'{"odd":' + odd + b',"access_token":"a1"}')
    assert fields.text("access_token") == "a1"
    assert "odd" in fields
    if odd != b"null":
        for reader in ("text", "number", "lenient_number", "count", "moment", "nested"):
            assert problem(fields, reader, "odd")


# -- the fields ----------------------------------------------------------------------------------


OPTIONAL = [name for name in READERS if name.startswith(("optional", "lenient"))]
REQUIRED = [name for name in READERS if name not in OPTIONAL]


def test_a_missing_field() -> None:
    fields = JsonObject.parse("{}")
    assert {problem(fields, reader) for reader in REQUIRED} == {"is missing"}
    assert {read(fields, reader) for reader in OPTIONAL} == {None}
    assert fields.text("f", default="x") == "x"
    assert fields.text("f", default="") == ""
    assert fields.number("f", default=0) == 0
    assert fields.value("f") is None
    assert "f" not in fields


def test_null_is_nothing_only_where_a_field_is_optional() -> None:
    fields = field("null")
    assert {read(fields, reader) for reader in OPTIONAL} == {None}
    for reader in REQUIRED:
        assert problem(fields, reader).startswith("is not ")
    refused(lambda: fields.text("f", default="x"))
    refused(lambda: fields.number("f", default=5))
    assert "f" in fields


@pytest.mark.parametrize("value", ["5", "true", "[]", "{}"])
def test_text_is_no_other_type(value: str) -> None:
    assert problem(field(value), "text") == problem(field(value), "optional_text") == "is not text"


@pytest.mark.parametrize("value", [rb'"\ud800"', rb'"x\udfff"', b'"\xff"', b'"\xed\xa0\x80"'])
def test_text_is_unicode_that_can_be_sent(value: bytes) -> None:
    assert problem(field(value), "text") == "holds characters that are not valid Unicode"
    # A pair of surrogates is one character.
    assert field(rb'"\ud83d\ude00"').text("f") == "😀"


def test_text_of_our_own_may_hold_lone_surrogates() -> None:
    text = r'{"f":"\ud800","inner":{"f":"\udfff"},"list":[{"f":"\ud801"}]}'
    fields = JsonObject.parse(text, lone_surrogates=True)
    assert fields.text("f") == "\ud800"
    assert fields.nested("inner").text("f") == "\udfff"
    assert fields.nested_list("list")[0].optional_text("f") == "\ud801"


@pytest.mark.parametrize(
    ("value", "number"), [("5", 5), ("-5", -5), ("0.5", 0.5), ("1e3", 1000), ("9" * 300, 1e300)]
)
def test_numbers(value: str, number: float) -> None:
    for found in (field(value).number("f"), field(value).lenient_number("f")):
        assert isinstance(found, float)
        assert found == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize(
    "value",
    [
        *("true", "[]", "{}", "NaN", "Infinity", "1e999", "9" * 301, "9" * 5000),
        *('"soon"', '"nan"', '"inf"', '"1_000"', '"٣"', '"1e999"', '"5 s"', '" "', '"0x10"'),
    ],
)
def test_no_numbers(value: str) -> None:
    for reader in ("number", "lenient_number"):
        assert problem(field(value), reader) == "is not a number"


@pytest.mark.parametrize(
    ("value", "number"),
    [('"604800"', 604800), ('"0.5"', 0.5), ('" 5 "', 5), ('"-5"', -5), ('""', None)],
)
def test_a_number_in_text_is_one_only_for_the_lenient(value: str, number: float | None) -> None:
    assert field(value).lenient_number("f") == number
    assert problem(field(value), "number") == "is not a number"


@given(st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_alike_in_either_form(number: float) -> None:
    strict = field(json.dumps(number)).number("f")
    assert strict == field(json.dumps(str(number))).lenient_number("f") == float(number)
    assert math.isfinite(strict)


@pytest.mark.parametrize("value", ["-1", "true", "1.0", '"1"', "9" * 5000, "[1]"])
def test_a_count_is_a_whole_number_from_0_on(value: str) -> None:
    assert field("0").count("f") == 0
    assert field("9" * 300).count("f") == 10**300 - 1
    assert problem(field(value), "count") == "is not a whole number from 0 on"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:00:00+00:00",
        "2026-11-23T21:00:00.000000+09:00",
    ],
)
def test_moments_are_read_as_utc(text: str) -> None:
    moment = field(json.dumps(text)).moment("f")
    assert moment == field(json.dumps(text)).optional_moment("f")
    assert moment == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026-11-23T12:00:00",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_moments_have_a_zone_and_are_in_the_calendar(text: str) -> None:
    assert problem(field(json.dumps(text)), "moment") == "is not a date and time with a time zone"


def test_nested_objects_name_the_way_to_their_fields() -> None:
    fields = JsonObject.parse('{"a":{"b":{"c":5}},"list":[{},{"d":[]},{"e":[1]}]}')
    inner = fields.nested("a").optional_nested("b")
    assert inner is not None
    assert str(refused(lambda: inner.text("c"))) == "a.b.c is not text"
    assert str(refused(lambda: inner.nested("c"))) == "a.b.c is not an object"
    items = fields.nested_list("list")
    assert items[1].nested_list("d") == []
    assert str(refused(lambda: items[2].nested_list("e"))) == "list[2].e[0] is not an object"
    assert str(refused(lambda: fields.nested_list("a"))) == "a is not a list"
    assert str(inner.malformed("c", "is odd")) == "a.b.c is odd"


def test_if_valid() -> None:
    fields = JsonObject.parse('{"odd":[],"good":"x"}')
    assert if_valid(fields.text, "good") == "x"
    assert if_valid(fields.text, "odd") is None
    assert if_valid(fields.text, "missing") is None


SECRET = "S3cr3t-S3cr3t-S3cr3t"


@given(st.dictionaries(st.sampled_from(["f", "g"]), VALUES), st.sampled_from(READERS))
def test_any_field_is_read_or_malformed(members: dict[str, object], reader: str) -> None:
    text = json.dumps(members | {SECRET: SECRET})
    for lone_surrogates in (False, True):
        fields = JsonObject.parse(text, lone_surrogates=lone_surrogates)
        assert SECRET not in repr(fields)
        result = read(fields, reader)
        if isinstance(result, MalformedJsonError):
            assert result.field.startswith("f")
            assert SECRET not in f"{result}{result!r}{vars(result)}"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("template", ['"%s"', '["%s"]', '{"%s":"%s"}', '[{"a":"%s"}]', '"%s'])
def test_no_error_quotes_a_value(reader: str, template: str) -> None:
    try:
        result = read(field(template.replace("%s", SECRET)), reader)
    except MalformedJsonError as error:
        result = error
    if isinstance(result, MalformedJsonError):
        assert SECRET not in f"{result}{result!r}{vars(result)}"


# -- writing -------------------------------------------------------------------------------------


def test_the_form_of_what_is_written() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    east = moment.astimezone(timezone(timedelta(hours=9))).replace(microsecond=120_000)
    assert (
        to_json({"name": "ü", "count": 0, "none": None, "moment": moment, "east": east})
        == '{"name":"ü","count":0,"none":null,"moment":"2026-01-02T03:04:05Z",'
        '"east":"2026-01-02T03:04:05.120000Z"}'
    )
    with pytest.raises(TypeError, match="bytes has no form in JSON"):
        to_json({"secret": b"hush"})


@given(TEXTS, st.floats(allow_nan=False, allow_infinity=False), MOMENTS, st.none() | TEXTS)
def test_round_trip(name: str, number: float, moment: datetime, maybe: str | None) -> None:
    text = to_json({"name": name, "number": number, "moment": moment, "maybe": maybe})
    for form in (text, text.encode(), text.encode("utf-16")):
        fields = JsonObject.parse(form)
        assert fields.text("name") == name
        assert fields.number("number") == number
        assert fields.moment("moment") == moment
        assert fields.optional_text("maybe") == maybe
