"""The encryption keys that TRAKT_AUTH_KEY or TRAKT_AUTH_KEY_FILE gives to the command.

Splits them and refuses files that other users can read. What a key has to look like is decided by
the encrypted store.
"""

from __future__ import annotations

import os
import stat

from trakt_auth.errors import UsageError

__all__ = ["read_keys"]

LONGEST_FILE = 100_000  # bytes
FILE_HINT = "Name a private file that holds a key made by `trakt-auth rekey --generate`."


def read_keys(text: str | None, path: str | None) -> list[str]:
    """Return the keys in the text, or in the file; white space or commas separate them.

    Raises: UsageError.
    """
    if text is not None and path is not None:
        raise UsageError(
            "TRAKT_AUTH_KEY and TRAKT_AUTH_KEY_FILE are both set", hint="Unset one of them."
        )
    name = "TRAKT_AUTH_KEY" if path is None else "TRAKT_AUTH_KEY_FILE"
    if path is not None:
        text = _read_private_file(path)
    keys = (text or "").replace(",", " ").split()
    if not keys:
        raise UsageError(
            f"{name} is set but holds no key",
            hint="Make one with `trakt-auth rekey --generate`, or unset the variable.",
        )
    return keys


def _read_private_file(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UsageError(f"TRAKT_AUTH_KEY_FILE {path} is not a file", hint=FILE_HINT)
            if os.name != "nt" and mode & 0o077:
                raise UsageError(
                    f"TRAKT_AUTH_KEY_FILE {path} can be read by other users",
                    hint=f"Make it private: chmod 600 {path}",
                )
            return file.read(LONGEST_FILE).decode(errors="replace")
    except OSError as error:
        raise UsageError(
            f"TRAKT_AUTH_KEY_FILE {path} cannot be read: {error.strerror or error}",
            hint=FILE_HINT,
        ) from None
