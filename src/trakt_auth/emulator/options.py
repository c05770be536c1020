"""The options of the emulator: lifetimes, profiles, and what Trakt does not document.

Plain values and their checks; nothing acts on them here.
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
    rate_limits: bool
    remember_spent: int
    log_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of an emulator; every duration is in seconds.

    Raises: ValueError for a value that no server could have.
    """

    access_token_lifetime: int = 604_800
    """Seven days, as at Trakt since February 2026."""
    refresh_token_lifetime: int | None = None
    """Trakt documents none: a refresh token is valid until it is used or revoked."""
    device_interval: int = 5
    device_lifetime: int = 600
    auto_approve: float | None = None
    """Device codes are approved automatically after this time."""
    profile: Profile = "current"
    """`legacy` accepts HTTP Basic and responds as Trakt did before July 2026."""
    enforce_interval: bool = True
    """Whether a poll that comes before the interval has passed gets 429."""
    slow_down_retry_after: bool = False
    """Whether that 429 carries `Retry-After`."""
    replay: ReplayMode = "refuse"
    """What happens when a refresh token is sent again: `refuse` responds with an error; `family`
    also ends all tokens of that user for that application; `grace` sends the same response again.
    Trakt does not document it."""
    replay_harmless_within: float = 0.0
    """With `family`, how long after its first use a refresh token that is sent again gets an error
    and ends nothing."""
    replay_grace: float = 30.0
    """With `grace`, how long after its first use a refresh token gets the same response again."""
    rotation_ends_access: bool = False
    """Whether a refresh ends the access tokens that were issued before."""
    revoke_whole_grant: bool = True
    """Whether revoking one token ends all tokens of that login (RFC 7009 section 2.1)."""
    block_default_user_agents: bool = False
    """Whether a missing `User-Agent`, or an HTTP library's default one, gets Cloudflare's 403."""
    rate_limits: bool = False
    """Whether the data API counts its calls: 500 GETs in 5 minutes, one other call a second."""
    remember_spent: int = 1_000_000
    """How many used refresh tokens are remembered; one that is forgotten counts as unknown."""
    log_size: int = 10_000
    """How many requests the log holds."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.profile not in get_args(Profile):
            raise ValueError(f"profile must be one of {_listed(Profile)}, not {self.profile!r}")
        if self.replay not in get_args(ReplayMode):
            raise ValueError(f"replay must be one of {_listed(ReplayMode)}, not {self.replay!r}")
        for name in (*_POSITIVE, *_NOT_NEGATIVE, "refresh_token_lifetime"):
            value = getattr(self, name)
            least = 0 if name in _NOT_NEGATIVE else 1
            if value is not None and not least <= value < float("inf"):
                raise ValueError(f"{name} must be a number of at least {least}, not {value!r}")

    @property
    def legacy(self) -> bool:
        """Whether the profile is `legacy`."""
        return self.profile == "legacy"

    def to_dict(self) -> dict[str, object]:
        """Return the options as plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _listed(choices: object) -> str:
    return ", ".join(get_args(choices))
