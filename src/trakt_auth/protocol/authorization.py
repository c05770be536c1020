"""The values of both ways to ask a user for access: by redirect, and by device code.

Pure: no clock, no socket, no JSON key of Trakt's. Secrets are left out of every repr.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from trakt_auth.errors import CallbackError, UsageError
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError, to_json
from trakt_auth.protocol.token import Token

__all__ = [
    "AuthorizationRequest",
    "AuthorizationResponse",
    "DeviceAuthorization",
    "DevicePoll",
    "Granted",
    "Pending",
    "SlowDown",
]


CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1


def check_code_verifier(code_verifier: str) -> None:
    """Raise UsageError for a verifier that can be guessed or that no server accepts."""
    if not CODE_VERIFIER.fullmatch(code_verifier):
        raise UsageError(
            "code_verifier is not 43 to 128 letters, digits and -._~ (RFC 7636 §4.1)",
            hint="Use secrets.token_urlsafe(64).",
        )


def _not_serialised(kind: type, error: MalformedJsonError) -> UsageError:
    return UsageError(
        f"This is not a serialised {kind.__name__}: {error}",
        hint="Give from_json the unchanged text that to_json returned.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """The first half of the authorization code grant (RFC 6749 §4.1.1, RFC 7636 §4.3).

    Send the user to `url`. Keep the request until the redirect, for instance in the web session.

    Raises: UsageError for an empty `state` and for a `code_verifier` that RFC 7636 forbids.
    """

    url: str
    state: str = field(repr=False)
    redirect_uri: str
    code_verifier: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.state:
            raise UsageError(
                "state is empty, so that any redirect would match it",
                hint="Use secrets.token_urlsafe().",
            )
        if self.code_verifier is not None:
            check_code_verifier(self.code_verifier)

    def to_json(self) -> str:
        """Return the request as text, to keep it until the redirect; the text is a secret."""
        return to_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AuthorizationRequest:
        """Restore what `to_json` wrote.

        Raises: UsageError.
        """
        try:
            fields = JsonObject.parse(text)
            return cls(
                url=fields.text("url"),
                state=fields.text("state"),
                redirect_uri=fields.text("redirect_uri"),
                code_verifier=fields.optional_text("code_verifier"),
            )
        except MalformedJsonError as error:
            raise _not_serialised(cls, error) from None

    def __repr__(self) -> str:
        return f"AuthorizationRequest(redirect_uri={self.redirect_uri!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """The parameters of the redirect: a code, or an error (RFC 6749 §4.1.2)."""

    code: str | None = field(default=None, repr=False)
    state: str | None = field(default=None, repr=False)
    error: str | None = None
    error_description: str | None = None
    iss: str | None = None  # the server that redirected, RFC 9207

    @classmethod
    def from_url(cls, url: str) -> AuthorizationResponse:
        """Read the URL that Trakt redirected the browser to, or its query alone.

        Raises: CallbackError when it holds neither a code nor an error, or a parameter twice.
        """
        from urllib.parse import parse_qs, urlsplit

        try:
            url.encode()  # lone surrogates, from a terminal with a wrong encoding, are refused
            query = urlsplit(url.strip()).query or url.strip().lstrip("?")
            found = parse_qs(query, keep_blank_values=False, max_num_fields=100)
        except ValueError:
            found = {}
        names = ("code", "state", "error", "error_description", "iss")
        values = {name: found[name][0] for name in names if name in found}
        twice = [name for name in names if len(found.get(name, ())) > 1]
        if twice or ("code" in values) == ("error" in values):
            raise CallbackError(
                f"The address holds {' and '.join(twice)} twice"
                if twice
                else "The address holds neither a code nor an error, or both",
                hint="Give the whole URL that Trakt redirected the browser to.",
            )
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorization:
    """The answer that starts the device flow (RFC 8628 §3.2).

    Show `user_code` and `verification_uri` as they are. `interval` is in seconds. A program that
    keeps the text of `to_json` can continue to wait after a restart.
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
        """Return the authorization as text; it is a secret until `expires_at`."""
        return to_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> DeviceAuthorization:
        """Restore what `to_json` wrote.

        Raises: UsageError.
        """
        try:
            fields = JsonObject.parse(text)
            return cls(
                device_code=fields.text("device_code"),
                user_code=fields.text("user_code"),
                verification_uri=fields.text("verification_uri"),
                expires_at=fields.moment("expires_at"),
                interval=fields.number("interval"),
            )
        except MalformedJsonError as error:
            raise _not_serialised(cls, error) from None

    @property
    def verification_uri_complete(self) -> str:
        """The page with the code filled in (RFC 8628 §3.3.1); Trakt may not support it."""
        return f"{self.verification_uri.rstrip('/')}/{self.user_code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The user has not answered yet (the device token endpoint's 400)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDown:
    """The polls come too fast (429). `retry_after` is in seconds, None if Trakt gave none."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The user granted access. A client has saved the token before it returns this."""

    token: Token


DevicePoll = Pending | SlowDown | Granted
