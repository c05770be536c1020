"""`GET /oauth/authorize`: the address to which the user's browser is sent.

The answer is a redirect, which `AuthorizationResponse.from_url` reads. No request is built here,
and the random parts (`state`, `code_verifier`) are the caller's.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from trakt_auth.protocol.authorization import AuthorizationRequest, check_code_verifier

if TYPE_CHECKING:
    from trakt_auth.protocol.application import Application, Endpoints

__all__ = ["build_authorization_request", "code_challenge"]


def code_challenge(code_verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 §4.2).

    Raises: UsageError.
    """
    check_code_verifier(code_verifier)
    digest = sha256(code_verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def build_authorization_request(
    application: Application,
    endpoints: Endpoints,
    *,
    redirect_uri: str,
    state: str,
    code_verifier: str | None,
    signup: bool = False,
    force_login: bool = False,
) -> AuthorizationRequest:
    """Build the address to send the user to (RFC 6749 §4.1.1, RFC 7636 §4.3); sends nothing.

    `signup` opens the form for a new account. `force_login` asks users who are signed in on Trakt
    to sign in again, so that they can choose another account.

    Raises: UsageError.
    """
    from urllib.parse import urlencode

    query = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if code_verifier is not None:
        query["code_challenge"] = code_challenge(code_verifier)
        query["code_challenge_method"] = "S256"
    if signup:
        query["signup"] = "true"
    if force_login:
        query["prompt"] = "login"
    return AuthorizationRequest(
        url=f"{endpoints.auth}/oauth/authorize?{urlencode(query)}",
        state=state,
        redirect_uri=redirect_uri,
        code_verifier=code_verifier,
    )
