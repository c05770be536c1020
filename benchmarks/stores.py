"""Measures what a save and a load cost in the file store and in SQLite, by the number of accounts.

`python benchmarks/stores.py`; numbers of accounts can be named: `stores.py 100 1000`. The file
store reads and writes all records each time, so its cost grows with them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trakt_auth import Token
from trakt_auth.stores import open_store
from trakt_auth.stores.document import Document
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey, Record, Stored

COUNTS = (1, 10, 50, 100, 200, 500, 1000, 2000)
ROUNDS = 30
NOW = datetime.now(UTC)
PAYLOAD = Record(
    token=Token(
        access_token="a" * 64,
        refresh_token="b" * 64,
        token_type="bearer",
        scope="public",
        created_at=NOW,
        expires_at=NOW + timedelta(days=7),
    ),
    spent="c" * 64,
).to_payload()


def main() -> None:
    """Print a table of milliseconds."""
    table = Table("accounts", "file: save", "load", "sqlite: save", "load", title="milliseconds")
    for count in [int(word) for word in sys.argv[1:]] or COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            cells = [
                f"{milliseconds:.2f}"
                for kind in ("file", "sqlite")
                for milliseconds in measured(open_store(f"{kind}:{Path(folder) / kind}"), count)
            ]
        table.add_row(str(count), *cells)
    Console().print(table)


def measured(store: TokenStore, count: int) -> tuple[float, float]:
    """Return what a save and a load take, the median of some rounds."""
    keys = [AccountKey("client", f"account-{number}") for number in range(count)]
    if isinstance(store, FileStore):  # in one write: saving each would take a minute
        stored = Stored(payload=PAYLOAD, version=1, expires_at=NOW)
        store.save(keys[0], PAYLOAD, expires_at=NOW, replacing=None)
        store._write(Document(1, dict.fromkeys(keys, stored)))  # noqa: SLF001
    else:
        for key in keys:
            store.save(key, PAYLOAD, expires_at=NOW, replacing=None)
    key = keys[-1]
    save = median(lambda: store.save(key, PAYLOAD, expires_at=NOW, replacing=None))
    load = median(lambda: store.load(key))
    store.close()
    return save, load


def median(call: Callable[[], object]) -> float:
    """Return the median of a call's milliseconds."""
    found: list[float] = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        call()
        found.append((time.perf_counter() - begun) * 1000)
    return sorted(found)[ROUNDS // 2]


if __name__ == "__main__":
    main()
