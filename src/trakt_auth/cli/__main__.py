"""`python -m trakt_auth.cli`: the same as the command `trakt-auth`.

Calls `main` and nothing else.
"""

from trakt_auth.cli import main

raise SystemExit(main())
