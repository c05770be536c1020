"""A request taken apart, and what the armed faults want done with it.

Reads URLs, headers, cookies and bodies, and refuses malformed ones; decides nothing about OAuth.
Any file of the emulator may import this one.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from trakt_auth.emulator.http.response import Refused, oauth_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from trakt_auth.emulator.http.response import Answer
    from trakt_auth.protocol.http import HttpRequest

__all__ = ["BODY_LIMIT", "Cut", "Plan", "Request", "is_loopback", "parse", "split_query"]

BODY_LIMIT = 64 * 1024
"""Bytes; a longer body is answered with 413."""

_FIELD_LIMIT = 100
_PARAMETERS = frozenset(
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


@dataclass(slots=True, kw_only=True)
class Plan:
    """What the faults armed for one request ask for; untouched, it asks for nothing."""

    faults: list[str] = field(default_factory=list[str])
    cut_before: bool = False
    cut_after: Cut | None = None
    delay: float = 0.0
    delay_first: bool = False
    substitute: Callable[[float], Answer] | None = None
    """Makes the answer that is given instead, at that moment (seconds since the epoch)."""
    processed: bool = True
    truncate: bool = False
    lifetime: int | None = None
    skew: float = 0.0
    legacy_status: int | None = None

    @property
    def final(self) -> bool:
        """Whether nothing that a further fault could ask for would be seen."""
        return self.cut_before or self.substitute is not None


@dataclass(slots=True, kw_only=True)
class Request:
    """One request: names in lower case, one slash where there were several, secrets not shown."""

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
    endpoint: str = "(unknown)"
    words: dict[str, str] = field(default_factory=dict[str, str])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    plan: Plan = field(default_factory=Plan)
    _fields: dict[str, str] | Refused | None = field(default=None, init=False, repr=False)

    @property
    def origin(self) -> str:
        """The origin by which the caller reached this server."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def local(self) -> bool:
        """Whether both the caller and the name that it called are this machine."""
        return is_loopback(self.peer) and is_loopback(self.host.strip("[]"))

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def fields(self) -> dict[str, str]:
        """Return the body's fields, from JSON or a form.

        A body of any other type counts as lost, as do fields without a value (RFC 6749 section
        3.2): both end in the complaint about what is missing.
        """
        if self._fields is None:
            try:
                self._fields = self._read()
            except Refused as refused:
                self._fields = refused
        if isinstance(self._fields, Refused):
            raise self._fields from None
        return self._fields

    def _read(self) -> dict[str, str]:
        if self.media_type == "application/json":
            return _json_fields(self.body)
        if self.media_type == "application/x-www-form-urlencoded":
            return _single(split_query(self.body.decode("utf-8", "replace")))
        return {}

    def cookie(self, name: str) -> str | None:
        """Return the value of one cookie."""
        for pair in self.headers.get("cookie", "").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value
        return None


def parse(request: HttpRequest, *, peer: str, now: float) -> Request:
    """Take a request apart; one that cannot be read is refused with 400, a long one with 413."""
    if len(request.body) > BODY_LIMIT:
        raise Refused(oauth_error("invalid_request", "the body is too large", status=413))
    try:
        request.url.encode()
        url = urlsplit(request.url)
        port = url.port
    except ValueError:
        raise Refused(oauth_error("invalid_request", "the URL cannot be read")) from None
    host = url.netloc.rpartition("@")[2].removesuffix(":" if port is None else f":{port}")
    if url.scheme not in {"http", "https"} or _HOST.fullmatch(host) is None:
        raise Refused(oauth_error("invalid_request", "the URL has no valid origin"))
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
    """Whether a host name or an address means this machine."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def split_query(encoded: str) -> dict[str, list[str]]:
    """Take a query or a form apart; parameters without a value are left out."""
    try:
        return parse_qs(encoded, max_num_fields=_FIELD_LIMIT)
    except ValueError:
        raise Refused(oauth_error("invalid_request", "too many parameters")) from None


def _single(values: dict[str, list[str]]) -> dict[str, str]:
    for name, given in values.items():
        if len(given) > 1:
            raise Refused(_given_twice(name))
    return {name: given[0] for name, given in values.items()}


def _json_fields(body: bytes) -> dict[str, str]:
    try:
        # UTF-8 and no other encoding: RFC 8259 section 8.1.
        content: object = _JSON.decode(body.decode())
        if b"\\u" in body:
            json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        raise Refused(oauth_error("invalid_request", "the body is not valid JSON")) from None
    if not isinstance(content, _Object):
        raise Refused(oauth_error("invalid_request", "the body is not a JSON object"))
    if content.repeated is not None:
        raise Refused(_given_twice(content.repeated))
    fields: dict[str, str] = {}
    for name, value in content.items():
        if value is None or value == "":
            continue
        if isinstance(value, str):
            fields[name] = value
        elif name in _PARAMETERS:  # RFC 6749 section 3.2: others are ignored
            raise Refused(oauth_error("invalid_request", f"{name!a} is not a string"))
    return fields


def _given_twice(name: str) -> Answer:
    return oauth_error("invalid_request", f"{name[:60]!a} is given more than once")


class _Object(dict[str, object]):
    """A JSON object that remembers which of its names came twice."""

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
