"""An HTTP request and an HTTP response as plain values.

Pure. Nothing of OAuth lives here, and nothing that sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

__all__ = ["HttpRequest", "HttpResponse", "http_date"]

YEARS = range(2020, 2200)  # a date outside of these is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request that any HTTP library can send.

    `repr` leaves out headers and body, which can hold secrets; `url` never holds one.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response with its whole body. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def http_date(text: str) -> datetime | None:
    """Return the time of an HTTP header (RFC 9110 §5.6.7), None for text that is no such time."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)) if date.year in YEARS else None
