"""Where tokens are kept: one file for each engine, all behind `open_store`.

Layer 4. No flow, no OAuth: a store sees opaque payloads. The client and the command line import
this file; a store's own libraries are imported only when it is opened.
"""

from __future__ import annotations

from trakt_auth.errors import UsageError

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from trakt_auth.ports import TokenStore

__all__ = ["open_store"]

KNOWN = "memory:  file:PATH  sqlite:PATH"


def open_store(url: str) -> TokenStore:
    """Open the store that a URL names: `memory:`, `file:PATH` or `sqlite:PATH`.

    `~` is the home directory; `sqlite:///a/b` is `sqlite:/a/b`. Nothing is read or written
    yet.

    Raises: UsageError for a URL that names no store.
    """
    scheme, colon, rest = url.partition(":")
    match scheme.lower():
        case "memory" if colon and not rest:
            from trakt_auth.stores.memory import MemoryStore

            return MemoryStore()
        case "file" if rest.removeprefix("//") and "\0" not in rest:
            from trakt_auth.stores.file import FileStore

            return FileStore(rest.removeprefix("//"))
        # ":memory:" is SQLite's word for no file at all; it would become a file of that name.
        case "sqlite" if rest.removeprefix("//") not in ("", ":memory:") and "\0" not in rest:
            from trakt_auth.stores.sqlite import SqliteStore

            return SqliteStore(rest.removeprefix("//"))
        case _:
            raise UsageError(f"{_shown(url)!r} names no store", hint=f"Write one of:  {KNOWN}")


def _shown(url: str) -> str:
    # A URL can hold a password between // and @.
    head, at, tail = url.rpartition("@")
    return f"{head.partition('//')[0]}//...@{tail}" if at else url
