"""Trakt's wire format: URLs, JSON keys, status codes and spellings, as pure functions.

No clock, no randomness, no I/O lives here, and no decision about what happens next.
`build_*` and `parse_*` are offered here to programs that bring their own HTTP library. A name is
imported when it is first used, which keeps `import trakt_auth` fast.
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library
if TYPE_CHECKING:
    from trakt_auth.protocol.endpoints import (
        api_headers,
        build_authorization_request,
        build_device_code_request,
        build_device_token_request,
        build_exchange_request,
        build_refresh_request,
        build_revoke_request,
        code_challenge,
        parse_device_code_response,
        parse_device_token_response,
        parse_refresh_response,
        parse_revoke_response,
        parse_token_response,
    )

__all__ = [
    "api_headers", "build_authorization_request", "build_device_code_request",
    "build_device_token_request", "build_exchange_request", "build_refresh_request",
    "build_revoke_request", "code_challenge", "parse_device_code_response",
    "parse_device_token_response", "parse_refresh_response", "parse_revoke_response",
    "parse_token_response",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.endpoints"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
