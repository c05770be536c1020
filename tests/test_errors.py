"""The error tree: as drawn, complete, picklable, and never a place where a secret shows."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import re
import string
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trakt_auth import Application, AsyncClient, Client, Endpoints, errors, protocol
from trakt_auth.flows import events, steps
from trakt_auth.protocol.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    DeviceAuthorization,
    Granted,
)
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.protocol.token import Token
from trakt_auth.stores.record import AccountKey, Record, Stored
from trakt_auth.testing.in_process import in_process

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = Token(access_token="a", created_at=NOW, expires_at=NOW + timedelta(days=7))

SAMPLES: dict[str, errors.TraktAuthError] = {
    "AccessDenied": errors.AccessDenied("access_denied", "no", status=418, message="No"),
    "Blocked": errors.Blocked("Blocked (403)", cause="edge", status=403, body="<html>", hint="Hm."),
    "CallbackError": errors.CallbackError("No code"),
    "Cancelled": errors.Cancelled("Cancelled by the caller"),
    "DeviceCodeExpired": errors.DeviceCodeExpired("expired_token", status=410),
    "DeviceCodeUnknown": errors.DeviceCodeUnknown("invalid_grant", status=404),
    "DeviceCodeUsed": errors.DeviceCodeUsed("invalid_grant", status=409),
    "InvalidClient": errors.InvalidClient("invalid_client", status=401),
    "InvalidGrant": errors.InvalidGrant("invalid_grant", "session not found", status=400),
    "InvalidRequest": errors.InvalidRequest("invalid_request", "redirect_uri mismatch"),
    "InvalidScope": errors.InvalidScope("invalid_scope"),
    "LockTimeout": errors.LockTimeout("Held by another program"),
    "LoginRequired": errors.LoginRequired(account="default", reason="no user signed in"),
    "OAuthError": errors.OAuthError("brand_new_error", "what?", status=400),
    "RateLimited": errors.RateLimited("Slow (429)", status=429, body="", retry_after=143.0),
    "ServerError": errors.ServerError("Odd", status=302, body="...", retry_after=1.0),
    "StateMismatch": errors.StateMismatch("Forged"),
    "StoreConflict": errors.StoreConflict("Changed"),
    "StoreCorrupt": errors.StoreCorrupt("Rubbish"),
    "StoreError": errors.StoreError("Store"),
    "StoreEncrypted": errors.StoreEncrypted("No key"),
    "StoreUnavailable": errors.StoreUnavailable("Disk full"),
    "TokenNotSaved": errors.TokenNotSaved("Not saved", token=TOKEN),
    "TraktAuthError": errors.TraktAuthError("Anything"),
    "TransportError": errors.TransportError("No answer", outcome_unknown=True),
    "UnauthorizedClient": errors.UnauthorizedClient("unauthorized_client"),
    "Unavailable": errors.Unavailable("Down (503)", status=503, retry_after=30.0),
    "UnexpectedResponse": errors.UnexpectedResponse("HTML", status=200, body="<html>"),
    "UnsupportedGrantType": errors.UnsupportedGrantType("unsupported_grant_type"),
    "UsageError": errors.UsageError("Wrong argument"),
}
RETRYABLE = {
    "LockTimeout",
    "RateLimited",
    "StoreConflict",
    "StoreUnavailable",
    "TransportError",
    "Unavailable",
}


def drawn_tree() -> dict[str, str]:
    """Read the tree of the module's docstring: each name with its parent's."""
    parents: dict[str, str] = {}
    above = {-1: "Exception"}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ]*)(?:[├└]─ )?([A-Z]\w+(?:, [A-Z]\w+)*)(?: {2,}|$)", line)
        if found is None:
            continue
        depth = -1 if line.strip() == "TraktAuthError" else len(found[1]) // 4
        for name in found[2].split(", "):
            assert name not in parents, f"{name} is drawn twice"
            parents[name] = "Exception" if depth < 0 else above[depth]
        above[depth + 1] = found[2].split(", ")[-1]
    return parents


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    defined = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    assert drawn_tree() == defined
    assert sorted(defined) == errors.__all__


def test_every_class_has_a_sample_here() -> None:
    assert sorted(SAMPLES) == errors.__all__
    assert all(type(sample).__name__ == name for name, sample in SAMPLES.items())


def test_a_usage_error_is_a_value_error() -> None:
    assert isinstance(SAMPLES["UsageError"], ValueError)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_class_has_a_hint_and_a_docstring(name: str) -> None:
    kind: type[errors.TraktAuthError] = getattr(errors, name)
    hint = kind.default_hint
    assert len(hint) > 20
    assert hint.endswith((".", "`."))
    assert "\n" not in hint
    assert SAMPLES[name].hint
    assert (kind.__doc__ or "").strip()


def test_a_hint_of_its_own_replaces_the_default() -> None:
    assert errors.UsageError("x", hint="Do that.").hint == "Do that."
    assert errors.UsageError("x", hint="").hint == errors.UsageError.default_hint


@pytest.mark.parametrize("name", errors.__all__)
def test_retryable(name: str) -> None:
    assert SAMPLES[name].retryable is (name in RETRYABLE)


@pytest.mark.parametrize("protocol_version", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_survives_pickling_with_all_it_knows(name: str, protocol_version: int) -> None:
    error = SAMPLES[name]
    for twin in (pickle.loads(pickle.dumps(error, protocol_version)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert twin.args == error.args
        assert vars(twin) == vars(error)
        assert twin.retryable is error.retryable


def test_messages_say_what_happened() -> None:
    assert str(SAMPLES["OAuthError"]) == "Trakt refused: brand_new_error (what?)"
    assert str(SAMPLES["InvalidScope"]) == "Trakt refused: invalid_scope"
    assert str(SAMPLES["AccessDenied"]) == "No"
    assert str(SAMPLES["LoginRequired"]) == "Account 'default' has to sign in: no user signed in"


# -- redaction -----------------------------------------------------------------------------------

LETTERS = string.ascii_letters + string.digits + "-_"
# Not lower case alone: such a thing in the field `error` would be an error code.
SECRETS = st.lists(
    st.text(LETTERS, min_size=20, max_size=64).map(lambda text: f"9{text}"),
    min_size=7,
    max_size=7,
    unique=True,
)
ECHOES = [
    (400, "application/json", '{"error":"invalid_grant","error_description":"token %s is dead"}'),
    (401, "application/json", '{"error":"%s","error_description":null}'),
    (400, "application/json", '{"error":"%s and %s"}'),
    (400, "application/json", '{"error":"invalid_grant","error_descr'),
    (400, "text/plain", "bad token %s"),
    (400, "application/json", '{"refresh_token":"%s'),
    (403, "text/html", "<html><b>%s</b><p>%s</html>"),
    (423, "application/json", '{"error":"%s"}'),
    (429, "text/plain", "%s"),
    (503, "text/html", "<html>%s" * 20),
    (302, "", "%s"),
    (200, "text/html", "<html><input value='%s'>"),
    (200, "application/json", '{"access_token":"%s","refresh_token":"%s'),
    (200, "application/json", '{"access_token":["%s"],"expires_in":1}'),
    (200, "application/json", '{"access_token":"%s","refresh_token":"%s","expires_in":-1}'),
    (200, "application/json", '{"access_token":"%s","expires_in":"%s"}'),
    (200, "", '{"device_code":"%s","user_code":"","verification_url":"x","expires_in":1}'),
    (200, "", '{"device_code":"%s","user_code":"a","verification_url":"x","expires_in":-1}'),
]
PARSERS = (
    lambda response: protocol.parse_token_response(response, requested_at=NOW),
    lambda response: protocol.parse_device_code_response(response, requested_at=NOW),
    lambda response: protocol.parse_device_token_response(response, requested_at=NOW),
    protocol.parse_revoke_response,
)


def fill(template: str, secret: str) -> str:
    return template.replace("%s", secret)


def told_by(error: BaseException, *, frames: int) -> str:
    """Return everything that an error can tell, local variables below our own frames included."""
    trace = error.__traceback__
    for _ in range(frames):
        trace = trace.tb_next if trace else None
    deep = traceback.TracebackException(type(error), error, trace, capture_locals=True)
    plain = traceback.format_exception(error)
    return "\n".join([str(error), repr(error), repr(vars(error)), *plain, *deep.format()])


def assert_hidden(secrets: list[str], text: str) -> None:
    for secret in secrets:
        assert secret[:16] not in text


@settings(deadline=None, max_examples=25)
@given(SECRETS)
def test_no_parse_error_shows_what_the_server_echoed(secrets: list[str]) -> None:
    raised = 0
    for status, kind, template in ECHOES:
        body = fill(template, secrets[0]).encode()
        response = HttpResponse(status=status, headers={"content-type": kind}, body=body)
        assert_hidden(secrets, repr(response))
        for parse in PARSERS:
            try:
                parse(response)
            except errors.TraktAuthError as error:
                raised += 1
                # One frame is this one, one the lambda's: both hold `response` and more.
                assert_hidden(secrets, told_by(error, frames=1))
    assert raised > 3 * len(ECHOES)


@settings(deadline=None, max_examples=25)
@given(SECRETS)
def test_no_value_shows_its_secrets(secrets: list[str]) -> None:
    client_secret, access, refresh, code, verifier, device_code, state = secrets
    verifier = (verifier * 3)[:100]  # at least 43 characters
    app = Application("id", user_agent="t/1", client_secret=client_secret, redirect_uri="x://y")
    at = Endpoints()
    token = Token(access_token=access, refresh_token=refresh, created_at=NOW, expires_at=NOW)
    device = DeviceAuthorization(
        device_code=device_code,
        user_code="X5HZX8BX",
        verification_uri="https://auth.trakt.tv/activate",
        expires_at=NOW,
        interval=5,
    )
    payload = Record(token=token).to_payload()
    stored = Stored(payload=payload, version=1, expires_at=NOW)
    requests = [
        protocol.build_exchange_request(
            app, at, code=code, redirect_uri="x://y", code_verifier=verifier
        ),
        protocol.build_refresh_request(app, at, refresh_token=refresh),
        protocol.build_revoke_request(app, at, token=access),
        protocol.build_device_token_request(app, at, device_code=device_code),
    ]
    values: list[object] = [
        app,
        token,
        device,
        stored,
        Record(token=token),
        Granted(token=token),
        AuthorizationRequest(
            url=f"https://x/?state={state}", state=state, redirect_uri="x://y",
            code_verifier=verifier,
        ),
        protocol.build_authorization_request(
            app, at, redirect_uri="x://y", state=state, code_verifier=verifier
        ),
        AuthorizationResponse.from_url(f"x://y?code={code}&state={state}"),
        events.TokenObtained(account="a", token=token),
        events.TokenRefreshed(account="a", token=token),
        *requests,
        *map(steps.Send, requests),
        steps.Save(key=AccountKey("i", "a"), payload=payload, expires_at=NOW, replacing=1),
        errors.TokenNotSaved("The disk is full", token=token),
    ]  # fmt: skip
    for value in values:
        assert_hidden(secrets, f"{value!r} {value}")
    # They are there all the same, or this test proves nothing.
    bodies = b" ".join(request.body for request in requests).decode()
    for secret in (client_secret, access, refresh, code, verifier, device_code):
        assert secret in bodies


class Server:
    """Gives good answers with secrets in them, then errors that echo what was sent."""

    def __init__(self, good: list[str]) -> None:
        self.good = list(good)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        kind = {"content-type": "application/json"}
        if self.good:
            return HttpResponse(status=200, headers=kind, body=self.good.pop(0).encode())
        said = request.body.decode() + json.dumps(dict(request.headers))
        body = json.dumps({"error": "invalid_grant", "error_description": said})
        return HttpResponse(status=400, headers=kind, body=body.encode())


def granted(access: str, refresh: str) -> str:
    return json.dumps({"access_token": access, "refresh_token": refresh, "expires_in": 604800})


@settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(secrets=SECRETS)
def test_no_log_and_no_client_error_shows_a_secret(
    caplog: pytest.LogCaptureFixture, secrets: list[str]
) -> None:
    client_secret, access, refresh, code, verifier, device_code, state = secrets
    verifier = (verifier * 3)[:100]  # at least 43 characters
    app = Application("id", user_agent="t/1", client_secret=client_secret, redirect_uri="x://y")
    device = json.dumps(
        {"device_code": device_code, "user_code": "X", "verification_url": "u", "expires_in": 9}
    )
    request = protocol.build_authorization_request(
        app, Endpoints(), redirect_uri="x://y", state=state, code_verifier=verifier
    )
    redirect = f"x://y?code={code}&state={state}"

    def fail(_: object) -> None:
        raise RuntimeError("a subscriber's own trouble")

    told: list[str] = []
    caplog.clear()
    with (
        caplog.at_level(logging.DEBUG),
        Client(app, transport=in_process(Server([granted(access, refresh), device]))) as client,
    ):
        client.subscribe(fail)
        client.exchange_code(request, redirect)
        authorization = client.start_device()
        told += [repr(client), repr(client.token()), repr(client.api)]
        for call in (
            lambda: client.exchange_code(request, redirect),
            lambda: client.exchange_code(request, f"x://y?code={code}&state=other"),
            lambda: client.exchange_code(request, f"x://y?error={access}&state={state}"),
            client.start_device,
            lambda: client.poll_device(authorization),
            client.refresh,
            client.token,
        ):
            try:
                told.append(repr(call()))
            except errors.TraktAuthError as error:
                told += [str(error), repr(error), repr(vars(error))]
                told += traceback.format_exception(error)
        client.revoke()
    for record in caplog.records:
        told += [record.getMessage(), repr(vars(record)), str(record.exc_text)]
    assert any("A subscriber failed" in record.message for record in caplog.records)
    assert_hidden(secrets, caplog.text + "\n".join(told))


def test_no_async_client_error_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    secrets = [f"{name}-0123456789-ABCDEFGHIJ" for name in ("secret", "access", "refresh")]
    app = Application("id", user_agent="t/1", client_secret=secrets[0])
    told: list[str] = []

    async def use() -> None:
        server = Server([granted(*secrets[1:])])
        async with AsyncClient(app, transport=in_process(server)) as client:
            token = protocol.parse_token_response(
                server(protocol.build_device_code_request(app, Endpoints())), requested_at=NOW
            )
            await client.adopt(token)
            with pytest.raises(errors.LoginRequired) as caught:
                await client.refresh()
            told.extend([repr(client), *traceback.format_exception(caught.value)])
            await client.revoke()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(use())
    assert_hidden(secrets, caplog.text + "\n".join(told))


def test_a_traceback_shows_the_hint() -> None:
    error = errors.UsageError("No such account", hint="Sign in first.")
    assert traceback.format_exception(error)[-2:] == [
        "trakt_auth.errors.UsageError: No such account\n",
        "Hint: Sign in first.\n",
    ]
    error.hint = "Name another account."
    assert traceback.format_exception(error)[-1] == "Hint: Name another account.\n"
    for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        copied.add_note("of the copy")
        assert copied.hint == error.hint
        assert copied.__notes__ == ["Hint: Name another account.", "of the copy"]
    assert error.__notes__ == ["Hint: Name another account."]
