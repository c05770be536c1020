"""A world for flows without sockets, threads or clocks: steps are performed one at a time.

`Script` plays one flow against scripted replies. `World` runs many workers, each as a process of
its own, against one store and one model of Trakt, in whatever order a test invents.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from trakt_auth.errors import (
    LockTimeout,
    StoreUnavailable,
    TraktAuthError,
    TransportError,
)
from trakt_auth.flows.context import Context
from trakt_auth.flows.steps import (
    Hold,
    Load,
    Moment,
    Notify,
    Now,
    Save,
    Send,
    Sleep,
    Uninterruptible,
)
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.http import HttpResponse
from trakt_auth.protocol.token import Token
from trakt_auth.runtime.dependencies import perform_save
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import Record, Stored
from trakt_auth.stores.wrappers.fallback import FallbackStore

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
APP = Application("client", user_agent="tests/1")
CONTEXT = Context(application=APP, endpoints=Endpoints.at("https://trakt.test"), lock_wait=30)
KEY = CONTEXT.key("default")
WEEK = timedelta(days=7)


def token(number: int = 1, *, age: timedelta = timedelta(0), life: timedelta = WEEK) -> Token:
    created = START - age
    return Token(
        access_token=f"a{number}",
        refresh_token=f"r{number}",
        created_at=created,
        expires_at=created + life,
    )


def answer(status: int, body: object = None, **headers: str) -> HttpResponse:
    text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {} if body is None or isinstance(body, bytes) else {"content-type": "application/json"}
    return HttpResponse(status=status, headers=kind | headers, body=text)


def granted(number: int, expires_in: int = 604800) -> HttpResponse:
    return answer(
        200,
        {
            "access_token": f"a{number}",
            "refresh_token": f"r{number}",
            "token_type": "bearer",
            "scope": "public",
            "expires_in": expires_in,
            "created_at": 1,
        },
    )


def resume(flow, reply):
    """Hand a step's reply, or its failure, to a flow; returns its next step."""
    return flow.throw(reply) if isinstance(reply, TraktAuthError) else flow.send(reply)


class Script:
    """Plays a flow: each expected step's kind with its reply; errors are raised into the flow."""

    def __init__(self, flow):
        self.stack = [flow]
        self.seen = []

    def run(self, *replies):
        """Feed `(StepType, reply)` pairs; returns the result. Now steps tick by themselves."""
        todo = list(replies)
        ticks = 0
        reply = None
        while True:
            flow = self.stack[-1]
            try:
                step = resume(flow, reply)
            except StopIteration as end:
                self.stack.pop()
                if not self.stack:
                    assert not todo, f"steps that never came: {todo}"
                    return end.value
                reply = end.value
                continue
            except TraktAuthError as error:
                self.stack.pop()
                if not self.stack:
                    assert not todo, f"steps that never came: {todo}"
                    raise
                reply = error
                continue
            self.seen.append(step)
            if isinstance(step, Uninterruptible):
                self.stack.append(step.flow)
                reply = None
            elif isinstance(step, Now) and (not todo or todo[0][0] is not Now):
                reply = Moment(wall=START + timedelta(seconds=ticks), monotonic=float(ticks))
            else:
                assert todo, f"unexpected {step}"
                kind, reply = todo.pop(0)
                assert isinstance(step, kind), f"{step} where {kind.__name__} was expected"
            if isinstance(step, Sleep):
                ticks += step.seconds


@dataclass
class ModelTrakt:
    """Trakt's side of refreshing: single use, rotation, and what a replay does."""

    family_dies: bool = False
    newest: int = 1
    life: int = 604800
    dead: bool = False
    spent: Counter = field(default_factory=Counter)
    revoked: list = field(default_factory=list)

    def refresh(self, request):
        sent = json.loads(request.body)["refresh_token"]
        self.spent[sent] += 1
        if self.dead or sent != f"r{self.newest}":
            self.dead = self.dead or self.family_dies
            refusal = {"error": "invalid_grant", "error_description": "session not found"}
            return answer(400, refusal)
        self.newest += 1
        return granted(self.newest, self.life)

    def accepts(self, access_token: str) -> bool:
        return not self.dead and int(access_token[1:]) <= self.newest


class Worker:
    """A process with one flow in it."""

    def __init__(self, name, flow):
        self.name = name
        self.stack = [flow]
        self.locks = []
        self.reply = None
        self.step = None
        self.result = None
        self.error = None
        self.done = False
        self.cancelled = False
        self.history = 0  # all that its flow has been told, and so all that it will do
        self.waited = 0.0


def _trace(reply):
    if isinstance(reply, Stored):
        return reply.payload, reply.version
    return reply.body if isinstance(reply, HttpResponse) else repr(reply)


class Shared:
    """The store that all workers share, as the world lets it work or fail."""

    def __init__(self, world):
        self._world = world

    def load(self, key):
        self._check()
        return self._world.store.load(key)

    def save(self, key, payload, *, expires_at, replacing):
        self._check()
        world = self._world
        if world.fail_save:
            world.store_fails += 1
            raise StoreUnavailable("no space left")
        version = world.store.save(key, payload, expires_at=expires_at, replacing=replacing)
        if key == KEY:
            world.generations.append(int(world.record().token.access_token[1:]))
        return version

    def delete(self, key, *, replacing=None):
        self._check()
        self._world.store.delete(key, replacing=replacing)

    def _check(self):
        if self._world.down:
            raise StoreUnavailable("away")


class World:
    """One store, one Trakt, many workers; every action is one step of one worker."""

    def __init__(self, record: Record, trakt: ModelTrakt | None = None):
        self.store = MemoryStore()
        self.store.save(KEY, record.to_payload(), expires_at=None, replacing=None)
        self.trakt = trakt or ModelTrakt()
        self.workers = []
        self.holder = {}
        self.seconds = 0.0
        self.generations = []
        self.risky_spends = []
        self.store_fails = 0
        self.stores = defaultdict(self._open)  # of each process
        self.down = self.fail_save = False
        self.events = []

    def now(self) -> Moment:
        return Moment(wall=START + timedelta(seconds=self.seconds), monotonic=self.seconds)

    def add(self, flow, *, rejected=False) -> Worker:
        """Add a worker; `rejected` says that the API has refused the access token before."""
        worker = Worker(len(self.workers), flow)
        worker.world = self
        worker.rejected = rejected
        self.workers.append(worker)
        self._advance(worker)
        return worker

    def add_store(self) -> FallbackStore:
        """The store as another process sees it."""
        return self._open()

    def record(self) -> Record:
        return Record.from_stored(self.store.load(KEY))

    @property
    def alive(self):
        return [worker for worker in self.workers if not worker.done]

    # -- what can happen to a worker -------------------------------------------------------------

    def tick(self, worker, *, lose_answer=False, never_sent=False, fail_save=False):
        """Perform the step that the worker waits for."""
        if worker.done:
            return
        try:
            worker.reply = self._perform(worker, worker.step, lose_answer, never_sent, fail_save)
        except TraktAuthError as error:
            worker.reply = error
        if worker.reply != "again":
            worker.history = hash((worker.history, repr(worker.step), _trace(worker.reply)))
        self._advance(worker)

    def crash(self, worker):
        """kill -9: the flow is gone, its locks lapse."""
        if not worker.done:
            self._finish(worker, error=SystemExit())

    def cancel(self, worker):
        """Cancel the caller: outside a protected section all ends, inside it goes on."""
        if len(worker.stack) > 1:
            worker.cancelled = True
        else:
            self.crash(worker)

    def toggle(self, _):
        """The store goes away for everybody, or comes back."""
        self.down = not self.down

    def state(self):
        """Return what decides everything that can still happen."""
        records = [(key.account, self.store.load(key)) for key in (KEY, CONTEXT.key(""))]
        return (
            tuple((name, kept and (kept.payload, kept.version)) for name, kept in records),
            tuple((worker.done, worker.cancelled, worker.history) for worker in self.workers),
            tuple(sorted((key.account, holder.name) for key, holder in self.holder.items())),
            (
                self.trakt.newest,
                self.trakt.dead,
                tuple(sorted(self.trakt.spent.items())),
                self.down,
            ),
        )

    def lapse(self, worker):
        """The lease ends while its holder is slow."""
        for key in worker.locks:
            if self.holder.get(key) is worker:
                del self.holder[key]

    # -- inside ----------------------------------------------------------------------------------

    def _open(self):
        return FallbackStore(Shared(self), MemoryStore(), now=lambda: self.now().wall)

    def _perform(self, worker, step, lose_answer, never_sent, fail_save):
        if self.down and isinstance(step, Hold):
            raise StoreUnavailable("away")
        match step:
            case Now():
                return self.now()
            case Load(key, newest):
                found = self.stores[worker].read(key, newest=newest)
                if found.saved_late is not None:
                    self.events.append(found.saved_late)
                return found.stored
            case Sleep(seconds):
                worker.waited += seconds
                return None
            case Notify(event):
                self.events.append(event)
                return None
            case Hold(key, wait):
                return self._hold(worker, key, wait)
            case Save():
                return self._save(worker, step, fail_save)
            case Send(request):
                return self._send(worker, request, lose_answer, never_sent)
        raise AssertionError(step)

    def _hold(self, worker, key, wait):
        holder = self.holder.get(key)
        if holder is None:
            self.holder[key] = worker
            worker.locks.append(key)
            return True
        if wait == 0:
            return False
        worker.waited += 1
        if worker.waited > 200:
            raise LockTimeout("busy")
        return "again"

    def _save(self, worker, step, fail_save):
        self.fail_save = fail_save
        try:
            return perform_save(step, self.stores[worker])
        finally:
            self.fail_save = False

    def _send(self, worker, request, lose_answer, never_sent):
        if any(self.holder.get(key) is not worker for key in worker.locks):
            raise LockTimeout("the lease ended")
        if never_sent:
            raise TransportError("refused", outcome_unknown=False)
        body = json.loads(request.body)
        if "token" in body:
            self.trakt.revoked.append(body["token"])
            return answer(200)
        sent = body["refresh_token"]
        record = self.record()
        if self.trakt.spent[sent] and record.token.refresh_token == sent:
            last_minutes = record.token.in_last_minutes(self.now().wall)
            lost_anyway = worker.rejected or last_minutes
            if not lost_anyway and self.trakt.accepts(record.token.access_token):
                self.risky_spends.append(sent)
        response = self.trakt.refresh(request)
        if lose_answer:
            raise TransportError("reset", outcome_unknown=True)
        return response

    def _advance(self, worker):
        reply, worker.reply = worker.reply, None
        if reply == "again":
            return
        while True:
            flow = worker.stack[-1]
            try:
                step = resume(flow, reply)
            except StopIteration as end:
                reply = end.value
            except TraktAuthError as error:
                reply = error
            else:
                if isinstance(step, Uninterruptible):
                    worker.stack.append(step.flow)
                    reply = None
                    continue
                worker.step = step
                return
            worker.stack.pop()
            self._release(worker)
            if not worker.stack or worker.cancelled:
                failed = isinstance(reply, TraktAuthError)
                self._finish(
                    worker, result=None if failed else reply, error=reply if failed else None
                )
                return

    def _release(self, worker):
        for key in worker.locks:
            if self.holder.get(key) is worker:
                del self.holder[key]
        worker.locks = []

    def _finish(self, worker, result=None, error=None):
        for flow in reversed(worker.stack):
            flow.close()
        self._release(worker)
        worker.stack = []
        worker.done = True
        worker.result, worker.error = result, error
