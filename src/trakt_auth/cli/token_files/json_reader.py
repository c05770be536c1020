"""Reads the fields of a JSON object that another program wrote, and checks each of them.

Pure. An error names the field and never its value, which may be a secret.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, cast

from trakt_auth.errors import UsageError

__all__ = ["JsonReader", "invalid"]

EXPECTED = (
    "Give a file of `trakt-auth export`, PyTrakt's ~/.pytrakt.json, or a token response of Trakt, "
    "as trakt.py keeps it: JSON with an access_token."
)
MILLISECONDS = 1e11  # seconds since 1970 have fewer digits until the year 5138


class JsonReader:
    """A JSON object of a token file. Each method reads one field, or raises UsageError."""

    def __init__(self, content: object) -> None:
        if not isinstance(content, dict):
            raise invalid("The file's accounts are not what `trakt-auth export` writes")
        self._content = cast("dict[str, object]", content)

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def raw(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return a value unchecked, None when the field is missing."""
        return self._content.get(name)

    def secret(self, name: str) -> str:
        """Return a text that can be sent in an HTTP header."""
        value = self.raw(name)
        if not isinstance(value, str) or not value:
            raise invalid(f"The file's {name} is missing or empty")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise invalid(f"The file's {name} holds characters that a token cannot have")
        return value

    def optional_secret(self, name: str) -> str | None:
        """Return the same, None when the field is missing or empty."""
        return self.secret(name) if self.raw(name) else None

    def number(self, name: str) -> float | None:
        """Return a number, which may be written as text; None when it is missing or empty."""
        value = self.raw(name)
        if value is None or value == "":
            return None
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                number = math.nan
            if math.isfinite(number):
                return number
        raise invalid(f"The file's {name} is not a number")

    def epoch(self, name: str) -> datetime | None:
        """Return a time that is written as seconds, or milliseconds, since 1970."""
        number = self.number(name)
        if number is None:
            return None
        seconds = number / 1000 if number > MILLISECONDS else number
        if not 0 <= seconds <= MILLISECONDS:
            raise invalid(f"The file's {name} is not a date")
        return datetime.fromtimestamp(seconds, UTC)

    def moment(self, name: str) -> datetime:
        """Return a time that is written as RFC 3339."""
        try:
            moment = datetime.fromisoformat(self.raw(name))
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        raise invalid(f"The file's {name} is not a time with a time zone")


def invalid(message: str) -> UsageError:
    """Return the error for a file that cannot be imported."""
    return UsageError(message, hint=EXPECTED)
