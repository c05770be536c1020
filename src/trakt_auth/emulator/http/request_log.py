"""What happened: a counter by endpoint and outcome, and the last requests.

Secrets appear as short hashes only. Decides nothing.
`core.py` writes it; the control room reads it.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

from trakt_auth.emulator.expiring_dict import fingerprint
from trakt_auth.emulator.http.response import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Answer

__all__ = ["Entry", "Journal", "shown"]

_WATCHING = frozenset({"/emulator/room", "/emulator/room.css", "/emulator/room.js"})
_SHOWN = 8  # of a hash: enough to follow one token through the log
_LONGEST = 120
_HARMLESS = frozenset(
    {
        "client_id",
        "code_challenge_method",
        "created_at",
        "decision",
        "error",
        "error_description",
        "expires_in",
        "grant_type",
        "interval",
        "prompt",
        "redirect_uri",
        "response_type",
        "scope",
        "signup",
        "token_type",
        "user_code",
        "username",
        "verification_url",
    }
)
"""The fields that may be read by whoever looks over a shoulder; of all others, a hash is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request and what became of it.

    `status` is None where no answer was given; `notes` names the client, the account, the grant
    type, and tokens by their short hashes; `faults` are those that struck. `sent` and `answered`
    are the fields of both messages with every secret masked, for the control room.
    """

    at: float
    method: str
    endpoint: str
    outcome: str
    status: int | None
    notes: dict[str, str]
    faults: tuple[str, ...]
    sent: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    answered: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return the entry as plain JSON values, without the two messages."""
        entry = asdict(self)
        del entry["sent"], entry["answered"]
        return entry


class Journal:
    """The counters, and the newest `size` entries."""

    def __init__(self, size: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=size)
        self._counts: dict[str, Counter[str]] = {}
        self._written = 0

    def write(
        self, request: Request, *, outcome: str, status: int | None, answer: Answer | None = None
    ) -> None:
        """Count and keep one request; whoever only watches the control room leaves no trace."""
        if request.endpoint in _WATCHING:
            return
        self._counts.setdefault(request.endpoint, Counter())[outcome] += 1
        self._written += 1
        spoken = request.endpoint.startswith("/oauth/")
        entry = Entry(
            at=request.now,
            method=request.method if len(request.method) <= len("DELETE+") else "(other)",
            endpoint=request.endpoint,
            outcome=outcome,
            status=status,
            notes=dict(request.notes),
            faults=tuple(request.plan.faults),
            sent=_sent(request) if spoken else {},
            answered=_answered(answer) if spoken and answer is not None else {},
        )
        self.entries.append(entry)

    def newest(self, limit: int) -> list[tuple[int, Entry]]:
        """Return the last entries, newest first, each with the number that stays its own."""
        return [
            (self._written - age, entry)
            for age, entry in enumerate(islice(reversed(self.entries), limit))
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how often each outcome occurred at each endpoint."""
        return {endpoint: dict(counter) for endpoint, counter in self._counts.items()}


def shown(key: str) -> str:
    """Return the mark by which people tell one secret from another: the start of its hash."""
    return f"#{key[:_SHOWN]}"


def _sent(request: Request) -> dict[str, str]:
    try:
        fields = request.fields()
    except Refused:
        fields = {}
    query = ((name, value) for name, values in request.query.items() for value in values)
    return _masked((*query, *fields.items()))


def _answered(answer: Answer) -> dict[str, str]:
    headers = answer.headers
    told = {name: headers[name] for name in ("retry-after",) if name in headers}
    location = headers.get("location")
    if location is not None:
        url = urlsplit(location)
        told["location"] = location.partition("?")[0]
        told.update(_masked(parse_qsl(url.query)))
    if headers.get("content-type", "").startswith("application/json"):
        told.update(_masked(_fields(answer.body).items()))
    return told


def _fields(body: bytes) -> dict[str, object]:
    try:
        content: object = json.loads(body)
    except ValueError:  # a fault cut it short
        return {}
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}


def _masked(fields: Iterable[tuple[str, object]]) -> dict[str, str]:
    return {name[:_LONGEST]: _mask(name, str(value)) for name, value in fields}


def _mask(name: str, value: str) -> str:
    if name in _HARMLESS:
        return value[:_LONGEST]
    # The hash of a secret that a person chose could be looked up in a list.
    return "(hidden)" if name in {"client_secret", "csrf"} else shown(fingerprint(value))
