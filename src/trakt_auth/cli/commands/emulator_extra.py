"""Checks that the libraries of the emulator are installed, and says how to install them.

Imports modules of the emulator; never the libraries by their own names.
"""

from __future__ import annotations

from importlib import import_module

from trakt_auth.errors import TraktAuthError

__all__ = ["require_emulator"]

MODULES = ("trakt_auth.emulator.server", "trakt_auth.emulator.pages.render")


def require_emulator() -> None:
    """Import what serves the emulator and renders its pages.

    Raises: TraktAuthError when a library is missing.
    """
    try:
        for module in MODULES:
            import_module(module)
    except ImportError:
        raise TraktAuthError(
            "The emulator needs libraries that are not installed",
            hint='Install them: pip install "trakt-auth[emulator]"',
        ) from None
