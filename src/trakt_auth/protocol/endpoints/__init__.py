"""Trakt's authentication endpoints: one `build_...` and one `parse_...` function for each.

These files hold Trakt's own spellings: URLs, JSON keys, status codes. They are pure: no clock, no
randomness, no I/O.

All OAuth calls go to the authorization server (`https://auth.trakt.tv`), as JSON, with the
application's credentials in the body: Trakt refuses HTTP Basic. The client secret is optional,
and a public client's requests have none. https://developer.trakt.tv/docs/authentication-oauth
"""

from trakt_auth.protocol.endpoints.authorize import build_authorization_request, code_challenge
from trakt_auth.protocol.endpoints.device import (
    build_device_code_request,
    build_device_token_request,
    parse_device_code_response,
    parse_device_token_response,
)
from trakt_auth.protocol.endpoints.messages import OK, api_headers
from trakt_auth.protocol.endpoints.token import (
    build_exchange_request,
    build_refresh_request,
    build_revoke_request,
    parse_refresh_response,
    parse_revoke_response,
    parse_token_response,
)

__all__ = [
    "OK", "api_headers", "build_authorization_request", "build_device_code_request",
    "build_device_token_request", "build_exchange_request", "build_refresh_request",
    "build_revoke_request", "code_challenge", "parse_device_code_response",
    "parse_device_token_response", "parse_refresh_response", "parse_revoke_response",
    "parse_token_response",
]  # fmt: skip
