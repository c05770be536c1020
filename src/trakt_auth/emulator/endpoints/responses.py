"""`POST /emulator/responses`: registers what the data API answers at a path.

Reads the request and keeps the responses; which one a call gets is decided in `state/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from trakt_auth.emulator.dashboard.control import json_body, require_local
from trakt_auth.emulator.http.response import ErrorResponse, Response, json_response
from trakt_auth.emulator.state.registered import make_response

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["register"]


def register(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /emulator/responses`: an object adds a response, a list replaces them all."""
    require_local(request)
    content = json_body(request)
    try:
        if isinstance(content, list):
            state.responses.replace([make_response(one) for one in cast("list[object]", content)])
            request.notes["about"] = f"registered {len(cast('list[object]', content))} responses"
        else:
            made = make_response(content)
            state.responses.add(made)
            request.notes["about"] = f"registered a response for {made.path[:60]!a}"
    except ValueError as error:
        problem = {"error": str(error)}
        raise ErrorResponse(json_response(problem, status=400, outcome="bad_request")) from None
    return json_response({"responses": state.responses.to_list()})
