"""The emulator's description for machines: OpenAPI 3.1, kept in `openapi.json` beside this file.

Hands the document out and nothing else; what it says is checked against the handlers by the tests.
Only `routes.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from trakt_auth.emulator.http.response import Answer

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.state import Site

__all__ = ["document"]


def document(site: Site, request: Request) -> Answer:  # noqa: ARG001 - the same for everyone
    """Answer `GET /openapi.json`."""
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-cache"}
    return Answer(status=200, outcome="ok", body=_text(), headers=headers)


@cache
def _text() -> bytes:
    return (files("trakt_auth.emulator") / "openapi.json").read_bytes()
