"""Transcripts: each flow's steps in order, without a socket, a thread or a clock."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from support.simulation import APP, CONTEXT, KEY, START, WEEK, Script, answer, granted, token
from trakt_auth.errors import (
    AccessDenied,
    Blocked,
    CallbackError,
    DeviceCodeExpired,
    DeviceCodeUnknown,
    DeviceCodeUsed,
    InvalidClient,
    InvalidGrant,
    LockTimeout,
    OAuthError,
    StateMismatch,
    StoreUnavailable,
    TokenNotSaved,
    TransportError,
    Unavailable,
    UnexpectedResponse,
    UsageError,
)
from trakt_auth.flows import login as flows
from trakt_auth.flows import revocation
from trakt_auth.flows.events import TokenObtained, TokenRefreshed, TokenRevoked
from trakt_auth.flows.saving import SAVE_PAUSES
from trakt_auth.flows.steps import Hold, Load, Notify, Now, Save, Send, Sleep
from trakt_auth.protocol import build_authorization_request
from trakt_auth.protocol.application import Endpoints
from trakt_auth.protocol.authorization import DeviceAuthorization, Granted, Pending, SlowDown
from trakt_auth.protocol.redirect import OUT_OF_BAND
from trakt_auth.stores.interface import Forgotten
from trakt_auth.stores.record import Record, Stored

REQUEST = build_authorization_request(
    APP,
    Endpoints.at("https://trakt.test"),
    redirect_uri="http://127.0.0.1:8765/callback",
    state="the-state",
    code_verifier="v" * 43,
)
DEVICE = DeviceAuthorization(
    device_code="device",
    user_code="ABCD1234",
    verification_uri="https://trakt.test/activate",
    expires_at=START + timedelta(seconds=600),
    interval=5,
)
DOWN = TransportError("no route", outcome_unknown=False)


def stored(record: Record, version: int = 1) -> Stored:
    return Stored(payload=record.to_payload(), version=version)


def exchange(callback):
    return Script(flows.exchange_code(CONTEXT, REQUEST, callback, account="default"))


def wait():
    return Script(flows.wait_for_device(CONTEXT, DEVICE, account="default"))


def slept(script):
    return [step.seconds for step in script.seen if isinstance(step, Sleep)]


def sent(script):
    return [json.loads(step.request.body) for step in script.seen if isinstance(step, Send)]


class TestExchangeCode:
    URL = "http://127.0.0.1:8765/callback?code=the-code&state=the-state"

    @pytest.mark.parametrize(
        "callback",
        [
            URL,
            " " + URL + "\n",
            "?" + URL.split("?")[1],
            URL.split("?")[1],
            URL + "#_=_",
            "HTTP" + URL[4:],
            URL.removeprefix("http://"),
            URL.removeprefix("http://127.0.0.1:8765"),
            URL.replace("callback", "%63allback"),
            URL + "&iss=https%3A%2F%2Ftrakt.test",
        ],
    )
    def test_sends_the_code_and_keeps_the_token(self, callback):
        script = exchange(callback)
        result = script.run((Send, granted(1)), (Save, 1), (Notify, None))
        assert (result.access_token, result.refresh_token) == ("a1", "r1")
        assert result.expires_at == START + WEEK
        assert sent(script) == [
            {
                "client_id": "client",
                "grant_type": "authorization_code",
                "code": "the-code",
                "redirect_uri": "http://127.0.0.1:8765/callback",
                "code_verifier": "v" * 43,
            }
        ]
        *_, save, event = script.seen
        assert save.key == KEY
        assert save.replacing is None
        assert event.event == TokenObtained(account="default", token=result)

    @pytest.mark.parametrize(
        ("callback", "error"),
        [
            ("the-code", CallbackError),
            (URL.partition("?")[0], CallbackError),
            (URL.replace("the-state", ""), StateMismatch),
            (URL.replace("the-state", "the-stat\xe9"), StateMismatch),
            (URL.replace("http://", "https://"), StateMismatch),
            (URL.replace("8765", "8766"), StateMismatch),
            (URL.replace(":8765", ""), StateMismatch),
            (URL.replace(":8765", ":port"), StateMismatch),
            (URL.replace("127.0.0.1", "localhost"), StateMismatch),
            (URL.replace("127.0.0.1", "user@127.0.0.1"), StateMismatch),
            (URL.replace("/callback", "/callback/"), StateMismatch),
            (URL.replace("/callback", "/Callback"), StateMismatch),
            (URL.replace("/callback", "/x/../callback"), StateMismatch),
            (URL.replace("http:", "app:"), StateMismatch),
            (URL.replace("http://127.0.0.1:8765", "//evil.example"), StateMismatch),
            (URL.replace("http://127.0.0.1:8765", "/evil"), StateMismatch),
            (URL + "&iss=https%3A%2F%2Fevil.example", StateMismatch),
            (URL + "&iss=https%3A%2F%2Ftrakt.tv", StateMismatch),
            (URL + "&iss=nonsense", StateMismatch),
            (URL + "&iss=a&iss=b", CallbackError),
            (URL.replace("code=the-code", "error=access_denied"), AccessDenied),
            (URL.replace("code=the-code", "error=odd"), OAuthError),
            ("http://x/callback?code=c&state=other", StateMismatch),
            ("http://x/callback?code=c", StateMismatch),
            ("http://x/callback?error=access_denied&state=other", StateMismatch),
            ("http://x/callback?error=access_denied&state=the-state", StateMismatch),
            ("http://x/callback?error=odd&state=the-state", StateMismatch),
            ("http://x/callback?code=a&code=b&state=the-state", CallbackError),
            ("http://x/callback?state=the-state", CallbackError),
            ("", CallbackError),
            ("two words", CallbackError),
            ("bell\x07", CallbackError),
        ],
    )
    def test_a_wrong_redirect_sends_nothing(self, callback, error):
        script = exchange(callback)
        with pytest.raises(error) as caught:
            script.run()
        assert script.seen == []
        assert not isinstance(caught.value, UsageError)  # the address came from outside
        assert isinstance(caught.value, CallbackError | OAuthError)
        assert caught.value.hint
        assert "the-state" not in str(caught.value)

    @pytest.mark.parametrize(
        "callback",
        [
            "the-code",
            " the-code\n",
            "https://trakt.test/oauth/authorize/native?code=the-code&state=the-state",
            "?code=the-code&state=the-state",
        ],
    )
    def test_out_of_band_a_code_alone_is_enough(self, callback):
        request = replace(REQUEST, redirect_uri=OUT_OF_BAND)
        script = Script(flows.exchange_code(CONTEXT, request, callback, account="default"))
        script.run((Send, granted(1)), (Save, 1), (Notify, None))
        assert sent(script)[0]["code"] == "the-code"

    @pytest.mark.parametrize(
        ("callback", "error"),
        [
            ("", CallbackError),
            ("two words", CallbackError),
            ("c\u00f6de", CallbackError),
            ("https://trakt.test/oauth", CallbackError),
            ("?code=the-code", StateMismatch),
            ("https://trakt.test/oauth/authorize/native?code=the-code", StateMismatch),
            ("http://evil.example/?code=the-code&state=the-state", StateMismatch),
        ],
    )
    def test_out_of_band_anything_else_is_compared(self, callback, error):
        request = replace(REQUEST, redirect_uri=OUT_OF_BAND)
        script = Script(flows.exchange_code(CONTEXT, request, callback, account="default"))
        with pytest.raises(error):
            script.run()
        assert script.seen == []

    def test_a_refusal_saves_nothing(self):
        with pytest.raises(InvalidGrant):
            exchange(self.URL).run((Send, answer(400, {"error": "invalid_grant"})))

    def test_a_full_disk_is_tried_again_then_hands_the_token_over(self):
        full = StoreUnavailable("no space left")
        steps = [(Save, full), (Sleep, None)] * len(SAVE_PAUSES) + [(Save, full)]
        script = exchange(self.URL)
        with pytest.raises(TokenNotSaved) as caught:
            script.run((Send, granted(1)), *steps, (Notify, None))
        assert caught.value.token.access_token == "a1"
        assert slept(script) == list(SAVE_PAUSES)

    def test_a_disk_that_recovers_costs_nothing(self):
        full = StoreUnavailable("no space left")
        result = exchange(self.URL).run(
            (Send, granted(1)), (Save, full), (Sleep, None), (Save, 2), (Notify, None)
        )
        assert result.access_token == "a1"


class TestDevice:
    def test_start(self):
        body = {
            "device_code": "device",
            "user_code": " ABCD1234\u200b",
            "verification_url": "https://trakt.test/activate",
            "expires_in": 600,
            "interval": 6,
        }
        device = Script(flows.start_device(CONTEXT)).run((Send, answer(200, body)))
        assert device.expires_at == START + timedelta(seconds=600)
        assert device.interval == 6
        assert device.user_code.startswith("ABCD1234")

    @pytest.mark.parametrize(
        ("response", "poll"),
        [
            (answer(400), Pending()),
            (answer(400, {"error": "authorization_pending"}), Pending()),
            (answer(429), SlowDown()),
            (answer(429, None, **{"retry-after": "17"}), SlowDown(retry_after=17)),
            (answer(400, {"error": "slow_down"}), SlowDown()),
        ],
    )
    def test_poll_once(self, response, poll):
        script = Script(flows.poll_device(CONTEXT, DEVICE, account="default"))
        assert script.run((Send, response)) == poll
        assert sent(script) == [{"client_id": "client", "code": "device"}]

    def test_poll_granted_is_kept_first(self):
        script = Script(flows.poll_device(CONTEXT, DEVICE, account="default"))
        poll = script.run((Send, granted(1)), (Save, 1), (Notify, None))
        assert isinstance(poll, Granted)
        assert isinstance(script.seen[-2], Save)

    def test_waits_first_then_polls(self):
        script = wait()
        result = script.run(
            (Sleep, None),
            (Send, answer(400)),
            (Notify, None),
            (Sleep, None),
            (Send, granted(1)),
            (Save, 1),
            (Notify, None),
            (Notify, None),
        )
        assert result.access_token == "a1"
        assert slept(script) == [5, 5]

    def test_slow_down_is_for_good_and_obeys_retry_after(self):
        script = wait()
        script.run(
            *((Sleep, None), (Send, answer(429)), (Notify, None)),
            *((Sleep, None), (Send, answer(400)), (Notify, None)),
            *((Sleep, None), (Send, answer(429, None, **{"retry-after": "40"})), (Notify, None)),
            *((Sleep, None), (Send, granted(1)), (Save, 1), (Notify, None), (Notify, None)),
        )
        assert slept(script) == [5, 10, 10, 40]

    @pytest.mark.parametrize(
        "fault",
        [
            DOWN,
            TransportError("reset", outcome_unknown=True),
            answer(502, b"<html>"),
            answer(520),
            answer(200, b"<html>log in to the airport</html>", **{"content-type": "text/html"}),
            answer(200),
            answer(201, b"<html>"),
            answer(202),
            answer(204),
            answer(302, None, location="http://airport.example/"),
            answer(307),
            answer(408),
            answer(421),
            answer(425),
            answer(401, b"\n <!DOCTYPE html>", **{"content-type": "text/html"}),
            answer(407, b"<html>the proxy's page</html>"),
            answer(403, b"<html>", **{"content-type": "text/html", "server": "cloudflare"}),
            answer(403, b"error code: 1015", **{"content-type": "text/plain"}),
        ],
    )
    def test_passing_faults_delay_and_are_forgotten(self, fault):
        script = wait()
        script.run(
            *((Sleep, None), (Send, fault)),
            *((Sleep, None), (Send, fault)),
            *((Sleep, None), (Send, answer(400)), (Notify, None)),
            *((Sleep, None), (Send, granted(1)), (Save, 1), (Notify, None), (Notify, None)),
        )
        assert slept(script) == [5, 10, 20, 5]

    @pytest.mark.parametrize(
        ("response", "error"),
        [
            (answer(404), DeviceCodeUnknown),
            (answer(409), DeviceCodeUsed),
            (answer(410), DeviceCodeExpired),
            (answer(418), AccessDenied),
            (answer(400, {"error": "invalid_client"}), InvalidClient),
            (answer(400, {"error": "expired_token"}), DeviceCodeExpired),
            (answer(400, {"error": "access_denied"}), AccessDenied),
            (answer(405), UnexpectedResponse),
            (answer(401), UnexpectedResponse),
            (answer(404, b"<html>", **{"content-type": "text/html"}), DeviceCodeUnknown),
            (answer(408, {"error": "invalid_client"}), InvalidClient),
            (answer(403, {"error": "invalid_client"}), InvalidClient),
            (answer(403), Blocked),
            (answer(403, b"Forbidden", **{"content-type": "text/plain"}), Blocked),
            (answer(423), Blocked),
        ],
    )
    def test_terminal_answers_end_it(self, response, error):
        with pytest.raises(error):
            wait().run((Sleep, None), (Send, response))

    def test_a_grant_with_status_201_is_kept(self):
        tokens = {"access_token": "a1", "refresh_token": "r1"}
        script = wait()
        result = script.run(
            *((Sleep, None), (Send, answer(201, tokens)), (Save, 1), (Notify, None)),
            (Notify, None),
        )
        assert (result.access_token, result.refresh_token) == ("a1", "r1")
        assert result.lifetime == timedelta(days=1)

    def test_answers_that_say_nothing_end_with_the_code(self):
        script = wait()
        # 5, 10, 20, 40, then one poll a minute
        with pytest.raises(DeviceCodeExpired):
            script.run(*[(Sleep, None), (Send, answer(425))] * 12, (Sleep, None))
        assert sum(slept(script)) == 600

    def test_stops_by_the_local_clock_without_a_last_poll(self):
        script = wait()
        with pytest.raises(DeviceCodeExpired) as caught:
            script.run(*[(Sleep, None), (Send, answer(400)), (Notify, None)] * 119, (Sleep, None))
        assert sum(slept(script)) == 600
        assert "few apps" in caught.value.hint

    def test_a_code_that_is_over_already_sends_nothing(self):
        old = DeviceAuthorization.from_json(DEVICE.to_json())
        old = type(old)(
            device_code="d", user_code="u", verification_uri="v", interval=5, expires_at=START
        )
        with pytest.raises(DeviceCodeExpired):
            Script(flows.wait_for_device(CONTEXT, old, account="default")).run()


class TestAdopt:
    def test_a_valid_token_is_kept_and_returned(self):
        mine = token()
        script = Script(flows.adopt(CONTEXT, mine, account="default"))
        assert script.run((Save, 1), (Notify, None)) == mine
        assert isinstance(script.seen[-2].event, TokenObtained)

    def test_an_expired_token_is_kept_first_then_refreshed(self):
        mine = token(age=timedelta(days=9))
        kept = stored(Record(token=mine))
        script = Script(flows.adopt(CONTEXT, mine, account="default"))
        result = script.run(
            *((Save, 1), (Notify, None)),
            *((Load, kept), (Hold, True), (Load, kept), (Load, None)),
            *((Save, 2), (Send, granted(2)), (Save, 3), (Notify, None)),
        )
        assert result.access_token == "a2"
        assert script.seen[-1].event == TokenRefreshed(account="default", token=result)


class TestRevoke:
    ONE = Forgotten(records=(Record(token=token()),), version=6, existed=True)

    def revoke(self):
        return Script(revocation.revoke(CONTEXT, account="default"))

    def forgotten(self, script):
        (notify,) = [step for step in script.seen if isinstance(step, Notify)]
        (save,) = [step for step in script.seen if isinstance(step, Save)]
        assert notify.version == 6
        return save.payload is None and notify.event == TokenRevoked(account="default")

    def test_deletes_and_revokes_at_trakt(self):
        script = self.revoke()
        ok = (Send, answer(200))
        script.run((Hold, True), (Save, self.ONE), (Notify, None), ok, ok)
        assert [body["token"] for body in sent(script)] == ["r1", "a1"]
        assert self.forgotten(script)

    def test_deletes_even_if_trakt_cannot_be_reached(self):
        script = self.revoke()
        script.run((Hold, True), (Save, self.ONE), (Notify, None), (Send, DOWN))
        assert self.forgotten(script)

    @pytest.mark.parametrize("fault", [Unavailable("down"), answer(401), answer(503)])
    def test_a_refusal_of_one_token_does_not_spare_the_other(self, fault):
        script = self.revoke()
        both = [(Send, fault), (Send, answer(200))]
        script.run((Hold, True), (Save, self.ONE), (Notify, None), *both)
        assert self.forgotten(script)

    def test_a_record_that_cannot_be_read_can_be_deleted(self):
        script = self.revoke()
        script.run((Hold, True), (Save, replace(self.ONE, records=())), (Notify, None))
        assert self.forgotten(script)

    def test_deletes_even_while_another_process_holds_the_lock(self):
        script = self.revoke()
        busy, ok = LockTimeout("busy"), (Send, answer(200))
        script.run((Hold, busy), (Save, self.ONE), (Notify, None), ok, ok)
        assert self.forgotten(script)

    def test_revokes_at_trakt_even_if_nothing_can_be_deleted(self):
        script, ok = self.revoke(), (Send, answer(200))
        stuck = replace(self.ONE, existed=False, error=StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable, match="away") as caught:
            script.run((Hold, True), (Save, stuck), ok, ok)
        assert [body["token"] for body in sent(script)] == ["r1", "a1"]
        assert caught.value.hint.startswith("Trakt has ended the login")

    def test_says_so_only_if_trakt_was_reached(self):
        script = self.revoke()
        stuck = replace(self.ONE, existed=False, error=StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable) as caught:
            script.run((Hold, True), (Save, stuck), (Send, DOWN))
        assert caught.value.hint == StoreUnavailable.default_hint

    def test_without_a_login_there_is_nothing_to_do(self):
        self.revoke().run((Hold, True), (Save, Forgotten()))

    def test_a_pair_that_waits_in_the_fallback_store_is_revoked_too(self):
        script, ok = self.revoke(), (Send, answer(200))
        both = replace(self.ONE, records=(Record(token=token(2)), Record(token=token())))
        script.run((Hold, True), (Save, both), (Notify, None), ok, ok, ok, ok)
        assert [body["token"] for body in sent(script)] == ["r2", "a2", "r1", "a1"]
        assert self.forgotten(script)

    def test_a_fallback_store_that_is_away_keeps_the_rest_from_nothing(self):
        script, ok = self.revoke(), (Send, answer(200))
        half = replace(self.ONE, error=StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable):
            script.run((Hold, True), (Save, half), (Notify, None), ok, ok)
        assert [body["token"] for body in sent(script)] == ["r1", "a1"]
        assert self.forgotten(script)

    def test_a_token_without_refresh_token(self):
        only = Record(token=replace(token(), refresh_token=None))
        self.revoke().run(
            *((Hold, True), (Save, replace(self.ONE, records=(only,)))),
            *((Notify, None), (Send, answer(200))),
        )


def test_now_steps_are_the_only_source_of_time():
    script = Script(flows.start_device(CONTEXT))
    with pytest.raises(UnexpectedResponse):
        script.run((Send, answer(200, {"device_code": 5})))
    assert isinstance(script.seen[1], Now)
