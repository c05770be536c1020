"""A Trakt authorization server that runs on a desk, for tests and demonstrations.

Follows what is known of Trakt, not this library's client; jinja2, starlette and uvicorn are
imported only when a page or a port is asked for.
"""

from __future__ import annotations

from trakt_auth.emulator.clock import Clock
from trakt_auth.emulator.dispatch import Reply
from trakt_auth.emulator.emulator import BUILT_IN_APPLICATION, ConnectionLost, Emulator
from trakt_auth.emulator.expiring_dict import fingerprint
from trakt_auth.emulator.faults.armed import Fault
from trakt_auth.emulator.http.request_log import Entry
from trakt_auth.emulator.options import Options
from trakt_auth.emulator.pages.authorization import BadAsk
from trakt_auth.emulator.state.model import Application

__all__ = [
    "BUILT_IN_APPLICATION",
    "Application",
    "BadAsk",
    "Clock",
    "ConnectionLost",
    "Emulator",
    "Entry",
    "Fault",
    "Options",
    "Reply",
    "fingerprint",
]
