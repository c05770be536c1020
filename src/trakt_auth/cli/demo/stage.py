"""What the scenes of the demo need: an emulator on a free port, movable clocks, a temporary store.

Sets up and tears down; the scenes are in `scenes`.
"""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from trakt_auth.client.asynchronous import AsyncClient
from trakt_auth.client.sync import Client
from trakt_auth.emulator import Emulator
from trakt_auth.flows.steps import Moment
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.runtime.clock import SystemClock

__all__ = ["PROGRAMS", "Stage", "open_stage"]

PROGRAMS = 5  # clients that share the store as programs on one computer would
LONGEST_WAIT = 0.5  # seconds; instead of a longer wait the clocks are moved


class StageClock(SystemClock):
    """The clocks of the computer, moved ahead together with the clock of the emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._ahead = 0.0

    def advance(self, seconds: float) -> None:
        """Move all clocks ahead."""
        self._ahead += seconds
        self._emulator.clock.advance(seconds)

    def now(self) -> Moment:
        """Read both clocks."""
        return Moment(
            wall=super().now().wall + timedelta(seconds=self._ahead),
            monotonic=time.monotonic() + self._ahead,
        )

    def sleep(self, seconds: float, cancel: threading.Event | None = None) -> None:
        """Wait for a short time; move the clocks instead of waiting for a long one."""
        if seconds > LONGEST_WAIT:
            self.advance(seconds)
        else:
            super().sleep(seconds, cancel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every scene is given."""

    url: str
    emulator: Emulator
    clock: StageClock
    programs: list[Client]
    other: AsyncClient
    folder: Path

    @property
    def client(self) -> Client:
        """The client that most scenes use."""
        return self.programs[0]

    def refreshes(self) -> int:
        """Return how many refreshes were sent to the emulator, successful or not."""
        return sum(one.notes.get("grant_type") == "refresh_token" for one in self.emulator.log)


@contextmanager
def open_stage() -> Generator[Stage, None, None]:
    """Set everything up, and remove it at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trakt-auth-demo-")))
        emulator = Emulator()
        redirect_uri = f"http://127.0.0.1:{_free_port()}/callback"
        emulator.register_application("demo", None, [redirect_uri], "The demo")
        url = stack.enter_context(emulator.serving())
        clock = StageClock(emulator)
        application = Application("demo", user_agent="trakt-auth-demo/1", redirect_uri=redirect_uri)
        endpoints, store = Endpoints.at(url), f"file:{folder / 'tokens.json'}"
        programs = [
            stack.enter_context(Client(application, store=store, endpoints=endpoints, clock=clock))
            for _ in range(PROGRAMS)
        ]
        # Its scene opens and closes it, both on the event loop of that scene.
        other = AsyncClient(application, store=store, endpoints=endpoints, clock=clock)
        yield Stage(
            url=url, emulator=emulator, clock=clock, programs=programs, other=other, folder=folder
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
