"""How the help looks: first steps, examples, tables, and lines that fit a narrow terminal.

Commands and their options are in `parser`. Examples are not wrapped, because people copy them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from textwrap import indent

import click

__all__ = ["TopLevel"]

NARROWEST, WIDEST = 40, 80  # characters of a line
NARROW = 60  # in fewer, the texts of a list are written below its names,
SHORT = 10  # if one of the names has more characters than this,
INDENT = 4  # and indented by so much
FIRST_STEPS = """
export TRAKT_CLIENT_ID=...     # from https://app.trakt.tv/settings/apps/api
trakt-auth login               # once
curl -H "Authorization: Bearer $(trakt-auth token)" ...
"""

ENVIRONMENT = [
    ("TRAKT_CLIENT_ID", "the client id of your application"),
    ("TRAKT_CLIENT_SECRET", "its client secret; most applications need none"),
    ("TRAKT_REDIRECT_URI", "its redirect URI, as registered, for `login --browser`"),
    ("TRAKT_USER_AGENT", "your program and its version, e.g. my-player/1.2"),
    ("TRAKT_AUTH_STORE", "where tokens are kept; `status` shows the default"),
    ("TRAKT_AUTH_KEY", "encrypts tokens; keys after the first only decrypt"),
    ("TRAKT_AUTH_KEY_FILE", "a private file that holds these keys"),
    ("TRAKT_AUTH_URL", "https://auth.trakt.tv by default"),
    ("TRAKT_API_URL", "https://api.trakt.tv by default"),
]

EXIT_STATUSES = [
    ("0", "done"),
    ("1", "failed"),
    ("2", "wrong usage"),
    ("3", "login required"),
    ("4", "access denied by the user"),
    ("5", "Trakt or the network is unavailable"),
]

# What is written at the end of the help of a command.
ENDINGS: Mapping[str, str] = {
    "login": "Example: trakt-auth login --device",
    "status": """\
Example: trakt-auth status --json

The keys of --json:
  client_id, issuer, store,
  store_reason,
  key (id of the key that encrypts),
  paused_until, accounts
The keys of an account:
  account, reason, refreshable,
  unsaved, created_at, expires_at,
  expires_in (seconds),
  refresh_due_at, last_refresh,
  state (signed_in, due, expired,
  login_required or unreadable)
The keys of last_refresh:
  outcome, started_at, failures,
  retry_at, lost_at,
  access_rejected, reason
Times are RFC 3339; null means
none or unknown.""",
    "token": 'Example: curl -H "Authorization: Bearer $(trakt-auth token)" ...',
    "refresh": "Example: trakt-auth refresh",
    "logout": "Example: trakt-auth logout --account work",
    "rekey": """\
Example: export TRAKT_AUTH_KEY=$(trakt-auth rekey --generate)
         trakt-auth rekey""",
    "api": """\
Example: trakt-auth api GET /users/settings
         trakt-auth api POST /sync/watchlist --data @movies.json""",
    "import": "Example: trakt-auth import ~/.pytrakt.json",
    "export": "Example: trakt-auth export moving.json",
    "doctor": "Example: trakt-auth doctor --offline",
    "emulator": "Example: trakt-auth emulator --port 0 --auto-approve 3",
    "demo": "Example: trakt-auth demo",
}


class _Formatter(click.HelpFormatter):
    """Fits the help into narrow terminals; click's own lines have 50 characters at least."""

    def __init__(self, **_: object) -> None:
        columns = shutil.get_terminal_size().columns
        super().__init__(width=max(NARROWEST, min(columns, WIDEST)) - 2)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        rows = list(rows)
        below = self.width < NARROW and max(len(name) for name, _ in rows) > SHORT
        super().write_dl(rows, INDENT if below else col_max, col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter


class _Command(click.Command):
    """A command whose help ends with text that is not wrapped."""

    context_class = _Context

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        formatter.write("\n" + indent(ENDINGS[self.name or ""], "  ") + "\n")


class TopLevel(click.Group):
    """The command without a subcommand: first steps, and two tables at the end."""

    context_class: type[click.Context] = _Context
    command_class: type[click.Command] | None = _Command

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the text of the help, and the first steps below it."""
        super().format_help_text(ctx, formatter)
        formatter.write(indent(FIRST_STEPS, "    "))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the tables of the environment and of the exit statuses."""
        for title, rows in (("Environment", ENVIRONMENT), ("Exit status", EXIT_STATUSES)):
            with formatter.section(title):
                formatter.write_dl(rows)
