"""Makes sure that the libraries of the emulator are installed, or says how to get them.

Nothing else.
"""

from __future__ import annotations

from importlib import import_module

from trakt_auth.errors import TraktAuthError

__all__ = ["require_emulator"]

PARTS = ("trakt_auth.emulator.server", "trakt_auth.emulator.pages.render")


def require_emulator() -> None:
    """Import what serves the emulator and draws its pages.

    Raises: TraktAuthError when the extra is missing.
    """
    try:
        for part in PARTS:
            import_module(part)
    except ImportError:
        raise TraktAuthError(
            "The emulator needs libraries that are not installed",
            hint='Install them: pip install "trakt-auth[emulator]"',
        ) from None
