"""The values in a token file: tokens, and times as seconds since 1970.

Pure. What a whole file means is decided in `formats`. No error quotes a value, which may be a
secret.
"""

from __future__ import annotations

from datetime import UTC, datetime

from trakt_auth.protocol.decoding import JsonObject

__all__ = ["optional_secret", "secret", "unix_time"]

MILLISECONDS = 1e11  # seconds since 1970 have fewer digits until the year 5138


def secret(fields: JsonObject, name: str) -> str:
    """Return text that an HTTP header can carry.

    Raises: MalformedJsonError.
    """
    value = fields.value(name)
    if not isinstance(value, str) or not value:
        raise fields.malformed(name, "is missing or empty")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise fields.malformed(name, "holds characters that no token has")
    return value


def optional_secret(fields: JsonObject, name: str) -> str | None:
    """Return text that an HTTP header can carry; None when the field is missing or empty.

    Raises: MalformedJsonError.
    """
    return secret(fields, name) if fields.value(name) else None


def unix_time(fields: JsonObject, name: str) -> datetime | None:
    """Return a time that is written as seconds, or milliseconds, since 1970.

    None when the field is missing or empty.

    Raises: MalformedJsonError.
    """
    number = fields.lenient_number(name)
    if number is None:
        return None
    seconds = number / 1000 if number > MILLISECONDS else number
    if not 0 <= seconds <= MILLISECONDS:
        raise fields.malformed(name, "is outside the calendar")
    return datetime.fromtimestamp(seconds, UTC)
