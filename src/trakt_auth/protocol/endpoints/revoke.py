"""`POST /oauth/revoke`: the end of a token.

Pure. That a token is forgotten locally, whatever the server says, is not decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.protocol.endpoints.messages import OK, credentials, post
from trakt_auth.protocol.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from trakt_auth.protocol.application import Application, Endpoints

__all__ = ["build_revoke_request", "parse_revoke_response"]


def build_revoke_request(
    application: Application, endpoints: Endpoints, *, token: str
) -> HttpRequest:
    """Build a revocation (RFC 7009 §2.1) of an access or refresh token."""
    fields = credentials(application) | {"token": token}
    return post(application, endpoints, "/oauth/revoke", fields)


def parse_revoke_response(response: HttpResponse) -> None:
    """Check a revocation: a 200, also for a token that had ended before (RFC 7009 §2.2).

    Raises: OAuthError, ServerError.
    """
    if response.status != OK:
        raise oauth_errors.from_response(response)
