"""The application that is registered on Trakt, and the addresses of the servers.

Pure values: no clock, no socket, no JSON key of Trakt's. Secrets are left out of every repr.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field

from trakt_auth.errors import UsageError

__all__ = ["Application", "Endpoints"]

HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name, IPv4, IPv6; no percent-encoding
TRAKT = "trakt.tv"
DEFAULT_PORTS = {"http": 80, "https": 443}
AUTH = "https://auth.trakt.tv"
TRAKT_HOSTS = {f"{name}{TRAKT}" for name in ("", "www.", "api.", "auth.", "app.")}


def _check_characters(name: str, value: str) -> None:
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(
            f"{name} is of type {type(value).__name__}, not text",
            hint=f"Pass {name} as text.",
        )
    if not value or not value.isprintable() or value != value.strip():
        raise UsageError(
            f"{name} is empty or holds control characters, or white space at an end",
            hint=f"Copy the {name} again, without line breaks.",
        )


@dataclass(frozen=True, slots=True)
class Application:
    """An application registered on Trakt (RFC 6749 §2).

    `user_agent` names the calling program and its version, for instance `my-player/1.2`; Trakt
    refuses requests without one. `client_secret` is optional everywhere (public client).
    `redirect_uri` must equal, letter by letter, one that is registered for the application.

    Raises: UsageError.
    """

    client_id: str
    _: KW_ONLY
    user_agent: str
    client_secret: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None

    def __post_init__(self) -> None:
        _check_characters("client_id", self.client_id)
        _check_characters("user_agent", self.user_agent)
        if not (self.client_id + self.user_agent).isascii():
            raise UsageError("client_id or user_agent holds a character that is not ASCII")
        if self.client_secret is not None:
            _check_characters("client_secret", self.client_secret)
        if self.redirect_uri is not None:
            _check_characters("redirect_uri", self.redirect_uri)
        if self.user_agent.lower().startswith("mozilla/"):
            raise UsageError(
                "user_agent imitates a browser, which Trakt blocks",
                hint="Name your own program and its version, for instance my-player/1.2.",
            )


def _origin(name: str, url: str) -> str:
    from urllib.parse import urlsplit

    _check_characters(name, url)
    plain = _without_lookalikes(url)
    if "@" in plain:  # the message does not show the URL, which may hold a password
        raise UsageError(f"{name} holds a user name or password; give scheme and host alone")
    try:
        urlsplit(url)  # refuses a host with a look-alike of / ? # or :
        parts = urlsplit(plain)
        parts.port  # noqa: B018 - this property raises ValueError for a wrong port
        written = parts.hostname or ""
        host = written if written.isascii() else written.encode("idna").decode("ascii")
    except ValueError:
        parts, written, host = urlsplit(""), "", ""
    if (
        parts.scheme not in ("http", "https")
        or not HOST.fullmatch(host.rstrip("."))
        or parts.query
        or parts.fragment
        or "\\" in plain
    ):
        raise UsageError(
            f"{name} is not the URL of a server: {url!r}",
            hint="Give scheme and host, for instance https://auth.trakt.tv.",
        )
    if parts.scheme == "http" and not _is_loopback(host.rstrip(".")):
        raise UsageError(
            f"{name} is http:// to another computer, which sends every token unencrypted",
            hint="Write https:// instead; http:// is for servers on this computer.",
        )
    if host != written:
        plain = plain.lower().replace(written, host, 1)
    return plain.rstrip("/")


def _without_lookalikes(url: str) -> str:
    """Return a URL with full-width letters, dots and the like written in ASCII, as browsers do."""
    if url.isascii():
        return url
    from unicodedata import normalize

    return normalize("NFKC", url).replace("\u3002", ".")  # the ideographic full stop of IDNA


def _is_loopback(host: str) -> bool:
    """Tell whether a host is this computer: 127.0.0.0/8, ::1 or localhost (RFC 8252 §7.3)."""
    if host == "localhost":
        return True
    from ipaddress import ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback and (address.version == 4 or host == "::1")  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The origins of the authorization server and of the data API; by default Trakt's own.

    Plain http is for servers on this computer. Hosts in other scripts are kept in ASCII (IDNA).

    Raises: UsageError.
    """

    auth: str = AUTH
    api: str = "https://api.trakt.tv"

    def __post_init__(self) -> None:
        object.__setattr__(self, "auth", _origin("auth", self.auth))
        object.__setattr__(self, "api", _origin("api", self.api))

    @property
    def issuer(self) -> str:
        """The server that a login belongs to: `trakt.tv`, or the origin of another server.

        Trakt's own production hosts count as one issuer: they have moved three times.
        """
        if self.auth == AUTH:
            return TRAKT
        from urllib.parse import urlsplit

        parts = urlsplit(self.auth)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        if parts.scheme == "https" and host in TRAKT_HOSTS and port in (None, 443):
            return TRAKT
        host = f"[{host}]" if ":" in host else host
        default = DEFAULT_PORTS[parts.scheme]
        return f"{parts.scheme}://{host}" + ("" if port in (None, default) else f":{port}")

    def owner(self, client_id: str) -> str:
        """Return under which name a store keeps the logins of an application at this issuer.

        A token never travels to another issuer, and what another issuer says of it counts nothing.
        """
        return client_id if self.issuer == TRAKT else f"{client_id} at {self.issuer}"

    @classmethod
    def at(cls, url: str) -> Endpoints:
        """Return one origin for both, for instance the emulator's.

        Raises: UsageError.
        """
        return cls(auth=url, api=url)
