"""The faults that replace a response: Cloudflare's errors, blocked keys, OAuth errors, odd 200s.

Each class only makes the response; whether and when it is sent is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import trakt_auth.emulator.faults.cloudflare as cloudflare
from trakt_auth.emulator.faults.kinds import FaultKind, check_choice
from trakt_auth.emulator.http.response import (
    empty_response,
    json_response,
    oauth_error,
    text_response,
    unauthorized,
    with_trace_headers,
)

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import FaultEffects, Request
    from trakt_auth.emulator.http.response import Response

__all__ = [
    "AccountLocked",
    "Cloudflare403",
    "DeviceError",
    "Forbidden",
    "Html200",
    "Json200WithoutToken",
    "Refuse",
    "Status",
    "Unauthorized",
]

_ERRORS = range(400, 600)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReplacedResponse(FaultKind):
    """Another response is sent; `processed` says whether the request takes effect nevertheless."""

    processed: bool = False

    def apply(self, effects: FaultEffects) -> None:
        """Replace the response."""
        effects.processed = self.processed
        effects.substitute = self.response

    def response(self, now: float) -> Response:
        """Make the response."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(_ReplacedResponse):
    """429 as plain text or another error status as a page; `retry_after` is in seconds."""

    name: ClassVar[str] = "status"
    status: int = 503
    retry_after: int | None = None

    def __post_init__(self) -> None:
        """Check that the status is an error."""
        FaultKind.__post_init__(self)
        _error_status(self.status)

    def response(self, now: float) -> Response:
        """Make the response."""
        return cloudflare.overloaded(self.status, retry_after=self.retry_after, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloudflare403(_ReplacedResponse):
    """Cloudflare's 403 for a missing or default `User-Agent`, or for all if `every_agent`."""

    name: ClassVar[str] = "cloudflare_403"
    every_agent: bool = False
    plain: bool = False

    def applies_to(self, request: Request) -> bool:
        """Return whether the request's `User-Agent` is blocked."""
        return self.every_agent or cloudflare.is_default_agent(
            request.headers.get("user-agent", "")
        )

    def response(self, now: float) -> Response:  # noqa: ARG002 - the same at any time
        """Make the response."""
        return cloudflare.forbidden(plain=self.plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden(_ReplacedResponse):
    """403 for an unknown key, an application that is not approved, or one that is blocked."""

    name: ClassVar[str] = "forbidden"
    cause: Literal["key", "unapproved", "blocked"] = "key"

    def __post_init__(self) -> None:
        """Check the cause."""
        FaultKind.__post_init__(self)
        check_choice("cause", self.cause, ("key", "unapproved", "blocked"))

    def response(self, now: float) -> Response:  # noqa: ARG002 - the same at any time
        """Make the response."""
        if self.cause == "blocked":
            return text_response("Forbidden", status=403, outcome="blocked")
        problem = "invalid API key" if self.cause == "key" else "this application is not approved"
        return with_trace_headers(oauth_error("forbidden", problem, status=403))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLocked(_ReplacedResponse):
    """423 with `X-Account-Locked` or, if `deactivated`, `X-Account-Deactivated`."""

    name: ClassVar[str] = "account_locked"
    deactivated: bool = False

    def response(self, now: float) -> Response:  # noqa: ARG002 - the same at any time
        """Make the response."""
        response = with_trace_headers(empty_response(423, "account_locked"))
        response.headers["x-account-locked"] = "false" if self.deactivated else "true"
        response.headers["x-account-deactivated"] = "true" if self.deactivated else "false"
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized(_ReplacedResponse):
    """401 from the data API for a valid token."""

    name: ClassVar[str] = "unauthorized"
    endpoint: ClassVar[str] = "api"

    def response(self, now: float) -> Response:  # noqa: ARG002 - the same at any time
        """Make the response."""
        return unauthorized()


@dataclass(frozen=True, slots=True, kw_only=True)
class Html200(_ReplacedResponse):
    """Status 200 with an HTML page in place of the token."""

    name: ClassVar[str] = "html_200"
    endpoint: ClassVar[str] = "/oauth/token"

    def response(self, now: float) -> Response:  # noqa: ARG002 - the same at any time
        """Make the response."""
        return cloudflare.interstitial()


@dataclass(frozen=True, slots=True, kw_only=True)
class Json200WithoutToken(_ReplacedResponse):
    """Status 200 with JSON that contains no token."""

    name: ClassVar[str] = "json_200_without_token"
    endpoint: ClassVar[str] = "/oauth/token"

    def response(self, now: float) -> Response:  # noqa: ARG002 - the same at any time
        """Make the response."""
        return json_response({"message": "ok"}, outcome="json_200_without_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(_ReplacedResponse):
    """An OAuth error from the token endpoint, whatever was requested."""

    name: ClassVar[str] = "refuse"
    endpoint: ClassVar[str] = "/oauth/token"
    error: str = "invalid_grant"
    description: str = "session not found"
    status: int = 400

    def __post_init__(self) -> None:
        """Check that the status is an error."""
        FaultKind.__post_init__(self)
        _error_status(self.status)

    def response(self, now: float) -> Response:  # noqa: ARG002 - the same at any time
        """Make the response."""
        return oauth_error(self.error, self.description, status=self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceError(Refuse):
    """400 with an OAuth error body for a poll; a code that is pending gets 400 without a body."""

    name: ClassVar[str] = "device_error"
    endpoint: ClassVar[str] = "/oauth/device/token"
    error: str = "invalid_request"
    description: str = "the request was refused"


def _error_status(status: int) -> None:
    if status not in _ERRORS:
        raise ValueError(f"status must be from 400 to 599, not {status!r}")
