"""One request from its arrival to its reply: faults, the handler, the log, the last headers.

No sockets and no waiting: a `Reply` says what whoever serves the emulator has to do.
Only `core.py` reads the replies.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

import trakt_auth.emulator.faults.cloudflare as edge
import trakt_auth.emulator.routes as routes
from trakt_auth.emulator.http.request import parse
from trakt_auth.emulator.http.response import Refused
from trakt_auth.protocol.http import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import RLock

    from trakt_auth.emulator.http.request import Cut, Request
    from trakt_auth.emulator.http.response import Answer
    from trakt_auth.emulator.routes import Route
    from trakt_auth.emulator.state.state import Site
    from trakt_auth.protocol.http import HttpRequest

__all__ = ["Pipeline", "Reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What whoever serves the emulator must do with one request.

    Wait `delay` seconds; then, if there is `resume`, call it and follow the reply that it returns;
    else end the connection as `cut` says, or send `response`. `processed` is False where the
    connection ends before the request has had any effect.
    """

    response: HttpResponse | None = None
    delay: float = 0.0
    cut: Cut | None = None
    processed: bool = True
    resume: Callable[[], Reply] | None = None


class Pipeline:
    """Takes requests to a site, one at a time under its lock."""

    def __init__(self, site: Site, lock: RLock) -> None:
        self._site = site
        self._lock = lock

    def respond(self, request: HttpRequest, *, peer: str) -> Reply:
        """Answer a request from the address `peer`; waiting and cutting is left to the caller."""
        with self._lock:
            now = self._site.clock.now()
            try:
                parsed = parse(request, peer=peer, now=now)
            except Refused as refused:
                return Reply(response=_finished(refused.answer, request.method, now))
            route = routes.find(parsed)
            if route is not None and route.kind != "control":
                parsed.plan = self._site.faults.plan(parsed)
            plan = parsed.plan
            if plan.cut_before:
                self._site.journal.write(parsed, outcome="reset", status=None)
                return Reply(delay=plan.delay, cut="reset", processed=False)
            if plan.delay_first:
                return Reply(delay=plan.delay, resume=lambda: self._resume(parsed, route))
            return self._process(parsed, route, delay=plan.delay)

    def _resume(self, request: Request, route: Route | None) -> Reply:
        with self._lock:
            request.now = self._site.clock.now()
            return self._process(request, route, delay=0)

    def _process(self, request: Request, route: Route | None, *, delay: float) -> Reply:
        site, plan = self._site, request.plan
        site.expire(request.now)
        answer = self._answer(request, route)
        if plan.truncate:
            answer.body = answer.body[: len(answer.body) // 2]
        status = None if plan.cut_after else answer.status
        site.journal.write(request, outcome=answer.outcome, status=status, answer=answer)
        if plan.cut_after is not None:
            return Reply(delay=delay, cut=plan.cut_after)
        response = _finished(answer, request.method, request.now + plan.skew)
        return Reply(response=response, delay=delay)

    def _answer(self, request: Request, route: Route | None) -> Answer:
        substitute = request.plan.substitute
        if substitute is not None and not request.plan.processed:
            return substitute(request.now)
        try:
            answer = self._dispatch(request, route)
        except Refused as refused:
            answer = refused.answer
        return answer if substitute is None else substitute(request.now)

    def _dispatch(self, request: Request, route: Route | None) -> Answer:
        if route is None:
            return routes.wrong_path(request)
        if self._site.options.block_default_user_agents and route.kind in {"oauth", "api"}:
            blocked = edge.blocked_agent(request.headers.get("user-agent", ""))
            if blocked is not None:
                return blocked
        method = "GET" if request.method == "HEAD" else request.method
        handler = route.handlers.get(method)
        return routes.wrong_method(route) if handler is None else handler(self._site, request)


def _finished(answer: Answer, method: str, now: float) -> HttpResponse:
    """Turn an answer into a response, with `Date` on the emulator's clock."""
    headers = {**answer.headers, "date": formatdate(max(now, 0), usegmt=True)}
    body = b"" if method.upper() == "HEAD" else answer.body
    return HttpResponse(status=answer.status, headers=headers, body=body)
