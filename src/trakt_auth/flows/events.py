"""What a program can be told about its logins.

Pure values. When they are sent is decided in the flows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from trakt_auth.protocol.token import Token

__all__ = [
    "Event",
    "LoginNeeded",
    "TokenObtained",
    "TokenRefreshed",
    "TokenRevoked",
    "TokenUnsaved",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenObtained:
    """A person signed in, or a token was adopted; it is saved."""

    account: str
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefreshed:
    """A new pair replaced the old one; it is saved."""

    account: str
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked:
    """The account was signed out here."""

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUnsaved:
    """The store could not take a new pair; the fallback store has it, and saving is tried again."""

    account: str
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginNeeded:
    """The refresh was refused for good; `reason` says why. Sent once."""

    account: str
    reason: str


Event: TypeAlias = TokenObtained | TokenRefreshed | TokenRevoked | TokenUnsaved | LoginNeeded
