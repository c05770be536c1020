"""The forms of the dashboard that arm faults: their fields, and parsing what they send.

Text becomes values here; the faults check them. No HTML is made here.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from trakt_auth.emulator.dashboard.explain import FAULTS
from trakt_auth.emulator.faults.armed import kinds

__all__ = ["fault_forms", "parse_fault_form"]

_CHOICES = {
    ("answer_lost", "how"): ("close", "reset"),
    ("forbidden", "cause"): ("key", "unapproved", "blocked"),
    ("legacy_errors", "status"): ("401", "400"),
}
_ENDPOINTS = ("*", "oauth", "api")
_PARAMETER = "with."  # prefix of a parameter's field: some have the same name as a matcher
_PERCENT = 100


@cache
def fault_forms() -> list[dict[str, object]]:
    """Return every fault with its explanation and the fields of its parameters."""
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
                    "kind": _input_kind(name, one.name, one.default),
                    "choices": _CHOICES.get((name, one.name), ()),
                }
                for one in fields(kind)
            ],
        }
        for name, kind in kinds().items()
    ]


def parse_fault_form(form: dict[str, str]) -> tuple[str, dict[str, object]]:
    """Return the name and the settings of the fault that a form arms.

    Raises: ValueError for an unknown fault, or text that is not the number it should be.
    """
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


def _input_kind(fault: str, name: str, default: object) -> str:
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
        raise ValueError(f"{name} must be a number, not {text[:20]!r}") from None


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number, not {text[:20]!r}") from None
