"""What the emulator remembers: applications, accounts, sessions, codes, grants and tokens.

Words only: no clock, no lookups, no wire format. Secrets are kept as hashes, never as text.
Any file of the emulator may import this one.
"""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass, field
from typing import Literal

from trakt_auth.emulator.expiring_dict import digest

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
    "Tokens",
]

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect URI that ends on a page which shows the code."""

_REDIRECT_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!\"$-;=@-~]+", re.ASCII)  # no ? # < >
_MOST_URIS = 25
_MOST_CHARACTERS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A registered client; without a secret it is a public one (RFC 6749 section 2.1).

    Of the secret only a hash is kept.
    """

    client_id: str
    client_secret: InitVar[str | None] = None
    redirect_uris: tuple[str, ...] = ()
    name: str = ""
    secret_hash: bytes | None = field(default=None, init=False, repr=False)

    def __post_init__(self, client_secret: str | None) -> None:
        """Refuse what the application form refuses (facts section 4)."""
        if client_secret is not None:
            object.__setattr__(self, "secret_hash", digest(client_secret))
        if not self.client_id or not self.client_id.isascii() or not self.client_id.isprintable():
            raise ValueError("a client id is printable ASCII text")
        if len(self.redirect_uris) > _MOST_URIS:
            raise ValueError(f"an application has at most {_MOST_URIS} redirect URIs")
        if sum(map(len, self.redirect_uris)) > _MOST_CHARACTERS:
            raise ValueError(f"redirect URIs have at most {_MOST_CHARACTERS} characters together")
        for uri in self.redirect_uris:
            if uri != OUT_OF_BAND and _REDIRECT_URI.fullmatch(uri) is None:
                raise ValueError(f"{uri!r} is not `scheme://...` without query and fragment")

    @property
    def title(self) -> str:
        """The name that the pages show."""
        return self.name or self.client_id

    def redirects_to(self, uri: str, *, exactly: bool) -> bool:
        """Whether `uri` is registered: letter by letter, or as before July 2026 in any case."""
        if exactly:
            return uri in self.redirect_uris
        return uri.lower() in map(str.lower, self.redirect_uris)


@dataclass(slots=True, kw_only=True)
class Account:
    """A person; `approved` holds the client ids of the applications that may act for them."""

    username: str
    created_at: float
    approved: set[str] = field(default_factory=set[str])
    grants: dict[str, dict[int, Grant]] = field(
        default_factory=dict[str, dict[int, "Grant"]], repr=False
    )
    """The logins of which a token is remembered, by client id and number."""

    @property
    def slug(self) -> str:
        """The name as it stands in a URL."""
        return re.sub(r"[^a-z0-9]+", "-", self.username.lower()).strip("-") or "user"


@dataclass(slots=True, kw_only=True)
class Session:
    """A browser; nobody is signed in while `account` is None."""

    csrf: str = field(repr=False)
    account: Account | None


@dataclass(slots=True, kw_only=True)
class AuthorizationCode:
    """What a redirect carries; `grant` is what it was exchanged for."""

    client_id: str
    redirect_uri: str
    account: Account
    challenge: str | None
    grant: Grant | None = None


DeviceStatus = Literal["pending", "approved", "denied", "used"]


@dataclass(slots=True, kw_only=True)
class DeviceCode:
    """A device that waits for a person; `approved_at` is the moment at which it approves itself."""

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
    """One login: the line of refresh tokens that replaced each other, and their access tokens."""

    number: int
    client_id: str
    account: Account
    created_at: float
    alive: bool = True
    access: dict[bytes, None] = field(default_factory=dict[bytes, None], repr=False)
    """The hashes of the live access tokens, oldest first."""
    line: dict[bytes, RefreshToken] = field(default_factory=dict[bytes, "RefreshToken"], repr=False)
    """The refresh tokens that are remembered, by hash, oldest first."""

    @property
    def refresh(self) -> list[RefreshToken]:
        """The refresh tokens that are remembered, oldest first."""
        return list(self.line.values())


@dataclass(slots=True, kw_only=True, eq=False)
class RefreshToken:
    """A refresh token by its hash; `arrivals` counts the requests that presented it."""

    key: bytes = field(repr=False)
    grant: Grant
    expires_at: float | None = None
    arrivals: int = 0
    spent_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token by its hash."""

    key: bytes = field(repr=False)
    grant: Grant
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedTokens:
    """A pair that only the refresh token which it was given for can open."""

    text: bytes = field(repr=False)
    created_at: float
    lifetime: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A fresh pair in the clear, on its way to the client."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    created_at: float
    lifetime: int
