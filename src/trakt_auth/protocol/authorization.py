"""The nouns of asking a person: the two legs by redirect, and the device flow.

Pure: no clock, no socket, no JSON key of Trakt's. Secrets are left out of every repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from trakt_auth.errors import UsageError
from trakt_auth.protocol.decoding import MalformedJsonError, from_json, to_json
from trakt_auth.protocol.token import Token

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = [
    "AuthorizationRequest",
    "AuthorizationResponse",
    "DeviceAuthorization",
    "DevicePoll",
    "Granted",
    "Pending",
    "SlowDown",
]


def _restore(kind: type[T], text: str) -> T:
    try:
        return from_json(kind, text)
    except MalformedJsonError as error:
        raise UsageError(
            f"This is not a serialised {kind.__name__}: {error}",
            hint="Hand back, unchanged, what to_json returned.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """The first leg of the authorization code grant (RFC 6749 §4.1.1, RFC 7636 §4.3).

    Send the person to `url`; keep the rest, for instance in the web session, until the redirect.
    """

    url: str
    state: str = field(repr=False)
    redirect_uri: str
    code_verifier: str | None = field(default=None, repr=False)

    def to_json(self) -> str:
        """Serialise for keeping between the two legs; the text is a secret."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> AuthorizationRequest:
        """Restore what `to_json` wrote.

        Raises: UsageError.
        """
        return _restore(cls, text)

    def __repr__(self) -> str:
        return f"AuthorizationRequest(redirect_uri={self.redirect_uri!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """What the redirect carries: a code, or an error (RFC 6749 §4.1.2)."""

    code: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    error: str | None = None
    error_description: str | None = None

    @classmethod
    def from_url(cls, url: str) -> AuthorizationResponse:
        """Read the URL that the browser was sent to, or its query alone.

        Raises: UsageError when it carries neither a code nor an error, or one of them twice.
        """
        from urllib.parse import parse_qs, urlsplit

        try:
            url.encode()  # half a character, as a broken terminal hands it over, has no code in it
            query = urlsplit(url.strip()).query or url.strip().lstrip("?")
            found = parse_qs(query, keep_blank_values=False, max_num_fields=100)
        except ValueError:
            found = {}
        names = ("code", "state", "error", "error_description")
        values = {name: found[name][0] for name in names if name in found}
        twice = [name for name in names if len(found.get(name, ())) > 1]
        if twice or ("code" in values) == ("error" in values):
            raise UsageError(
                f"The address carries {' and '.join(twice)} twice"
                if twice
                else "The address carries neither a code nor an error, or both",
                hint="Copy the whole address that the browser ended on, from http to the end.",
            )
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorization:
    """The answer that starts the device flow (RFC 8628 §3.2).

    Show `user_code` and `verification_uri` as they are. `interval` is in seconds.
    Serialise it with `to_json`, and a restarted program can go on waiting.
    """

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    expires_at: datetime
    interval: float

    def __post_init__(self) -> None:
        if self.expires_at.tzinfo is None:
            raise UsageError("expires_at has no time zone", hint="Use datetime.now(UTC).")
        try:
            object.__setattr__(self, "expires_at", self.expires_at.astimezone(UTC))
        except OverflowError:
            raise UsageError("expires_at is outside the calendar") from None

    def to_json(self) -> str:
        """Serialise; the text is a secret as long as the code lives."""
        return to_json(self)

    @classmethod
    def from_json(cls, text: str) -> DeviceAuthorization:
        """Restore what `to_json` wrote.

        Raises: UsageError.
        """
        return _restore(cls, text)

    @property
    def verification_uri_complete(self) -> str:
        """The page with the code filled in: a convenience that the server may not honour."""
        return f"{self.verification_uri.rstrip('/')}/{self.user_code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The person has not answered yet (device token 400)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDown:
    """Polled too fast (device token 429). `retry_after` is in seconds, if the server said."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The person said yes, and the token is saved."""

    token: Token


DevicePoll = Pending | SlowDown | Granted
