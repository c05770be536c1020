"""Texts and moments as the engines keep them, so that any Python value comes back as it was.

Pure. No engine is known here; whoever reads decides what a value that is wrong means.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trakt_auth.stores.record import AccountKey

__all__ = ["from_micros", "key_bytes", "to_bytes", "to_micros", "to_text"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_bytes(text: str) -> bytes:
    """Return any text as bytes, halves of characters included; they sort as the text does."""
    return text.encode(errors="surrogatepass")


def to_text(blob: bytes) -> str:
    """Return the text. Raises: ValueError; AttributeError for what is not bytes."""
    return blob.decode(errors="surrogatepass")


def key_bytes(key: AccountKey) -> tuple[bytes, bytes]:
    """Return where a record is kept: client id and account."""
    return to_bytes(key.client_id), to_bytes(key.account)


def to_micros(moment: datetime) -> int:
    """Return the microseconds since 1970, which hold every moment."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the moment. Raises: OverflowError; TypeError for what is no number."""
    return EPOCH + micros * MICROSECOND
