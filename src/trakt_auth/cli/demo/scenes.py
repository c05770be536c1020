"""The scenes of the demo, in order: each does what its title says and returns what it measured.

A scene that does not do what its title says raises an error. Nothing is printed here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from stat import S_IMODE
from typing import TypeAlias

from trakt_auth.cli.commands.api_call import call
from trakt_auth.cli.commands.status_text import span
from trakt_auth.cli.demo.person import Person
from trakt_auth.cli.demo.stage import PROGRAMS, Stage
from trakt_auth.errors import LoginRequired
from trakt_auth.protocol.authorization import DevicePoll, Granted, Pending
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.runtime.loopback import CallbackReceiver

__all__ = ["SCENES", "Failed", "Scene"]

CALLS = 50
BROWSER = "browser"  # the account of the second way to sign in
OK, UNAUTHORIZED = 200, 401


class Failed(Exception):
    """A scene did not do what its title says."""


Scene: TypeAlias = Callable[[Stage], str]


def _expect(fact: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion
    if not fact:
        raise Failed(otherwise)


def by_device(stage: Stage) -> str:
    """Sign in with a code."""
    polls: list[DevicePoll] = []
    login = stage.client.start_device()

    def approve(poll: DevicePoll) -> None:
        polls.append(poll)
        if isinstance(poll, Pending):
            Person("alice").approve_device(login.verification_uri, login.user_code)

    token = stage.client.wait_for_device(login, on_poll=approve)
    kinds = [type(poll) for poll in polls]
    _expect(kinds == [Pending, Granted], f"the polls returned {kinds}")
    life = span(token.lifetime.total_seconds())
    return f"alice entered {login.user_code}; valid for {life}"


def by_browser(stage: Stage) -> str:
    """Sign in with a browser."""
    request = stage.client.authorization_request()
    with CallbackReceiver(request.redirect_uri, state=request.state) as receiver:
        Person("bob").approve_in_browser(request.url)
        answer = receiver.wait(timeout=10)
    token = stage.client.exchange_code(request, answer, account=BROWSER)
    _expect("code_challenge_method=S256" in request.url, "PKCE was not used")
    _expect(_who(stage, BROWSER) == OK, "the token does not work")
    kept = stage.client.token(account=BROWSER).access_token == token.access_token
    _expect(kept, "the token was not stored")
    return "bob pressed Allow; state and PKCE match"


def keep_private(stage: Stage) -> str:
    """Store the tokens in a private file."""
    file = stage.folder / "tokens.json"
    mode = S_IMODE(file.stat().st_mode)
    _expect(os.name == "nt" or mode == 0o600, f"the file's mode is {mode:o}")  # noqa: PLR2004
    names = stage.client.accounts()
    _expect(len(names) == 2, f"the store holds {names}")  # noqa: PLR2004 - alice and bob
    return f"{len(names)} accounts in one file, mode {mode:o}"


def call_api(stage: Stage) -> str:
    """Call the API."""
    status = _who(stage, "default")
    _expect(status == OK, f"it answered {status}")
    return f"GET /users/settings answered {status}"


def threads(stage: Stage) -> str:
    """Refresh once for threads."""
    before, old = stage.refreshes(), _expire(stage)
    with ThreadPoolExecutor(CALLS) as pool:
        asked = [pool.submit(stage.programs[n % PROGRAMS].token) for n in range(CALLS)]
        found = [one.result() for one in asked]
    return _one_refresh(stage, found, old, before, f"{CALLS} threads, {PROGRAMS} clients")


def coroutines(stage: Stage) -> str:
    """Refresh once for coroutines."""
    before, old = stage.refreshes(), _expire(stage)

    async def ask() -> list[Token]:
        async with stage.other as client:
            return list(await asyncio.gather(*(client.token() for _ in range(CALLS))))

    return _one_refresh(stage, asyncio.run(ask()), old, before, f"{CALLS} coroutines")


def lose_answer(stage: Stage) -> str:
    """Lose the answer to a refresh, and go on with the old token."""
    token = stage.client.token()
    left = token.due_at() - stage.clock.now().wall
    stage.clock.advance(left.total_seconds() + 1)
    before = stage.refreshes()
    stage.emulator.arm("reset", grant_type="refresh_token")
    served = stage.client.token()
    _expect(served.access_token == token.access_token, "another token was returned")
    _expect(_who(stage, "default") == OK, "the token does not work")
    sent = stage.refreshes() - before
    _expect(sent == 0, f"{sent} refreshes reached the emulator")
    return "answer lost; the old token still works"


def revoke(stage: Stage) -> str:
    """Sign out."""
    token = stage.client.token(account=BROWSER)
    stage.client.revoke(account=BROWSER)
    stage.client.adopt(_without_refresh(token), account="leftover")
    try:
        stage.client.token(account=BROWSER)
    except LoginRequired:
        pass
    else:
        raise Failed("a token was still returned")
    with suppress(LoginRequired):  # after the 401 there is no refresh token to use
        _who(stage, "leftover")
    status = [one.status for one in stage.emulator.log if one.endpoint == "/users/settings"][-1]
    _expect(status == UNAUTHORIZED, f"the API answers {status} to the old token")
    return f"LoginRequired; {status} for the old token"


def _without_refresh(token: Token) -> Token:
    return Token(
        access_token=token.access_token, created_at=token.created_at, expires_at=token.expires_at
    )


def _who(stage: Stage, account: str) -> int:
    return call(stage.client, account, "GET", "/users/settings").status


def _expire(stage: Stage) -> Token:
    token = stage.client.token()
    stage.clock.advance(token.lifetime.total_seconds() + 1)
    now = stage.clock.now().wall
    _expect(token.state(now) is TokenState.EXPIRED, "the token has not expired")
    return token


def _one_refresh(stage: Stage, found: list[Token], old: Token, before: int, who: str) -> str:
    sent, different = stage.refreshes() - before, {token.access_token for token in found}
    _expect(sent == 1, f"{sent} refreshes were sent")
    _expect(len(found) == CALLS, f"only {len(found)} got a token")
    _expect(len(different) == 1 and old.access_token not in different, "the tokens differ")
    return f"{who}: {sent} refresh sent"


SCENES: tuple[tuple[str, Scene], ...] = (
    ("sign in with a code", by_device),
    ("sign in with a browser", by_browser),
    ("keep the tokens private", keep_private),
    ("call the API", call_api),
    ("refresh once for threads", threads),
    ("refresh once for coroutines", coroutines),
    ("survive a lost answer", lose_answer),
    ("sign out", revoke),
)
