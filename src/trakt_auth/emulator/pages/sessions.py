"""Browser sessions: the cookie, the CSRF token, and the responses that are pages.

Every page is made here, so that each has its security headers. Which page is shown is decided
elsewhere.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from trakt_auth.emulator.hashing import digest, same_secret
from trakt_auth.emulator.http.response import ErrorResponse, Response, redirect, text_response

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account, Session
    from trakt_auth.emulator.state.state import EmulatorState

Tone = Literal["yes", "no", "late"]  # the sign on a message page: a tick, a cross, or a warning

__all__ = ["Tone", "Visit", "bare_page", "checked_form", "visit"]


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request of a browser; `cookie` is set if the response has to set a new one."""

    state: EmulatorState
    request: Request
    session: Session
    cookie: str | None = field(default=None, repr=False)

    @property
    def account(self) -> Account | None:
        """The account that is signed in, or None."""
        return self.session.account

    def sign_in(self, account: Account | None) -> None:
        """Sign in, or out if None, in a new session: the old cookie becomes worthless."""
        self.state.sessions.drop(digest(self.request.cookie(_cookie_name(self.request)) or ""))
        self.cookie, self.session = self.state.open_session(account, now=self.request.now)

    def show(
        self,
        template: str,
        *,
        status: int = 200,
        outcome: str = "page",
        form_target: str = "",
        scripted: bool = False,
        **values: object,
    ) -> Response:
        """Return a page; its forms may lead to this origin and to `form_target`.

        A `scripted` page may run the script that carries its nonce, and no other.
        """
        values.update(csrf=self.session.csrf, account=self.account)
        response = _page(
            template,
            values,
            status=status,
            outcome=outcome,
            form_target=form_target,
            scripted=scripted,
        )
        return self._with_cookie(response)

    def message(
        self,
        title: str,
        text: str,
        *,
        status: int = 200,
        outcome: str = "page",
        tone: Tone = "no",
        link: tuple[str, str] | None = None,
    ) -> Response:
        """Return a page with a title and a text; `link` is the URL and the text of a link."""
        return self.show(
            "pages/message.html",
            status=status,
            outcome=outcome,
            title=title,
            text=text,
            tone=tone,
            link=link,
        )

    def go(self, location: str, *, outcome: str) -> Response:
        """Redirect the browser to `location`."""
        return self._with_cookie(redirect(location, outcome=outcome))

    def _with_cookie(self, response: Response) -> Response:
        if self.cookie is not None:
            secure = "; Secure" if self.request.scheme == "https" else ""
            name = _cookie_name(self.request)
            response.headers["set-cookie"] = (
                f"{name}={self.cookie}; Path=/; HttpOnly; SameSite=Lax{secure}"
            )
        return response


def visit(state: EmulatorState, request: Request) -> Visit:
    """Return the visit of a browser, with a new session if its cookie names none."""
    value = request.cookie(_cookie_name(request))
    session = None if value is None else state.sessions.get(digest(value))
    if session is not None:
        return Visit(state=state, request=request, session=session)
    cookie, session = state.open_session(None, now=request.now)
    return Visit(state=state, request=request, session=session, cookie=cookie)


def checked_form(browser: Visit) -> dict[str, str]:
    """Return the fields of a form whose CSRF token is that of this session.

    Raises: ErrorResponse with 403 for another token, 400 for a form that is malformed.
    """
    try:
        fields = browser.request.fields()
    except ErrorResponse:
        text = "The form could not be read. Go back and try again."
        page = browser.message("Something went wrong", text, status=400, outcome="bad_form")
        raise ErrorResponse(page) from None
    if not same_secret(fields.get("csrf", ""), browser.session.csrf):
        text = "This form is out of date or came from another site. Go back and try again."
        raise ErrorResponse(browser.message("Form expired", text, status=403, outcome="csrf"))
    return fields


def bare_page(title: str, text: str, *, status: int, outcome: str) -> Response:
    """Return a message page for a request without a session."""
    values: dict[str, object] = {"title": title, "text": text, "tone": "no", "link": None}
    return _page("pages/message.html", values, status=status, outcome=outcome)


def _page(
    template: str,
    values: dict[str, object],
    *,
    status: int,
    outcome: str,
    form_target: str = "",
    scripted: bool = False,
) -> Response:
    # Imported here because only pages need jinja2, which is an extra.
    from trakt_auth.emulator.pages.render import render

    nonce = secrets.token_urlsafe(16)
    html = render(template, {**values, "nonce": nonce})
    response = text_response(html, status=status, outcome=outcome, media_type="text/html")
    script = f"script-src 'nonce-{nonce}'; connect-src 'self'; " if scripted else ""
    response.headers.update(
        {
            "content-security-policy": (
                f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; {script}"
                f"form-action 'self' {form_target}".rstrip()
                + "; base-uri 'none'; frame-ancestors 'none'"
            ),
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }
    )
    return response


def _cookie_name(request: Request) -> str:
    """Return a name with the port in it: browsers share cookies between the ports of a host."""
    return f"emulator_session_{request.port or request.scheme}"
