"""The nouns of OAuth 2.0 that this library uses, as frozen values.

Layer 0, pure: no clock, no socket, no JSON key of Trakt's. Secrets are left out of every repr.
Anyone may import this file; it imports errors and codec alone.
"""

from __future__ import annotations

import enum
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta

from trakt_auth.codec import MalformedJsonError, from_json, to_json
from trakt_auth.errors import UsageError

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = [
    "Application",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "DeviceAuthorization",
    "DevicePoll",
    "Endpoints",
    "Granted",
    "Pending",
    "SlowDown",
    "Token",
    "TokenState",
]

# The share of a token's life at whose end it is renewed: between these two, spread over accounts,
# so that accounts that signed in together do not come back together.
STALE_SHARE = 0.4
STALE_SPREAD = 0.1
# The share of its life before the end in which a token counts as in its last minutes.
LAST_SHARE = 1 / 500


def _restore(kind: type[T], text: str) -> T:
    try:
        return from_json(kind, text)
    except MalformedJsonError as error:
        raise UsageError(
            f"This is not a serialised {kind.__name__}: {error}",
            hint="Hand back, unchanged, what to_json returned.",
        ) from None


def _aware(owner: object, *names: str) -> None:
    for name in names:
        moment: datetime = getattr(owner, name)
        if moment.tzinfo is None:
            raise UsageError(f"{name} has no time zone", hint="Use datetime.now(UTC).")
        try:
            object.__setattr__(owner, name, moment.astimezone(UTC))
        except OverflowError:
            raise UsageError(f"{name} is outside the calendar") from None


def _refuse_control_characters(name: str, value: str) -> None:
    if not value or not value.isprintable() or value != value.strip():
        raise UsageError(
            f"{name} is empty or holds white space or control characters",
            hint=f"Copy the {name} again, whole and without line breaks.",
        )


@dataclass(frozen=True, slots=True)
class Application:
    """An application registered on Trakt (RFC 6749 §2).

    `user_agent` names the calling program and its version, for instance `my-player/1.2`: Trakt's
    edge refuses requests without one. `client_secret` is optional everywhere (public client).
    `redirect_uri` must be one of those registered, letter by letter.

    Raises: UsageError.
    """

    client_id: str
    _: KW_ONLY
    user_agent: str
    client_secret: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None

    def __post_init__(self) -> None:
        _refuse_control_characters("client_id", self.client_id)
        _refuse_control_characters("user_agent", self.user_agent)
        if not (self.client_id + self.user_agent).isascii():
            raise UsageError("client_id or user_agent holds a letter that no HTTP header can carry")
        if self.client_secret is not None:
            _refuse_control_characters("client_secret", self.client_secret)
        if self.redirect_uri is not None:
            _refuse_control_characters("redirect_uri", self.redirect_uri)
        if self.user_agent.lower().startswith("mozilla/"):
            raise UsageError(
                "user_agent imitates a browser, which Trakt blocks",
                hint="Name your own program and its version, for instance my-player/1.2.",
            )


def _origin(name: str, url: str) -> str:
    from urllib.parse import urlsplit

    _refuse_control_characters(name, url)
    if "@" in url:  # and not shown: it holds a password
        raise UsageError(f"{name} holds a user name or password; give scheme and host alone")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a property that raises on a wrong port
    except ValueError:
        parts = urlsplit("")
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError(
            f"{name} is not the URL of a server: {url!r}",
            hint="Give scheme and host, for instance https://auth.trakt.tv.",
        )
    if parts.scheme == "http" and (host == "trakt.tv" or host.endswith(".trakt.tv")):
        raise UsageError(f"{name} would send tokens unencrypted", hint="Write https:// instead.")
    return url.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the two servers are. The defaults are Trakt's own.

    Raises: UsageError.
    """

    auth: str = "https://auth.trakt.tv"
    api: str = "https://api.trakt.tv"

    def __post_init__(self) -> None:
        object.__setattr__(self, "auth", _origin("auth", self.auth))
        object.__setattr__(self, "api", _origin("api", self.api))

    @classmethod
    def at(cls, url: str) -> Endpoints:
        """One origin for both, for instance the emulator's.

        Raises: UsageError.
        """
        return cls(auth=url, api=url)


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
        _aware(self, "expires_at")

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


class TokenState(enum.Enum):
    """How urgently a token wants to be refreshed."""

    FRESH = "fresh"
    STALE = "stale"  # due, yet still accepted
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token with its refresh token (RFC 6749 §5.1).

    `created_at` is the local moment just before it was asked for, and `expires_at` counts from
    there, so a wrong clock on either side does no harm.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    token_type: str = "bearer"  # noqa: S105 - the type's name, RFC 6749 §7.1
    scope: str | None = None
    created_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        _aware(self, "created_at", "expires_at")

    @property
    def lifetime(self) -> timedelta:
        """How long it lives in all; never negative."""
        return max(self.expires_at - self.created_at, timedelta(0))

    def due_at(self, account: str = "default") -> datetime:
        """When to refresh: with 40 to 50 % of the life left, always the same for one account."""
        from zlib import crc32

        spread = crc32(account.encode(errors="surrogatepass")) / 0xFFFFFFFF
        return self.expires_at - self.lifetime * (STALE_SHARE + STALE_SPREAD * spread)

    def state(self, now: datetime, *, account: str = "default") -> TokenState:
        """Tell FRESH, STALE (refresh it, it still works) or EXPIRED at the moment `now`."""
        if now >= self.expires_at:
            return TokenState.EXPIRED
        return TokenState.STALE if now >= self.due_at(account) else TokenState.FRESH

    def in_last_minutes(self, now: datetime) -> bool:
        """Tell whether so little life is left that nothing is risked by trying anything."""
        return now >= self.expires_at - self.lifetime * LAST_SHARE


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
