"""JSON, written and read: Trakt's answers, other programs' token files, this library's own text.

A `JsonObject` checks each field when it is read, so an odd field that is not asked for does no
harm: a refresh answer may hold the only valid token, and must not be lost for what stands beside
it. No name of a field and no decision lives here, and no error quotes the text: it can hold
secrets.
"""

from __future__ import annotations

import json
import math
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library
if TYPE_CHECKING:
    from typing import TypeGuard, TypeVar

    T = TypeVar("T")

__all__ = ["JsonObject", "MalformedJsonError", "if_valid", "to_json"]

# Digits; a longer one is read as infinite. Python raises ValueError for thousands of digits.
LONGEST_INTEGER = 300


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else math.inf


# Not strict: a line break or a tab inside of a text is no reason to lose the whole answer.
DECODER = json.JSONDecoder(parse_int=_integer, strict=False)


class MalformedJsonError(ValueError):
    """The text is not a JSON object, or a field is missing or has the wrong type.

    `field` names the field, with those around it (`token.created_at`); it is empty when the text
    as a whole is wrong. `problem` continues a sentence that begins with that name.
    """

    def __init__(self, problem: str, *, field: str = "") -> None:
        super().__init__(f"{field or 'the text'} {problem}")
        self.field: str = field
        self.problem: str = problem


class JsonObject:
    """A JSON object (RFC 8259 §4) whose fields are checked as they are read.

    Every method that reads a field raises MalformedJsonError when the field is missing or has the
    wrong type. `optional_...` returns None when it is missing or null.

    Where a name occurs twice, the last value counts. NaN, Infinity and numbers that are too large
    for a float are no numbers; text is refused with lone surrogates or bytes that are not UTF-8.
    """

    __slots__ = ("_lone_surrogates", "_members", "_path")

    def __init__(self, members: Mapping[str, object], path: str, *, lone_surrogates: bool) -> None:
        self._members = members
        self._path = path
        self._lone_surrogates = lone_surrogates

    @classmethod
    def parse(cls, text: str | bytes, *, lone_surrogates: bool = False) -> JsonObject:
        """Read a text that has to be one JSON object.

        Bytes are UTF-8, or UTF-16 with a byte order mark, which Windows PowerShell writes. With
        `lone_surrogates` text may hold them: Python's strings can, though no request can send them.

        Raises: MalformedJsonError.
        """
        value, problem = _parsed(text)
        if _is_object(value):
            return cls(value, "", lone_surrogates=lone_surrogates)
        # Raised here, so that the decoder's exception, which holds the text, is not its context.
        raise MalformedJsonError(problem or "is not a JSON object")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def malformed(self, name: str, problem: str) -> MalformedJsonError:
        """Return the error for a field whose value the caller cannot use."""
        return MalformedJsonError(problem, field=self._path + name)

    def value(self, name: str) -> object:
        """Return a value of any type, unchecked; None when the field is missing."""
        return self._members.get(name)

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return text. `default` is for a missing field, not for null."""
        value = self._required(name, default)
        if not isinstance(value, str):
            raise self.malformed(name, "is not text")
        if not (self._lone_surrogates or _is_unicode(value)):
            raise self.malformed(name, "holds characters that are not valid Unicode")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return text or None."""
        return None if self.value(name) is None else self.text(name)

    def number(self, name: str, *, default: float | None = None) -> float:
        """Return a number. `default` is for a missing field, not for null."""
        return self._number(name, self._required(name, default))

    def lenient_number(self, name: str) -> float | None:
        """Return a number, which may be written as text; None also for an empty text."""
        value = self.value(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.isascii() and "_" not in value:
            with suppress(ValueError):
                value = float(value)
        return self._number(name, value)

    def count(self, name: str) -> int:
        """Return a whole number that is not negative."""
        value = self._required(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.malformed(name, "is not a whole number from 0 on")
        return value

    def moment(self, name: str) -> datetime:
        """Return a date and time that is written as in RFC 3339, in UTC."""
        text = self.text(name)
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        raise self.malformed(name, "is not a date and time with a time zone")

    def optional_moment(self, name: str) -> datetime | None:
        """Return a date and time or None."""
        return None if self.value(name) is None else self.moment(name)

    def nested(self, name: str) -> JsonObject:
        """Return an object."""
        return self._object(name, self._required(name))

    def optional_nested(self, name: str) -> JsonObject | None:
        """Return an object or None."""
        return None if self.value(name) is None else self.nested(name)

    def nested_list(self, name: str) -> list[JsonObject]:
        """Return a list of objects."""
        values = self._required(name)
        if not _is_list(values):
            raise self.malformed(name, "is not a list")
        return [self._object(f"{name}[{index}]", value) for index, value in enumerate(values)]

    def _required(self, name: str, default: object = None) -> object:
        value = self._members.get(name, default)
        if value is None and name not in self._members:
            raise self.malformed(name, "is missing")
        return value

    def _number(self, name: str, value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        raise self.malformed(name, "is not a number")

    def _object(self, name: str, value: object) -> JsonObject:
        if not _is_object(value):
            raise self.malformed(name, "is not an object")
        path = f"{self._path}{name}."
        return JsonObject(value, path, lone_surrogates=self._lone_surrogates)


def if_valid(read: Callable[[str], T], name: str) -> T | None:
    """Return what a method of a `JsonObject` reads; None when the field is missing or malformed."""
    try:
        return read(name)
    except MalformedJsonError:
        return None


def to_json(members: Mapping[str, object]) -> str:
    """Write a JSON object without white space; aware datetimes as in RFC 3339, in UTC."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"), default=_encoded)


def _encoded(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _parsed(text: str | bytes) -> tuple[object, str]:
    """Return the value of a JSON text, and what is wrong with the text."""
    try:
        decoded = (text if isinstance(text, str) else _decoded(text)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None, "is neither UTF-8 nor UTF-16"
    try:
        return DECODER.decode(decoded), ""
    except json.JSONDecodeError as error:
        return None, _problem(decoded, error)
    except RecursionError:
        return None, "is nested too deeply"


def _decoded(text: bytes) -> str:
    utf_16 = text.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    # Bytes that are not valid become lone surrogates, which `JsonObject.text` refuses.
    return text.decode("utf-16" if utf_16 else "utf-8", "surrogateescape")


def _problem(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "is empty"
    unterminated = error.msg.startswith("Unterminated string")
    if unterminated or error.pos >= len(text):
        return "is JSON that ends too early"
    return "is not JSON"


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
