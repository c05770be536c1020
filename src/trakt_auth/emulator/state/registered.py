"""Registered responses: what a test wants the data API to answer at a path.

Values, their checks, and which of them a request gets. No request is parsed here, and no access
token is checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, cast

__all__ = ["NOT_GIVEN", "RegisteredResponse", "RegisteredResponses", "make_response"]

_STATUSES = range(200, 600)
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")  # RFC 9110 section 5.6.2
_FRAMING = frozenset({"connection", "content-length", "date", "transfer-encoding"})


@dataclass(slots=True, kw_only=True, eq=False)
class RegisteredResponse:
    """A response for a path of the data API, or for all paths that match a pattern.

    `path` starts with a slash; `*`, `?` and `[...]` match as in file names, and `*` also matches
    slashes. `method` is `*` for every method. `times` is how often it is sent, or None if it stays.
    `public` means that a request without an access token gets it too. `sent` counts.

    Raises: ValueError for a value that no response could have.
    """

    path: str
    method: str = "*"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = field(default=b"", repr=False)
    times: int | None = None
    public: bool = False
    sent: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.path.startswith("/"):
            raise ValueError(f"path must start with a slash, not {self.path!r}")
        if type(self.status) is not int or self.status not in _STATUSES:
            raise ValueError(f"status must be from 200 to 599, not {self.status!r}")
        if self.times is not None and (type(self.times) is not int or self.times < 1):
            raise ValueError(f"times must be a whole number of at least 1, not {self.times!r}")
        if type(self.public) is not bool:
            raise ValueError(f"public must be true or false, not {self.public!r}")
        if self.status == 204 and self.body:  # noqa: PLR2004 - No Content
            raise ValueError("a response with status 204 has no body")
        self.method = self.method.upper()
        for name, value in self.headers.items():
            if not name or not _TOKEN.issuperset(name) or name in _FRAMING:
                raise ValueError(f"{name!r} is not the name of a header that can be set")
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"the header {name} must be printable ASCII text")

    def matches(self, method: str, path: str) -> bool:
        """Return whether a request gets this response."""
        return self.method in {"*", method} and fnmatchcase(path, self.path)

    def to_dict(self) -> dict[str, object]:
        """Return it as plain JSON values, without the body."""
        shown = ("path", "method", "status", "times", "public", "sent")
        return {name: getattr(self, name) for name in shown}


class RegisteredResponses:
    """The registered responses; of those that match, the latest is sent."""

    def __init__(self) -> None:
        self._all: list[RegisteredResponse] = []
        self._lasting: list[RegisteredResponse] = []

    def add(self, response: RegisteredResponse, *, lasting: bool = False) -> None:
        """Register a response; a `lasting` one stays when the emulator is reset."""
        self._all.append(response)
        if lasting:
            self._lasting.append(response)

    def replace(self, responses: list[RegisteredResponse]) -> None:
        """Register these responses and no others."""
        self._all = list(responses)

    def clear(self) -> None:
        """Return to the lasting responses."""
        self._all = list(self._lasting)
        for one in self._all:
            one.sent = 0

    def find(self, method: str, path: str) -> RegisteredResponse | None:
        """Return the response for a request, or None; it is not counted yet."""
        wanted = "GET" if method == "HEAD" else method
        for one in reversed(self._all):
            if (one.times is None or one.sent < one.times) and one.matches(wanted, path):
                return one
        return None

    def to_list(self) -> list[dict[str, object]]:
        """Return the responses as plain JSON values, oldest first."""
        return [one.to_dict() for one in self._all]


_FIELDS = frozenset(one.name for one in fields(RegisteredResponse)) - {"body", "sent"}
NOT_GIVEN: object = object()
"""Stands for a body that is not given: None is one, the JSON value null."""


def make_response(specification: object) -> RegisteredResponse:
    """Make a response from `{"path": ..., "json": ...}` and the fields of `RegisteredResponse`.

    `json` is any JSON value; `text` is sent as it is instead.

    Raises: ValueError for a field that is unknown or has a value of the wrong kind.
    """
    if not isinstance(specification, Mapping):
        raise ValueError('a response must be an object: {"path": "/sync/history", "json": []}')  # noqa: TRY004
    given = dict(cast("Mapping[str, Any]", specification))
    content, text = given.pop("json", NOT_GIVEN), given.pop("text", "")
    if unknown := sorted(map(str, given.keys() - _FIELDS)):
        known = ", ".join(sorted({"json", "text", *_FIELDS}))
        raise ValueError(f"a response has the fields {known}, not {', '.join(unknown)}")
    for name, value in {"path": None, "method": "*", **given, "text": text}.items():
        if name in {"path", "method", "text"} and not isinstance(value, str):
            raise ValueError(f"{name} must be text, not {value!r}")
    if content is not NOT_GIVEN and text:
        raise ValueError("a response has either json or text")
    body, media_type = _body(content, text)
    headers = {"content-type": media_type} if media_type else {}
    headers.update(_headers(given.pop("headers", {})))
    return RegisteredResponse(**given, headers=headers, body=body)


def _body(content: object, text: str) -> tuple[bytes, str]:
    if text:
        return text.encode("utf-8", "replace"), "text/plain; charset=utf-8"
    if content is NOT_GIVEN:
        return b"", ""
    try:
        encoded = json.dumps(content, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"json cannot be written as JSON: {error}") from None
    return encoded.encode(), "application/json; charset=utf-8"


def _headers(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ValueError(f"headers must be an object, not {given!r}")  # noqa: TRY004
    headers: dict[str, str] = {}
    for name, value in cast("Mapping[object, object]", given).items():
        if not isinstance(value, str):
            raise ValueError(f"the header {name} must be text, not {value!r}")  # noqa: TRY004
        headers[str(name).lower()] = value
    return headers
