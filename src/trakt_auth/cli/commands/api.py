"""`trakt-auth api`: one authenticated call; the answer's body on stdout, as it is.

Signing, refreshing and the required headers are the client's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from trakt_auth.cli.commands.api_call import Answer, call
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import FAILED, clean, delivered, is_terminal, say
from trakt_auth.errors import UsageError

__all__ = ["api"]

LOGIN_REQUIRED, UNAVAILABLE = 3, 5
EXPECTED = range(300)


def api(
    settings: Settings, *, method: str, path: str, data: str | None, headers: Sequence[str]
) -> int:
    """Call the API; return the exit status that its answer stands for."""
    _check_path(path)
    fields = dict(map(_header, headers))
    body = None if data is None else _body(data)
    with settings.client() as client:
        answer = call(client, settings.account_name, method, path, body=body, headers=fields)
    written = delivered(_drawn(answer.body) if is_terminal(sys.stdout) else answer.body)
    return _status(answer, method, path) or written


def _check_path(path: str) -> None:
    if "://" in path.partition("?")[0] or path.startswith("//"):
        raise UsageError(
            "An access token goes to Trakt's API alone, so PATH names no host",
            hint="Give the path, for instance /users/settings.",
        )
    if not path.startswith("/") or not path.isprintable():
        raise UsageError(
            "PATH has to start with / and to be one line",
            hint="Give the path, for instance /users/settings.",
        )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    if not colon or not name or not text.isascii() or not text.isprintable() or " " in name:
        raise UsageError("A --header is not NAME:VALUE", hint="For instance: 'X-Sort-By: rank'.")
    if name == "authorization":
        raise UsageError(
            "The command sets Authorization itself",
            hint="Name the login with --account; secrets on a command line are seen by others.",
        )
    return name, value


def _body(data: str) -> bytes:
    """Return the body that `--data` names: the text itself, a file's, or what stdin brings."""
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


def _drawn(body: bytes) -> str | bytes:
    """Lay JSON out for reading; anything else stays as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False) + "\n"
    except (ValueError, RecursionError):
        return body


def _status(answer: Answer, method: str, path: str) -> int:
    if answer.status in EXPECTED:
        return 0
    say(f"trakt-auth: {method} {clean(path)}: {answer.status} {clean(answer.reason)}".rstrip())
    match answer.status:
        case 401:
            return LOGIN_REQUIRED
        case 429:
            return UNAVAILABLE
        case status if status >= 500:  # noqa: PLR2004 - the server's own failures
            return UNAVAILABLE
        case _:
            return FAILED
