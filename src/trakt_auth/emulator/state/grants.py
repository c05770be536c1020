"""Grants and their tokens: issuing, rotating, finding and ending them.

Knows no wire format and no status codes, and reads no clock: the caller says what time it is.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

from trakt_auth.emulator.expiring_dict import ExpiringDict
from trakt_auth.emulator.hashing import digest, encrypt
from trakt_auth.emulator.state.model import (
    AccessToken,
    EncryptedTokens,
    Grant,
    RefreshToken,
    TokenPair,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trakt_auth.emulator.options import Options
    from trakt_auth.emulator.state.model import Account

__all__ = ["Grants"]

RESPONSES_KEPT = 300.0
"""Seconds for which the response to a refresh is kept, and so can be repeated."""


class Grants:
    """All grants and tokens; every lookup is by hash, so its cost does not grow with their number.

    `rotations` counts refreshes, `replays` requests with a refresh token that had been spent, and
    `most_arrivals` the most requests that one refresh token was sent in.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._access: ExpiringDict[bytes, AccessToken] = ExpiringDict()
        self._refresh: ExpiringDict[bytes, RefreshToken] = ExpiringDict()
        self._responses: ExpiringDict[bytes, EncryptedTokens] = ExpiringDict()
        self._retired: OrderedDict[bytes, RefreshToken] = OrderedDict()
        self._opened = 0
        self.rotations: int = 0
        self.replays: int = 0
        self.most_arrivals: int = 0

    def expire(self, now: float) -> None:
        """Drop the tokens that have expired by `now`."""
        for access in self._access.expire(now):
            _remove_access_token(access)
        self._responses.expire(now)
        for token in self._refresh.expire(now):
            _remove_refresh_token(token)
        while self._retired and _has_expired(next(iter(self._retired.values())), now):
            _remove_refresh_token(self._retired.popitem(last=False)[1])

    def open(self, account: Account, client_id: str, *, now: float, scope: str = "public") -> Grant:
        """Create a grant; it has no tokens yet."""
        self._opened += 1
        grant = Grant(
            number=self._opened,
            client_id=client_id,
            account=account,
            created_at=now,
            scope=scope,
        )
        account.grants.setdefault(client_id, {})[grant.number] = grant
        account.approved.add(client_id)
        return grant

    def restore(self, grant: Grant, access: list[AccessToken], refresh: list[RefreshToken]) -> None:
        """Keep a grant again, with its tokens as they were; spent ones stay spent."""
        self._opened = max(self._opened, grant.number)
        grant.account.grants.setdefault(grant.client_id, {})[grant.number] = grant
        for token in access:
            self._access.put(token.key, token, until=token.expires_at)
            grant.access_hashes[token.key] = None
        for one in refresh:
            grant.refresh_by_hash[one.key] = one
            if one.spent_at is None:
                self._refresh.put(one.key, one, until=one.expires_at)
            else:
                self._retired[one.key] = one

    def issue(self, grant: Grant, *, now: float, lifetime: int) -> TokenPair:
        """Issue a new pair of tokens for a grant; `lifetime` is the access token's."""
        new_token = _legacy_token if self._options.legacy else _current_token
        tokens = TokenPair(
            access_token=new_token(), refresh_token=new_token(), created_at=now, lifetime=lifetime
        )
        access_key, refresh_key = digest(tokens.access_token), digest(tokens.refresh_token)
        access = AccessToken(key=access_key, grant=grant, expires_at=now + lifetime)
        self._access.put(access_key, access, until=now + lifetime)
        grant.access_hashes[access_key] = None
        limit = self._options.refresh_token_lifetime
        until = None if limit is None else now + limit
        refresh = RefreshToken(key=refresh_key, grant=grant, expires_at=until)
        self._refresh.put(refresh_key, refresh, until=until)
        grant.refresh_by_hash[refresh_key] = refresh
        return tokens

    def rotate(self, token: RefreshToken, text: str, *, now: float, lifetime: int) -> TokenPair:
        """Spend a refresh token, whose text is `text`, and issue the pair that replaces it.

        The new pair is kept for a while to be repeated, encrypted with the text of the old token.
        """
        token.spent_at = now
        self.rotations += 1
        self._retire(token)
        if self._options.rotation_ends_access:
            self._end_access(token.grant)
        tokens = self.issue(token.grant, now=now, lifetime=lifetime)
        pair = f"{tokens.access_token} {tokens.refresh_token}".encode()
        encrypted = EncryptedTokens(
            ciphertext=encrypt(pair, text), created_at=now, lifetime=lifetime
        )
        self._responses.put(token.key, encrypted, until=now + RESPONSES_KEPT)
        return tokens

    def record_arrival(self, text: str) -> RefreshToken | None:
        """Return the refresh token that a request sent, if it is known, and count the request."""
        key = digest(text)
        token = self._refresh.get(key) or self._retired.get(key)
        if token is not None:
            token.arrivals += 1
            self.most_arrivals = max(self.most_arrivals, token.arrivals)
            self.replays += token.spent_at is not None
        return token

    def repeat_response(self, token: RefreshToken, text: str) -> TokenPair | None:
        """Return the pair that a spent refresh token was exchanged for, while it is kept."""
        kept = self._responses.get(token.key)
        if kept is None:
            return None
        access_token, _, refresh_token = encrypt(kept.ciphertext, text).decode().partition(" ")
        return TokenPair(
            access_token=access_token,
            refresh_token=refresh_token,
            created_at=kept.created_at,
            lifetime=kept.lifetime,
        )

    def find(self, text: str) -> Grant | None:
        """Return the grant of an access token or of a refresh token that has not been spent."""
        access = self._access.get(digest(text))
        if access is not None:
            return access.grant
        refresh = self._refresh.get(digest(text))
        return None if refresh is None else refresh.grant

    def find_access(self, text: str) -> Grant | None:
        """Return the grant of an access token."""
        access = self._access.get(digest(text))
        return None if access is None else access.grant

    def access_tokens(self, grant: Grant) -> list[AccessToken]:
        """Return the live access tokens of a grant, oldest first."""
        found = (self._access.get(key) for key in grant.access_hashes)
        return [token for token in found if token is not None]

    def end_token(self, text: str) -> None:
        """End one token; the other tokens of its grant stay valid."""
        access = self._access.drop(digest(text))
        if access is not None:
            _remove_access_token(access)
        refresh = self._refresh.drop(digest(text))
        if refresh is not None:
            _remove_refresh_token(refresh)

    def end(self, grant: Grant) -> None:
        """End a grant with all its tokens."""
        grant.alive = False
        self._end_access(grant)
        for token in grant.refresh_tokens:
            self._responses.drop(token.key)
            if token.spent_at is None:
                self._retire(token)
        _detach(grant)

    def end_all(self, account: Account, client_id: str) -> None:
        """End every grant of a user for an application."""
        for grant in list(account.grants.get(client_id, {}).values()):
            self.end(grant)

    def counts(self) -> dict[str, int]:
        """Return how many tokens are valid, and the counts of refreshes and replays."""
        return {
            "access": len(self._access),
            "refresh": len(self._refresh),
            "rotations": self.rotations,
            "replays": self.replays,
            "most_arrivals_of_one_refresh_token": self.most_arrivals,
        }

    def families(self) -> Iterator[Grant]:
        """Yield the grants with a remembered refresh token, those with spent tokens first."""
        seen: set[int] = set()
        for token in (*self._retired.values(), *self._refresh.values()):
            if token.grant.number not in seen:
                seen.add(token.grant.number)
                yield token.grant

    def _end_access(self, grant: Grant) -> None:
        for key in grant.access_hashes:
            self._access.drop(key)
        grant.access_hashes.clear()

    def _retire(self, token: RefreshToken) -> None:
        self._refresh.drop(token.key)
        self._retired[token.key] = token
        if len(self._retired) > self._options.remember_spent:
            _remove_refresh_token(self._retired.popitem(last=False)[1])


def _has_expired(token: RefreshToken, now: float) -> bool:
    return token.expires_at is not None and token.expires_at <= now


def _remove_access_token(token: AccessToken) -> None:
    token.grant.access_hashes.pop(token.key, None)
    _detach_if_empty(token.grant)


def _remove_refresh_token(token: RefreshToken) -> None:
    token.grant.refresh_by_hash.pop(token.key, None)
    _detach_if_empty(token.grant)


def _detach_if_empty(grant: Grant) -> None:
    if not grant.access_hashes and not grant.refresh_by_hash:
        _detach(grant)


def _detach(grant: Grant) -> None:
    """Remove a grant without tokens from its account."""
    siblings = grant.account.grants.get(grant.client_id, {})
    siblings.pop(grant.number, None)
    if not siblings:
        grant.account.grants.pop(grant.client_id, None)


def _current_token() -> str:
    return secrets.token_urlsafe(24)


def _legacy_token() -> str:
    return secrets.token_hex(32)
