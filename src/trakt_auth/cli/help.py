r"""The longer help texts.

Words only. In them, \b keeps the line breaks that follow.
"""

__all__ = ["EPILOG", "HELP", "STATUS_HELP"]

HELP = """Sign in to Trakt, and stay signed in.

\b
  export TRAKT_CLIENT_ID=...     from https://app.trakt.tv/settings/apps/api
  trakt-auth login               once
  curl -H "Authorization: Bearer $(trakt-auth token)" ...
"""

EPILOG = """\b
Environment:
  TRAKT_CLIENT_ID      the application
  TRAKT_CLIENT_SECRET  not needed by most
  TRAKT_REDIRECT_URI   for login --browser, as registered
  TRAKT_USER_AGENT     your program and its version, e.g. my-player/1.2
  TRAKT_AUTH_STORE     where tokens are kept; `status` tells the default
  TRAKT_AUTH_KEY       encrypts them; the first key encrypts, more may open
  TRAKT_AUTH_KEY_FILE  a private file with the same
  TRAKT_AUTH_URL       https://auth.trakt.tv unless given
  TRAKT_API_URL        https://api.trakt.tv unless given

\b
Exit status: 0 done, 1 failed, 2 wrong usage, 3 login required,
4 refused by the user, 5 Trakt or the network unavailable.
"""

STATUS_HELP = """Show who is signed in; asks nobody but the store.

With --account, exit status 3 tells that this account has to sign in.

\b
Example: trakt-auth status --json

\b
Its keys: client_id, store, store_reason, key (the id of the one that
encrypts), paused_until, accounts. In each account:
  account, reason, refreshable, expires_in (seconds),
  state (signed_in, due, expired or login_required),
  created_at, expires_at, refresh_due_at,
  last_refresh (null, or an object: outcome, started_at,
  failures, retry_at, lost_at, reason).
Times are RFC 3339; null stands for what is unknown.
"""
