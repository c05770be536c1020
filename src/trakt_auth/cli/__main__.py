"""`python -m trakt_auth.cli`: the same as the console script.

Layer 6, a door and nothing behind it.
Nobody imports this file.
"""

import sys

from trakt_auth.cli import main

sys.exit(main())
