"""Armed faults: which requests each of them affects, and how often.

What a fault does is in `kinds.py` and `responses.py`. Nothing here sends, waits or cuts.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

import trakt_auth.emulator.faults.kinds as fault_kinds
import trakt_auth.emulator.faults.responses as fault_responses
from trakt_auth.emulator.faults.kinds import FaultKind, ReplayFamily, ReplayGrace
from trakt_auth.emulator.http.request import FaultEffects
from trakt_auth.emulator.http.response import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trakt_auth.emulator.http.request import Request

__all__ = ["Fault", "Faults", "kinds"]

_MATCHERS = frozenset(
    {"endpoint", "times", "skip", "probability", "seed", "grant_type", "client_id"}
)
_GROUPS: dict[str, frozenset[str]] = {
    "*": frozenset({"oauth", "api"}),
    "oauth": frozenset({"oauth"}),
    "api": frozenset({"api"}),
}

_numbers = itertools.count(1)

_KINDS: dict[str, type[FaultKind]] = {
    kind.name: kind
    for kind in (
        fault_kinds.AnswerLost,
        fault_kinds.Reset,
        fault_kinds.Slow,
        fault_responses.Status,
        fault_responses.Cloudflare403,
        fault_responses.Forbidden,
        fault_responses.AccountLocked,
        fault_responses.Unauthorized,
        fault_responses.Html200,
        fault_responses.Json200WithoutToken,
        fault_kinds.TruncatedJson,
        fault_kinds.LegacyErrors,
        fault_kinds.ShorterLifetime,
        fault_kinds.SkewedClock,
        fault_responses.DeviceError,
        fault_responses.Refuse,
        fault_kinds.ReplayFamily,
        fault_kinds.ReplayGrace,
    )
}


@dataclass(slots=True, kw_only=True, eq=False)
class Fault:
    """An armed fault: what it does, which requests it affects, and how often.

    `endpoint` is a path pattern, or `oauth`, `api` or `*` for everything that programs call. The
    first `skip` matching requests are left alone. `times` is how often it fires, or None if it
    stays until it is disarmed; `fired` is how often it has fired.
    """

    kind: FaultKind
    endpoint: str
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    grant_type: str | None = None
    client_id: str | None = None
    fired: int = 0
    number: int = field(default_factory=lambda: next(_numbers), init=False)
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the matchers.

        Raises: ValueError for a value that could match no request.
        """
        for name in ("times", "skip"):
            count: object = getattr(self, name)
            if not (count is None and name == "times") and (type(count) is not int or count < 0):
                raise ValueError(f"{name} must be a whole number of at least 0, not {count!r}")
        if type(self.seed) is not int:
            raise ValueError(f"seed must be a whole number, not {self.seed!r}")
        if isinstance(self.probability, bool) or not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be from 0 to 1, not {self.probability!r}")
        self._random = random.Random(self.seed)  # noqa: S311 - it must be repeatable

    @property
    def spent(self) -> bool:
        """Whether it has fired as often as it was armed for."""
        return self.times is not None and self.fired >= self.times

    def strikes(self, request: Request) -> bool:
        """Return whether this fault affects this request.

        Call it once for each request: it counts `skip` down and `fired` up.
        """
        if self.spent or not self._is_at(request):
            return False
        if not self.kind.applies_to(request) or not self._fields_match(request):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.probability < 1 and self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def _is_at(self, request: Request) -> bool:
        group = _GROUPS.get(self.endpoint)
        if group is not None:
            return request.kind in group
        return any(fnmatchcase(one, self.endpoint) for one in (request.endpoint, request.path))

    def _fields_match(self, request: Request) -> bool:
        expected = {"grant_type": self.grant_type, "client_id": self.client_id}
        if not any(expected.values()):
            return True
        try:
            given = request.fields()
        except ErrorResponse:
            return False
        return all(value is None or given.get(name) == value for name, value in expected.items())

    def to_dict(self) -> dict[str, object]:
        """Return the fault as plain JSON values."""
        matchers = {name: getattr(self, name) for name in sorted(_MATCHERS)}
        return {"fault": self.kind.name, **matchers, "fired": self.fired, **self.kind.parameters()}


class Faults:
    """The armed faults, in the order in which they were armed."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, name: str, **settings: object) -> Fault:
        """Arm a fault by its name; `settings` are its parameters and its matchers.

        Raises: ValueError for an unknown name, or a setting that is unknown or invalid.
        """
        fault = make_fault(name, settings)
        self._armed.append(fault)
        return fault

    def replace(self, specifications: list[object]) -> None:
        """Disarm all faults and arm these, each `{"fault": name, ...}`.

        Raises: ValueError if one of them is invalid; then the armed faults stay as they were.
        """
        made: list[Fault] = []
        for specification in specifications:
            if not isinstance(specification, dict):
                raise ValueError("a fault must be an object with the key 'fault'")  # noqa: TRY004
            settings = dict(cast("dict[str, object]", specification))
            made.append(make_fault(str(settings.pop("fault", "")), settings))
        self._armed = made

    def disarm(self, fault: Fault | None = None) -> None:
        """Disarm one fault, or all if it is None."""
        self._armed = [one for one in self._armed if fault is not None and one is not fault]

    def effects_on(self, request: Request) -> FaultEffects:
        """Return what the armed faults change about this request; each that does counts it."""
        effects = FaultEffects()
        for fault in self.armed():
            if effects.final:
                break
            if not isinstance(fault.kind, ReplayFamily | ReplayGrace) and fault.strikes(request):
                fault.kind.apply(effects)
                effects.faults.append(fault.kind.name)
        return effects

    def replay_policy(self, request: Request) -> ReplayFamily | ReplayGrace | None:
        """Return the armed fault that decides what this replay of a spent refresh token does."""
        for fault in self.armed():
            if isinstance(fault.kind, ReplayFamily | ReplayGrace) and fault.strikes(request):
                request.effects.faults.append(fault.kind.name)
                return fault.kind
        return None

    def to_list(self) -> list[dict[str, object]]:
        """Return the armed faults as plain JSON values."""
        return [fault.to_dict() for fault in self.armed()]

    def armed(self) -> list[Fault]:
        """Return the faults that can still fire, in the order in which they were armed."""
        self._armed = [fault for fault in self._armed if not fault.spent]
        return list(self._armed)


def kinds() -> Mapping[str, type[FaultKind]]:
    """Return every kind of fault by its name."""
    return _KINDS


def make_fault(name: str, settings: dict[str, object]) -> Fault:
    """Make a fault from its name, its parameters and its matchers.

    Raises: ValueError for an unknown name, or a setting that is unknown or invalid.
    """
    kind_type = _KINDS.get(name)
    if kind_type is None:
        raise ValueError(f"no fault is called {name!r}; the faults are {', '.join(_KINDS)}")
    known = {one.name for one in fields(kind_type)}
    unknown = sorted(settings.keys() - known - _MATCHERS)
    if unknown:
        takes = ", ".join(sorted(known | _MATCHERS))
        raise ValueError(f"{name} takes {takes}, not {', '.join(unknown)}")
    kind = kind_type(**{key: settings[key] for key in settings if key in known})
    matchers: dict[str, object] = {"endpoint": kind_type.endpoint}
    matchers.update({key: settings[key] for key in settings if key in _MATCHERS})
    for key in ("endpoint", "grant_type", "client_id"):
        value = matchers.get(key)
        if not isinstance(value, str) and not (value is None and key != "endpoint"):
            raise ValueError(f"{key} must be text, not {value!r}")
    try:
        return Fault(kind=kind, **cast("dict[str, Any]", matchers))
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
