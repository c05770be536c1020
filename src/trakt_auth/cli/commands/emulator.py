"""`trakt-auth emulator`: a local Trakt emulator, with a log of its requests on stderr.

Only turns options into an emulator and requests into lines; the work is done in
`trakt_auth.emulator`, whose libraries are an extra.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trakt_auth.cli.commands.emulator_extra import require_emulator
from trakt_auth.cli.terminal.output import DONE, clean, say, write_result
from trakt_auth.emulator import Emulator, Entry, Reply
from trakt_auth.errors import TraktAuthError, UsageError
from trakt_auth.protocol.http import HttpRequest

__all__ = ["emulator"]

INSTRUCTIONS = """\
To use it with this command, for instance:

  export TRAKT_AUTH_URL={url}
  export TRAKT_API_URL={url}
  export TRAKT_CLIENT_ID={client_id}
  trakt-auth login --device

Open {url} in a browser to approve codes.
Ctrl-C stops the emulator.
"""


def emulator(
    *,
    host: str,
    port: int,
    client_id: str | None,
    client_secret: str | None,
    redirect_uris: Sequence[str],
    quiet: bool,
    require_user_agent: bool,
    allowed_origins: Sequence[str] = (),
    responses: str | None = None,
    state: str | None = None,
    **options: Any,  # noqa: ANN401 - the fields of the emulator's Options
) -> int:
    """Serve until a signal arrives; return the exit status."""
    if client_id is None and (client_secret or redirect_uris):
        raise UsageError(
            "--client-secret and --redirect-uri describe an application",
            hint="Name the application with --client-id.",
        )
    given = {name: value for name, value in options.items() if value is not None}
    given["block_default_user_agents"] = require_user_agent
    try:
        trakt = (Emulator if quiet else _LoggingEmulator)(**given)
        if client_id is not None:
            trakt.register_application(
                client_id, client_secret, redirect_uris, allowed_origins=allowed_origins
            )
        elif allowed_origins:
            trakt.allow_origins(allowed_origins)
        if responses is not None:
            trakt.load_responses(_json_file(responses))
    except ValueError as error:
        raise UsageError(str(error)) from None
    if state is not None:
        _keep_in(trakt, state)

    def ready(url: str) -> None:
        write_result(f"trakt-auth emulator ready at {url}\n")
        if not quiet:
            say(INSTRUCTIONS.format(url=url, client_id=client_id or "emulator"))

    _serve(trakt, host, port, ready)
    return DONE


def _keep_in(trakt: Emulator, path: str) -> None:
    try:
        trakt.keep_in(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be used: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(
            f"{path} is not a state file of the emulator: {error}",
            hint="Name another file, or delete it to start without accounts.",
        ) from None


def _json_file(path: str) -> object:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON: {error}") from None


def _serve(trakt: Emulator, host: str, port: int, ready: Callable[[str], None]) -> None:
    require_emulator()
    from trakt_auth.emulator.server import serve

    try:
        serve(trakt, host=host, port=port, ready=ready)
    except OSError as error:
        raise TraktAuthError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}",
            hint="Choose another port with --port; 0 picks a free one.",
        ) from None


class _LoggingEmulator(Emulator):
    """Prints a line for each request once the request has been answered."""

    _printed: Entry | None = None

    def process(self, request: HttpRequest, *, peer: str = "127.0.0.1") -> Reply:
        return self._log_when_answered(super().process(request, peer=peer))

    def _log_when_answered(self, reply: Reply) -> Reply:
        resume = reply.resume
        if resume is not None:
            return replace(reply, resume=lambda: self._log_when_answered(resume()))
        entry = self.log[-1] if self.log else None
        if entry is not None and entry is not self._printed:
            self._printed = entry
            say(_line(entry))
        return reply


def _line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at, UTC)
    status = entry.status or "---"
    notes = [
        entry.notes[name] for name in ("grant_type", "account", "reason") if name in entry.notes
    ]
    more = [*notes, *(f"fault: {name}" for name in entry.faults)]
    words = " ".join((entry.outcome, *(f"({clean(one)})" for one in more)))
    return f"{at:%H:%M:%S}  {entry.method:<5} {entry.endpoint:<36} {status}  {clean(words)}"
