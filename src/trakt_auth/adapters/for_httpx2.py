"""Bearer authentication (RFC 6750 §2.1) for httpx2, sync and async: the one that `client.api` uses.

Nothing else lives here.
"""

from __future__ import annotations

from trakt_auth.client.api import BearerAuth

__all__ = ["BearerAuth"]
