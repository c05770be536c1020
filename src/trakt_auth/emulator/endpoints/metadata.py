"""The server metadata (RFC 8414), from which OAuth libraries configure themselves.

Lists only what the other endpoints do. The device endpoints are left out: they do not follow RFC
8628, so a library that found them here would fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.endpoints.openid import offers_openid, scopes
from trakt_auth.emulator.http.response import Response, json_response, oauth_error

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["metadata"]


def metadata(state: EmulatorState, request: Request) -> Response:
    """Answer both well-known paths: OpenID Connect Discovery and RFC 8414.

    Trakt has had the first since July 2026.
    """
    if state.options.legacy:
        return oauth_error("not_found", "the legacy profile has no metadata", status=404)
    origin = request.origin
    methods = ["none", "client_secret_post"]
    content: dict[str, object] = {
        "issuer": origin,
        "authorization_endpoint": f"{origin}/oauth/authorize",
        "token_endpoint": f"{origin}/oauth/token",
        "revocation_endpoint": f"{origin}/oauth/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "scopes_supported": scopes(state),
    }
    if offers_openid(state):
        content |= {
            "userinfo_endpoint": f"{origin}/oauth/userinfo",
            "jwks_uri": f"{origin}/oauth/jwks",
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": ["sub", "name", "preferred_username", "email", "email_verified"],
        }
    return json_response(content)
