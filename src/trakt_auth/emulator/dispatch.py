"""Dispatches a request: applies the armed faults, calls the handler, writes the request log.

No socket and no waiting: a `Reply` tells the caller what to send, when, or how to end the
connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

import trakt_auth.emulator.faults.cloudflare as cloudflare
import trakt_auth.emulator.http.cors as cors
import trakt_auth.emulator.routes as routes
from trakt_auth.emulator.http.request import FOR_PROGRAMS, parse
from trakt_auth.emulator.http.response import ErrorResponse
from trakt_auth.protocol.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import RLock

    from trakt_auth.emulator.http.request import Cut, Request
    from trakt_auth.emulator.http.response import Response
    from trakt_auth.emulator.routes import Route
    from trakt_auth.emulator.state.model import Application
    from trakt_auth.emulator.state.state import EmulatorState
    from trakt_auth.protocol.http import HttpRequest

__all__ = ["Dispatcher", "Reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server of the emulator has to do for one request.

    It waits `delay` seconds. Then it calls `resume`, if there is one, and does what the returned
    reply says; otherwise it sends `response`, or ends the connection in the way that `cut` says.
    `processed` is False if the connection ends before the request had any effect.
    """

    response: HttpResponse | None = None
    delay: float = 0.0
    cut: Cut | None = None
    processed: bool = True
    resume: Callable[[], Reply] | None = None


class Dispatcher:
    """Processes requests on one state, one at a time under its lock."""

    def __init__(self, state: EmulatorState, lock: RLock) -> None:
        self._state = state
        self._lock = lock
        self.on_processed: Callable[[], None] = lambda: None
        """Called under the lock after each request that was processed."""

    def respond(self, request: HttpRequest, *, peer: str) -> Reply:
        """Process a request from the address `peer`; the caller does what the reply says."""
        with self._lock:
            now = self._state.clock.now()
            try:
                parsed = parse(request, peer=peer, now=now)
            except ErrorResponse as error:
                return Reply(response=_to_http(error.response, request.method, now))
            route = routes.find(parsed)
            if cors.is_preflight(parsed):  # no fault strikes: the request itself follows
                return self._send(parsed, cors.preflight(parsed, self._applications()))
            if route is not None and route.kind != "control":
                parsed.effects = self._state.faults.effects_on(parsed)
            effects = parsed.effects
            if effects.cut_before:
                self._state.request_log.write(parsed, outcome="reset", status=None)
                return Reply(delay=effects.delay, cut="reset", processed=False)
            if effects.delay_first:
                return Reply(delay=effects.delay, resume=lambda: self._resume(parsed, route))
            return self._process(parsed, route, delay=effects.delay)

    def _applications(self) -> list[Application]:
        return list(self._state.applications.values())

    def _send(self, request: Request, response: Response) -> Reply:
        self._state.request_log.write(
            request, outcome=response.outcome, status=response.status, response=response
        )
        return Reply(response=_to_http(response, request.method, request.now))

    def _resume(self, request: Request, route: Route | None) -> Reply:
        with self._lock:
            request.now = self._state.clock.now()
            return self._process(request, route, delay=0)

    def _process(self, request: Request, route: Route | None, *, delay: float) -> Reply:
        state, effects = self._state, request.effects
        state.expire(request.now)
        response = self._respond(request, route)
        self.on_processed()
        cors.allow_origin(request, response, state.applications)
        if effects.truncate:
            response.body = response.body[: len(response.body) // 2]
        status = None if effects.cut_after else response.status
        state.request_log.write(request, outcome=response.outcome, status=status, response=response)
        if effects.cut_after is not None:
            return Reply(delay=delay, cut=effects.cut_after)
        http = _to_http(response, request.method, request.now + effects.skew)
        return Reply(response=http, delay=delay)

    def _respond(self, request: Request, route: Route | None) -> Response:
        substitute = request.effects.substitute
        if substitute is not None and not request.effects.processed:
            return substitute(request.now)
        try:
            response = self._dispatch(request, route)
        except ErrorResponse as error:
            response = error.response
        return response if substitute is None else substitute(request.now)

    def _dispatch(self, request: Request, route: Route | None) -> Response:
        if route is None:
            return routes.not_found(request)
        if self._state.options.block_default_user_agents and route.kind in FOR_PROGRAMS:
            blocked = cloudflare.refuse_default_agent(request.headers.get("user-agent", ""))
            if blocked is not None:
                return blocked
        return routes.handle(self._state, request, route)


def _to_http(response: Response, method: str, now: float) -> HttpResponse:
    """Return what is sent: with a `Date` on the emulator's clock, and no body for HEAD."""
    headers = {**response.headers, "date": formatdate(max(now, 0), usegmt=True)}
    body = b"" if method.upper() == "HEAD" else response.body
    return HttpResponse(status=response.status, headers=headers, body=body)
