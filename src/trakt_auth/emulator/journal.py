"""What happened: a counter by endpoint and outcome, and the last requests.

Secrets appear as short hashes only. Decides nothing.
`core.py` writes it; the control room reads it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trakt_auth.emulator.request import Request

__all__ = ["Entry", "Journal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request and what became of it.

    `status` is None where no answer was given; `notes` names the client, the account, the grant
    type, and tokens by their short hashes; `faults` are those that struck.
    """

    at: float
    method: str
    endpoint: str
    outcome: str
    status: int | None
    notes: dict[str, str]
    faults: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the entry as plain JSON values."""
        return asdict(self)


class Journal:
    """The counters, and the newest `size` entries."""

    def __init__(self, size: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=size)
        self._counts: dict[str, Counter[str]] = {}

    def write(self, request: Request, *, outcome: str, status: int | None) -> None:
        """Count and keep one request."""
        self._counts.setdefault(request.endpoint, Counter())[outcome] += 1
        entry = Entry(
            at=request.now,
            method=request.method if len(request.method) <= len("DELETE+") else "(other)",
            endpoint=request.endpoint,
            outcome=outcome,
            status=status,
            notes=dict(request.notes),
            faults=tuple(request.plan.faults),
        )
        self.entries.append(entry)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how often each outcome occurred at each endpoint."""
        return {endpoint: dict(counter) for endpoint, counter in self._counts.items()}
