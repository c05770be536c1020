"""The faults that bend what the emulator does: connections, delays, lifetimes, clocks, replays.

Each class only writes its wish into a `Plan`; none of them touches state or waits.
`fault_answers.py` and `faults.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Collection

    from trakt_auth.emulator.http.request import Cut, Plan, Request

__all__ = [
    "AnswerLost",
    "Kind",
    "LegacyErrors",
    "ReplayFamily",
    "ReplayGrace",
    "Reset",
    "ShorterLifetime",
    "SkewedClock",
    "Slow",
    "TruncatedJson",
    "check_choice",
]

_A_DECADE = 315_360_000.0  # seconds; beyond it no clock fault is of interest


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a fault does; its fields are its parameters, all with defaults, durations in seconds."""

    name: ClassVar[str] = ""
    endpoint: ClassVar[str] = "*"
    """The requests that it strikes when the arming names none."""
    allows_negative: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse parameters of the wrong type."""
        for one in fields(self):
            value: object = getattr(self, one.name)
            _check(one.name, value, one.default)
            if isinstance(value, int | float) and value < 0 and not self.allows_negative:
                raise ValueError(f"{one.name} is at least 0, not {value!r}")

    def concerns(self, request: Request) -> bool:  # noqa: ARG002 - most kinds take any request
        """Whether this request could be struck at all."""
        return True

    def apply(self, plan: Plan) -> None:
        """Write the wish into the plan."""

    def parameters(self) -> dict[str, object]:
        """Return the parameters as plain JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLost(Kind):
    """The request is processed, then the connection ends without an answer."""

    name: ClassVar[str] = "answer_lost"
    endpoint: ClassVar[str] = "/oauth/token"
    how: Cut = "close"

    def __post_init__(self) -> None:
        """Refuse an unknown way to end a connection."""
        check_choice("how", self.how, ("close", "reset"))

    def apply(self, plan: Plan) -> None:
        """Cut after processing."""
        plan.cut_after = self.how


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Kind):
    """The connection is reset before anything is processed."""

    name: ClassVar[str] = "reset"

    def apply(self, plan: Plan) -> None:
        """Cut before processing."""
        plan.cut_before = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Kind):
    """The answer comes late; `processed` says whether the state changes before the wait."""

    name: ClassVar[str] = "slow"
    seconds: float = 5.0
    processed: bool = True

    def apply(self, plan: Plan) -> None:
        """Delay."""
        plan.delay += self.seconds
        plan.delay_first = not self.processed


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedJson(Kind):
    """The answer's body ends in the middle; the request took effect."""

    name: ClassVar[str] = "truncated_json"
    endpoint: ClassVar[str] = "/oauth/token"

    def apply(self, plan: Plan) -> None:
        """Cut the body in half."""
        plan.truncate = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyErrors(Kind):
    """`invalid_grant` as before July 2026: 401 or 400, with Doorkeeper's long description."""

    name: ClassVar[str] = "legacy_errors"
    endpoint: ClassVar[str] = "oauth"
    status: int = 401

    def __post_init__(self) -> None:
        """Refuse a status that was never seen."""
        check_choice("status", self.status, (400, 401))

    def apply(self, plan: Plan) -> None:
        """Choose the status."""
        plan.legacy_status = self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class ShorterLifetime(Kind):
    """Tokens that live for this many seconds only."""

    name: ClassVar[str] = "shorter_lifetime"
    endpoint: ClassVar[str] = "/oauth/*token"
    seconds: int = 60

    def __post_init__(self) -> None:
        """Refuse a lifetime of nothing."""
        Kind.__post_init__(self)
        if self.seconds < 1:
            raise ValueError(f"seconds is at least 1, not {self.seconds!r}")

    def apply(self, plan: Plan) -> None:
        """Choose the lifetime."""
        plan.lifetime = self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewedClock(Kind):
    """`Date` and `created_at` are off by this many seconds, which may be less than 0."""

    name: ClassVar[str] = "skewed_clock"
    seconds: float = 3600.0

    allows_negative: ClassVar[bool] = True

    def apply(self, plan: Plan) -> None:
        """Choose the skew."""
        plan.skew = self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFamily(Kind):
    """A spent refresh token ends every token of its user and client.

    A replay that comes within `harmless_within` seconds of the spending is refused and ends
    nothing, like the loser of a race on the server itself.
    """

    name: ClassVar[str] = "replay_family"
    endpoint: ClassVar[str] = "/oauth/token"
    harmless_within: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayGrace(Kind):
    """A spent refresh token gets the same answer again for `within` seconds, at most 300."""

    name: ClassVar[str] = "replay_grace"
    endpoint: ClassVar[str] = "/oauth/token"
    within: float = 30.0


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Refuse a parameter that is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(str, choices))}; not {value!r}")


def _check(name: str, value: object, default: object) -> None:
    """Refuse a value of another type than the default's; where that is None, 0 or more will do."""
    if default is None and value is None:
        return
    wanted, fits = "a whole number", type(value) is int
    if isinstance(default, str):
        wanted, fits = "text", isinstance(value, str)
    elif isinstance(default, bool):
        wanted, fits = "true or false", isinstance(value, bool)
    elif isinstance(default, float):
        wanted, fits = "a number", type(value) in {int, float}
    if fits and isinstance(value, int | float):
        wanted, fits = "within ten years", isfinite(value) and abs(value) <= _A_DECADE
    if not fits:
        raise ValueError(f"{name} is {wanted}, not {value!r}")
