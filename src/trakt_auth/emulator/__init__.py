"""An emulator of Trakt's authorization server, for tests and demonstrations.

It does what Trakt is known to do, whatever this library's client expects. jinja2, starlette and
uvicorn, which are an extra, are imported only when a page is rendered or a port is served.
"""

from __future__ import annotations

from trakt_auth.emulator.clock import Clock
from trakt_auth.emulator.dispatch import Reply
from trakt_auth.emulator.emulator import BUILT_IN_APPLICATION, ConnectionLost, Emulator
from trakt_auth.emulator.faults.armed import Fault
from trakt_auth.emulator.hashing import fingerprint
from trakt_auth.emulator.http.request_log import Entry
from trakt_auth.emulator.options import Options
from trakt_auth.emulator.pages.authorization import InvalidAuthorizationRequest
from trakt_auth.emulator.state.model import Application

__all__ = [
    "BUILT_IN_APPLICATION",
    "Application",
    "Clock",
    "ConnectionLost",
    "Emulator",
    "Entry",
    "Fault",
    "InvalidAuthorizationRequest",
    "Options",
    "Reply",
    "fingerprint",
]
