"""Does a redirect belong to the sign-in that waits for it? If so, which code does it bring?

Pure. A redirect can be forged by any page that the user's browser opens, so its address, its
state and its issuer are compared before its code is used (RFC 6749 §10.12, RFC 9207, RFC 9700
§4.4). Nothing is sent from here.
"""

from __future__ import annotations

import re
from hmac import compare_digest

import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.errors import CallbackError, StateMismatch, UsageError
from trakt_auth.protocol.application import DEFAULT_PORTS, Endpoints
from trakt_auth.protocol.authorization import AuthorizationRequest, AuthorizationResponse

__all__ = ["OUT_OF_BAND", "code_from"]

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"  # the code is shown on a page, and the user copies it


def code_from(request: AuthorizationRequest, callback: str, endpoints: Endpoints) -> str:
    """Return the code of a redirect to `request.redirect_uri`; `callback` is its URL or its query.

    The code alone is accepted for an out-of-band redirect URI only: nothing can be compared there.

    Raises: CallbackError, of which StateMismatch is one kind; OAuthError.
    """
    callback = callback.strip()
    out_of_band = request.redirect_uri == OUT_OF_BAND
    if "=" not in callback:
        if out_of_band and _is_code(callback):
            return callback
        raise CallbackError(
            "There is no code in what was handed over",
            hint="Copy the code, or the whole address that the browser ended on."
            if out_of_band
            else "Copy the whole address that the browser ended on.",
        )
    response = AuthorizationResponse.from_url(callback)
    address, mark, _ = callback.partition("?")
    if mark and address and not _is_expected(address, request, endpoints):
        raise StateMismatch(
            "The redirect's address is not the redirect_uri of this sign-in",
            hint="Give the URL as the browser saw it, or what follows its question mark.",
        )
    if not compare_digest((response.state or "").encode(), request.state.encode()):
        raise StateMismatch("The redirect's state is not the one of this sign-in")
    if response.iss is not None and not _is_issuer(response.iss, endpoints):
        raise StateMismatch("The redirect's iss is not the server of this sign-in")
    if response.error is not None:
        raise oauth_errors.error_for(response.error, response.error_description)
    return response.code or ""


def _is_code(text: str) -> bool:
    """Tell whether text may be a code (RFC 6749 appendix A.11), and is not half an address."""
    return re.fullmatch("[!-~]+", text) is not None and "://" not in text


def _is_expected(address: str, request: AuthorizationRequest, endpoints: Endpoints) -> bool:
    if request.redirect_uri == OUT_OF_BAND:  # the server's own page shows the code
        return _is_issuer(address, endpoints)
    from urllib.parse import urljoin

    expected = _parts(request.redirect_uri)
    scheme = request.redirect_uri.partition(":")[0]
    # A browser may hide the scheme; a web framework may give path and query alone.
    whole = (address, f"{scheme}://{address}", urljoin(request.redirect_uri, address))
    return expected is not None and expected in map(_parts, whole)


def _parts(url: str) -> tuple[object, ...] | None:
    """Return what two addresses have to share; None for text that is no URL."""
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    path = unquote(parts.path) or ("/" if parts.scheme in DEFAULT_PORTS else "")
    return parts.scheme, parts.username, parts.password, parts.hostname, port, path


def _is_issuer(url: str, endpoints: Endpoints) -> bool:
    try:
        return Endpoints(auth=url).issuer == endpoints.issuer
    except UsageError:
        return False
