"""Arming faults: which requests they meet, how often, and where they are looked up.

What each fault does is in `fault_kinds.py` and `fault_answers.py`; `pipeline.py` carries it out.
`site.py` owns the one instance.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

import trakt_auth.emulator.faults.kinds as fault_kinds
import trakt_auth.emulator.faults.responses as fault_answers
from trakt_auth.emulator.faults.kinds import Kind, ReplayFamily, ReplayGrace
from trakt_auth.emulator.http.request import Plan
from trakt_auth.emulator.http.response import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trakt_auth.emulator.http.request import Request

__all__ = ["Fault", "Faults", "kinds"]

_MATCHERS = frozenset(
    {"endpoint", "times", "skip", "probability", "seed", "grant_type", "client_id"}
)
_GROUPS = {
    "*": ("/oauth/token", "/oauth/revoke", "/oauth/device/*", "/users/*", "/sync/*"),
    "oauth": ("/oauth/token", "/oauth/revoke", "/oauth/device/*"),
    "api": ("/users/*", "/sync/*"),
}

_numbers = itertools.count(1)

_KINDS: dict[str, type[Kind]] = {
    kind.name: kind
    for kind in (
        fault_kinds.AnswerLost,
        fault_kinds.Reset,
        fault_kinds.Slow,
        fault_answers.Status,
        fault_answers.Cloudflare403,
        fault_answers.Forbidden,
        fault_answers.AccountLocked,
        fault_answers.Unauthorized,
        fault_answers.Html200,
        fault_answers.Json200WithoutToken,
        fault_kinds.TruncatedJson,
        fault_kinds.LegacyErrors,
        fault_kinds.ShorterLifetime,
        fault_kinds.SkewedClock,
        fault_answers.DeviceError,
        fault_answers.Refuse,
        fault_kinds.ReplayFamily,
        fault_kinds.ReplayGrace,
    )
}


@dataclass(slots=True, kw_only=True, eq=False)
class Fault:
    """An armed fault: what it does, the requests it meets, and how often it still will.

    `endpoint` is a path pattern, or `oauth`, `api` or `*` for all that programs call. The first
    `skip` matching requests pass unharmed; `times` is None for a fault that stays.
    """

    kind: Kind
    endpoint: str
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    grant_type: str | None = None
    client_id: str | None = None
    fired: int = 0
    number: int = field(default_factory=lambda: next(_numbers), init=False)
    _dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse matchers that could never match."""
        for name in ("times", "skip"):
            count: object = getattr(self, name)
            if not (count is None and name == "times") and (type(count) is not int or count < 0):
                raise ValueError(f"{name} is a whole number of at least 0, not {count!r}")
        if type(self.seed) is not int:
            raise ValueError(f"seed is a whole number, not {self.seed!r}")
        if isinstance(self.probability, bool) or not 0 <= self.probability <= 1:
            raise ValueError(f"probability is from 0 to 1, not {self.probability!r}")
        self._dice = random.Random(self.seed)  # noqa: S311 - faults must repeat, not surprise

    @property
    def spent(self) -> bool:
        """Whether it has fired as often as it was armed for."""
        return self.times is not None and self.fired >= self.times

    def meets(self, request: Request) -> bool:
        """Whether this fault strikes this request; counts, so ask once."""
        patterns = _GROUPS.get(self.endpoint, (self.endpoint,))
        if self.spent or not any(fnmatchcase(request.endpoint, pattern) for pattern in patterns):
            return False
        if not self.kind.concerns(request) or not self._fields_match(request):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.probability < 1 and self._dice.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def _fields_match(self, request: Request) -> bool:
        wanted = {"grant_type": self.grant_type, "client_id": self.client_id}
        if not any(wanted.values()):
            return True
        try:
            given = request.fields()
        except Refused:
            return False
        return all(value is None or given.get(name) == value for name, value in wanted.items())

    def to_dict(self) -> dict[str, object]:
        """Return the fault as plain JSON values."""
        matchers = {name: getattr(self, name) for name in sorted(_MATCHERS)}
        return {"fault": self.kind.name, **matchers, "fired": self.fired, **self.kind.parameters()}


class Faults:
    """The faults that are armed, in the order of their arming."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, name: str, **settings: object) -> Fault:
        """Arm a fault by name; the settings are the fault's parameters and its matchers."""
        fault = make_fault(name, settings)
        self._armed.append(fault)
        return fault

    def replace(self, specifications: list[object]) -> None:
        """Arm exactly these, each `{"fault": name, ...}`; all of them or, on a mistake, none."""
        made: list[Fault] = []
        for specification in specifications:
            if not isinstance(specification, dict):
                raise ValueError("a fault is an object with the key 'fault'")  # noqa: TRY004
            settings = dict(cast("dict[str, object]", specification))
            made.append(make_fault(str(settings.pop("fault", "")), settings))
        self._armed = made

    def disarm(self, fault: Fault | None = None) -> None:
        """Disarm one fault, or all."""
        self._armed = [one for one in self._armed if fault is not None and one is not fault]

    def plan(self, request: Request) -> Plan:
        """Ask every armed fault what it wants done with this request."""
        plan = Plan()
        for fault in self.armed():
            if plan.final:
                break
            if not isinstance(fault.kind, ReplayFamily | ReplayGrace) and fault.meets(request):
                fault.kind.apply(plan)
                plan.faults.append(fault.kind.name)
        return plan

    def replay(self, request: Request) -> ReplayFamily | ReplayGrace | None:
        """Return how this replay of a spent refresh token is to be met, if a fault decides it."""
        for fault in self.armed():
            if isinstance(fault.kind, ReplayFamily | ReplayGrace) and fault.meets(request):
                request.plan.faults.append(fault.kind.name)
                return fault.kind
        return None

    def to_list(self) -> list[dict[str, object]]:
        """Return the armed faults as plain JSON values."""
        return [fault.to_dict() for fault in self.armed()]

    def armed(self) -> list[Fault]:
        """Return the faults that can still strike, in the order of their arming."""
        self._armed = [fault for fault in self._armed if not fault.spent]
        return list(self._armed)


def kinds() -> Mapping[str, type[Kind]]:
    """Return every kind of fault by its name."""
    return _KINDS


def make_fault(name: str, settings: dict[str, object]) -> Fault:
    """Check a fault's name, parameters and matchers, and put it together."""
    kind_type = _KINDS.get(name)
    if kind_type is None:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(_KINDS)}")
    known = {one.name for one in fields(kind_type)}
    unknown = sorted(settings.keys() - known - _MATCHERS)
    if unknown:
        takes = ", ".join(sorted(known | _MATCHERS))
        raise ValueError(f"{name} takes {takes}; not {', '.join(unknown)}")
    kind = kind_type(**{key: settings[key] for key in settings if key in known})
    matchers: dict[str, object] = {"endpoint": kind_type.endpoint}
    matchers.update({key: settings[key] for key in settings if key in _MATCHERS})
    for key in ("endpoint", "grant_type", "client_id"):
        value = matchers.get(key)
        if not isinstance(value, str) and not (value is None and key != "endpoint"):
            raise ValueError(f"{key} is text, not {value!r}")
    try:
        return Fault(kind=kind, **cast("dict[str, Any]", matchers))
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
