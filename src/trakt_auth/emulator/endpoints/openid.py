"""OpenID Connect: scopes, ID tokens, the userinfo endpoint and the keys.

An extra for generic clients. Trakt's server has it, but does not promise it to applications.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.endpoints.data_api import account_subject
from trakt_auth.emulator.http.response import (
    ErrorResponse,
    Response,
    json_response,
    oauth_error,
    unauthorized,
)
from trakt_auth.emulator.signing import can_sign, public_keys, sign

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Grant
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["granted_scope", "id_token", "jwks", "offers_openid", "scopes", "userinfo"]

_SCOPES = ("public", "openid", "profile", "email", "offline_access")
_LIFETIME = 3600  # seconds


def offers_openid(state: EmulatorState) -> bool:
    """Whether ID tokens are issued: not before July 2026, and not without cryptography."""
    return can_sign() and not state.options.legacy


def scopes(state: EmulatorState) -> list[str]:
    """Return the scopes that an application can get."""
    return list(_SCOPES) if offers_openid(state) else ["public"]


def granted_scope(state: EmulatorState, asked: str) -> str:
    """Return the scope that is granted: `public`, and what was asked for and is known."""
    words = {"public", *asked.split()}
    return " ".join(one for one in scopes(state) if one in words)


def id_token(request: Request, grant: Grant, *, nonce: str | None) -> str:
    """Return the ID token of a grant (OpenID Connect Core section 2)."""
    now = int(request.now + request.effects.skew)
    claims: dict[str, object] = {
        "iss": request.origin,
        "aud": grant.client_id,
        "iat": now,
        "exp": now + _LIFETIME,
        "auth_time": int(grant.created_at),
        **_claims(grant),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return sign(claims)


def userinfo(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /oauth/userinfo` (OpenID Connect Core section 5.3)."""
    scheme, text = request.authorization
    grant = state.grants.find_access(text) if scheme == "bearer" else None
    if grant is None:
        raise ErrorResponse(unauthorized())
    request.notes["account"] = grant.account.username
    request.notes["client_id"] = grant.client_id
    if "openid" not in grant.scope.split():
        response = oauth_error("insufficient_scope", "the scope openid was not granted", status=403)
        response.headers["www-authenticate"] = 'Bearer error="insufficient_scope", scope="openid"'
        raise ErrorResponse(response)
    return json_response(_claims(grant))


def jwks(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /oauth/jwks`."""
    del request
    return json_response(public_keys() if offers_openid(state) else {"keys": []})


def _claims(grant: Grant) -> dict[str, object]:
    account, words = grant.account, grant.scope.split()
    claims: dict[str, object] = {"sub": account_subject(account)}
    if "profile" in words:
        claims |= {"name": account.username, "preferred_username": account.slug}
    if "email" in words:
        claims |= {"email": f"{account.slug}@emulator.invalid", "email_verified": True}
    return claims
