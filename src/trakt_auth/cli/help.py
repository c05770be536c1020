"""The parts of the help that are not wrapped: first steps, examples, the keys of `status --json`.

Texts only. People copy these lines, so they keep their line breaks in a narrow terminal.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ENDINGS", "ENVIRONMENT", "EXIT_STATUSES", "FIRST_STEPS"]

FIRST_STEPS = """
export TRAKT_CLIENT_ID=...     # from https://app.trakt.tv/settings/apps/api
trakt-auth login               # once
curl -H "Authorization: Bearer $(trakt-auth token)" ...
"""

ENVIRONMENT = [
    ("TRAKT_CLIENT_ID", "the client id of your application"),
    ("TRAKT_CLIENT_SECRET", "its client secret; most applications need none"),
    ("TRAKT_REDIRECT_URI", "its redirect URI, as registered, for `login --browser`"),
    ("TRAKT_USER_AGENT", "the name and version of your program, e.g. my-player/1.2"),
    ("TRAKT_AUTH_STORE", "where tokens are kept; `status` shows the default"),
    ("TRAKT_AUTH_KEY", "the key that encrypts tokens; keys that follow it only decrypt"),
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

# What stands at the end of a command's help.
ENDINGS: Mapping[str, str] = {
    "login": "Example: trakt-auth login --device",
    "status": """\
Example: trakt-auth status --json

The keys of --json:
  client_id, store, store_reason,
  key (id of the key that encrypts, or null),
  paused_until, accounts
The keys of an account:
  account, reason, refreshable, unsaved,
  state (signed_in, due, expired,
    login_required or unreadable),
  created_at, expires_at,
  expires_in (seconds), refresh_due_at,
  last_refresh (null, or an object: outcome,
    started_at, failures, retry_at, lost_at,
    reason)
Times are RFC 3339; null means unknown.""",
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
