"""Testing an app against a Trakt that runs inside the test: pytest fixtures, unittest, plain code.

The names that tests import, each loaded at its first use; no work is done here.
For pytest: PYTEST_DONT_REWRITE, or it would warn where a test has imported this file before.
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` is more than this file weighs
if TYPE_CHECKING:
    from trakt_auth.testing.cases import TraktTestCase
    from trakt_auth.testing.clock import VirtualClock
    from trakt_auth.testing.trakt import EmulatedTrakt

__all__ = ["EmulatedTrakt", "TraktTestCase", "VirtualClock"]

pytest_plugins = ["trakt_auth.testing.plugin"]  # unittest's users need no pytest

_HOMES = {"EmulatedTrakt": "trakt", "TraktTestCase": "cases", "VirtualClock": "clock"}


# No `__dir__`: pytest looks at every name that it lists, which would load them all.
def __getattr__(name: str) -> object:
    """Import a name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
