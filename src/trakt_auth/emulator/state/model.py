"""The values that the emulator stores: applications, accounts, sessions, codes, grants and tokens.

Data only: no clock, no lookups, no wire format. Secrets are stored as hashes, never as text.
"""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass, field
from typing import Literal

from trakt_auth.emulator.hashing import digest

__all__ = [
    "OUT_OF_BAND",
    "AccessToken",
    "Account",
    "Application",
    "AuthorizationCode",
    "DeviceCode",
    "EncryptedTokens",
    "Grant",
    "RefreshToken",
    "Session",
    "TokenPair",
    "is_redirect_uri",
]

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect URI of an application that cannot be redirected to: a page shows the code."""

_REDIRECT_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!\"$-;=@-~]+", re.ASCII)  # no ? # < >
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]+)?", re.ASCII)
_MAX_URIS = 25
_MAX_CHARACTERS = 2048


def is_redirect_uri(text: str) -> bool:
    """Whether Trakt's form for applications accepts a text as a redirect URI."""
    return text == OUT_OF_BAND or _REDIRECT_URI.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A registered application; without a secret it is a public client (RFC 6749 section 2.1).

    Only a hash of the secret is stored.

    Raises: ValueError for a client id or redirect URI that Trakt would not accept.
    """

    client_id: str
    client_secret: InitVar[str | None] = None
    redirect_uris: tuple[str, ...] = ()
    name: str = ""
    allowed_origins: tuple[str, ...] = ()
    """The origins whose scripts may read responses; any origin if there are none."""
    secret_hash: bytes | None = field(default=None, init=False, repr=False)

    def __post_init__(self, client_secret: str | None) -> None:
        """Hash the secret, and check what Trakt's form for applications checks."""
        if client_secret is not None:
            object.__setattr__(self, "secret_hash", digest(client_secret))
        if not self.client_id or not self.client_id.isascii() or not self.client_id.isprintable():
            raise ValueError("a client id must be printable ASCII text")
        if len(self.redirect_uris) > _MAX_URIS:
            raise ValueError(f"an application can have at most {_MAX_URIS} redirect URIs")
        if sum(map(len, self.redirect_uris)) > _MAX_CHARACTERS:
            raise ValueError(f"redirect URIs can have at most {_MAX_CHARACTERS} characters in all")
        for uri in self.redirect_uris:
            if not is_redirect_uri(uri):
                raise ValueError(f"{uri!r} is not `scheme://...` without a query and a fragment")

        for origin in self.allowed_origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"{origin!r} is not an origin: `scheme://host` or with a port")

    def allows_origin(self, origin: str) -> bool:
        """Whether a script of this origin may read a response that belongs to the application."""
        return not self.allowed_origins or origin in self.allowed_origins

    @property
    def title(self) -> str:
        """The name that the pages show: the client id if there is no other."""
        return self.name or self.client_id

    def redirects_to(self, uri: str, *, exactly: bool) -> bool:
        """Whether `uri` is registered; before July 2026 Trakt ignored case (`exactly=False`)."""
        if exactly:
            return uri in self.redirect_uris
        return uri.lower() in map(str.lower, self.redirect_uris)


@dataclass(slots=True, kw_only=True)
class Account:
    """A user; `approved` holds the client ids of the applications that the user has allowed."""

    username: str
    created_at: float
    approved: set[str] = field(default_factory=set[str])
    grants: dict[str, dict[int, Grant]] = field(
        default_factory=dict[str, dict[int, "Grant"]], repr=False
    )
    """The grants that still have tokens, by client id and by number."""

    @property
    def slug(self) -> str:
        """The username in the form that Trakt's URLs use."""
        return re.sub(r"[^a-z0-9]+", "-", self.username.lower()).strip("-") or "user"


@dataclass(slots=True, kw_only=True)
class Session:
    """A browser session; `account` is None until the user signs in."""

    csrf: str = field(repr=False)
    account: Account | None


@dataclass(slots=True, kw_only=True)
class AuthorizationCode:
    """An authorization code; `grant` is None until it is exchanged."""

    client_id: str
    redirect_uri: str
    account: Account
    challenge: str | None
    scope: str = "public"
    nonce: str | None = None
    grant: Grant | None = None


DeviceStatus = Literal["pending", "approved", "denied", "used"]


@dataclass(slots=True, kw_only=True)
class DeviceCode:
    """A device code; with `approved_at` it is approved automatically at that time.

    All times are in seconds since the epoch. `polls` counts the polls of the device.
    """

    user_code: str
    client_id: str
    created_at: float
    expires_at: float
    approved_at: float | None
    status: DeviceStatus = "pending"
    account: Account | None = None
    polled_at: float | None = None
    polls: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Grant:
    """One login: a chain of refresh tokens, each replaced by the next, and their access tokens."""

    number: int
    client_id: str
    account: Account
    created_at: float
    scope: str = "public"
    alive: bool = True
    access_hashes: dict[bytes, None] = field(default_factory=dict[bytes, None], repr=False)
    """The hashes of the valid access tokens, oldest first."""
    refresh_by_hash: dict[bytes, RefreshToken] = field(
        default_factory=dict[bytes, "RefreshToken"], repr=False
    )
    """The remembered refresh tokens, spent ones too, by hash, oldest first."""

    @property
    def refresh_tokens(self) -> list[RefreshToken]:
        """The remembered refresh tokens, spent ones too, oldest first."""
        return list(self.refresh_by_hash.values())


@dataclass(slots=True, kw_only=True, eq=False)
class RefreshToken:
    """A refresh token; `key` is its hash, `arrivals` counts the requests that sent it."""

    key: bytes = field(repr=False)
    grant: Grant
    expires_at: float | None = None
    arrivals: int = 0
    spent_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token; `key` is its hash."""

    key: bytes = field(repr=False)
    grant: Grant
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedTokens:
    """A pair of tokens, encrypted with the text of the refresh token that it replaced."""

    ciphertext: bytes = field(repr=False)
    created_at: float
    lifetime: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """A new pair of tokens as text, for the response; it is not stored."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    created_at: float
    lifetime: int
