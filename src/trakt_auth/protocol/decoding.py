"""Values to JSON and back, validated: the one place that knows msgspec.

Pure. No names of JSON keys that are Trakt's, no decisions.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["MalformedJsonError", "from_json", "to_json"]


class MalformedJsonError(ValueError):
    """The text is not JSON, or a field is missing or has the wrong type; names the field."""


def to_json(value: object) -> str:
    """Encode a dataclass, a mapping or a sequence; aware datetimes as RFC 3339."""
    import msgspec  # costs more than the rest of the library, and is needed late

    return msgspec.json.encode(value).decode()


def from_json(kind: type[T], text: bytes | str) -> T:
    """Decode JSON that a stranger wrote into `kind`; unknown fields are ignored.

    Raises: MalformedJsonError.
    """
    import msgspec

    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        # Not chained: the decoder's traceback would carry the text itself.
        raise MalformedJsonError(str(error)) from None
