"""The server's description of itself, for OAuth libraries that configure themselves (RFC 8414).

Says only what facts section 4 names or the other endpoints do; the device endpoints are left out,
since what they speak is not RFC 8628. Only `routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.http.response import Answer, json_answer, oauth_error

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.state import Site

__all__ = ["metadata"]


def metadata(site: Site, request: Request) -> Answer:
    """Answer `GET /.well-known/openid-configuration`, which came with the server of July 2026."""
    if site.options.legacy:
        return oauth_error("not_found", "the old server did not describe itself", status=404)
    at = request.origin
    return json_answer(
        {
            "issuer": at,
            "authorization_endpoint": f"{at}/oauth/authorize",
            "token_endpoint": f"{at}/oauth/token",
            "revocation_endpoint": f"{at}/oauth/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["public"],
        }
    )
