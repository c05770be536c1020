"""Grants and their tokens: issuing, rotating, finding, ending.

Holds the tables and their rules; knows no wire format, no status codes, no clock of its own.
`site.py` owns the one instance; the OAuth and API handlers and the control room use it.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

from trakt_auth.emulator.expiring_dict import Table, digest, encrypt
from trakt_auth.emulator.state.model import (
    AccessToken,
    EncryptedTokens,
    Grant,
    RefreshToken,
    Tokens,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trakt_auth.emulator.options import Options
    from trakt_auth.emulator.state.model import Account

__all__ = ["Grants"]

ANSWERS_KEPT = 300.0
"""Seconds for which the answer to a refresh is kept, the longest that a replay can be granted."""


class Grants:
    """Every grant and token; all lookups are by hash, so nothing depends on how many there are."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._access: Table[bytes, AccessToken] = Table()
        self._refresh: Table[bytes, RefreshToken] = Table()
        self._answers: Table[bytes, EncryptedTokens] = Table()
        self._past: OrderedDict[bytes, RefreshToken] = OrderedDict()
        self._opened = 0
        self.rotations = 0
        self.replays = 0
        self.most_arrivals = 0

    def expire(self, now: float) -> None:
        """Drop the tokens that have run out by `now`."""
        for access in self._access.expire(now):
            _forget_access(access)
        self._answers.expire(now)
        for token in self._refresh.expire(now):
            _forget(token)
        while self._past and _ended(next(iter(self._past.values())), now):
            _forget(self._past.popitem(last=False)[1])

    def open(self, account: Account, client_id: str, *, now: float) -> Grant:
        """Start a grant, without tokens yet."""
        self._opened += 1
        grant = Grant(number=self._opened, client_id=client_id, account=account, created_at=now)
        account.grants.setdefault(client_id, {})[grant.number] = grant
        account.approved.add(client_id)
        return grant

    def issue(self, grant: Grant, *, now: float, lifetime: int) -> Tokens:
        """Make a new pair for a grant."""
        make = _legacy_token if self._options.legacy else _token
        tokens = Tokens(
            access_token=make(), refresh_token=make(), created_at=now, lifetime=lifetime
        )
        access_key, refresh_key = digest(tokens.access_token), digest(tokens.refresh_token)
        access = AccessToken(key=access_key, grant=grant, expires_at=now + lifetime)
        self._access.put(access_key, access, until=now + lifetime)
        grant.access[access_key] = None
        limit = self._options.refresh_token_lifetime
        until = None if limit is None else now + limit
        refresh = RefreshToken(key=refresh_key, grant=grant, expires_at=until)
        self._refresh.put(refresh_key, refresh, until=until)
        grant.line[refresh_key] = refresh
        return tokens

    def rotate(self, token: RefreshToken, text: str, *, now: float, lifetime: int) -> Tokens:
        """Spend a refresh token: it dies, and its successor is in the answer.

        The answer is kept for a while, under a encrypt that only `text`, the token itself, opens.
        """
        token.spent_at = now
        self.rotations += 1
        self._bury(token)
        if self._options.rotation_ends_access:
            self._end_access(token.grant)
        tokens = self.issue(token.grant, now=now, lifetime=lifetime)
        pair = f"{tokens.access_token} {tokens.refresh_token}".encode()
        encrypted = EncryptedTokens(text=encrypt(pair, text), created_at=now, lifetime=lifetime)
        self._answers.put(token.key, encrypted, until=now + ANSWERS_KEPT)
        return tokens

    def present(self, text: str) -> RefreshToken | None:
        """Find the refresh token that a request brought, and count its arrival."""
        key = digest(text)
        token = self._refresh.get(key) or self._past.get(key)
        if token is not None:
            token.arrivals += 1
            self.most_arrivals = max(self.most_arrivals, token.arrivals)
            self.replays += token.spent_at is not None
        return token

    def answer_again(self, token: RefreshToken, text: str) -> Tokens | None:
        """Return what a spent refresh token was exchanged for, while that is still kept."""
        kept = self._answers.get(token.key)
        if kept is None:
            return None
        access_token, _, refresh_token = encrypt(kept.text, text).decode().partition(" ")
        return Tokens(
            access_token=access_token,
            refresh_token=refresh_token,
            created_at=kept.created_at,
            lifetime=kept.lifetime,
        )

    def find(self, text: str) -> Grant | None:
        """Find the grant of an access token or a live refresh token."""
        access = self._access.get(digest(text))
        if access is not None:
            return access.grant
        refresh = self._refresh.get(digest(text))
        return None if refresh is None else refresh.grant

    def find_access(self, text: str) -> Grant | None:
        """Find the grant of an access token."""
        access = self._access.get(digest(text))
        return None if access is None else access.grant

    def access_tokens(self, grant: Grant) -> list[AccessToken]:
        """Return the live access tokens of a grant, oldest first."""
        found = (self._access.get(key) for key in grant.access)
        return [token for token in found if token is not None]

    def end_token(self, text: str) -> None:
        """End one token and leave the rest of its grant alone."""
        access = self._access.drop(digest(text))
        if access is not None:
            _forget_access(access)
        refresh = self._refresh.drop(digest(text))
        if refresh is not None:
            _forget(refresh)

    def end(self, grant: Grant) -> None:
        """End a grant with all its tokens."""
        grant.alive = False
        self._end_access(grant)
        for token in grant.refresh:
            self._answers.drop(token.key)
            if token.spent_at is None:
                self._bury(token)
        _leave(grant)

    def end_family(self, account: Account, client_id: str) -> None:
        """End every grant that a person has given to an application."""
        for grant in list(account.grants.get(client_id, {}).values()):
            self.end(grant)

    def counts(self) -> dict[str, int]:
        """Return how many live tokens there are, and what happened to refresh tokens."""
        return {
            "access": len(self._access),
            "refresh": len(self._refresh),
            "rotations": self.rotations,
            "replays": self.replays,
            "most_arrivals_of_one_refresh_token": self.most_arrivals,
        }

    def families(self) -> Iterator[Grant]:
        """Go through the grants of which any refresh token is remembered, oldest first."""
        seen: set[int] = set()
        for token in (*self._past.values(), *self._refresh.values()):
            if token.grant.number not in seen:
                seen.add(token.grant.number)
                yield token.grant

    def _end_access(self, grant: Grant) -> None:
        for key in grant.access:
            self._access.drop(key)
        grant.access.clear()

    def _bury(self, token: RefreshToken) -> None:
        self._refresh.drop(token.key)
        self._past[token.key] = token
        if len(self._past) > self._options.remember_spent:
            _forget(self._past.popitem(last=False)[1])


def _ended(token: RefreshToken, now: float) -> bool:
    return token.expires_at is not None and token.expires_at <= now


def _forget_access(token: AccessToken) -> None:
    token.grant.access.pop(token.key, None)
    _leave_if_empty(token.grant)


def _forget(token: RefreshToken) -> None:
    token.grant.line.pop(token.key, None)
    _leave_if_empty(token.grant)


def _leave_if_empty(grant: Grant) -> None:
    if not grant.access and not grant.line:
        _leave(grant)


def _leave(grant: Grant) -> None:
    """Take a grant of which nothing more can come off its account's list."""
    siblings = grant.account.grants.get(grant.client_id, {})
    siblings.pop(grant.number, None)
    if not siblings:
        grant.account.grants.pop(grant.client_id, None)


def _token() -> str:
    return secrets.token_urlsafe(24)


def _legacy_token() -> str:
    return secrets.token_hex(32)
