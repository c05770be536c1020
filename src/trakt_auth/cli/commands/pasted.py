"""Reads what a person pastes in place of the redirect: an address, or a code out of band.

Text only: nothing is sent and no token lives here. The library compares the state once more.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from trakt_auth.errors import UsageError
from trakt_auth.protocol.authorization import AuthorizationRequest
from trakt_auth.protocol.redirect import OUT_OF_BAND

__all__ = ["Pasted"]

HINT = "Copy the whole address out of the browser's address bar, from http to its end."
# What mail programs, chats and terminals put around an address.
QUOTES = "\"'`<>()[]{}«»“”„‘’‚‹›"  # noqa: RUF001 - these are meant
# Spaces, line breaks, and the invisible characters that come along with copied text.
INVISIBLE = re.compile(r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
CODE = re.compile(r"[^\s=&?/%:]+")


class Pasted:
    """Collects pasted lines until they are the answer to a request."""

    def __init__(self, request: AuthorizationRequest) -> None:
        self._uri, self._state = request.redirect_uri, request.state
        self._text = ""

    def add(self, line: str) -> str | None:
        """Return the address or the code; None while the rest of an address has to come.

        Raises: UsageError when the text is no answer; what was collected is forgotten then.
        """
        piece = INVISIBLE.sub("", line).strip(QUOTES)
        begins = piece.lower().startswith(("http:", "https:", "http%3a", "https%3a"))
        if self._uri == OUT_OF_BAND:
            return self._code(line, piece, is_address=begins)
        if not piece:
            return None
        self._text = piece if begins else self._text + piece  # or the person starts again
        address = self._address(self._text)
        if self._is_half(address):
            return None
        self._text = ""
        if not address.startswith(f"{self._uri}?"):
            raise UsageError(f"This is no address that begins with {self._uri}", hint=HINT)
        return address

    def _code(self, line: str, piece: str, *, is_address: bool) -> str:
        if is_address:
            return self._address(piece)
        if not CODE.fullmatch(piece) or len(line.split()) != 1:
            raise UsageError("This is no code", hint="Copy the code that the page shows.")
        return piece

    def _address(self, text: str) -> str:
        """Undo what other programs did to an address; complete what a browser does not show."""
        if re.match(r"(?i)https?%3a", text):
            text = unquote(re.sub("%.?$", "", text))  # a line may end within an escape
        text = text.replace("&amp;", "&")
        if re.match(r"\??(code|state|error)=", text):
            return f"{self._uri}?{text.removeprefix('?')}"
        scheme, _, rest = self._uri.partition("://")
        if text.startswith(f"{rest}?"):
            return f"{scheme}://{text}"
        # A browser writes scheme and host in small letters, whatever was registered.
        same = text[: len(self._uri)].lower() == self._uri.lower()
        path = self._uri.partition("://")[2].partition("/")[2]
        if same and text[: len(self._uri)].endswith(path):
            return self._uri + text[len(self._uri) :]
        return text

    def _is_half(self, address: str) -> bool:
        if self._uri.startswith(address):
            return True
        if not address.startswith(f"{self._uri}?"):
            return False
        found = parse_qs(address.partition("?")[2], keep_blank_values=True)
        state = found.get("state", [""])[0]
        has_answer = any(found.get(name, [""])[0] for name in ("code", "error"))
        # A state of another sign-in is not half: the library says what is wrong with it.
        return not has_answer or (self._state != state and self._state.startswith(state))
