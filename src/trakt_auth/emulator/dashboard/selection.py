"""What the user has selected on the dashboard: the requests in the log, and the fault in the form.

Both are in the query of the URL, so that they survive a reload and work without a script. What the
page then shows is chosen in `view.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from trakt_auth.emulator.faults.armed import kinds

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request

__all__ = ["LOG_KINDS", "Selection", "kind_of"]

LOG_KINDS = {"": "All", "oauth": "OAuth", "api": "API", "page": "Pages", "control": "Control"}
"""The kinds of requests that the log can be limited to, with their labels."""

_DEFAULT_FAULT = "status"
_PAGES = ("/oauth/authorize", "/activate", "/sign-in", "/sign-up", "/sign-out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The kind of requests that the log shows, and the fault whose form is shown."""

    log: str = ""
    fault: str = _DEFAULT_FAULT

    @classmethod
    def of(cls, request: Request) -> Selection:
        """Read the query of a request; an unknown value counts as none."""
        log = request.query.get("log", [""])[0]
        fault = request.query.get("fault", [""])[0]
        return cls(
            log=log if log in LOG_KINDS else "",
            fault=fault if fault in kinds() else _DEFAULT_FAULT,
        )

    @property
    def url(self) -> str:
        """The URL of the dashboard with this selection."""
        return self.url_with()

    def url_with(self, **more: str) -> str:
        """Return the URL of the dashboard with this selection and more query parameters."""
        given = {"log": self.log, "fault": self.fault, **more}
        if self.fault == _DEFAULT_FAULT:
            del given["fault"]
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/?{query}" if query else "/"

    def log_url(self, kind: str) -> str:
        """Return the URL that shows the requests of this kind instead."""
        return replace(self, log=kind).url


def kind_of(endpoint: str) -> str:
    """Return which of `LOG_KINDS` a request is; what is not the emulator's own path is the API."""
    if endpoint.startswith(_PAGES):
        return "page"
    if endpoint == "/" or endpoint.startswith(("/emulator/", "/openapi.json")):
        return "control"
    return "oauth" if endpoint.startswith(("/oauth/", "/.well-known/")) else "api"
