"""Text and moments as bytes and numbers, so that any Python value can be stored and read back.

Conversions only. No engine is known here, and no error of ours is raised: the caller decides what
a value means that cannot be read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

from trakt_auth.stores.record import AccountKey

__all__ = ["from_micros", "key_bytes", "to_bytes", "to_micros", "to_text"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_bytes(text: str) -> bytes:
    """Return any text as bytes, lone surrogates included; the bytes sort as the text does."""
    return text.encode(errors="surrogatepass")


def to_text(blob: bytes) -> str:
    """Return the text that `to_bytes` converted.

    Raises: ValueError; AttributeError if the value is not bytes.
    """
    return blob.decode(errors="surrogatepass")


def key_bytes(key: AccountKey) -> tuple[bytes, bytes]:
    """Return client id and account, which together are the primary key of a record."""
    return to_bytes(key.client_id), to_bytes(key.account)


@overload
def to_micros(moment: datetime) -> int: ...
@overload
def to_micros(moment: datetime | None) -> int | None: ...
def to_micros(moment: datetime | None) -> int | None:
    """Return the microseconds since 1970, exact for every datetime; None for None."""
    return None if moment is None else (moment - EPOCH) // MICROSECOND


def from_micros(micros: int | None) -> datetime | None:
    """Return the moment that `to_micros` converted.

    Raises: OverflowError; TypeError if the value is not a number.
    """
    return None if micros is None else EPOCH + micros * MICROSECOND
