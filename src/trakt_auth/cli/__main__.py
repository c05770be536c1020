"""`python -m trakt_auth.cli`: the same as the console script.

A door and nothing behind it.
"""

import sys

from trakt_auth.cli import main

sys.exit(main())
