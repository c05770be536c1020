"""A JSON object that a stranger wrote: its fields are checked as they are read.

Pure. No error quotes a value, which may be a secret.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, cast

from trakt_auth.errors import UsageError

__all__ = ["Fields", "bad"]

EXPECTED = (
    "Give a file of `trakt-auth export`, PyTrakt's ~/.pytrakt.json, or a token response as Trakt "
    "gives it and trakt.py keeps it: JSON with an access_token."
)
MILLISECONDS = 1e11  # seconds since 1970 have fewer digits until the year 5138


class Fields:
    """A JSON object of a stranger's; its fields are checked as they are read."""

    def __init__(self, content: object) -> None:
        if not isinstance(content, dict):
            raise bad("The file's accounts are not what `trakt-auth export` writes")
        self._content = cast("dict[str, object]", content)

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def raw(self, name: str) -> Any:  # noqa: ANN401 - a stranger's value
        """Return a value as it is, None when there is none."""
        return self._content.get(name)

    def secret(self, name: str) -> str:
        """Return text that an HTTP header can carry."""
        value = self.raw(name)
        if not isinstance(value, str) or not value:
            raise bad(f"The file's {name} is missing or empty")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise bad(f"The file's {name} holds characters that no token has")
        return value

    def optional_secret(self, name: str) -> str | None:
        """Return the same, or None where there is nothing."""
        return self.secret(name) if self.raw(name) else None

    def number(self, name: str) -> float | None:
        """Return a number, which may be written as text; None when there is none."""
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
        raise bad(f"The file's {name} is not a number")

    def epoch(self, name: str) -> datetime | None:
        """Return a moment that is written as seconds, or milliseconds, since 1970."""
        number = self.number(name)
        if number is None:
            return None
        seconds = number / 1000 if number > MILLISECONDS else number
        if not 0 <= seconds <= MILLISECONDS:
            raise bad(f"The file's {name} is outside the calendar")
        return datetime.fromtimestamp(seconds, UTC)

    def moment(self, name: str) -> datetime:
        """Return a moment that is written as RFC 3339."""
        try:
            moment = datetime.fromisoformat(self.raw(name))
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            pass
        raise bad(f"The file's {name} is not a moment with a time zone")


def bad(message: str) -> UsageError:
    """Return the error for a file that is not what it should be."""
    return UsageError(message, hint=EXPECTED)
