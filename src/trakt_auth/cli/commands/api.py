"""`trakt-auth api`: one authenticated call; the body of the response goes to stdout.

The client adds the token and the required headers, and refreshes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from trakt_auth.cli.commands.api_call import Response, call
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import (
    FAILED,
    LOGIN_REQUIRED,
    UNAVAILABLE,
    clean,
    is_terminal,
    say,
    write_result,
)
from trakt_auth.errors import UsageError

__all__ = ["api"]

EXPECTED = range(300)


def api(
    settings: Settings, *, method: str, path: str, data: str | None, headers: Sequence[str]
) -> int:
    """Call the API; return the exit status that its response stands for."""
    _check_path(path)
    fields = dict(map(_parse_header, headers))
    body = None if data is None else _read_body(data)
    with settings.client() as client:
        response = call(client, settings.account_name, method, path, body=body, headers=fields)
    pretty = is_terminal(sys.stdout)
    written = write_result(_indented(response.body) if pretty else response.body)
    return _status(response, method, path) or written


def _check_path(path: str) -> None:
    if "://" in path.partition("?")[0] or path.startswith("//"):
        raise UsageError(
            "PATH must not name a host: an access token is sent to Trakt's API only",
            hint="Give the path, for instance /users/settings.",
        )
    if not path.startswith("/") or not path.isprintable():
        raise UsageError(
            "PATH must start with / and be one line of printable characters",
            hint="Give the path, for instance /users/settings.",
        )


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    if not colon or not name or not text.isascii() or not text.isprintable() or " " in name:
        raise UsageError(
            "A --header does not have the form NAME:VALUE", hint="For instance: 'X-Sort-By: rank'."
        )
    if name == "authorization":
        raise UsageError(
            "The command sets Authorization itself",
            hint="Choose the login with --account; other users can see secrets on a command line.",
        )
    return name, value


def _read_body(data: str) -> bytes:
    """Return the body that `--data` describes: the text itself, @FILE, or - for stdin."""
    try:
        if data == "-":
            content = sys.stdin.buffer.read()
        else:
            content = Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
        json.loads(content)
    except OSError as error:
        raise UsageError(
            f"--data cannot be read: {error.strerror or error}", hint="Name a file that exists."
        ) from None
    except (ValueError, RecursionError):
        raise UsageError("--data is not JSON", hint="For instance: '{\"movies\": []}'.") from None
    return content


def _indented(body: bytes) -> str | bytes:
    """Indent JSON for a person; return anything else unchanged."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False) + "\n"
    except (ValueError, RecursionError):
        return body


def _status(response: Response, method: str, path: str) -> int:
    if response.status in EXPECTED:
        return 0
    say(f"trakt-auth: {method} {clean(path)}: {response.status} {clean(response.reason)}".rstrip())
    match response.status:
        case 401:
            return LOGIN_REQUIRED
        case 429:
            return UNAVAILABLE
        case status if status >= 500:  # noqa: PLR2004 - the server failed
            return UNAVAILABLE
        case _:
            return FAILED
