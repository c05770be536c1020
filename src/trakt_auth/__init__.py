"""Sign people in to Trakt, and keep them signed in.

    from trakt_auth import Application, Client

    app = Application("my-client-id", user_agent="my-player/1.2")
    with Client(app) as trakt:
        login = trakt.start_device()
        print(f"Enter {login.user_code} at {login.verification_uri}")
        trakt.wait_for_device(login)
        print(trakt.api.get("/users/settings").json()["user"]["username"])

The public names, nothing else. Errors are documented in `trakt_auth.errors`.
"""

from importlib import import_module

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library
if TYPE_CHECKING:
    from trakt_auth.client import (
        AsyncClient as AsyncClient,
    )
    from trakt_auth.client import (
        Client as Client,
    )
    from trakt_auth.errors import (
        AccessDenied as AccessDenied,
    )
    from trakt_auth.errors import (
        Blocked as Blocked,
    )
    from trakt_auth.errors import (
        Cancelled as Cancelled,
    )
    from trakt_auth.errors import (
        DeviceCodeExpired as DeviceCodeExpired,
    )
    from trakt_auth.errors import (
        DeviceCodeUnknown as DeviceCodeUnknown,
    )
    from trakt_auth.errors import (
        DeviceCodeUsed as DeviceCodeUsed,
    )
    from trakt_auth.errors import (
        InvalidClient as InvalidClient,
    )
    from trakt_auth.errors import (
        InvalidGrant as InvalidGrant,
    )
    from trakt_auth.errors import (
        InvalidRequest as InvalidRequest,
    )
    from trakt_auth.errors import (
        InvalidScope as InvalidScope,
    )
    from trakt_auth.errors import (
        LockTimeout as LockTimeout,
    )
    from trakt_auth.errors import (
        LoginRequired as LoginRequired,
    )
    from trakt_auth.errors import (
        OAuthError as OAuthError,
    )
    from trakt_auth.errors import (
        RateLimited as RateLimited,
    )
    from trakt_auth.errors import (
        ServerError as ServerError,
    )
    from trakt_auth.errors import (
        StateMismatch as StateMismatch,
    )
    from trakt_auth.errors import (
        StoreConflict as StoreConflict,
    )
    from trakt_auth.errors import (
        StoreCorrupt as StoreCorrupt,
    )
    from trakt_auth.errors import (
        StoreError as StoreError,
    )
    from trakt_auth.errors import (
        StoreUnavailable as StoreUnavailable,
    )
    from trakt_auth.errors import (
        TokenNotSaved as TokenNotSaved,
    )
    from trakt_auth.errors import (
        TraktAuthError as TraktAuthError,
    )
    from trakt_auth.errors import (
        TransportError as TransportError,
    )
    from trakt_auth.errors import (
        UnauthorizedClient as UnauthorizedClient,
    )
    from trakt_auth.errors import (
        Unavailable as Unavailable,
    )
    from trakt_auth.errors import (
        UnexpectedResponse as UnexpectedResponse,
    )
    from trakt_auth.errors import (
        UnsupportedGrantType as UnsupportedGrantType,
    )
    from trakt_auth.errors import (
        UsageError as UsageError,
    )
    from trakt_auth.events import (
        Event as Event,
    )
    from trakt_auth.events import (
        LoginNeeded as LoginNeeded,
    )
    from trakt_auth.events import (
        TokenObtained as TokenObtained,
    )
    from trakt_auth.events import (
        TokenRefreshed as TokenRefreshed,
    )
    from trakt_auth.events import (
        TokenRevoked as TokenRevoked,
    )
    from trakt_auth.models import (
        Application as Application,
    )
    from trakt_auth.models import (
        AuthorizationRequest as AuthorizationRequest,
    )
    from trakt_auth.models import (
        AuthorizationResponse as AuthorizationResponse,
    )
    from trakt_auth.models import (
        DeviceAuthorization as DeviceAuthorization,
    )
    from trakt_auth.models import (
        DevicePoll as DevicePoll,
    )
    from trakt_auth.models import (
        Endpoints as Endpoints,
    )
    from trakt_auth.models import (
        Granted as Granted,
    )
    from trakt_auth.models import (
        Pending as Pending,
    )
    from trakt_auth.models import (
        SlowDown as SlowDown,
    )
    from trakt_auth.models import (
        Token as Token,
    )
    from trakt_auth.models import (
        TokenState as TokenState,
    )
    from trakt_auth.stores import (
        open_store as open_store,
    )

__all__ = [
    "AccessDenied",
    "Application",
    "AsyncClient",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "Blocked",
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
    "StoreError",
    "StoreUnavailable",
    "Token",
    "TokenNotSaved",
    "TokenObtained",
    "TokenRefreshed",
    "TokenRevoked",
    "TokenState",
    "TraktAuthError",
    "TransportError",
    "UnauthorizedClient",
    "Unavailable",
    "UnexpectedResponse",
    "UnsupportedGrantType",
    "UsageError",
    "open_store",
]

_HOMES = {
    "client": ("AsyncClient", "Client"),
    "errors": (
        "AccessDenied",
        "Blocked",
        "Cancelled",
        "DeviceCodeExpired",
        "DeviceCodeUnknown",
        "DeviceCodeUsed",
        "InvalidClient",
        "InvalidGrant",
        "InvalidRequest",
        "InvalidScope",
        "LockTimeout",
        "LoginRequired",
        "OAuthError",
        "RateLimited",
        "ServerError",
        "StateMismatch",
        "StoreConflict",
        "StoreCorrupt",
        "StoreError",
        "StoreUnavailable",
        "TokenNotSaved",
        "TraktAuthError",
        "TransportError",
        "UnauthorizedClient",
        "Unavailable",
        "UnexpectedResponse",
        "UnsupportedGrantType",
        "UsageError",
    ),
    "events": ("Event", "LoginNeeded", "TokenObtained", "TokenRefreshed", "TokenRevoked"),
    "models": (
        "Application",
        "AuthorizationRequest",
        "AuthorizationResponse",
        "DeviceAuthorization",
        "DevicePoll",
        "Endpoints",
        "Granted",
        "Pending",
        "SlowDown",
        "Token",
        "TokenState",
    ),
    "stores": ("open_store",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: a fresh token needs few of them."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
