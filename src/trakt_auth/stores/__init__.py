"""Where tokens are kept: one file for each kind of store, all behind `open_store`.

No flow and no OAuth: a store sees opaque payloads. A store's own libraries are imported only when
it is opened.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

from trakt_auth.errors import UsageError

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from trakt_auth.stores.interface import TokenStore

__all__ = ["identity", "open_store", "shown"]

LOCAL = ("memory", "file", "sqlite", "keyring")  # no server, and no secret in the URL
EXAMPLES = "memory:  file:PATH  keyring:  sqlite:PATH  postgresql://...  redis://..."


def open_store(url: str, *, keys: Sequence[str] = ()) -> TokenStore:
    """Open the store that a URL names: `memory:`, `file:PATH`, `postgresql://...`, `sqlite:PATH`.

    `~` is the home directory; `sqlite:///a/b` is `sqlite:/a/b`. Nothing is read or written yet.
    With `keys`, which `generate_key` of `stores.wrappers.encrypted` makes, tokens are encrypted
    with the first key and can be decrypted with each of them.

    Raises: UsageError for a URL that names no store, for an invalid key, for a missing extra.
    """
    store = _open(url)
    if not keys:
        return store
    with _requires("Encryption", "cryptography", "encryption"):
        from trakt_auth.stores.wrappers.encrypted import EncryptedStore

        return EncryptedStore(store, keys)


def _open(url: str) -> TokenStore:
    scheme, colon, rest = url.partition(":")
    path = rest.removeprefix("//")
    match scheme.lower():
        case "memory" if colon and not rest:
            from trakt_auth.stores.memory import MemoryStore

            return MemoryStore()
        case "file" if path and "\0" not in path:
            from trakt_auth.stores.file import FileStore

            return FileStore(path)
        case "keyring" if colon and rest.isprintable():
            with _requires("A keyring store", "keyring", "keyring"):
                from trakt_auth.stores.keyring import SERVICE, KeyringStore

                return KeyringStore(rest or SERVICE)
        # For SQLite ":memory:" means no file; here it would become a file of that name.
        case "sqlite" if path not in ("", ":memory:") and "\0" not in path:
            from trakt_auth.stores.sqlite import SqliteStore

            return SqliteStore(path)
        case "postgresql" | "postgres" | "postgresql+psycopg" if rest.startswith("//"):
            with _requires("A PostgreSQL store", "psycopg", "postgres"):
                from trakt_auth.stores.postgres import PostgresStore

                return PostgresStore(f"postgresql:{rest}")
        case (
            "redis"
            | "rediss"
            | "unix"
            | "redis+cluster"
            | "rediss+cluster"
            | "redis+sentinel"
            | "rediss+sentinel"
        ) if rest.startswith("//"):
            with _requires("A Redis store", "redis", "redis"):
                from trakt_auth.stores.redis import RedisStore

                return RedisStore(f"{scheme.lower()}:{rest}")
        case _:
            file = f"For a file: file:{url}  " if url and ":" not in url else ""
            raise UsageError(
                f"{shown(url)!r} names no store", hint=f"{file}Write one of:  {EXAMPLES}"
            )


@contextmanager
def _requires(what: str, library: str, extra: str) -> Generator[None]:
    from importlib.util import find_spec

    # Some libraries are imported only when they are used, and must be missed now.
    missing = find_spec(library) is None
    with suppress(ImportError):
        if not missing:
            yield
            return
    raise UsageError(
        f"{what} needs {library}, which cannot be imported",
        hint=f"Install it: pip install 'trakt-auth[{extra}]'",
    )


def shown(url: str) -> str:
    """Return a store's URL without its user, password and options, which may be secrets."""
    scheme, colon, _ = url.partition(":")
    if scheme.lower() in LOCAL:
        return url
    plain, options, tail = url.partition("?")
    if "@" in tail:  # either a "?" in the password or an "@" in an option, which look the same
        return f"{scheme}{colon}//..."
    head, at, place = plain.rpartition("@")
    if at:
        plain = f"{head.partition('//')[0]}//...@{place}"
    return f"{plain}?..." if options else plain


def identity(url: str) -> str:
    """Return a text that is the same for all spellings of a store's URL, and for no other store.

    It does not contain the password: a store stays the same when its password is changed.
    """
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    if scheme in ("file", "sqlite"):
        return f"{scheme}:{os.path.realpath(os.path.expanduser(rest.removeprefix('//')))}"
    if scheme in LOCAL:
        return f"{scheme}:{rest}"
    from urllib.parse import urlsplit

    parts = urlsplit(f"redis:{rest}")
    user, at, place = parts.netloc.rpartition("@")
    options = sorted(part for part in parts.query.split("&") if "pass" not in part.split("=")[0])
    scheme = scheme.removesuffix("+psycopg").replace("postgresql", "postgres")
    return f"{scheme}://{user.partition(':')[0]}{at}{place}{parts.path}?{'&'.join(options)}"
