"""The request log: a counter for each endpoint and outcome, and the latest requests.

Secrets are logged as short hashes only. Nothing is decided here.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

from trakt_auth.emulator.hashing import fingerprint
from trakt_auth.emulator.http.response import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Response

__all__ = ["Entry", "RequestLog", "short_hash"]

# The dashboard asks for these every second, which would bury all other requests.
_NOT_LOGGED = frozenset({"/emulator/room", "/emulator/room.css", "/emulator/room.js"})
_SHORT_HASH_LENGTH = 8  # characters: enough to follow one token through the log
_LONGEST_VALUE = 120
_MOST_COUNTED = 1000  # endpoints with counters of their own: any path can be requested
_NOT_SECRET = frozenset(
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
"""The fields that are logged as they are; of all others only a hash is logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request and its outcome.

    `at` is in seconds since the epoch. `status` is None if no response was sent. `notes` names the
    client, the account, the grant type, and tokens by their short hashes. `faults` are the names of
    the faults that fired. `request_fields` and `response_fields` are the fields of both messages
    with every secret masked, for the dashboard.
    """

    at: float
    method: str
    endpoint: str
    outcome: str
    status: int | None
    notes: dict[str, str]
    faults: tuple[str, ...]
    request_fields: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    response_fields: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return the entry as plain JSON values, without the fields of the two messages."""
        entry = asdict(self)
        del entry["request_fields"], entry["response_fields"]
        return entry


class RequestLog:
    """The counters of all requests, and the entries of the latest `size` requests."""

    def __init__(self, size: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=size)
        self._counts: dict[str, Counter[str]] = {}
        self._written = 0

    def write(
        self,
        request: Request,
        *,
        outcome: str,
        status: int | None,
        response: Response | None = None,
    ) -> None:
        """Count and log one request; the dashboard's own updates are neither counted nor logged."""
        if request.endpoint in _NOT_LOGGED:
            return
        counted = request.endpoint
        if counted not in self._counts and len(self._counts) >= _MOST_COUNTED:
            counted = "(other paths)"
        self._counts.setdefault(counted, Counter())[outcome] += 1
        self._written += 1
        is_oauth = request.endpoint.startswith("/oauth/")
        entry = Entry(
            at=request.now,
            method=request.method if len(request.method) <= len("DELETE+") else "(other)",
            endpoint=request.endpoint,
            outcome=outcome,
            status=status,
            notes=dict(request.notes),
            faults=tuple(request.effects.faults),
            request_fields=_request_fields(request) if is_oauth else {},
            response_fields=_response_fields(response) if is_oauth and response is not None else {},
        )
        self.entries.append(entry)

    def newest(self, limit: int) -> list[tuple[int, Entry]]:
        """Return the latest entries, newest first, each with a number that never changes."""
        return [
            (self._written - age, entry)
            for age, entry in enumerate(islice(reversed(self.entries), limit))
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how often each outcome occurred at each endpoint."""
        return {endpoint: dict(counter) for endpoint, counter in self._counts.items()}


def short_hash(hexadecimal: str) -> str:
    """Return the start of a hash in hexadecimal: enough to tell one secret from another."""
    return f"#{hexadecimal[:_SHORT_HASH_LENGTH]}"


def _request_fields(request: Request) -> dict[str, str]:
    try:
        fields = request.fields()
    except ErrorResponse:
        fields = {}
    query = ((name, value) for name, values in request.query.items() for value in values)
    return _masked((*query, *fields.items()))


def _response_fields(response: Response) -> dict[str, str]:
    headers = response.headers
    logged = {name: headers[name] for name in ("retry-after",) if name in headers}
    location = headers.get("location")
    if location is not None:
        url = urlsplit(location)
        logged["location"] = location.partition("?")[0]
        logged.update(_masked(parse_qsl(url.query)))
    if headers.get("content-type", "").startswith("application/json"):
        logged.update(_masked(_fields(response.body).items()))
    return logged


def _fields(body: bytes) -> dict[str, object]:
    try:
        content: object = json.loads(body)
    except ValueError:  # a fault truncated the body
        return {}
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}


def _masked(fields: Iterable[tuple[str, object]]) -> dict[str, str]:
    return {name[:_LONGEST_VALUE]: _mask(name, str(value)) for name, value in fields}


def _mask(name: str, value: str) -> str:
    if name in _NOT_SECRET:
        return value[:_LONGEST_VALUE]
    # The hash of a short secret could be reversed by trying.
    return "(hidden)" if name in {"client_secret", "csrf"} else short_hash(fingerprint(value))
