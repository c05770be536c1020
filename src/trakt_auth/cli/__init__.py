"""The command `trakt-auth`: its entry point, and the fast path of `trakt-auth token`.

Importing this file imports nothing else of the project; what a command needs is imported when the
command runs, so that `trakt-auth token` starts quickly.
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
    except KeyboardInterrupt:  # pressed before `run` could install its signal handlers
        return 130
    from trakt_auth.cli.terminal.output import write_result

    return write_result(token + "\n")
