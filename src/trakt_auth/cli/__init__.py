"""The command `trakt-auth`: its entry point, and the short cut for `trakt-auth token`.

Importing this file imports nothing else; whatever a command needs comes when it runs.
The console script, `python -m trakt_auth.cli` and the tests call `main`; nobody else does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    import sys

    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        from trakt_auth.cli.fast_path import fresh_token

        token = fresh_token(arguments)
        if token is None:
            from trakt_auth.cli.app import run

            return run(arguments)
    except KeyboardInterrupt:  # before `run` has taken the signals over
        return 130
    from trakt_auth.cli.terminal.output import delivered

    return delivered(token + "\n")
