"""A browser's visit: its session cookie, its CSRF token, and the pages shown to it.

Every page leaves through here, so that none is without its security headers.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from trakt_auth.emulator.expiring_dict import digest, same
from trakt_auth.emulator.http.response import Answer, Refused, redirect, text_answer

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account, Session
    from trakt_auth.emulator.state.state import Site

Tone = Literal["yes", "no", "late"]

__all__ = ["Tone", "Visit", "bare_page", "checked_form", "visit"]


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request of a browser; `cookie` is set when the answer must carry a new one."""

    site: Site
    request: Request
    session: Session
    cookie: str | None = field(default=None, repr=False)

    @property
    def account(self) -> Account | None:
        """Who is signed in."""
        return self.session.account

    def sign_in(self, account: Account | None) -> None:
        """Start a new session, so that nobody who knew the old cookie is signed in with it."""
        self.site.sessions.drop(digest(self.request.cookie(_cookie_name(self.request)) or ""))
        self.cookie, self.session = self.site.open_session(account, now=self.request.now)

    def show(
        self,
        template: str,
        *,
        status: int = 200,
        outcome: str = "page",
        form_target: str = "",
        scripted: bool = False,
        **values: object,
    ) -> Answer:
        """Return a page; `form_target` is where its forms may end beside this origin.

        A `scripted` page may run the script that carries its nonce, and nothing else.
        """
        values.update(csrf=self.session.csrf, account=self.account)
        answer = _page(
            template,
            values,
            status=status,
            outcome=outcome,
            form_target=form_target,
            scripted=scripted,
        )
        return self._with_cookie(answer)

    def message(
        self,
        title: str,
        text: str,
        *,
        status: int = 200,
        outcome: str = "page",
        tone: Tone = "no",
        onward: tuple[str, str] | None = None,
    ) -> Answer:
        """Return a page that only says something; `onward` is an address and a link's words."""
        return self.show(
            "message.html",
            status=status,
            outcome=outcome,
            title=title,
            text=text,
            tone=tone,
            onward=onward,
        )

    def go(self, location: str, *, outcome: str) -> Answer:
        """Send the browser elsewhere."""
        return self._with_cookie(redirect(location, outcome=outcome))

    def _with_cookie(self, answer: Answer) -> Answer:
        if self.cookie is not None:
            secure = "; Secure" if self.request.scheme == "https" else ""
            name = _cookie_name(self.request)
            answer.headers["set-cookie"] = (
                f"{name}={self.cookie}; Path=/; HttpOnly; SameSite=Lax{secure}"
            )
        return answer


def visit(site: Site, request: Request) -> Visit:
    """Return the visit of a browser, with a new session if it brings none that is known."""
    value = request.cookie(_cookie_name(request))
    session = None if value is None else site.sessions.get(digest(value))
    if session is not None:
        return Visit(site=site, request=request, session=session)
    cookie, session = site.open_session(None, now=request.now)
    return Visit(site=site, request=request, session=session, cookie=cookie)


def checked_form(browser: Visit) -> dict[str, str]:
    """Return the fields of a form that this browser was given; refuse any other with 403."""
    try:
        fields = browser.request.fields()
    except Refused:
        text = "The form could not be read. Go back and try again."
        page = browser.message("Something went wrong", text, status=400, outcome="bad_form")
        raise Refused(page) from None
    if not same(fields.get("csrf", ""), browser.session.csrf):
        text = "This form is out of date or came from another site. Go back and try again."
        raise Refused(browser.message("Form expired", text, status=403, outcome="csrf"))
    return fields


def bare_page(title: str, text: str, *, status: int, outcome: str) -> Answer:
    """Return a page for a browser of which nothing is known."""
    values: dict[str, object] = {"title": title, "text": text, "tone": "no", "onward": None}
    return _page("message.html", values, status=status, outcome=outcome)


def _page(
    template: str,
    values: dict[str, object],
    *,
    status: int,
    outcome: str,
    form_target: str = "",
    scripted: bool = False,
) -> Answer:
    # Only a page needs jinja2, which is an extra: signing in by code alone goes without it.
    from trakt_auth.emulator.pages.render import render

    nonce = secrets.token_urlsafe(16)
    html = render(template, {**values, "nonce": nonce})
    answer = text_answer(html, status=status, outcome=outcome, media_type="text/html")
    script = f"script-src 'nonce-{nonce}'; connect-src 'self'; " if scripted else ""
    answer.headers.update(
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
    return answer


def _cookie_name(request: Request) -> str:
    """Return a name with the port: cookies are shared by all servers on one host name."""
    return f"emulator_session_{request.port or request.scheme}"
