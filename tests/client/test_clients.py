"""Both clients against the emulator over a real socket: sync, asyncio and trio."""

import json
import os
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import anyio
import httpx2
import pytest

from support.both_clients import (
    APP,
    REDIRECT_URI,
    Driver,
    key_of,
    most_arrivals,
    refreshes,
    token_of,
)
from trakt_auth import (
    AccessDenied,
    Application,
    AsyncClient,
    Blocked,
    Cancelled,
    Client,
    DeviceCodeExpired,
    DeviceCodeUsed,
    Endpoints,
    Granted,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    LoginNeeded,
    LoginRequired,
    Pending,
    RateLimited,
    SlowDown,
    StateMismatch,
    StoreEncrypted,
    StoreUnavailable,
    TokenNotSaved,
    TokenObtained,
    TokenRefreshed,
    TokenRevoked,
    TokenUnsaved,
    TraktAuthError,
    TransportError,
    Unavailable,
    UnexpectedResponse,
    UsageError,
    open_store,
)
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import Record
from trakt_auth.stores.wrappers.encrypted import generate_key, key_id

LIFE = 604800


def test_device_flow_end_to_end(play, emulator):
    async def scenario(trakt):
        device = await trakt.start_device()
        seen = []

        def person(poll):
            seen.append(poll)
            if len(seen) == 2:
                emulator.approve_device(device.user_code, username="ann")

        await trakt.wait_for_device(device, on_poll=person)
        assert [type(poll) for poll in seen] == [Pending, Pending, Granted]
        settings = await trakt.get("/users/settings")
        assert settings.json()["user"]["username"] == "ann"
        with pytest.raises(DeviceCodeUsed):
            await trakt.poll_device(device)

    play(scenario)


def test_polls_once_for_those_who_wait_themselves(play, emulator, clock):
    async def scenario(trakt):
        device = await trakt.start_device()
        assert await trakt.poll_device(device) == Pending()
        assert isinstance(await trakt.poll_device(device), SlowDown)
        emulator.approve_device(device.user_code, username="ann")
        clock.sleep(device.interval)
        assert isinstance(await trakt.poll_device(device), Granted)
        assert await trakt.accounts() == ["default"]

    play(scenario)


def test_device_denied_and_expired(play, emulator, clock):
    async def scenario(trakt):
        device = await trakt.start_device()
        emulator.deny_device(device.user_code)
        with pytest.raises(AccessDenied):
            await trakt.wait_for_device(device)
        device = await trakt.start_device()
        with pytest.raises(DeviceCodeExpired):
            await trakt.wait_for_device(device)
        assert sum(clock.slept[-120:]) == 600
        device = await trakt.start_device()
        emulator.clock.advance(601)
        with pytest.raises(DeviceCodeExpired):
            await trakt.poll_device(device)

    play(scenario)


def test_authorization_code_end_to_end(play, emulator):
    async def scenario(trakt):
        request = trakt.client.authorization_request()
        callback = emulator.approve_authorization(request.url, username="ann")
        token = await trakt.exchange_code(request, callback)
        assert token.lifetime == timedelta(seconds=LIFE)
        assert (await trakt.get("/users/me")).json()["username"] == "ann"
        with pytest.raises(InvalidGrant):
            await trakt.exchange_code(request, callback)

    play(scenario)


def test_authorization_denied_tampered_or_mismatched(play, emulator):
    async def scenario(trakt):
        request = trakt.client.authorization_request()
        with pytest.raises(AccessDenied):
            await trakt.exchange_code(request, emulator.deny_authorization(request.url))
        other = trakt.client.authorization_request()
        callback = emulator.approve_authorization(other.url)
        with pytest.raises(StateMismatch):
            await trakt.exchange_code(request, callback)
        moved = type(other).from_json(other.to_json().replace("8765", "8766"))
        with pytest.raises(StateMismatch, match="redirect_uri"):
            await trakt.exchange_code(moved, callback)
        with pytest.raises(InvalidRequest):
            await trakt.exchange_code(moved, callback.partition("?")[2])

    play(scenario)


def test_a_confidential_client_and_a_wrong_secret(play, emulator):
    for secret, fits in [("emulator-secret", True), ("wrong", False)]:
        app = Application(
            "emulator", client_secret=secret, user_agent="t/1", redirect_uri=REDIRECT_URI
        )

        async def scenario(trakt, fits=fits):
            request = trakt.client.authorization_request(pkce=False, signup=True, force_login=True)
            callback = emulator.approve_authorization(request.url)
            if fits:
                await trakt.exchange_code(request, callback)
                return
            with pytest.raises(InvalidClient):
                await trakt.exchange_code(request, callback)

        play(scenario, app=app)


def test_a_due_token_is_refreshed_and_an_expired_one_too(play, emulator, issue):
    async def scenario(trakt):
        first = await trakt.adopt(issue())
        assert await trakt.token() == first
        emulator.clock.advance(LIFE * 0.62)
        second = await trakt.token()
        assert second != first
        assert await trakt.token() == second
        emulator.clock.advance(LIFE + 1)
        assert (await trakt.get("/users/me")).status_code == 200
        assert refreshes(emulator) == 2
        assert (await trakt.refresh()).access_token != second.access_token
        assert refreshes(emulator) == 3
        assert most_arrivals(emulator) == 1

    play(scenario)


def test_a_token_adopted_after_its_end_is_refreshed_at_once(play, emulator, issue):
    async def scenario(trakt):
        old = issue()
        emulator.clock.advance(LIFE + 1)
        assert (await trakt.adopt(old)).access_token != old.access_token

    play(scenario)


def test_a_401_is_answered_by_one_refresh_and_one_more_try(play, emulator, issue):
    async def scenario(trakt):
        await trakt.adopt(issue())
        emulator.arm("unauthorized")
        response = await trakt.get("/users/me")
        assert response.status_code == 200
        assert refreshes(emulator) == 1
        emulator.clock.advance(60)
        emulator.arm("unauthorized", times=2)
        assert (await trakt.get("/users/me")).status_code == 401
        assert refreshes(emulator) == 2

    play(scenario)


def test_an_api_that_refuses_every_token_costs_one_refresh_and_then_fewer(play, emulator, issue):
    async def scenario(trakt):
        await trakt.adopt(issue())
        emulator.arm("unauthorized", times=100)
        for number in range(1, 4):
            for _ in range(5):
                assert (await trakt.get("/users/me")).status_code == 401
            assert refreshes(emulator) == number
            if number == 3:
                await trakt.refresh()
            else:
                pause = 60 * 2 ** (number - 1)
                emulator.clock.advance(pause - 1)
                assert (await trakt.get("/users/me")).status_code == 401
                assert refreshes(emulator) == number
                emulator.clock.advance(1)
        assert refreshes(emulator) == 4  # who asks for one gets one
        requests = emulator.state()["requests"]["/users/me"]
        # The request that refreshes is sent twice; none is sent again with a token just refused.
        assert requests == {"invalid_token": 3 * 6 + 2}

    play(scenario)


def test_the_required_headers_are_sent(url, issue, emulator):
    with Client(APP, endpoints=Endpoints.at(url)) as client:
        client.adopt(issue())
        sent = client.api.get("/users/me").request.headers
    assert sent["trakt-api-key"] == "emulator"
    assert sent["trakt-api-version"] == "2"
    assert sent["user-agent"] == "trakt-auth-tests/1"
    assert sent["content-type"] == "application/json"


def test_a_body_that_can_be_read_once_is_sent_once(play, emulator, issue):
    async def scenario(trakt):
        await trakt.adopt(issue())

        async def chunks():
            yield b"{}"

        body = (b"{}" for _ in range(1)) if isinstance(trakt.client, Client) else chunks()
        emulator.arm("unauthorized")
        before = len(emulator.log)
        response = await trakt.request("POST", "/users/me", content=body)
        assert response.status_code == 401
        assert refreshes(emulator) == 1
        outcomes = [entry.endpoint for entry in emulator.log[before:]]
        assert outcomes.count("/users/me") == 1
        assert (await trakt.get("/users/me")).status_code == 200

    play(scenario)


def test_the_token_never_goes_to_another_host(play, emulator, issue):
    async def scenario(trakt):
        await trakt.adopt(issue())
        for wrong in ("http://127.0.0.1:1/users/me", "https://api.trakt.tv/users/me"):
            with pytest.raises(UsageError, match="API host"):
                await trakt.get(wrong)

    play(scenario)


def test_sign_out(play, emulator, issue):
    async def scenario(trakt):
        events = []
        trakt.client.subscribe(events.append)
        token = await trakt.adopt(issue())
        await trakt.revoke()
        await trakt.revoke()
        assert [type(event) for event in events] == [TokenObtained, TokenRevoked]
        with pytest.raises(LoginRequired):
            await trakt.token()
        assert await trakt.accounts() == []
        headers = {
            "authorization": f"Bearer {token.access_token}",
            "trakt-api-key": "emulator",
            "trakt-api-version": "2",
        }
        with httpx2.Client(base_url=trakt.client.endpoints.api, headers=headers) as bare:
            assert bare.get("/users/me").status_code == 401

    play(scenario)


def test_events_and_a_subscriber_that_fails(play, emulator, issue, caplog):
    async def scenario(trakt):
        events = []

        def bad(event):
            raise ValueError("not my day")

        trakt.client.subscribe(bad)
        stop = trakt.client.subscribe(events.append)
        await trakt.adopt(issue())
        await trakt.refresh()
        emulator.end_login("ann")
        emulator.clock.advance(LIFE + 1)
        with pytest.raises(LoginRequired):
            await trakt.token()
        with pytest.raises(LoginRequired):
            await trakt.token()
        assert [type(event) for event in events] == [TokenObtained, TokenRefreshed, LoginNeeded]
        stop()
        stop()
        await trakt.adopt(issue())
        assert len(events) == 3
        assert emulator.state()["requests"]["/oauth/token"] == {"refreshed": 1, "refused": 1} or (
            sum(emulator.state()["requests"]["/oauth/token"].values()) == 2
        )

    play(scenario)
    assert "A subscriber failed" in caplog.text


def test_several_accounts_do_not_meet(play, emulator, issue):
    async def scenario(trakt):
        await trakt.adopt(issue(), account="ann")
        await trakt.adopt(issue(), account="b\u00f6b \N{CLINKING BEER MUGS}")
        assert await trakt.accounts() == ["ann", "b\u00f6b \N{CLINKING BEER MUGS}"]
        await trakt.revoke(account="ann")
        assert (await trakt.token(account="b\u00f6b \N{CLINKING BEER MUGS}")).access_token
        with pytest.raises(UsageError, match="empty"):
            await trakt.token(account="")

    play(scenario)


def test_a_name_that_no_index_holds_is_refused_before_a_code_is_spent(play, emulator, issue):
    longest = "\N{CLINKING BEER MUGS}" * 500

    async def scenario(trakt):
        await trakt.adopt(issue(), account=longest)
        assert await trakt.accounts() == [longest]
        with pytest.raises(UsageError, match="501 characters"):
            await trakt.adopt(issue(), account="x" * 501)

    play(scenario)


FAULTS = [
    ("status", {"status": 429, "retry_after": 143}, RateLimited),
    ("status", {"status": 429}, RateLimited),
    ("status", {"status": 502}, Unavailable),
    ("status", {"status": 520}, Unavailable),
    ("cloudflare_403", {"every_agent": True}, Blocked),
    ("forbidden", {}, Blocked),
    ("account_locked", {}, Blocked),
    ("html_200", {}, UnexpectedResponse),
    ("json_200_without_token", {}, UnexpectedResponse),
    ("truncated_json", {}, UnexpectedResponse),
    ("answer_lost", {}, TransportError),
    ("reset", {}, TransportError),
    ("refuse", {"error": "invalid_client", "status": 401}, InvalidClient),
]


@pytest.mark.parametrize(("name", "settings", "error"), FAULTS)
def test_no_fault_ends_a_login_that_still_works(play, emulator, issue, name, settings, error):
    async def scenario(trakt):
        first = await trakt.adopt(issue())
        emulator.clock.advance(LIFE * 0.62)
        emulator.arm(name, endpoint="/oauth/token", **settings)
        assert await trakt.token() == first
        assert await trakt.token() == first
        assert sum(emulator.state()["requests"].get("/oauth/token", {}).values()) == 1
        assert (await trakt.get("/users/me")).status_code == 200

    play(scenario)


@pytest.mark.parametrize(("name", "settings", "error"), FAULTS)
def test_each_fault_is_told_and_not_hammered(play, emulator, issue, name, settings, error):
    async def scenario(trakt):
        await trakt.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        emulator.arm(name, endpoint="/oauth/token", times=None, **settings)
        with pytest.raises(error) as caught:
            await trakt.token()
        assert caught.value.hint
        with pytest.raises((RateLimited, Unavailable)):
            await trakt.token()
        assert sum(emulator.state()["requests"].get("/oauth/token", {}).values()) == 1
        emulator.disarm()
        emulator.clock.advance(3600)
        if name in ("answer_lost", "truncated_json"):
            with pytest.raises(LoginRequired, match="was lost"):
                await trakt.token()
        else:
            assert (await trakt.token()).access_token

    play(scenario)


def test_fifty_at_once_send_one_refresh(play, emulator, issue):
    async def scenario(trakt):
        await trakt.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        if isinstance(trakt.client, Client):
            with ThreadPoolExecutor(50) as pool:
                futures = [pool.submit(trakt.client.api.get, "/users/me") for _ in range(50)]
            statuses = {future.result().status_code for future in futures}
        else:
            statuses = set()

            async def call():
                statuses.add((await trakt.get("/users/me")).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(call)
        assert statuses == {200}
        assert refreshes(emulator) == 1
        assert most_arrivals(emulator) == 1

    play(scenario)


def test_somebody_who_is_stale_waits_for_nobody(url, emulator, issue, clock):
    """While one refresh hangs, everyone else has the old token at once."""
    with Client(APP, endpoints=Endpoints.at(url), clock=clock, timeout=30) as client:
        first = client.adopt(issue())
        emulator.clock.advance(LIFE * 0.62)
        reached, go_on = threading.Event(), threading.Event()
        slow = client._dependencies.transport.send

        def send(request, *check):
            reached.set()
            go_on.wait(20)
            return slow(request)

        client._dependencies.transport.send = send
        refresher = threading.Thread(target=client.token)
        refresher.start()
        assert reached.wait(20)
        assert client.token() == first
        go_on.set()
        refresher.join()
        assert client.token() != first
        assert refreshes(emulator) == 1


def test_cancelling_the_wait_for_a_device(url, emulator):
    with Client(APP, endpoints=Endpoints.at(url)) as client:
        device = client.start_device()
        cancel = threading.Event()
        threading.Thread(target=cancel.set).start()
        with pytest.raises(Cancelled):
            client.wait_for_device(device, cancel=cancel)


def test_a_failed_save_hands_the_token_over_and_it_can_be_adopted(play, emulator, issue):
    store = open_store("memory:")

    async def scenario(trakt):
        await trakt.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        good = store.save
        count = []

        def save(*args, **kwargs):
            count.append(1)
            if len(count) > 1:
                raise OSError("disk on fire, payload follows")
            return good(*args, **kwargs)

        store.save = save
        with pytest.raises(TokenNotSaved) as caught:
            await trakt.token()
        assert "payload follows" not in str(caught.value)
        store.save = good
        await trakt.adopt(caught.value.token)
        assert (await trakt.get("/users/me")).status_code == 200

    play(scenario, store=store)


class Away:
    """A store that can be taken away and brought back; `fails` names the methods that fail."""

    def __init__(self, store):
        self.store, self.fails = store, ()

    def __getattr__(self, name):
        if name in self.fails:
            raise StoreUnavailable("the database is away")
        return getattr(self.store, name)


def failing_after_the_answer(store, client):
    """Let the store fail once the answer is there, and not before."""
    transport = client._dependencies.transport
    send = transport.send

    def sent(request, *check):
        try:
            return send(request, *check)
        finally:
            store.fails = ("save", "load", "delete")

    transport.send = sent


def test_an_unsaved_pair_is_served_and_saved_when_the_store_is_back(play, emulator, issue, url):
    store, events = Away(open_store("memory:")), []

    async def scenario(trakt):
        trakt.client._retries._work = lambda: None  # what its thread does is done by hand here
        trakt.client.subscribe(events.append)
        await trakt.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        failing_after_the_answer(store, trakt.client)
        with pytest.raises(TokenNotSaved) as caught:
            await trakt.token()
        token = caught.value.token
        assert await trakt.unsaved() == ["default"]
        assert await trakt.token() == token
        emulator.clock.advance(60)  # longer than it is served without asking
        assert await trakt.token() == token
        assert trakt.client._retries._all_offered()
        store.fails = ()
        assert await trakt.unsaved() == ["default"]
        emulator.clock.advance(60)
        assert await trakt.token() == token
        assert await trakt.unsaved() == []
        assert not trakt.client._retries._all_offered()
        assert [type(event) for event in events] == [TokenObtained, TokenUnsaved, TokenRefreshed]

    play(scenario, store=store)
    record = Record.from_stored(store.load(key_of(url)))
    assert record.attempt is None
    assert record.token == events[-1].token
    assert most_arrivals(emulator) == 1


def test_closing_saves_what_is_unsaved(url, emulator, issue, clock):
    store = Away(open_store("memory:"))
    with Client(APP, endpoints=Endpoints.at(url), store=store, clock=clock) as client:
        client.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        failing_after_the_answer(store, client)
        with pytest.raises(TokenNotSaved) as caught:
            client.token()
        store.fails = ()
    record = Record.from_stored(store.load(key_of(url)))
    assert record.token == caught.value.token


def test_a_spare_store_outlives_the_process(url, emulator, issue, clock, tmp_path):
    settings = {
        "endpoints": Endpoints.at(url),
        "clock": clock,
        "fallback": f"file:{tmp_path}/fallback",
    }
    store = Away(open_store("memory:"))
    with Client(APP, store=store, **settings) as client:
        client.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        failing_after_the_answer(store, client)
        with pytest.raises(TokenNotSaved) as caught:
            client.token()
    store.fails = ()
    with Client(APP, store=store, **settings) as client:
        assert client.unsaved() == ["default"]
        assert client.token() == caught.value.token
        assert client.unsaved() == []
        client.revoke()
        with pytest.raises(LoginRequired):
            client.token()
    assert refreshes(emulator) == 1


def test_a_token_that_lives_outlasts_the_store(play, emulator, issue, caplog):
    store = Away(open_store("memory:"))

    async def scenario(trakt):
        token = await trakt.adopt(issue())
        emulator.clock.advance(LIFE * 0.9)  # due, so the store is asked
        store.fails = ("load", "lock")
        assert await trakt.token() == token
        assert "Going on with the token last seen" in caplog.text
        emulator.clock.advance(LIFE)
        with pytest.raises(StoreUnavailable):
            await trakt.token()
        store.fails = ("lock",)
        with pytest.raises(StoreUnavailable):
            await trakt.token()
        store.fails = ()
        assert (await trakt.token()) != token

    play(scenario, store=store)


def test_a_refresh_while_the_clock_was_wrong(play, emulator, issue, clock):
    """A computer without a battery for its clock starts in some other week."""
    wrong, right = timedelta(days=10), clock.now

    async def scenario(trakt):
        token = await trakt.adopt(issue())
        clock.now = lambda: replace(right(), wall=right().wall + wrong)
        ahead = await trakt.token()
        assert ahead != token
        assert await trakt.token() == ahead
        clock.now = right
        assert await trakt.token() == ahead  # it is dated by the server's clock
        assert refreshes(emulator) == 1

    play(scenario)


def test_an_unsaved_token_is_offered_without_another_thread(url, clock, issue, monkeypatch):
    """At the end of a program Python lets no more be started."""
    store = Away(open_store("memory:"))
    with Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as client:
        client._retries._work = lambda: None
        client.adopt(issue())
        failing_after_the_answer(store, client)
        with pytest.raises(TokenNotSaved) as caught:
            client.refresh()
        store.fails = ()
        monkeypatch.delattr(client._dependencies.workers.__class__, "start")
        offering = threading.Thread(target=client._retries._all_offered)
        offering.start()
        offering.join(20)
        assert "default" not in client._retries
        monkeypatch.undo()
        assert client.unsaved() == []
        assert client.token() == caught.value.token


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_closing_waits_for_no_thread_of_the_program(url, clock, backend):
    go = threading.Event()

    async def main():
        client = AsyncClient(APP, endpoints=Endpoints.at(url), clock=clock)
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, go.wait)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()
            go.set()

    waiting = threading.Timer(20, go.set)
    waiting.start()
    anyio.run(main, backend=backend)
    assert waiting.is_alive()  # or else it was the end of this patience that let it go on
    waiting.cancel()


def test_a_due_token_is_served_while_nobody_can_be_locked_out(play, emulator, issue):
    store = Away(open_store("memory:"))

    async def scenario(trakt):
        token = await trakt.adopt(issue())
        trakt.client._cache._entries.clear()
        emulator.clock.advance(LIFE * 0.9)
        store.fails = ("lock",)
        assert await trakt.token() == token
        assert refreshes(emulator) == 0

    play(scenario, store=store)


def test_a_encrypted_record_is_not_overwritten_without_its_key(play, issue, tmp_path, monkeypatch):
    monkeypatch.setattr("trakt_auth.flows.saving.SAVE_PAUSES", ())
    url, key = f"file:{tmp_path}/t", generate_key()
    token = issue()

    async def adopt(trakt):
        await trakt.adopt(token)

    play(adopt, store=open_store(url, keys=[key]))
    before = (tmp_path / "t").read_bytes()

    async def refused(trakt):
        with pytest.raises(TokenNotSaved, match=key_id(key)):
            await trakt.adopt(token)
        with pytest.raises(StoreEncrypted, match=key_id(key)):
            await trakt.refresh(account="other")

    async def other(trakt):
        await trakt.adopt(issue(), account="other")

    play(other, store=open_store(url, keys=[key]))
    before = (tmp_path / "t").read_bytes()
    for keys in ([], [generate_key()]):
        play(refused, store=open_store(url, keys=keys))
        assert (tmp_path / "t").read_bytes() == before


@pytest.mark.parametrize("keys", [[], [generate_key()]])
def test_signing_out_forgets_also_what_nobody_can_open(play, issue, tmp_path, emulator, keys, url):
    """Who has lost the key has to have a way out, in the store and in the fallback one."""
    places, lost = (f"file:{tmp_path}/t", f"file:{tmp_path}/fallback"), generate_key()
    record = Record(token=issue()).to_payload()
    for place in places:
        key = key_of(url)
        open_store(place, keys=[lost]).save(key, record, expires_at=None, replacing=None)
    store, fallback = (open_store(place, keys=keys) for place in places)

    async def scenario(trakt):
        await trakt.revoke()
        with pytest.raises(LoginRequired, match="no login is stored"):
            await trakt.token()
        assert await trakt.accounts() == await trakt.unsaved() == []
        await trakt.adopt(issue())

    play(scenario, store=store, fallback=fallback)
    assert emulator.state()["requests"] == {}  # what cannot be read cannot be revoked either


def test_unreachable_and_nonsense_servers(play):
    async def scenario(trakt):
        with pytest.raises(TransportError) as caught:
            await trakt.start_device()
        assert caught.value.outcome_unknown is False
        assert caught.value.retryable

    play(scenario, endpoints=Endpoints.at("http://127.0.0.1:1"))
    play(scenario, endpoints=Endpoints.at("https://no-such-name.invalid"))


def test_a_closed_client_says_so(url):
    client = Client(APP, endpoints=Endpoints.at(url))
    client.start_device()
    client.close()
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.start_device()


def test_a_subscriber_may_close_the_client(url, emulator, issue, clock):
    with Client(APP, endpoints=Endpoints.at(url), clock=clock) as client:
        client.subscribe(lambda event: client.close())
        token = client.adopt(issue())  # told on the thread that closing waits for
        assert token.access_token
        with pytest.raises(UsageError, match="closed"):
            client.refresh()


def test_a_subscriber_may_use_the_client(play, emulator, issue):
    async def scenario(trakt):
        if not isinstance(trakt.client, Client):
            return
        seen = []

        def use(event):
            if isinstance(event, TokenRefreshed) and not seen:
                seen.append(None)  # the call below refreshes, and tells us so
                emulator.arm("unauthorized")
                seen[0] = trakt.client.api.get("/users/me").status_code
            if isinstance(event, LoginNeeded):
                trakt.client.revoke()

        trakt.client.subscribe(use)
        await trakt.adopt(issue())
        await trakt.refresh()
        assert seen == [200]
        emulator.end_login("ann")
        emulator.clock.advance(LIFE + 1)
        with pytest.raises(LoginRequired):
            await trakt.token()
        assert await trakt.accounts() == []

    play(scenario)


def test_a_token_that_was_revoked_meanwhile_does_not_come_back(url, emulator, issue, clock):
    with Client(APP, endpoints=Endpoints.at(url), clock=clock) as client:
        old = client.adopt(issue())
        key = client._context.key("default")
        before = Record.from_stored(client._store.load(key))
        assert before.token == old
        client.revoke()
        client._cache.remember("default", before)  # by a thread that had read it before
        with pytest.raises(LoginRequired):
            client.token()


def test_a_refresh_that_is_told_after_a_sign_in_leaves_nothing_behind(url, emulator, issue, clock):
    """A sign-in waits for no refresh of the login before it."""
    saved, go = threading.Event(), threading.Event()

    class Store(MemoryStore):
        def save(self, key, payload, **more):
            version = super().save(key, payload, **more)
            ours = threading.current_thread().name == "trakt-auth" and not saved.is_set()
            if ours and Record.from_stored(self.load(key)).attempt is None:
                saved.set()
                go.wait(20)
            return version

    store = Store()
    with Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as client:
        store.save(
            key_of(url),
            Record(token=issue()).to_payload(),
            expires_at=None,
            replacing=None,
        )
        refresh = threading.Thread(target=client.refresh)
        refresh.start()
        assert saved.wait(20)
        bob = token_of(emulator.issue_tokens("bob"), now=clock.now().wall)
        client.adopt(bob)
        go.set()
        refresh.join(20)
        assert client.token() == bob
        assert client.api.get("/users/me").json()["username"] == "bob"


def test_another_process_signed_out(url, emulator, issue, clock):
    store = open_store("memory:")
    with (
        Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as here,
        Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as there,
    ):
        here.adopt(issue())
        there.revoke()
        with pytest.raises(LoginRequired):
            here.api.get("/users/me")
        with pytest.raises(LoginRequired):
            here.token()


def test_nothing_starts_while_the_client_closes(url, emulator, issue, clock):
    client = Client(APP, endpoints=Endpoints.at(url), clock=clock)
    client.adopt(issue())
    client.close()
    with pytest.raises(UsageError, match="closed"):
        client.refresh()
    assert refreshes(emulator) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("ALL_PROXY", "http://me:s3/cret@127.0.0.1:1"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
    ],
)
def test_an_environment_that_fits_no_http_client(monkeypatch, play, emulator, issue, name, value):
    monkeypatch.setenv(name, value)

    async def scenario(trakt):
        await trakt.adopt(issue())
        with pytest.raises(UsageError, match="HTTP client") as caught:
            await trakt.refresh()
        assert "s3" not in str(caught.value)
        with pytest.raises(UsageError, match="HTTP client"):
            _ = trakt.client.api_for("other")
        with pytest.raises(UsageError, match="HTTP client"):
            await trakt.start_device()
        monkeypatch.delenv(name)
        assert (await trakt.refresh()).access_token

    play(scenario)


def test_wrong_arguments_are_found_before_anything_is_sent():
    with pytest.raises(UsageError):
        Client(APP, timeout=0)
    with pytest.raises(UsageError):
        Client(APP, store="floppy:a")
    with pytest.raises(UsageError):
        Client(Application("x", user_agent="t/1")).authorization_request()
    assert "emulator" in repr(Client(APP))


def test_in_process_without_sockets(emulator, clock, issue):
    from trakt_auth.testing.in_process import in_process

    transport = in_process(emulator.handle)
    endpoints = Endpoints.at("https://trakt.test")
    with Client(APP, endpoints=endpoints, transport=transport, clock=clock) as client:
        client.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        assert client.api.get("/users/me").status_code == 200
        emulator.arm("answer_lost")
        with pytest.raises(TransportError):
            client.refresh()

    async def asynchronous():
        async with AsyncClient(
            APP, endpoints=endpoints, transport=transport, clock=clock
        ) as client:
            await client.adopt(issue())
            await client.refresh()
            assert (await Driver(client).get("/users/me")).status_code == 200

    anyio.run(asynchronous)


@pytest.mark.parametrize("held", ["client", "transport"])
def test_a_fork_waits_for_no_thread_of_its_parent(held, url, emulator, tmp_path):
    """A thread of the parent holds what the child needs; in the child it is not there."""
    code = f"""
import json, os, sys
from datetime import UTC, datetime
from support.both_clients import APP, key_of, token_of
from trakt_auth import Client, Endpoints
client = Client(APP, store="file:{tmp_path}/tokens", endpoints=Endpoints.at({url!r}))
client.adopt(token_of(json.load(sys.stdin), now=datetime.now(UTC)))
api = client.api
guard = client._guard if {held!r} == "client" else client._transport._guard
guard.acquire()
if os.fork() == 0:
    client.refresh()
    assert client.api is not api
    print("refreshed", flush=True)
    os._exit(0)
assert os.wait()[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        input=json.dumps(emulator.issue_tokens("ann")),
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "refreshed\n", done.stderr


def test_a_sign_out_before_a_refresh_has_landed_leaves_no_token_behind(url, clock, issue):
    store, told = open_store("memory:"), []
    with Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as client:
        client.adopt(issue())
        lock = store.lock

        def lock_of_a_refresh(key, *, lease):
            taken = lock(key, lease=lease)
            release = taken.release

            def release_and_sign_out():
                release()
                store.lock = lock
                client.revoke()

            taken.release = release_and_sign_out
            return taken

        store.lock = lock_of_a_refresh
        client.subscribe(lambda event: told.append(type(event)))
        client.refresh()
        with pytest.raises(LoginRequired):
            client.token()
        assert sorted(told, key=str) == [TokenRefreshed, TokenRevoked]


def test_a_login_belongs_to_the_server_that_issued_it(emulator, url, clock, issue, tmp_path):
    """Same client id and store at another server: nothing travels there, nothing is said of it."""
    from trakt_auth.emulator import Clock, Emulator

    store = f"file:{tmp_path}/tokens"
    with Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as client:
        token = client.adopt(issue())
    emulator.clock.advance(LIFE + 1)
    other = Emulator(clock=Clock.frozen())
    with other.serving() as elsewhere:
        there = {"endpoints": Endpoints.at(elsewhere), "clock": clock, "store": store}
        with Client(APP, **there) as client:
            for call in (client.token, client.refresh, lambda: client.refresh_rejected("x")):
                with pytest.raises(LoginRequired):
                    call()
            client.revoke()
            assert client.accounts() == []
        assert other.state()["requests"] == {}
    with Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as client:
        assert client.accounts() == ["default"]
        assert client.token() != token


@pytest.mark.parametrize("refused_first", [False, True])
def test_a_401_that_is_final_ends_the_login_everywhere(
    play, emulator, issue, clock, url, tmp_path, refused_first
):
    """The API rejects the access token and Trakt refuses the refresh: nothing serves it again."""
    store, events = f"file:{tmp_path}/tokens", []

    async def scenario(trakt):
        trakt.client.subscribe(events.append)
        token = await trakt.adopt(issue())
        if refused_first:
            with Client(APP, endpoints=Endpoints.at(url), clock=clock) as thief:
                thief.adopt(token)
                thief.refresh()  # the refresh token is spent, the access token still works
            with pytest.raises(LoginRequired):
                await trakt.refresh()
            assert await trakt.token() == token  # it still works
        emulator.end_login("ann")
        with pytest.raises(LoginRequired):
            await trakt.get("/users/settings")
        for _ in range(2):
            with pytest.raises(LoginRequired):
                await trakt.token()
        with (
            Client(APP, endpoints=Endpoints.at(url), clock=clock, store=store) as other,
            pytest.raises(LoginRequired),
        ):
            other.token()
        await trakt.adopt(issue())
        assert (await trakt.get("/users/settings")).status_code == 200

    play(scenario, store=store)
    assert LoginNeeded in [type(event) for event in events]


def test_a_401_without_a_refresh_token_is_final_too(play, emulator, issue):
    async def scenario(trakt):
        await trakt.adopt(replace(issue(), refresh_token=None))
        emulator.end_login("ann")
        with pytest.raises(LoginRequired):
            await trakt.get("/users/settings")
        with pytest.raises(LoginRequired, match="rejected the access token"):
            await trakt.token()

    play(scenario)


def test_a_fork_spends_no_refresh_token_of_its_parents_memory(url, emulator, issue, tmp_path):
    """Three workers of a preloading server, with the default store."""
    code = f"""
import json, os, sys
from datetime import UTC, datetime, timedelta
from support.both_clients import APP, token_of
from trakt_auth import Client, Endpoints, StoreUnavailable
client = Client(APP, endpoints=Endpoints.at({url!r}))
client.adopt(token_of(json.load(sys.stdin), now=datetime.now(UTC)))
lock = client._store.lock(client._context.key("default"))
lock.acquire()  # by a thread of the parent's
for _ in range(3):
    if os.fork() == 0:
        assert client.token()
        try:
            client.refresh()
        except StoreUnavailable as error:
            print(error.hint, flush=True)
        os._exit(0)
for _ in range(3):
    os.wait()
lock.release()
client.refresh()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(emulator.issue_tokens("ann")),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Name a store that processes share") == 3
    assert refreshes(emulator) == most_arrivals(emulator) == 1


@pytest.mark.parametrize("what", ["refresh", "save", "callback", "api"])
def test_a_traceback_with_locals_shows_no_secret(play, emulator, issue, monkeypatch, what):
    """As Sentry, rich and `pytest -l` draw it, below the frame of the method that was called."""
    monkeypatch.setattr("trakt_auth.flows.saving.SAVE_PAUSES", ())
    store = Away(open_store("memory:"))

    async def scenario(trakt):
        token = await trakt.adopt(issue())
        secrets = {token.access_token, token.refresh_token}
        with pytest.raises(TraktAuthError) as caught:
            if what == "callback":
                secrets = {"s3cr3t-code", "s3cr3t-state"}
                request = trakt.client.authorization_request()
                url = f"{REDIRECT_URI}?code=s3cr3t-code&state=s3cr3t-state"
                await trakt.exchange_code(request, url)
            elif what == "api":
                emulator.end_login("ann")
                await trakt.get("/users/settings")
            elif what == "save":
                failing_after_the_answer(store, trakt.client)
                await trakt.refresh()
            else:
                emulator.end_login("ann")
                await trakt.refresh()
        if what == "save":
            secrets |= {caught.value.token.access_token, caught.value.token.refresh_token}
        ours = [
            frame
            for frame in traceback.TracebackException.from_exception(
                caught.value, capture_locals=True
            ).stack
            if "trakt_auth/" in frame.filename and frame.name not in PUBLIC
        ]
        shown = repr([frame.locals for frame in ours])
        assert not [secret for secret in secrets if secret in shown]

    play(scenario, store=store)


PUBLIC = {"exchange_code", "refresh_rejected"}


def test_the_folder_of_the_clients_offers_both_and_nothing_else():
    import trakt_auth.client as folder

    assert (folder.Client, folder.AsyncClient) == (Client, AsyncClient)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        folder.nonsense  # noqa: B018
