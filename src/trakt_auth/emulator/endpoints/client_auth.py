"""Client authentication: credentials in the body, or HTTP Basic in the legacy profile.

Identifies the application or rejects the request; issues nothing.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from trakt_auth.emulator.hashing import matches_hash
from trakt_auth.emulator.http.response import ErrorResponse, oauth_error, with_legacy_challenge

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Response
    from trakt_auth.emulator.state.model import Application
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["authenticate"]


def authenticate(state: EmulatorState, request: Request, fields: dict[str, str]) -> Application:
    """Return the calling application; without a secret it counts as a public client.

    At Trakt the secret is optional everywhere. The status that Trakt sends with `invalid_client` is
    not documented; 401 is that of RFC 6749 section 5.2.

    Raises: ErrorResponse for an unknown client id or a wrong secret.
    """
    client_id, secret = _credentials(state, request, fields)
    application = state.applications.get(client_id or "")
    if application is None:
        # Trakt's description for an unknown application, although the client id was sent.
        raise ErrorResponse(_invalid_client(state, "client_id is required"))
    request.notes["client_id"] = application.client_id
    # A public client has no secret, so any secret is wrong.
    if secret is not None and not matches_hash(secret, application.secret_hash or b""):
        raise ErrorResponse(_invalid_client(state, "client_secret is wrong"))
    return application


def _invalid_client(state: EmulatorState, description: str) -> Response:
    """Return `invalid_client`; before July 2026 Trakt sent a challenge with every 401."""
    response = oauth_error("invalid_client", description, status=401)
    if state.options.legacy:
        return with_legacy_challenge(response, description)
    return response


def _credentials(
    state: EmulatorState, request: Request, fields: dict[str, str]
) -> tuple[str | None, str | None]:
    client_id, secret = fields.get("client_id"), fields.get("client_secret")
    scheme, encoded = request.authorization
    if scheme != "basic":
        return client_id, secret
    if not state.options.legacy:
        # Trakt's authorization server does not accept Basic and responds with 400.
        description = "client credentials go in the request body, not in an Authorization header"
        raise ErrorResponse(oauth_error("invalid_request", description))
    try:
        decoded = base64.b64decode(encoded.encode(), validate=True).decode()
    except ValueError:
        raise ErrorResponse(_invalid_client(state, "unreadable Basic")) from None
    name, _, password = decoded.partition(":")  # both are form-encoded: RFC 6749 section 2.3.1
    return unquote_plus(name), unquote_plus(password) or None
