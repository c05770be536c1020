"""Every way to fail, and who is to blame.

Pure. No clock, no socket, and never a request body or a secret in an error.

The tree. The first level says who has to act::

    TraktAuthError
    ├─ UsageError                 you: wrong arguments, before anything is sent
    ├─ Cancelled                  you called it off
    ├─ TransportError             the wire: no answer arrived
    ├─ ServerError                they: an answer outside the contract
    │   ├─ UnexpectedResponse
    │   ├─ RateLimited
    │   ├─ Blocked
    │   └─ Unavailable
    ├─ OAuthError                 they said no, in OAuth's words
    │   ├─ InvalidGrant, InvalidClient, InvalidRequest
    │   ├─ UnauthorizedClient, UnsupportedGrantType, InvalidScope
    │   ├─ AccessDenied
    │   └─ DeviceCodeExpired, DeviceCodeUsed, DeviceCodeUnknown
    ├─ StateMismatch              the redirect is not an answer to our request
    ├─ LoginRequired              a person has to sign in (again)
    └─ StoreError                 the token could not be read or kept
        ├─ StoreUnavailable
        │   └─ StoreEncrypted        its key is not configured
        ├─ StoreCorrupt, StoreConflict, LockTimeout
        └─ TokenNotSaved          carries the token: nothing is lost
"""

from __future__ import annotations

import copyreg

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = [
    "AccessDenied",
    "Blocked",
    "Cancelled",
    "DeviceCodeExpired",
    "DeviceCodeUnknown",
    "DeviceCodeUsed",
    "InvalidClient",
    "InvalidGrant",
    "InvalidRequest",
    "InvalidScope",
    "LockTimeout",
    "LoginRequired",
    "OAuthError",
    "RateLimited",
    "ServerError",
    "StateMismatch",
    "StoreConflict",
    "StoreCorrupt",
    "StoreEncrypted",
    "StoreError",
    "StoreUnavailable",
    "TokenNotSaved",
    "TraktAuthError",
    "TransportError",
    "UnauthorizedClient",
    "Unavailable",
    "UnexpectedResponse",
    "UnsupportedGrantType",
    "UsageError",
]  # fmt: skip


class TraktAuthError(Exception):
    """Anything that this library raises on purpose.

    `hint` is one sentence that a person can act on. `retryable` is True when the same call
    may succeed later without anybody changing anything.
    """

    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = "Run `trakt-auth status` to see where things stand."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint or self.default_hint

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries; the default would call __init__ with too few arguments.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__.copy()  # type: ignore[attr-defined]


class UsageError(TraktAuthError, ValueError):
    """Wrong arguments; nothing was sent and nothing changed."""

    default_hint = "Correct the argument named above and call again."


class Cancelled(TraktAuthError):
    """The caller called off the waiting; nothing was lost."""

    default_hint = "Start again whenever you like."


class TransportError(TraktAuthError):
    """No answer arrived.

    `outcome_unknown` is False when the request provably never left (no name, connection, TLS).
    """

    retryable = True
    default_hint = "Check the network connection and try again."

    def __init__(self, message: str, *, outcome_unknown: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.outcome_unknown = outcome_unknown


class ServerError(TraktAuthError):
    """An answer outside OAuth's contract; it says nothing about the login.

    `status` is None when the error is remembered from an earlier call. `body` is the start of the
    answer with what may be a secret masked. `retry_after` is in seconds, None when nobody said.
    """

    default_hint = "Try again later; the login is untouched."

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: str = "",
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class UnexpectedResponse(ServerError):
    """HTML, truncated JSON, a missing field, or a status nobody documents."""

    default_hint = "Check that the URL is Trakt's; a proxy or a captive portal may answer for it."


class RateLimited(ServerError):
    """429: too many requests."""

    retryable = True
    default_hint = "Wait as long as the message says, then try again."


class Blocked(ServerError):
    """403 or 423; `cause` is the likeliest by the evidence in the answer.

    `edge`, `integration`, `key_or_app`, `account_locked` or `account_deactivated`.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str,
        status: int | None = None,
        body: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status=status, body=body, hint=hint)
        self.cause = cause


class Unavailable(ServerError):
    """5xx, Cloudflare's 52x included."""

    retryable = True
    default_hint = "Trakt has trouble; try again in a minute. The login is untouched."


class OAuthError(TraktAuthError):
    """The server refused in OAuth's own words (RFC 6749 §5.2); decide by `error` alone.

    `status` is the HTTP status, None when the refusal came by redirect.
    """

    default_hint = "Look the error code up in RFC 6749 §5.2, and check the application's settings."

    def __init__(
        self,
        error: str,
        error_description: str | None = None,
        *,
        status: int | None = None,
        message: str | None = None,
        hint: str | None = None,
    ) -> None:
        said = f"{error} ({error_description})" if error_description else error
        super().__init__(message or f"Trakt refused: {said}", hint=hint)
        self.error = error
        self.error_description = error_description
        self.status = status


class InvalidGrant(OAuthError):
    """The code or refresh token is spent, expired, revoked or another application's."""

    default_hint = "Sign in again: run `trakt-auth login`."


class InvalidClient(OAuthError):
    """The client id is unknown or deleted, or the client secret is wrong."""

    default_hint = "Compare client id and secret with the application's page on Trakt."


class InvalidRequest(OAuthError):
    """A parameter is missing or does not match; often the redirect URI."""

    default_hint = "Check that the redirect URI is, letter by letter, one that the app registered."


class UnauthorizedClient(OAuthError):
    """The application may not use this grant."""

    default_hint = "Check the application's settings on Trakt."


class UnsupportedGrantType(OAuthError):
    """The server does not know this grant."""

    default_hint = "Check that the URL is Trakt's authorization server."


class InvalidScope(OAuthError):
    """The requested scope is unknown or not allowed."""

    default_hint = "Trakt documents the scope `public` alone; ask for no scope."


class AccessDenied(OAuthError):
    """The person said no."""

    default_hint = "Start again when the person wants to connect; do not ask in a loop."


class DeviceCodeExpired(OAuthError):
    """410: nobody approved the code in time."""

    default_hint = "Start again; a free account may first have to remove one of its few apps."


class DeviceCodeUsed(OAuthError):
    """409: this code has been approved and collected already."""

    default_hint = "Start again for a new code."


class DeviceCodeUnknown(OAuthError):
    """404: the server does not know this device code."""

    default_hint = "Start again for a new code, against the same server and client id."


class StateMismatch(TraktAuthError):
    """The redirect does not answer the request we made; somebody may have forged it."""

    default_hint = "Start the sign-in again and use only the newest page."


class LoginRequired(TraktAuthError):
    """No token, or the refresh was refused for good. `reason` tells which.

    The refusal itself, where there was one in this call, is the error's `__cause__`.
    """

    default_hint = "Sign in again: run `trakt-auth login`."

    def __init__(self, *, account: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"Account {account!r} has to sign in: {reason}", hint=hint)
        self.account = account
        self.reason = reason


class StoreError(TraktAuthError):
    """A token could not be read or kept."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, read or written right now."""

    retryable = True
    default_hint = "Make the store readable and writable, then try again."


class StoreEncrypted(StoreUnavailable):
    """The record is encrypted and its key is not configured; it is left as it is."""

    retryable = False
    default_hint = "Add its key to TRAKT_AUTH_KEY, or to `keys` of open_store."


class StoreCorrupt(StoreError):
    """The store's content is not what was written; it is left as it is."""

    default_hint = "Restore a backup, or sign in again: a new login moves the old content aside."


class StoreConflict(StoreError):
    """Somebody else saved in between; their record is kept."""

    retryable = True
    default_hint = "Load again and decide anew."


class LockTimeout(StoreError):
    """Another program held the account for longer than we were ready to wait."""

    retryable = True
    default_hint = "Another program is refreshing this account; try again in a moment."


class TokenNotSaved(StoreError):
    """The token is valid but the store could not take it; it is in `token`, and put aside."""

    default_hint = "Make the store writable: the token is put aside, and saved at the next use."

    def __init__(self, message: str, *, token: Any, hint: str | None = None) -> None:  # noqa: ANN401
        super().__init__(message, hint=hint)
        # A trakt_auth.Token; this file imports nothing of the project.
        self.token = token
