"""How this Trakt behaves: lifetimes, profiles, and the choices where the facts are silent.

Plain values and their checks; no request is looked at here.
Any file of the emulator may import this one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, TypedDict, get_args

__all__ = ["Options", "Profile", "ReplayMode", "Settings"]

Profile = Literal["current", "legacy"]
ReplayMode = Literal["refuse", "family", "grace"]

_POSITIVE = ("access_token_lifetime", "device_lifetime", "remember_spent", "log_size")
_NOT_NEGATIVE = ("device_interval", "auto_approve", "replay_harmless_within", "replay_grace")


class Settings(TypedDict, total=False):
    """The fields of `Options` as keyword arguments."""

    access_token_lifetime: int
    refresh_token_lifetime: int | None
    device_interval: int
    device_lifetime: int
    auto_approve: float | None
    profile: Profile
    enforce_interval: bool
    slow_down_retry_after: bool
    replay: ReplayMode
    replay_harmless_within: float
    replay_grace: float
    rotation_ends_access: bool
    revoke_whole_grant: bool
    block_default_user_agents: bool
    remember_spent: int
    log_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be chosen about the server; every duration is in seconds."""

    access_token_lifetime: int = 604_800
    """Facts section 2: seven days since February 2026."""
    refresh_token_lifetime: int | None = None
    """Facts section 2: not documented, so a refresh token lives until it is spent or revoked."""
    device_interval: int = 5
    device_lifetime: int = 600
    auto_approve: float | None = None
    """Device codes are approved by themselves after this time."""
    profile: Profile = "current"
    """`legacy` reads HTTP Basic and speaks as the server did before July 2026 (facts section 2)."""
    enforce_interval: bool = True
    """Whether a device poll before the interval gets 429 (facts section 3: unknown)."""
    slow_down_retry_after: bool = False
    """Whether that 429 carries `Retry-After`."""
    replay: ReplayMode = "refuse"
    """What a spent refresh token does: nothing more than a refusal; the end of every token of that
    user and client; or the same answer once more. Facts section 2: unknown."""
    replay_harmless_within: float = 0.0
    """In `family` mode, a replay this soon after the spending is refused and ends nothing."""
    replay_grace: float = 30.0
    """In `grace` mode, how long the same answer is given again."""
    rotation_ends_access: bool = False
    """Whether a refresh ends the access token it replaces (facts section 2: unknown)."""
    revoke_whole_grant: bool = True
    """Whether revoking one token ends the whole grant (RFC 7009 section 2.1; facts section 5)."""
    block_default_user_agents: bool = False
    """Whether the edge answers 403 to a missing or a library's default `User-Agent` (section 6)."""
    remember_spent: int = 1_000_000
    """How many spent refresh tokens are remembered, so that a replay can be told from a guess."""
    log_size: int = 10_000

    def __post_init__(self) -> None:
        """Refuse values that no server could have."""
        if self.profile not in get_args(Profile):
            raise ValueError(f"profile is one of {get_args(Profile)}, not {self.profile!r}")
        if self.replay not in get_args(ReplayMode):
            raise ValueError(f"replay is one of {get_args(ReplayMode)}, not {self.replay!r}")
        for name in (*_POSITIVE, *_NOT_NEGATIVE, "refresh_token_lifetime"):
            value = getattr(self, name)
            least = 0 if name in _NOT_NEGATIVE else 1
            if value is not None and not least <= value < float("inf"):
                raise ValueError(f"{name} is a number of at least {least}, not {value!r}")

    @property
    def legacy(self) -> bool:
        """Whether the server speaks as it did before July 2026."""
        return self.profile == "legacy"

    def to_dict(self) -> dict[str, object]:
        """Return the options as plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
