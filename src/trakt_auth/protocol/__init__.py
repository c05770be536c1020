"""Trakt's wire format: URLs, JSON keys, status codes and spellings, as pure functions.

No clock, no randomness, no I/O lives here, and no decision about what happens next.
`build_*` and `parse_*` are offered here to programs that bring their own HTTP library.
"""

from trakt_auth.protocol.endpoints.authorize import build_authorization_request, code_challenge
from trakt_auth.protocol.endpoints.device import (
    build_device_code_request,
    build_device_token_request,
    parse_device_code_response,
    parse_device_token_response,
)
from trakt_auth.protocol.endpoints.messages import api_headers
from trakt_auth.protocol.endpoints.token import (
    build_exchange_request,
    build_refresh_request,
    build_revoke_request,
    parse_refresh_response,
    parse_revoke_response,
    parse_token_response,
)

__all__ = [
    "api_headers",
    "build_authorization_request",
    "build_device_code_request",
    "build_device_token_request",
    "build_exchange_request",
    "build_refresh_request",
    "build_revoke_request",
    "code_challenge",
    "parse_device_code_response",
    "parse_device_token_response",
    "parse_refresh_response",
    "parse_revoke_response",
    "parse_token_response",
]
