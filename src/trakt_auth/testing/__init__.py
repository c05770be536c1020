"""Tools to test an app against an emulated Trakt: pytest fixtures, a unittest case, plain classes.

Names the public classes, each imported at its first use, and the plugin; their code is elsewhere.
PYTEST_DONT_REWRITE: pytest would warn that it cannot rewrite a file which is imported already.
"""

from importlib import import_module

TYPE_CHECKING = False  # importing `typing` would cost more than the rest of this file
if TYPE_CHECKING:
    from trakt_auth.testing.cases import TraktTestCase
    from trakt_auth.testing.clock import VirtualClock
    from trakt_auth.testing.trakt import EmulatedTrakt

__all__ = ["EmulatedTrakt", "TraktTestCase", "VirtualClock"]

pytest_plugins: list[str] = ["trakt_auth.testing.plugin"]  # by name: unittest needs no pytest

_HOMES = {"EmulatedTrakt": "trakt", "TraktTestCase": "cases", "VirtualClock": "clock"}


# There is no `__dir__`: pytest reads every name that it lists, which would import all of them.
def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
