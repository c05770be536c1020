"""The assertions of a test: which requests arrived, and what they led to.

Reads the emulator's log and state, and changes nothing. pytest is not imported, so that unittest
and plain code can use them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn, cast

from trakt_auth.emulator import Emulator

if TYPE_CHECKING:
    from trakt_auth.emulator import Entry

__all__ = ["Checks"]

LINES = 20  # the most requests that a message lists


class Checks(Emulator):
    """An emulator with assertions about the requests that it received.

    Each `assert_*` method raises an AssertionError that says what was expected and what arrived,
    and lists the latest requests. No message contains a secret.
    """

    def requests(
        self, endpoint: str = "*", *, outcome: str | None = None, **notes: str
    ) -> list[Entry]:
        """Return the requests that arrived, oldest first.

        `endpoint` is a path or a pattern (`/oauth/*`); `outcome` is the emulator's word for the
        result (`refreshed`, `pending`, `invalid_grant`...); further keywords are compared with the
        notes of the log entry: `grant_type`, `account`, `client_id`.
        """
        return [
            entry
            for entry in self.log
            if fnmatchcase(entry.endpoint, endpoint)
            and outcome in (None, entry.outcome)
            and all(entry.notes.get(name) == value for name, value in notes.items())
        ]

    def assert_requested(
        self, endpoint: str, *, times: int | None = None, outcome: str | None = None, **notes: str
    ) -> None:
        """Check that such a request arrived `times` times or, if None, at least once."""
        __tracebackhide__ = True
        seen = len(self.requests(endpoint, outcome=outcome, **notes))
        if seen == times or (times is None and seen):
            return
        expected = "at least one request" if times is None else _counted(times)
        criteria = {"outcome": outcome, **notes}
        which = ", ".join(
            f"{name} {value}" for name, value in criteria.items() if value is not None
        )
        where = f"{endpoint} ({which})" if which else endpoint
        self._fail(f"expected {expected} to {where}, but {seen or 'none'} arrived")

    def assert_refreshed(self, times: int = 1, *, username: str | None = None) -> None:
        """Check that so many refreshes took effect, even if their responses were lost."""
        __tracebackhide__ = True
        notes = {} if username is None else {"account": username}
        self.assert_requested("/oauth/token", times=times, outcome="refreshed", **notes)

    def assert_no_token_spent_twice(self) -> None:
        """Check that no refresh token was sent again after it had been used."""
        __tracebackhide__ = True
        replays = self._part("tokens")["replays"]
        if replays:
            self._fail(f"a refresh token works once, but {_counted(replays)} sent a used one")

    def assert_polled_patiently(self) -> None:
        """Check that no device code was polled before its interval had passed."""
        __tracebackhide__ = True
        early = len(self.requests("/oauth/device/token", outcome="slow_down"))
        if early:
            self._fail(f"a device polls once in an interval, but {_counted(early)} came too early")

    def assert_signed_in(self, username: str) -> None:
        """Check that a user has a login that has not ended."""
        __tracebackhide__ = True
        if not self._alive(username):
            self._fail(f"{username} is not signed in: every login has ended, or there was none")

    def assert_signed_out(self, username: str) -> None:
        """Check that every login of a user has ended, for instance by a revocation."""
        __tracebackhide__ = True
        if self._alive(username):
            self._fail(f"{username} is still signed in: the tokens have not been revoked")

    def assert_faults_met(self) -> None:
        """Check that every fault that was armed has affected at least one request."""
        __tracebackhide__ = True
        faults = cast("list[dict[str, Any]]", self.state(limit=0)["faults"])
        idle = [str(one["fault"]) for one in faults if not one["fired"]]
        if idle:
            self._fail(f"no request met the armed fault {', '.join(idle)}")

    def story(self) -> str:
        """Return the latest requests, one in a line, with the seconds since the first of them."""
        entries = self.log[-LINES:]
        return "\n".join(_line(entry, entries[0].at) for entry in entries) or "(no requests)"

    def _alive(self, username: str) -> bool:
        families = cast("list[dict[str, Any]]", self.state()["families"])
        name = username.casefold()
        return any(one["alive"] and one["account"].casefold() == name for one in families)

    def _part(self, name: str) -> dict[str, Any]:
        return cast("dict[str, Any]", self.state(limit=0)[name])

    def _fail(self, problem: str) -> NoReturn:
        __tracebackhide__ = True
        raise AssertionError(f"{problem}; the requests were:\n{self.story()}")


def _counted(number: int) -> str:
    return "1 request" if number == 1 else f"{number} requests"


def _line(entry: Entry, start: float) -> str:
    names = ("grant_type", "account", "client_id", "refresh_token")
    notes = [f"{name}={entry.notes[name]}" for name in names if name in entry.notes]
    words = [entry.outcome, *notes, *(f"fault={name}" for name in entry.faults)]
    status = entry.status or "---"
    return f"{entry.at - start:+10.1f}s  {entry.method:<4} {entry.endpoint}  {status}  " + " ".join(
        words
    )
