"""The errors that this library raises on purpose, as a tree.

Pure: no clock, no socket. No error holds a request body or a secret, but for `TokenNotSaved`, which
carries the token, which would be lost otherwise.

The first level says who has to act::

    TraktAuthError
    ├─ UsageError                 the caller: wrong arguments; nothing was sent
    ├─ Cancelled                  the caller, who cancelled the waiting
    ├─ TransportError             the network: no answer arrived
    ├─ ServerError                the server: an answer outside OAuth's contract
    │   ├─ UnexpectedResponse
    │   ├─ RateLimited
    │   ├─ Blocked
    │   └─ Unavailable
    ├─ OAuthError                 the server refused the request in OAuth's own words
    │   ├─ InvalidGrant, InvalidClient, InvalidRequest
    │   ├─ UnauthorizedClient, UnsupportedGrantType, InvalidScope
    │   ├─ AccessDenied
    │   └─ DeviceCodeExpired, DeviceCodeUsed, DeviceCodeUnknown
    ├─ CallbackError              the browser brought no answer to this sign-in; a web app's 400
    │   └─ StateMismatch          the redirect does not belong to this sign-in
    ├─ LoginRequired              the user has to sign in (again)
    └─ StoreError                 the store: a token could not be read or saved
        ├─ StoreUnavailable
        │   └─ StoreEncrypted     the record's key is not configured
        ├─ StoreCorrupt, StoreConflict, LockTimeout
        └─ TokenNotSaved          has the token in `token`
"""

from __future__ import annotations

import copyreg

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = [
    "AccessDenied", "Blocked", "CallbackError", "Cancelled", "DeviceCodeExpired",
    "DeviceCodeUnknown", "DeviceCodeUsed", "InvalidClient", "InvalidGrant", "InvalidRequest",
    "InvalidScope", "LockTimeout", "LoginRequired", "OAuthError", "RateLimited", "ServerError",
    "StateMismatch", "StoreConflict", "StoreCorrupt", "StoreEncrypted", "StoreError",
    "StoreUnavailable", "TokenNotSaved", "TraktAuthError", "TransportError", "UnauthorizedClient",
    "Unavailable", "UnexpectedResponse", "UnsupportedGrantType", "UsageError",
]  # fmt: skip

SIGN_IN = "Sign in again, for instance with `client.start_device()`."


class TraktAuthError(Exception):
    """The base class of all errors that this library raises on purpose.

    `retryable` is True when the same call may succeed
    later although nothing is changed.
    """

    retryable: ClassVar[bool] = False
    _hint: str
    __notes__: list[str]
    default_hint: ClassVar[str] = "The log of the logger `trakt_auth` may say more."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint or self.default_hint

    @property
    def hint(self) -> str:
        """What to do, in one sentence; a traceback shows it below the message."""
        return self._hint

    @hint.setter
    def hint(self, text: str) -> None:
        self._hint = text
        self.__notes__ = [f"Hint: {text}"]

    def __reduce__(self) -> tuple[object, ...]:
        # By default an unpickled error, as from multiprocessing, calls __init__ without keywords.
        state = self.__dict__ | {"__notes__": [*self.__notes__]}  # a copy gets notes of its own
        return copyreg.__newobj__, (type(self), *self.args), state  # type: ignore[attr-defined]


class UsageError(TraktAuthError, ValueError):
    """Wrong arguments; nothing was sent and nothing changed."""

    default_hint = "Correct the argument that the message names, and call again."


class Cancelled(TraktAuthError):
    """The caller cancelled the waiting; nothing is lost."""

    default_hint = "Start again when the user wants to sign in."


class TransportError(TraktAuthError):
    """No answer arrived.

    `outcome_unknown` is False when the request was certainly not sent (no name, connection or TLS
    session); when it is True, the server may have processed the request.
    """

    retryable = True
    default_hint = "Check the network connection and try again."

    def __init__(self, message: str, *, outcome_unknown: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.outcome_unknown = outcome_unknown


class ServerError(TraktAuthError):
    """An answer outside OAuth's contract; it says nothing about the login.

    `status` is the HTTP status, None when an earlier call got the answer. `body` is its start with
    everything masked that may be a secret. `retry_after` is in seconds, None if Trakt gave none.
    """

    default_hint = "Try again later; the login has not changed."

    def __init__(
        self, message: str, *, status: int | None = None, body: str = "",
        retry_after: float | None = None, hint: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint)
        self.status = status
        self.body = body
        self.retry_after = retry_after


class UnexpectedResponse(ServerError):
    """HTML, incomplete JSON, a missing field, or a status that Trakt does not document."""

    default_hint = "Check that the URL is Trakt's, and that no proxy or captive portal answers."


class RateLimited(ServerError):
    """429: too many requests."""

    retryable = True
    default_hint = "Wait as long as the message says, or else a minute, then try again."


class Blocked(ServerError):
    """403 or 423. `cause` is the most likely cause, judged by the answer.

    `edge` (Cloudflare), `integration` (Trakt blocks the application), `key_or_app` (the client id
    is wrong or not approved), `account_locked`, `account_deactivated` (the user's Trakt account).
    """

    def __init__(
        self, message: str, *, cause: str, status: int | None = None, body: str = "",
        hint: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, status=status, body=body, hint=hint)
        self.cause = cause


class Unavailable(ServerError):
    """5xx, which includes Cloudflare's 52x."""

    retryable = True
    default_hint = "Trakt has trouble; try again in a minute. The login has not changed."


class OAuthError(TraktAuthError):
    """The server refused with an OAuth error code (RFC 6749 §5.2), which is in `error`.

    Decide by `error`; `error_description` may change. `status` is None for an error in a redirect.
    """

    default_hint = "See RFC 6749 §5.2 for the error code, and check the application's settings."

    def __init__(
        self, error: str, error_description: str | None = None, *, status: int | None = None,
        message: str | None = None, hint: str | None = None,
    ) -> None:  # fmt: skip
        said = f"{error} ({error_description})" if error_description else error
        super().__init__(message or f"Trakt refused: {said}", hint=hint)
        self.error = error
        self.error_description = error_description
        self.status = status


class InvalidGrant(OAuthError):
    """The code or refresh token is used, expired, revoked, or of another application."""

    default_hint = SIGN_IN


class InvalidClient(OAuthError):
    """The client id is unknown or deleted, or the client secret is wrong."""

    default_hint = "Compare client_id and client_secret with the application's page on Trakt."


class InvalidRequest(OAuthError):
    """A parameter is missing or does not match; often the redirect URI."""

    default_hint = "Check that redirect_uri equals, letter by letter, one that is registered."


class UnauthorizedClient(OAuthError):
    """The application may not use this grant type."""

    default_hint = "Check the application's settings on Trakt."


class UnsupportedGrantType(OAuthError):
    """The server does not know this grant type."""

    default_hint = "Check that the URL is Trakt's authorization server."


class InvalidScope(OAuthError):
    """The requested scope is unknown or not allowed."""

    default_hint = "Request no scope; Trakt documents only `public`."


class AccessDenied(OAuthError):
    """The user denied access."""

    default_hint = "Start again when the user wants to connect; do not ask in a loop."


class DeviceCodeExpired(OAuthError):
    """410: the user did not approve the code in time."""

    default_hint = "Start again; a free account may first have to disconnect one of its few apps."


class DeviceCodeUsed(OAuthError):
    """409: the token for this device code was fetched before."""

    default_hint = "Start again for a new code."


class DeviceCodeUnknown(OAuthError):
    """404: the server does not know this device code."""

    default_hint = "Start again for a new code, and poll the same server with the same client_id."


class CallbackError(TraktAuthError):
    """The redirect is no answer to this sign-in: anyone can open such an address (RFC 6749 §10.12).

    Nothing was sent and nothing changed. A web app answers it with 400 Bad Request.
    """

    default_hint = "Start the sign-in again, and use only the page that it opens."


class StateMismatch(CallbackError):
    """The redirect's address, state or issuer is not the one of this sign-in; it may be forged."""


class LoginRequired(TraktAuthError):
    """There is no token, or Trakt will not refresh it any more; `reason` says which.

    When Trakt refused the refresh in this call, its error is the `__cause__`.
    """

    default_hint = SIGN_IN

    def __init__(self, *, account: str, reason: str, hint: str | None = None) -> None:
        super().__init__(f"Account {account!r} has to sign in: {reason}", hint=hint)
        self.account = account
        self.reason = reason


class StoreError(TraktAuthError):
    """A token could not be read or saved."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, read or written at the moment."""

    retryable = True
    default_hint = "Make the store readable and writable, then try again."


class StoreEncrypted(StoreUnavailable):
    """The record is encrypted and its key is not configured; it is left as it is."""

    retryable = False
    default_hint = "Add the record's key to `keys` of open_store (for the command: TRAKT_AUTH_KEY)."


class StoreCorrupt(StoreError):
    """The store does not hold what this library wrote; its content is left as it is."""

    default_hint = "Restore a backup, or sign in again: a new login moves the old content aside."


class StoreConflict(StoreError):
    """Another program or thread changed the record first; its change is kept."""

    retryable = True
    default_hint = "Load the record again, then repeat the change if it is still needed."


class LockTimeout(StoreError):
    """Another program or thread held the account's lock for too long."""

    retryable = True
    default_hint = "Another program is refreshing this account; try again in a moment."


class TokenNotSaved(StoreError):
    """Trakt gave a new token and the store could not save it; `token` is a `trakt_auth.Token`.

    The client keeps the token too, and saves it when the store can be written again.
    """

    default_hint = "Make the store writable; the token is kept, and saved at the next use."

    # `Any`, since this file imports nothing of the project, and callers pass the token on.
    def __init__(self, message: str, *, token: Any, hint: str | None = None) -> None:  # noqa: ANN401
        super().__init__(message, hint=hint)
        self.token: Any = token
