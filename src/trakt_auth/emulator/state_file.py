"""The file that keeps an emulator's state over restarts: readable by its owner only.

Written whole to another file that then replaces it, so that it is never half written. What is in it
is decided in `state/snapshot.py`.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import cast

__all__ = ["StateFile"]


class StateFile:
    """A JSON file; it is written only when its content has changed."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._written = ""

    def read(self) -> dict[str, object] | None:
        """Return the content, or None if there is no file yet.

        Raises: ValueError for a file that is not a JSON object; OSError if it cannot be read.
        """
        try:
            content: object = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if not isinstance(content, dict):
            raise ValueError("the content is not an object")  # noqa: TRY004
        return cast("dict[str, object]", content)

    def write(self, content: object) -> None:
        """Replace the file.

        Raises: OSError if it cannot be written; then the old file stays.
        """
        text = json.dumps(content)
        if text == self._written:
            return
        # mkstemp creates the file with mode 0600.
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(self._path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        self._written = text
