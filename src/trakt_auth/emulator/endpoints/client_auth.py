"""Which application is calling: credentials in the body, or HTTP Basic in the legacy profile.

Identifies and refuses; grants nothing.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from trakt_auth.emulator.expiring_dict import same_hash
from trakt_auth.emulator.http.response import Refused, oauth_error

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Answer
    from trakt_auth.emulator.state.model import Application
    from trakt_auth.emulator.state.state import Site

__all__ = ["authenticate"]


def authenticate(site: Site, request: Request, fields: dict[str, str]) -> Application:
    """Return the calling application; without a secret it is taken as a public client.

    Facts section 4: the secret is optional everywhere. The status of `invalid_client` on today's
    server is unknown; 401 is RFC 6749 section 5.2's.
    """
    client_id, secret = _credentials(site, request, fields)
    application = site.applications.get(client_id or "")
    if application is None:
        # Facts section 2: a deleted or unknown application is told just this.
        raise Refused(_invalid_client(site, "client_id is required"))
    request.notes["client_id"] = application.client_id
    # A public client has no secret that could be right.
    if secret is not None and not same_hash(secret, application.secret_hash or b""):
        raise Refused(_invalid_client(site, "client_secret is wrong"))
    return application


def _invalid_client(site: Site, description: str) -> Answer:
    """Return the refusal; before July 2026 Doorkeeper put its challenge on every 401."""
    answer = oauth_error("invalid_client", description, status=401)
    if site.options.legacy:
        answer.headers["www-authenticate"] = (
            f'Bearer realm="Doorkeeper", error="invalid_client", error_description="{description}"'
        )
    return answer


def _credentials(
    site: Site, request: Request, fields: dict[str, str]
) -> tuple[str | None, str | None]:
    client_id, secret = fields.get("client_id"), fields.get("client_secret")
    scheme, _, encoded = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return client_id, secret
    if not site.options.legacy:
        # Facts section 2: the host does not accept Basic and answers 400.
        description = "client credentials go in the request body, not in an Authorization header"
        raise Refused(oauth_error("invalid_request", description))
    try:
        decoded = base64.b64decode(encoded.strip().encode(), validate=True).decode()
    except ValueError:
        raise Refused(_invalid_client(site, "unreadable Basic")) from None
    name, _, password = decoded.partition(":")  # form-encoded first: RFC 6749 section 2.3.1
    return unquote_plus(name), unquote_plus(password) or None
