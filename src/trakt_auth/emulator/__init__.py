"""A Trakt authorization server that runs on a desk, for tests and demonstrations.

Follows what is known of Trakt, not this library's client; jinja2, starlette and uvicorn are
imported only when a page or a port is asked for. Tests, the command line and `testing` import it.
"""

from __future__ import annotations

from trakt_auth.emulator.authorize import BadAsk
from trakt_auth.emulator.clock import Clock
from trakt_auth.emulator.core import BUILT_IN_APPLICATION, ConnectionLost, Emulator
from trakt_auth.emulator.faults import Fault
from trakt_auth.emulator.journal import Entry
from trakt_auth.emulator.options import Options
from trakt_auth.emulator.pipeline import Reply
from trakt_auth.emulator.records import Application
from trakt_auth.emulator.table import fingerprint

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
