"""The result of a check of `trakt-auth doctor`: what was found, and what to do about it.

Values only; nothing is checked here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from trakt_auth.cli.terminal.output import FAILED
from trakt_auth.errors import TraktAuthError

__all__ = ["Check", "Mark", "error", "exit_status", "from_error", "passed", "warning"]


class Mark(enum.Enum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report. `advice` is what to do; `status` the exit status if it failed."""

    name: str
    mark: Mark
    said: str
    advice: str = ""
    status: int = FAILED


def passed(name: str, said: str) -> Check:
    """Return the result of a check that found no problem."""
    return Check(name=name, mark=Mark.OK, said=said)


def warning(name: str, said: str, advice: str) -> Check:
    """Return the result of a check that found something that may become a problem."""
    return Check(name=name, mark=Mark.WARN, said=said, advice=advice)


def error(name: str, said: str, advice: str, *, status: int = FAILED) -> Check:
    """Return the result of a check that found why the program cannot work."""
    return Check(name=name, mark=Mark.FAIL, said=said, advice=advice, status=status)


def from_error(name: str, raised: TraktAuthError, *, status: int = FAILED) -> Check:
    """Return the result of a check that raised an error."""
    return error(name, f"{raised}.", raised.hint, status=status)


def exit_status(checks: Iterable[Check]) -> int:
    """Return 0 without errors, the status of the errors if they agree on one, otherwise 1."""
    statuses = {check.status for check in checks if check.mark is Mark.FAIL}
    return statuses.pop() if len(statuses) == 1 else FAILED if statuses else 0
