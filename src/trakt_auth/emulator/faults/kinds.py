"""The faults that change how a request is processed: connections, delays, lifetimes, replays.

Also their base class. A fault only sets fields of a `FaultEffects`; it does not wait, send or
touch the emulator's state.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Collection

    from trakt_auth.emulator.http.request import Cut, FaultEffects, Request

__all__ = [
    "AnswerLost",
    "FaultKind",
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

_A_DECADE = 315_360_000.0  # seconds, the largest number that a parameter may have


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """What a fault does; the fields are its parameters. Durations are in seconds.

    `name` is what callers call it.
    """

    name: ClassVar[str] = ""
    endpoint: ClassVar[str] = "*"
    """The requests that it affects unless the caller names others."""
    allows_negative: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the types of the parameters.

        Raises: ValueError for a parameter of another type than its default's, or below 0.
        """
        for one in fields(self):
            value: object = getattr(self, one.name)
            _check(one.name, value, one.default)
            if isinstance(value, int | float) and value < 0 and not self.allows_negative:
                raise ValueError(f"{one.name} must be at least 0, not {value!r}")

    def applies_to(self, request: Request) -> bool:  # noqa: ARG002 - most kinds take any request
        """Return whether this fault can affect this request at all."""
        return True

    def apply(self, effects: FaultEffects) -> None:
        """Set the fields of `effects` that this fault is about."""

    def parameters(self) -> dict[str, object]:
        """Return the parameters as plain JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLost(FaultKind):
    """The request is processed, then the connection ends without a response."""

    name: ClassVar[str] = "answer_lost"
    endpoint: ClassVar[str] = "/oauth/token"
    how: Cut = "close"

    def __post_init__(self) -> None:
        """Check the way to end the connection."""
        check_choice("how", self.how, ("close", "reset"))

    def apply(self, effects: FaultEffects) -> None:
        """End the connection after processing."""
        effects.cut_after = self.how


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(FaultKind):
    """The connection is reset before anything is processed."""

    name: ClassVar[str] = "reset"

    def apply(self, effects: FaultEffects) -> None:
        """Reset the connection before processing."""
        effects.cut_before = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(FaultKind):
    """The response is late; `processed` says whether the request takes effect before the wait."""

    name: ClassVar[str] = "slow"
    seconds: float = 5.0
    processed: bool = True

    def apply(self, effects: FaultEffects) -> None:
        """Add to the delay."""
        effects.delay += self.seconds
        effects.delay_first = not self.processed


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedJson(FaultKind):
    """The request is processed, and the body of the response ends in the middle."""

    name: ClassVar[str] = "truncated_json"
    endpoint: ClassVar[str] = "/oauth/token"

    def apply(self, effects: FaultEffects) -> None:
        """Send half of the body."""
        effects.truncate = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyErrors(FaultKind):
    """`invalid_grant` as Trakt sent it before July 2026: 401 or 400, with a long description."""

    name: ClassVar[str] = "legacy_errors"
    endpoint: ClassVar[str] = "oauth"
    status: int = 401

    def __post_init__(self) -> None:
        """Check that Trakt has sent this status."""
        check_choice("status", self.status, (400, 401))

    def apply(self, effects: FaultEffects) -> None:
        """Set the status."""
        effects.legacy_status = self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class ShorterLifetime(FaultKind):
    """The access tokens that are issued expire after this many seconds."""

    name: ClassVar[str] = "shorter_lifetime"
    endpoint: ClassVar[str] = "/oauth/*token"
    seconds: int = 60

    def __post_init__(self) -> None:
        """Check that the lifetime is at least a second."""
        FaultKind.__post_init__(self)
        if self.seconds < 1:
            raise ValueError(f"seconds must be at least 1, not {self.seconds!r}")

    def apply(self, effects: FaultEffects) -> None:
        """Set the lifetime."""
        effects.lifetime = self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewedClock(FaultKind):
    """`Date` and `created_at` are wrong by this many seconds, which may be negative."""

    name: ClassVar[str] = "skewed_clock"
    seconds: float = 3600.0

    allows_negative: ClassVar[bool] = True

    def apply(self, effects: FaultEffects) -> None:
        """Set the skew."""
        effects.skew = self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFamily(FaultKind):
    """A used refresh token that is sent again ends all tokens of its user for its application.

    Within `harmless_within` seconds after its first use, it gets an error and ends nothing: so does
    the second of two requests that a server handles at the same time.
    """

    name: ClassVar[str] = "replay_family"
    endpoint: ClassVar[str] = "/oauth/token"
    harmless_within: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayGrace(FaultKind):
    """A used refresh token gets the same response again for `within` seconds, at most 300."""

    name: ClassVar[str] = "replay_grace"
    endpoint: ClassVar[str] = "/oauth/token"
    within: float = 30.0


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Raise ValueError for a parameter that is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}")


def _check(name: str, value: object, default: object) -> None:
    """Raise ValueError unless `value` has the type of `default`; None stands for a whole number."""
    if default is None and value is None:
        return
    expected, fits = "a whole number", type(value) is int
    if isinstance(default, str):
        expected, fits = "text", isinstance(value, str)
    elif isinstance(default, bool):
        expected, fits = "true or false", isinstance(value, bool)
    elif isinstance(default, float):
        expected, fits = "a number", type(value) in {int, float}
    if fits and isinstance(value, int | float):
        expected, fits = "within ten years", isfinite(value) and abs(value) <= _A_DECADE
    if not fits:
        raise ValueError(f"{name} must be {expected}, not {value!r}")
