"""The server metadata (RFC 8414), from which OAuth libraries configure themselves.

Lists only what the other endpoints do. The device endpoints are left out: they do not follow RFC
8628, so a library that found them here would fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.http.response import Response, json_response, oauth_error

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["metadata"]


def metadata(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /.well-known/openid-configuration`, which Trakt has had since July 2026."""
    if state.options.legacy:
        return oauth_error("not_found", "the legacy profile has no metadata", status=404)
    origin = request.origin
    return json_response(
        {
            "issuer": origin,
            "authorization_endpoint": f"{origin}/oauth/authorize",
            "token_endpoint": f"{origin}/oauth/token",
            "revocation_endpoint": f"{origin}/oauth/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["public"],
        }
    )
