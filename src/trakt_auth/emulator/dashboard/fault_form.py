"""The rack of faults in the control room: what can be set about each, and reading its form.

Every check is `faults.py`'s; here text becomes values. No page is made here.
`room.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from trakt_auth.emulator.dashboard.explain import FAULTS
from trakt_auth.emulator.faults.armed import kinds

__all__ = ["rack", "read_fault"]

_CHOICES = {
    ("answer_lost", "how"): ("close", "reset"),
    ("forbidden", "cause"): ("key", "unapproved", "blocked"),
    ("legacy_errors", "status"): ("401", "400"),
}
_ENDPOINTS = ("*", "oauth", "api")
_PARAMETER = "with."  # before the name of a parameter, since some are called like a matcher
_PERCENT = 100


@cache
def rack() -> list[dict[str, object]]:
    """Return each fault with its sentence and its parameters, for the page."""
    return [
        {
            "name": name,
            "sentence": FAULTS[name],
            "endpoints": list(dict.fromkeys((kind.endpoint, *_ENDPOINTS))),
            "parameters": [
                {
                    "field": _PARAMETER + one.name,
                    "label": one.name.replace("_", " "),
                    "default": one.default,
                    "kind": _kind(name, one.name, one.default),
                    "choices": _CHOICES.get((name, one.name), ()),
                }
                for one in fields(kind)
            ],
        }
        for name, kind in kinds().items()
    ]


def read_fault(form: dict[str, str]) -> tuple[str, dict[str, object]]:
    """Return the name and the settings that the form asks for; a mistake is a `ValueError`."""
    name = form.get("fault", "")
    kind = kinds().get(name)
    if kind is None:
        raise ValueError("there is no such fault")
    settings: dict[str, object] = {}
    for one in fields(kind):
        settings[one.name] = _value(one.name, form.get(_PARAMETER + one.name, ""), one.default)
    times = form.get("times", "").strip()
    percent = _number("probability", form.get("percent") or str(_PERCENT))
    settings["times"] = _whole("times", times) if times else None
    settings["probability"] = percent / _PERCENT
    settings["endpoint"] = form.get("endpoint") or kind.endpoint
    return name, settings


def _kind(fault: str, name: str, default: object) -> str:
    if (fault, name) in _CHOICES:
        return "choice"
    if isinstance(default, bool):
        return "switch"
    return "text" if isinstance(default, str) else "number"


def _value(name: str, text: str, default: object) -> object:
    text = text.strip()
    if isinstance(default, bool):
        return text == "yes"
    if isinstance(default, str):
        return text or default
    if not text:
        return default
    return _number(name, text) if isinstance(default, float) else _whole(name, text)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} is a number, not {text[:20]!r}") from None


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} is a whole number, not {text[:20]!r}") from None
