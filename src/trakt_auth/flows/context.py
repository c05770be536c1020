"""The application and the servers that a flow works for.

Settings and where a store keeps an account; no step and no decision lives here.
"""

from __future__ import annotations

from dataclasses import dataclass

from trakt_auth.flows.policy import RefreshRequest
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.stores.record import AccountKey

__all__ = ["Context"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The application that a flow works for, and how long it waits. `lock_wait` is in seconds.

    `replay_unknown` spends a refresh token again at once although the answer to the last try was
    lost; by default that waits until the access token has ended.
    """

    application: Application
    endpoints: Endpoints
    lock_wait: float = 90.0
    replay_unknown: bool = False

    def key(self, account: str) -> AccountKey:
        """Return where a store keeps an account; the empty one is the application itself."""
        return AccountKey(self.owner, account)

    @property
    def owner(self) -> str:
        """The application and its issuer, as a store names them."""
        return self.endpoints.owner(self.application.client_id)

    def request(
        self, account: str, *, rejected_token: str | None = None, forced: bool = False
    ) -> RefreshRequest:
        """Return what is asked for, with this context's settings."""
        return RefreshRequest(
            account=account,
            rejected_token=rejected_token,
            forced=forced,
            replay_unknown=self.replay_unknown,
        )
