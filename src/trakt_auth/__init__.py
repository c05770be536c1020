"""Sign people in to Trakt, and keep them signed in.

    from trakt_auth import Application, Client

    app = Application("my-client-id", user_agent="my-player/1.2")
    with Client(app) as trakt:
        login = trakt.start_device()
        print(f"Enter {login.user_code} at {login.verification_uri}")
        trakt.wait_for_device(login)
        print(trakt.api.get("/users/settings").json()["user"]["username"])

Only the public names live here. Errors are documented in `trakt_auth.errors`.
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library
if TYPE_CHECKING:
    from trakt_auth.client.asynchronous import AsyncClient
    from trakt_auth.client.sync import Client
    from trakt_auth.errors import (
        AccessDenied,
        Blocked,
        CallbackError,
        Cancelled,
        DeviceCodeExpired,
        DeviceCodeUnknown,
        DeviceCodeUsed,
        InvalidClient,
        InvalidGrant,
        InvalidRequest,
        InvalidScope,
        LockTimeout,
        LoginRequired,
        OAuthError,
        RateLimited,
        ServerError,
        StateMismatch,
        StoreConflict,
        StoreCorrupt,
        StoreEncrypted,
        StoreError,
        StoreUnavailable,
        TokenNotSaved,
        TraktAuthError,
        TransportError,
        UnauthorizedClient,
        Unavailable,
        UnexpectedResponse,
        UnsupportedGrantType,
        UsageError,
    )
    from trakt_auth.flows.events import (
        Event,
        LoginNeeded,
        TokenObtained,
        TokenRefreshed,
        TokenRevoked,
        TokenUnsaved,
    )
    from trakt_auth.protocol.application import Application, Endpoints
    from trakt_auth.protocol.authorization import (
        AuthorizationRequest,
        AuthorizationResponse,
        DeviceAuthorization,
        DevicePoll,
        Granted,
        Pending,
        SlowDown,
    )
    from trakt_auth.protocol.token import Token, TokenState
    from trakt_auth.stores import open_store

__all__ = [
    "AccessDenied",
    "Application",
    "AsyncClient",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "Blocked",
    "CallbackError",
    "Cancelled",
    "Client",
    "DeviceAuthorization",
    "DeviceCodeExpired",
    "DeviceCodeUnknown",
    "DeviceCodeUsed",
    "DevicePoll",
    "Endpoints",
    "Event",
    "Granted",
    "InvalidClient",
    "InvalidGrant",
    "InvalidRequest",
    "InvalidScope",
    "LockTimeout",
    "LoginNeeded",
    "LoginRequired",
    "OAuthError",
    "Pending",
    "RateLimited",
    "ServerError",
    "SlowDown",
    "StateMismatch",
    "StoreConflict",
    "StoreCorrupt",
    "StoreEncrypted",
    "StoreError",
    "StoreUnavailable",
    "Token",
    "TokenNotSaved",
    "TokenObtained",
    "TokenRefreshed",
    "TokenRevoked",
    "TokenState",
    "TokenUnsaved",
    "TraktAuthError",
    "TransportError",
    "UnauthorizedClient",
    "Unavailable",
    "UnexpectedResponse",
    "UnsupportedGrantType",
    "UsageError",
    "open_store",
]

# The module of each public name, below `trakt_auth`.
_NAMES = {
    "client.sync": "Client",
    "client.asynchronous": "AsyncClient",
    "errors": """
        AccessDenied Blocked CallbackError Cancelled DeviceCodeExpired DeviceCodeUnknown
        DeviceCodeUsed InvalidClient InvalidGrant InvalidRequest InvalidScope
        LockTimeout LoginRequired OAuthError RateLimited ServerError StateMismatch
        StoreConflict StoreCorrupt StoreError StoreEncrypted StoreUnavailable TokenNotSaved
        TraktAuthError TransportError Unavailable UnauthorizedClient UnexpectedResponse
        UnsupportedGrantType UsageError
    """,
    "flows.events": "Event LoginNeeded TokenObtained TokenRefreshed TokenRevoked TokenUnsaved",
    "protocol.application": "Application Endpoints",
    "protocol.authorization": """
        AuthorizationRequest AuthorizationResponse
        DeviceAuthorization DevicePoll Granted Pending SlowDown
    """,
    "protocol.token": "Token TokenState",
    "stores": "open_store",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, since a program with a fresh token needs few."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
