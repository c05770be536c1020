"""The faults that replace an answer: the edge's errors, blocked keys, odd successes, refusals.

Each class only makes the answer; whether and when it is given is decided elsewhere.
Only `faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import trakt_auth.emulator.faults.cloudflare as edge
from trakt_auth.emulator.faults.kinds import Kind, check_choice
from trakt_auth.emulator.http.response import (
    empty,
    json_answer,
    oauth_error,
    text_answer,
    traced,
    unauthorized,
)

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Plan, Request
    from trakt_auth.emulator.http.response import Answer

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
class _Instead(Kind):
    """Another answer is given; `processed` says whether the request took effect all the same."""

    processed: bool = False

    def apply(self, plan: Plan) -> None:
        """Substitute the answer."""
        plan.processed = self.processed
        plan.substitute = self.answer

    def answer(self, now: float) -> Answer:
        """Make the answer."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(_Instead):
    """429 in plain text or 4xx/5xx as a page, with or without `Retry-After` (seconds)."""

    name: ClassVar[str] = "status"
    status: int = 503
    retry_after: int | None = None

    def __post_init__(self) -> None:
        """Refuse a status that is no error."""
        Kind.__post_init__(self)
        _error_status(self.status)

    def answer(self, now: float) -> Answer:
        """Make the answer."""
        return edge.overloaded(self.status, retry_after=self.retry_after, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloudflare403(_Instead):
    """The edge's 403 for a missing or default `User-Agent`, or with `every_agent` for all."""

    name: ClassVar[str] = "cloudflare_403"
    every_agent: bool = False
    plain: bool = False

    def concerns(self, request: Request) -> bool:
        """Whether the agent is one that is blocked."""
        return self.every_agent or edge.is_default_agent(request.headers.get("user-agent", ""))

    def answer(self, now: float) -> Answer:  # noqa: ARG002 - the same at any time
        """Make the answer."""
        return edge.edge_forbidden(plain=self.plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden(_Instead):
    """403 for one of the other causes in facts section 6."""

    name: ClassVar[str] = "forbidden"
    cause: Literal["key", "unapproved", "blocked"] = "key"

    def __post_init__(self) -> None:
        """Refuse an unknown cause."""
        Kind.__post_init__(self)
        check_choice("cause", self.cause, ("key", "unapproved", "blocked"))

    def answer(self, now: float) -> Answer:  # noqa: ARG002 - the same at any time
        """Make the answer."""
        if self.cause == "blocked":
            return text_answer("Forbidden", status=403, outcome="blocked")
        problem = "invalid API key" if self.cause == "key" else "this application is not approved"
        return traced(oauth_error("forbidden", problem, status=403))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLocked(_Instead):
    """423 with `X-Account-Locked`, or `X-Account-Deactivated` (facts section 6)."""

    name: ClassVar[str] = "account_locked"
    deactivated: bool = False

    def answer(self, now: float) -> Answer:  # noqa: ARG002 - the same at any time
        """Make the answer."""
        answer = traced(empty(423, "account_locked"))
        answer.headers["x-account-locked"] = "false" if self.deactivated else "true"
        answer.headers["x-account-deactivated"] = "true" if self.deactivated else "false"
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized(_Instead):
    """401 for a token that is good (facts section 2, data API)."""

    name: ClassVar[str] = "unauthorized"
    endpoint: ClassVar[str] = "api"

    def answer(self, now: float) -> Answer:  # noqa: ARG002 - the same at any time
        """Make the answer."""
        return unauthorized()


@dataclass(frozen=True, slots=True, kw_only=True)
class Html200(_Instead):
    """200 with HTML and no token (facts section 2)."""

    name: ClassVar[str] = "html_200"
    endpoint: ClassVar[str] = "/oauth/token"

    def answer(self, now: float) -> Answer:  # noqa: ARG002 - the same at any time
        """Make the answer."""
        return edge.interstitial()


@dataclass(frozen=True, slots=True, kw_only=True)
class Json200WithoutToken(_Instead):
    """200 with JSON in which there is no token."""

    name: ClassVar[str] = "json_200_without_token"
    endpoint: ClassVar[str] = "/oauth/token"

    def answer(self, now: float) -> Answer:  # noqa: ARG002 - the same at any time
        """Make the answer."""
        return json_answer({"message": "ok"}, outcome="json_200_without_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(_Instead):
    """An OAuth error from the token endpoint, whatever the request deserves."""

    name: ClassVar[str] = "refuse"
    endpoint: ClassVar[str] = "/oauth/token"
    error: str = "invalid_grant"
    description: str = "session not found"
    status: int = 400

    def __post_init__(self) -> None:
        """Refuse a status that is no error."""
        Kind.__post_init__(self)
        _error_status(self.status)

    def answer(self, now: float) -> Answer:  # noqa: ARG002 - the same at any time
        """Make the answer."""
        return oauth_error(self.error, self.description, status=self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceError(Refuse):
    """400 with an OAuth error body where a device poll is pending (facts section 3)."""

    name: ClassVar[str] = "device_error"
    endpoint: ClassVar[str] = "/oauth/device/token"
    error: str = "invalid_request"
    description: str = "the request was refused"


def _error_status(status: int) -> None:
    if status not in _ERRORS:
        raise ValueError(f"status is from 400 to 599, not {status!r}")
