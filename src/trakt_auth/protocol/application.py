"""Who asks, and where: the application and the servers' addresses.

Pure: no clock, no socket, no JSON key of Trakt's. Secrets are left out of every repr.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field

from trakt_auth.errors import UsageError

__all__ = ["Application", "Endpoints"]


def _refuse_control_characters(name: str, value: str) -> None:
    if not value or not value.isprintable() or value != value.strip():
        raise UsageError(
            f"{name} is empty or holds white space or control characters",
            hint=f"Copy the {name} again, whole and without line breaks.",
        )


@dataclass(frozen=True, slots=True)
class Application:
    """An application registered on Trakt (RFC 6749 §2).

    `user_agent` names the calling program and its version, for instance `my-player/1.2`: Trakt's
    edge refuses requests without one. `client_secret` is optional everywhere (public client).
    `redirect_uri` must be one of those registered, letter by letter.

    Raises: UsageError.
    """

    client_id: str
    _: KW_ONLY
    user_agent: str
    client_secret: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None

    def __post_init__(self) -> None:
        _refuse_control_characters("client_id", self.client_id)
        _refuse_control_characters("user_agent", self.user_agent)
        if not (self.client_id + self.user_agent).isascii():
            raise UsageError("client_id or user_agent holds a letter that no HTTP header can carry")
        if self.client_secret is not None:
            _refuse_control_characters("client_secret", self.client_secret)
        if self.redirect_uri is not None:
            _refuse_control_characters("redirect_uri", self.redirect_uri)
        if self.user_agent.lower().startswith("mozilla/"):
            raise UsageError(
                "user_agent imitates a browser, which Trakt blocks",
                hint="Name your own program and its version, for instance my-player/1.2.",
            )


def _origin(name: str, url: str) -> str:
    from urllib.parse import urlsplit

    _refuse_control_characters(name, url)
    if "@" in url:  # and not shown: it holds a password
        raise UsageError(f"{name} holds a user name or password; give scheme and host alone")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a property that raises on a wrong port
    except ValueError:
        parts = urlsplit("")
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError(
            f"{name} is not the URL of a server: {url!r}",
            hint="Give scheme and host, for instance https://auth.trakt.tv.",
        )
    if parts.scheme == "http" and (host == "trakt.tv" or host.endswith(".trakt.tv")):
        raise UsageError(f"{name} would send tokens unencrypted", hint="Write https:// instead.")
    return url.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the two servers are. The defaults are Trakt's own.

    Raises: UsageError.
    """

    auth: str = "https://auth.trakt.tv"
    api: str = "https://api.trakt.tv"

    def __post_init__(self) -> None:
        object.__setattr__(self, "auth", _origin("auth", self.auth))
        object.__setattr__(self, "api", _origin("api", self.api))

    @classmethod
    def at(cls, url: str) -> Endpoints:
        """One origin for both, for instance the emulator's.

        Raises: UsageError.
        """
        return cls(auth=url, api=url)
