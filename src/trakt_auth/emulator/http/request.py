"""A parsed request, and the effects that armed faults have on it.

Parses URLs, headers, cookies and bodies, and rejects malformed ones; decides nothing about OAuth.
Of the emulator's state it knows nothing.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from trakt_auth.emulator.http.response import ErrorResponse, oauth_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from trakt_auth.emulator.http.response import Response
    from trakt_auth.protocol.http import HttpRequest

__all__ = [
    "BODY_LIMIT",
    "FOR_PROGRAMS",
    "Cut",
    "FaultEffects",
    "Kind",
    "Request",
    "is_loopback",
    "parse",
    "split_query",
]

BODY_LIMIT = 64 * 1024
"""Bytes; a longer body gets status 413."""

_FIELD_LIMIT = 100
_OAUTH_PARAMETERS = frozenset(
    {
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
        "token",
    }
)
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")

Cut = Literal["close", "reset"]
Kind = Literal["oauth", "api", "metadata", "page", "control"]
FOR_PROGRAMS: frozenset[Kind] = frozenset({"oauth", "api", "metadata"})


@dataclass(slots=True, kw_only=True)
class FaultEffects:
    """What the armed faults change about one request; the defaults change nothing.

    `faults` are the names of those that fired. Durations are in seconds.
    """

    faults: list[str] = field(default_factory=list[str])
    cut_before: bool = False
    """Reset the connection without processing the request."""
    cut_after: Cut | None = None
    """Process the request, then end the connection in this way instead of responding."""
    delay: float = 0.0
    delay_first: bool = False
    """Wait before the request is processed instead of after it."""
    substitute: Callable[[float], Response] | None = None
    """Makes the response that replaces the handler's, from the time in seconds since the epoch."""
    processed: bool = True
    """Whether the request takes effect although its response is replaced."""
    truncate: bool = False
    """Send the first half of the body only."""
    lifetime: int | None = None
    """Of the access tokens that this request issues."""
    skew: float = 0.0
    """Added to the times in the response."""
    legacy_status: int | None = None
    """Send `invalid_grant` with this status and with the text that was used before July 2026."""

    @property
    def final(self) -> bool:
        """Whether a further fault could change nothing that the caller would notice."""
        return self.cut_before or self.substitute is not None


@dataclass(slots=True, kw_only=True)
class Request:
    """One request, with header names in lower case and repeated slashes in the path merged.

    `peer` is the address it came from, `now` its time (seconds since the epoch), `endpoint` the
    path of its route. `notes` collects what the request log shows. `repr` shows no secret.
    """

    method: str
    scheme: str
    host: str
    port: int | None
    path: str
    query: dict[str, list[str]] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    peer: str
    now: float
    kind: Kind = "page"
    endpoint: str = "(unknown)"
    path_parameters: dict[str, str] = field(default_factory=dict[str, str])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    effects: FaultEffects = field(default_factory=FaultEffects)
    _fields: dict[str, str] | ErrorResponse | None = field(default=None, init=False, repr=False)

    @property
    def origin(self) -> str:
        """The scheme, host and port that the caller used to reach this server."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def local(self) -> bool:
        """Whether the request comes from this machine and was sent to a loopback host name."""
        return is_loopback(self.peer) and is_loopback(self.host.strip("[]"))

    @property
    def from_browser(self) -> bool:
        """Whether a browser asks for a page or a part of one, rather than a program for data."""
        if "trakt-api-key" in self.headers:
            return False
        destination = self.headers.get("sec-fetch-dest", "empty")
        return destination != "empty" or "text/html" in self.headers.get("accept", "")

    @property
    def authorization(self) -> tuple[str, str]:
        """The scheme of the header Authorization, in lower case, and the credentials."""
        scheme, _, rest = self.headers.get("authorization", "").strip().partition(" ")
        return scheme.lower(), rest.strip()

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def fields(self) -> dict[str, str]:
        """Return the fields of a JSON or form body.

        A body of another type counts as empty, and a field without a value as absent (RFC 6749
        section 3.2), so the error that follows names the missing parameter.

        Raises: ErrorResponse for a malformed body, again at every call.
        """
        if self._fields is None:
            try:
                self._fields = self._read()
            except ErrorResponse as error:
                self._fields = error
        if isinstance(self._fields, ErrorResponse):
            raise self._fields from None
        return self._fields

    def _read(self) -> dict[str, str]:
        if self.media_type == "application/json":
            return _json_fields(self.body)
        if self.media_type == "application/x-www-form-urlencoded":
            return _single_values(split_query(self.body.decode("utf-8", "replace")))
        return {}

    def cookie(self, name: str) -> str | None:
        """Return the value of one cookie."""
        for pair in self.headers.get("cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value
        return None


def parse(request: HttpRequest, *, peer: str, now: float) -> Request:
    """Parse a request from the address `peer`.

    Raises: ErrorResponse with 413 for a body over `BODY_LIMIT`, 400 for a URL that is malformed.
    """
    if len(request.body) > BODY_LIMIT:
        raise ErrorResponse(oauth_error("invalid_request", "the body is too large", status=413))
    try:
        request.url.encode()
        url = urlsplit(request.url)
        port = url.port
    except ValueError:
        raise ErrorResponse(oauth_error("invalid_request", "the URL cannot be read")) from None
    host = url.netloc.rpartition("@")[2].removesuffix(":" if port is None else f":{port}")
    if url.scheme not in {"http", "https"} or _HOST.fullmatch(host) is None:
        raise ErrorResponse(oauth_error("invalid_request", "the URL has no valid origin"))
    return Request(
        method=request.method.upper(),
        scheme=url.scheme,
        host=host.lower(),
        port=port,
        path=re.sub("/+", "/", "/" + unquote(url.path)).rstrip("/") or "/",
        query=split_query(url.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.body,
        peer=peer,
        now=now,
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or an address is a loopback one."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def split_query(encoded: str) -> dict[str, list[str]]:
    """Parse a query or a form; parameters without a value are left out.

    Raises: ErrorResponse for more than 100 parameters.
    """
    try:
        return parse_qs(encoded, max_num_fields=_FIELD_LIMIT)
    except ValueError:
        raise ErrorResponse(oauth_error("invalid_request", "too many parameters")) from None


def _single_values(values: dict[str, list[str]]) -> dict[str, str]:
    for name, given in values.items():
        if len(given) > 1:
            raise ErrorResponse(_given_twice(name))
    return {name: given[0] for name, given in values.items()}


def _json_fields(body: bytes) -> dict[str, str]:
    try:
        # RFC 8259 section 8.1 allows UTF-8 only; `json.loads` would accept UTF-16 as well.
        content: object = _JSON.decode(body.decode())
        if b"\\u" in body:
            json.dumps(content, ensure_ascii=False).encode()  # fails for a lone surrogate
    except (ValueError, RecursionError):
        raise ErrorResponse(oauth_error("invalid_request", "the body is not valid JSON")) from None
    if not isinstance(content, _Object):
        raise ErrorResponse(oauth_error("invalid_request", "the body is not a JSON object"))
    if content.repeated is not None:
        raise ErrorResponse(_given_twice(content.repeated))
    fields: dict[str, str] = {}
    for name, value in content.items():
        if value is None or value == "":
            continue
        if isinstance(value, str):
            fields[name] = value
        elif name in _OAUTH_PARAMETERS:  # RFC 6749 section 3.2: ignore unknown parameters
            raise ErrorResponse(oauth_error("invalid_request", f"{name!a} is not a string"))
    return fields


def _given_twice(name: str) -> Response:
    return oauth_error("invalid_request", f"{name[:60]!a} is given more than once")


class _Object(dict[str, object]):
    """A JSON object that remembers which of its keys was given twice."""

    repeated: str | None = None


def _object(pairs: list[tuple[str, object]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        made.repeated = next(name for name, count in counts.items() if count > 1)
    return made


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_json)
