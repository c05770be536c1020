"""`python -m trakt_auth`: the same as the command `trakt-auth`.

Calls the command line and nothing else.
"""

from trakt_auth.cli import main

raise SystemExit(main())
