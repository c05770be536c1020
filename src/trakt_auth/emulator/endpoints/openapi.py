"""The OpenAPI 3.1 document of the emulator, which is `openapi.json` beside this file.

Sends the document and nothing else; the tests check it against the other handlers.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from trakt_auth.emulator.http.response import Response

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["document"]


def document(state: EmulatorState, request: Request) -> Response:  # noqa: ARG001 - always the same
    """Answer `GET /openapi.json`."""
    headers = {"content-type": "application/json; charset=utf-8", "cache-control": "no-cache"}
    return Response(status=200, outcome="ok", body=_text(), headers=headers)


@cache
def _text() -> bytes:
    return (files("trakt_auth.emulator.endpoints") / "openapi.json").read_bytes()
