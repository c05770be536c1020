"""One contract for all HTTP libraries: whose token goes where, and what a 401 leads to.

Each library sends real requests, sync ones from threads. `Api` is a server that writes down what
it is sent, for what the emulator's three paths cannot show: bodies and redirects.
"""

import importlib
import inspect
import io
import sys
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests

from support.both_clients import APP, Driver, most_arrivals, refreshes, token_of
from trakt_auth import (
    AsyncClient,
    Client,
    Endpoints,
    LoginRequired,
    RateLimited,
    UsageError,
    open_store,
    protocol,
)
from trakt_auth.adapters import for_aiohttp, for_httpx, for_httpx2, for_requests
from trakt_auth.client.bearer import Bearer, origin
from trakt_auth.emulator import Clock, Reply
from trakt_auth.emulator.server import serving
from trakt_auth.protocol.http import HttpResponse
from trakt_auth.testing import VirtualClock

LIFE = 604800
CROWD = 20
HEADERS = protocol.api_headers(APP)


@dataclass
class Answer:
    status: int
    text: str
    earlier: list = field(default_factory=list)


# -- the libraries, each as one function `send` --------------------------------------------------


@asynccontextmanager
async def threads_of(session, *, content, follow):
    async def send(method, url, *, body=None, redirects=False):
        def blocking():
            told = session.request(method, url, **{content: body, follow: redirects})
            return Answer(told.status_code, told.text, [r.status_code for r in told.history])

        return await anyio.to_thread.run_sync(blocking)

    with session:
        yield send


def open_requests(trakt, **account):
    session = requests.Session()
    session.headers.update(HEADERS)
    session.auth = for_requests.BearerAuth(trakt, **account)
    return threads_of(session, content="data", follow="allow_redirects")


def open_family(library, adapter):
    def sync(trakt, **account):
        session = library.Client(headers=HEADERS, auth=adapter.BearerAuth(trakt, **account))
        return threads_of(session, content="content", follow="follow_redirects")

    @asynccontextmanager
    async def asynchronous(trakt, **account):
        auth = adapter.BearerAuth(trakt, **account)
        async with library.AsyncClient(headers=HEADERS, auth=auth) as session:

            async def send(method, url, *, body=None, redirects=False):
                told = await session.request(method, url, content=body, follow_redirects=redirects)
                return Answer(told.status_code, told.text, [r.status_code for r in told.history])

            yield send

    return sync, asynchronous


@asynccontextmanager
async def open_aiohttp(trakt, **account):
    signing = for_aiohttp.BearerAuth(trakt, **account)
    async with aiohttp.ClientSession(headers=HEADERS, middlewares=[signing]) as session:

        async def send(method, url, *, body=None, redirects=False):
            asked = session.request(method, url, data=body, allow_redirects=redirects)
            async with asked as told:
                return Answer(told.status, await told.text(), [r.status for r in told.history])

        yield send


HTTPX2, HTTPX2_ASYNC = open_family(httpx2, for_httpx2)
HTTPX, HTTPX_ASYNC = open_family(httpx, for_httpx)
FACES = {  # name: what opens it, the client it needs, the event loop
    "requests": (open_requests, Client, "asyncio"),
    "aiohttp": (open_aiohttp, AsyncClient, "asyncio"),
    "httpx": (HTTPX, Client, "asyncio"),
    "httpx-asyncio": (HTTPX_ASYNC, AsyncClient, "asyncio"),
    "httpx-trio": (HTTPX_ASYNC, AsyncClient, "trio"),
    "httpx2": (HTTPX2, Client, "asyncio"),
    "httpx2-asyncio": (HTTPX2_ASYNC, AsyncClient, "asyncio"),
    "httpx2-trio": (HTTPX2_ASYNC, AsyncClient, "trio"),
}


@pytest.fixture(params=FACES)
def face(request):
    return request.param


@pytest.fixture
def play(face, url, clock):
    """Run `async def scenario(trakt, send)` with one library and the client that fits it."""
    opens, make, backend = FACES[face]

    def play(scenario, *, account=None, **settings):
        settings = {"endpoints": Endpoints.at(url), "clock": clock, "timeout": 5.0} | settings

        async def main():
            client = make(APP, **settings)
            try:
                async with opens(client, **({"account": account} if account else {})) as send:
                    await scenario(Driver(client), send)
            finally:
                await client.aclose() if make is AsyncClient else client.close()

        anyio.run(main, backend=backend)

    return play


class Api:
    """A server in place of the API: answers from a list, then 200; keeps what arrived."""

    def __init__(self):
        self.seen = []
        self.answers = []
        self.text = b"there"
        self.meanwhile = None  # called once, before the first answer
        self.guard = threading.Lock()

    def process(self, request, *, peer):
        with self.guard:
            self.seen.append(request)
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            status, headers = self.answers.pop(0) if self.answers else (200, {})
        body = b"" if status in (302, 307) else self.text
        return Reply(response=HttpResponse(status=status, headers=headers, body=body))

    @property
    def bearers(self):
        return [request.headers.get("authorization") for request in self.seen]


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def api_url(api):
    with serving(api, host="127.0.0.1", port=0) as url:
        yield url


@pytest.fixture
def elsewhere():
    return Api()


@pytest.fixture
def elsewhere_url(elsewhere):
    with serving(elsewhere, host="127.0.0.1", port=0) as url:
        yield url


@pytest.fixture
def split(url, api_url):
    """Tokens come from the emulator, data from `api`."""
    return Endpoints(auth=url, api=api_url)


def outcomes(emulator, endpoint="/users/me"):
    return [entry.status for entry in emulator.log if entry.endpoint == endpoint]


# -- which token ---------------------------------------------------------------------------------


def test_a_fresh_token_is_used_as_it_is(play, api, split, issue):
    async def scenario(trakt, send):
        token = await trakt.adopt(issue())
        told = await send("GET", f"{split.api}/users/me")
        assert (told.status, told.text, told.earlier) == (200, "there", [])
        assert api.bearers == [f"Bearer {token.access_token}"]
        assert api.seen[0].headers["trakt-api-key"] == APP.client_id

    play(scenario, endpoints=split)


def test_a_token_that_is_due_is_refreshed_first(play, url, emulator, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        assert (await send("GET", f"{url}/users/me")).status == 200
        assert refreshes(emulator) == 1
        assert outcomes(emulator) == [200]

    play(scenario)


def test_each_account_has_its_own(play, url, emulator, issue, clock):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        bob = token_of(emulator.issue_tokens("bob"), now=clock.now().wall)
        await trakt.adopt(bob, account="bob")
        assert '"username":"bob"' in (await send("GET", f"{url}/users/me")).text.replace(" ", "")
        emulator.arm("unauthorized")
        assert '"username":"bob"' in (await send("GET", f"{url}/users/me")).text.replace(" ", "")
        assert (await trakt.token(account="bob")).access_token != bob.access_token

    play(scenario, account="bob")


# -- a 401 ---------------------------------------------------------------------------------------


def test_a_401_leads_to_one_refresh_and_one_more_try(play, api, split, emulator, issue):
    async def scenario(trakt, send):
        old = await trakt.adopt(issue())
        api.answers = [(401, {})]
        told = await send("GET", f"{split.api}/users/me")
        assert (told.status, told.text) == (200, "there")
        new = await trakt.token()
        assert new != old
        assert api.bearers == [f"Bearer {old.access_token}", f"Bearer {new.access_token}"]
        assert refreshes(emulator) == 1

    play(scenario, endpoints=split)


def test_a_second_401_is_returned(play, url, emulator, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        emulator.arm("unauthorized", times=2)
        assert (await send("GET", f"{url}/users/me")).status == 401
        assert outcomes(emulator) == [401, 401]
        assert refreshes(emulator) == 1
        assert (await send("GET", f"{url}/users/me")).status == 200
        assert refreshes(emulator) == 1

    play(scenario)


@pytest.mark.parametrize("status", [400, 403, 429, 503])
def test_no_other_answer_leads_to_a_refresh(play, api, split, emulator, issue, status):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        api.answers = [(status, {})]
        assert (await send("GET", f"{split.api}/users/me")).status == status
        assert len(api.seen) == 1
        assert refreshes(emulator) == 0

    play(scenario, endpoints=split)


def test_a_crowd_with_the_same_rejected_token_sends_one_refresh(play, url, emulator, issue):
    behind = VirtualClock(Clock.frozen())  # the client believes its token until Trakt refuses it

    async def scenario(trakt, send):
        await trakt.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        statuses = []

        async def call():
            statuses.append((await send("GET", f"{url}/users/me")).status)

        async with anyio.create_task_group() as group:
            for _ in range(CROWD):
                group.start_soon(call)
        assert statuses == [200] * CROWD
        assert outcomes(emulator).count(200) == CROWD
        assert refreshes(emulator) == 1
        assert most_arrivals(emulator) == 1

    play(scenario, clock=behind, timeout=30.0)


def test_somebody_else_has_refreshed_meanwhile(play, api, split, emulator, issue, clock):
    store = open_store("memory:")

    async def scenario(trakt, send):
        old = await trakt.adopt(issue())
        with Client(APP, endpoints=split, clock=clock, store=store) as other:
            api.meanwhile = other.refresh
            api.answers = [(401, {})]
            assert (await send("GET", f"{split.api}/users/me")).status == 200
            new = other.token()
        assert api.bearers == [f"Bearer {old.access_token}", f"Bearer {new.access_token}"]
        assert refreshes(emulator) == 1

    play(scenario, endpoints=split, store=store)


def test_neither_clock_has_to_be_right(play, url, emulator, issue):
    own = Clock.frozen()

    async def scenario(trakt, send):
        await trakt.adopt(issue())
        own.advance(LIFE + 1)  # ours is ahead: refreshed before anything is sent
        assert (await send("GET", f"{url}/users/me")).status == 200
        assert outcomes(emulator) == [200]
        emulator.clock.advance(3 * LIFE)  # Trakt's is ahead: refused, refreshed, sent again
        assert (await send("GET", f"{url}/users/me")).status == 200
        assert outcomes(emulator) == [200, 401, 200]
        assert refreshes(emulator) == 2

    play(scenario, clock=VirtualClock(own))


# -- bodies --------------------------------------------------------------------------------------


def generated(face):
    async def slowly():
        yield b'{"a":'
        yield b"1}"

    def at_once():
        yield b'{"a":'
        yield b"1}"

    return at_once() if FACES[face][1] is Client else slowly()


def test_a_body_of_bytes_is_sent_again_whole(play, api, split, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        api.answers = [(401, {})]
        assert (await send("POST", f"{split.api}/sync/history", body=b'{"a":1}')).status == 200
        assert [request.body for request in api.seen] == [b'{"a":1}'] * 2
        assert api.bearers[0] != api.bearers[1]

    play(scenario, endpoints=split)


def test_a_body_that_can_be_read_once_is_sent_once(play, face, api, split, emulator, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        api.answers = [(401, {})]
        told = await send("POST", f"{split.api}/sync/history", body=generated(face))
        assert (told.status, told.text) == (401, "there")
        assert [request.body for request in api.seen] == [b'{"a":1}']
        assert refreshes(emulator) == 1
        again = await send("POST", f"{split.api}/sync/history", body=generated(face))
        assert again.status == 200
        assert refreshes(emulator) == 1
        assert api.bearers[0] != api.bearers[1]

    play(scenario, endpoints=split)


@pytest.mark.parametrize("face", ["requests", "aiohttp", "httpx", "httpx2"], indirect=True)
def test_a_file_counts_as_read_once(play, api, split, emulator, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        api.answers = [(401, {})]
        told = await send("POST", f"{split.api}/sync/history", body=io.BytesIO(b"{}"))
        assert told.status == 401
        assert [request.body for request in api.seen] == [b"{}"]
        assert refreshes(emulator) == 1

    play(scenario, endpoints=split)


# -- other hosts ---------------------------------------------------------------------------------


def test_no_other_origin_is_sent_anything(play, url, elsewhere, elsewhere_url, emulator, issue):
    port = url.rpartition(":")[2]
    wrong = [
        f"{elsewhere_url}/users/me",
        f"http://localhost:{port}/users/me",
        f"https://127.0.0.1:{port}/users/me",
        f"http://127.0.0.1:{port}@{elsewhere_url.removeprefix('http://')}/users/me",
        "https://api.trakt.tv/users/me",
    ]

    async def scenario(trakt, send):
        await trakt.adopt(issue())
        emulator.clock.advance(LIFE + 1)
        for target in wrong:
            with pytest.raises(UsageError, match="not the API host"):
                await send("GET", target)
        assert elsewhere.seen == []
        assert refreshes(emulator) == 0  # not even asked for a token

    play(scenario)


def test_a_redirect_to_another_origin_takes_no_token_along(
    play, face, api, split, elsewhere, elsewhere_url, emulator, issue
):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        api.answers = [(307, {"location": f"{elsewhere_url}/users/me"})]
        elsewhere.answers = [(401, {})]
        if face == "aiohttp":
            with pytest.raises(UsageError, match="not the API host"):
                await send("GET", f"{split.api}/users/me", redirects=True)
            assert elsewhere.seen == []
        else:
            told = await send("GET", f"{split.api}/users/me", redirects=True)
            assert told.status == 401
            assert elsewhere.bearers == [None]
        assert len(api.seen) == 1
        assert refreshes(emulator) == 0  # a stranger's 401 says nothing about our token

    play(scenario, endpoints=split)


def test_a_redirect_within_the_api_keeps_the_token(play, api, split, emulator, issue):
    async def scenario(trakt, send):
        token = await trakt.adopt(issue())
        api.answers = [(302, {"location": "/there"})]
        assert (await send("GET", f"{split.api}/here", redirects=True)).status == 200
        assert api.bearers == [f"Bearer {token.access_token}"] * 2
        api.answers = [(401, {}), (302, {"location": "/there"})]
        assert (await send("GET", f"{split.api}/here", redirects=True)).status == 200
        new = await trakt.token()
        assert api.bearers[3:] == [f"Bearer {new.access_token}"] * 2
        emulator.clock.advance(60)
        api.answers = [(302, {"location": "/there"}), (401, {})]
        assert (await send("GET", f"{split.api}/here", redirects=True)).status == 200
        assert refreshes(emulator) == 2

    play(scenario, endpoints=split)


def test_a_token_that_was_just_refused_is_not_sent_again(play, api, split, emulator, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        api.answers = [(401, {})] * 3
        assert (await send("GET", f"{split.api}/here")).status == 401
        assert (refreshes(emulator), len(api.bearers)) == (1, 2)
        assert (await send("GET", f"{split.api}/here")).status == 401
        assert (refreshes(emulator), len(api.bearers)) == (1, 3)
        assert (await send("GET", f"{split.api}/here")).status == 200

    play(scenario, endpoints=split)


def test_a_port_may_be_left_out():
    rules = Bearer(origin("https", "api.trakt.tv", None))
    rules.admit(origin("https", "api.trakt.tv", 443))
    for other in [
        ("http", "api.trakt.tv", 443),
        ("https", "api.trakt.tv", 8443),
        ("https", "trakt.tv", None),
        ("https", None, None),
    ]:
        with pytest.raises(UsageError, match="must not see the access token"):
            rules.admit(origin(*other))


# -- what comes out ------------------------------------------------------------------------------


def test_nobody_is_signed_in(play, url, emulator):
    async def scenario(trakt, send):
        with pytest.raises(LoginRequired):
            await send("GET", f"{url}/users/me")
        assert outcomes(emulator) == []

    play(scenario)


def test_the_login_has_ended(play, url, emulator, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        emulator.end_login("ann")
        for _ in range(2):
            with pytest.raises(LoginRequired):
                await send("GET", f"{url}/users/me")
        assert outcomes(emulator) == [401]  # the second time it is known, and nothing is sent
        assert most_arrivals(emulator) == 1  # the refusal is remembered

    play(scenario)


def test_a_refresh_that_fails_after_a_401_says_so(play, url, emulator, issue):
    async def scenario(trakt, send):
        await trakt.adopt(issue())
        emulator.clock.advance(1)
        emulator.arm("unauthorized")
        emulator.arm("status", status=429, retry_after=60, endpoint="/oauth/token")
        with pytest.raises(RateLimited) as caught:
            await send("GET", f"{url}/users/me")
        assert caught.value.retry_after == 60

    play(scenario)


def test_closing_one_does_not_close_the_other(face, url, emulator, issue, clock):
    opens, make, backend = FACES[face]

    async def main():
        client = make(APP, endpoints=Endpoints.at(url), clock=clock, timeout=5.0)
        trakt = Driver(client)
        await trakt.adopt(issue())
        async with opens(client) as send:
            assert (await send("GET", f"{url}/users/me")).status == 200
        async with opens(client) as send:
            assert (await send("GET", f"{url}/users/me")).status == 200
            await (trakt.aclose() if make is AsyncClient else trakt.close())
            emulator.clock.advance(LIFE + 1)
            with pytest.raises(UsageError, match="closed"):
                await send("GET", f"{url}/users/me")
        assert refreshes(emulator) == 0

    anyio.run(main, backend=backend)


# -- one library at a time -----------------------------------------------------------------------


class Recording(requests.adapters.HTTPAdapter):
    def __init__(self):
        super().__init__()
        self.settings = []

    def send(self, request, **settings):
        self.settings.append(settings)
        return super().send(request, **settings)


def test_a_session_of_requests_goes_on_as_usual(url, emulator, api, split, issue, clock):
    """What a hook could spoil: streamed answers, the request's settings, the history."""
    wire = Recording()
    with Client(APP, endpoints=split, clock=clock) as trakt, requests.Session() as session:
        trakt.adopt(issue())
        session.auth = for_requests.BearerAuth(trakt)
        session.mount("http://", wire)
        api.answers = [(401, {})]
        with session.get(f"{split.api}/a", stream=True, timeout=(3, 4)) as told:
            assert not told._content_consumed
            assert told.raw.read() == b"there"
        first, second = wire.settings
        assert second == first
        assert second["timeout"] == (3, 4)
        assert [earlier.text for earlier in told.history] == ["there"]
        assert told.request.headers["Authorization"] == api.bearers[-1]

        prepared = session.prepare_request(requests.Request("GET", f"{split.api}/b"))
        for _ in range(2):  # sent again later, a prepared request still has its old token
            emulator.clock.advance(3600)
            api.answers = [(401, {})]
            assert session.send(prepared).status_code == 200
        assert len(set(api.bearers[2:])) == 3


def test_requests_gives_its_connections_back(url, emulator, issue, clock):
    with Client(APP, endpoints=Endpoints.at(url), clock=clock) as trakt, requests.Session() as ours:
        trakt.adopt(issue())
        ours.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True))
        ours.headers.update(HEADERS)
        ours.auth = for_requests.BearerAuth(trakt)
        emulator.arm("unauthorized")
        assert ours.get(f"{url}/users/me").status_code == 200
        emulator.clock.advance(60)
        emulator.end_login("ann")
        with pytest.raises(LoginRequired):
            ours.get(f"{url}/users/me", stream=True)
        with pytest.raises(LoginRequired):
            ours.get(f"{url}/users/me")
        ours.auth = None
        assert ours.get(f"{url}/users/me").status_code == 401


def test_aiohttp_gives_its_connections_back(api, split, emulator, issue, clock):
    async def main():
        one = aiohttp.TCPConnector(limit=1)
        api.text = b"x" * 2_000_000  # more than arrives before anybody reads
        async with (
            AsyncClient(APP, endpoints=split, clock=clock) as trakt,
            aiohttp.ClientSession(connector=one) as session,
        ):
            await trakt.adopt(issue())
            signing = for_aiohttp.BearerAuth(trakt)
            with anyio.fail_after(20):
                api.answers = [(401, {})]
                asked = session.get(f"{split.api}/a", middlewares=[signing])
                async with asked as told:
                    assert told.status == 200
                emulator.clock.advance(60)
                emulator.end_login("ann")
                api.answers = [(401, {})]
                with pytest.raises(LoginRequired) as caught:
                    await session.get(f"{split.api}/a", middlewares=[signing])
                async with session.get(f"{split.api}/a") as told:
                    assert told.status == 200
            assert caught.value.account == "default"  # held, and the answer in its frames with it

    anyio.run(main)


@pytest.mark.parametrize("adapter", [for_requests, for_aiohttp])
def test_the_wrong_kind_of_client_is_refused_at_once(adapter, url):
    wrong = Client if adapter is for_aiohttp else AsyncClient
    right = AsyncClient if adapter is for_aiohttp else Client
    with pytest.raises(UsageError, match=f"^{wrong.__name__} cannot sign") as caught:
        adapter.BearerAuth(wrong(APP, endpoints=Endpoints.at(url)))
    assert f"trakt_auth.{right.__name__}." in caught.value.hint


@pytest.mark.parametrize(("library", "adapter"), [(httpx, for_httpx), (httpx2, for_httpx2)])
def test_the_wrong_kind_of_client_is_refused_at_the_first_request(library, adapter, url):
    auth = adapter.BearerAuth(AsyncClient(APP, endpoints=Endpoints.at(url)))
    with (
        library.Client(auth=auth) as session,
        pytest.raises(UsageError, match=r"^AsyncClient cannot sign"),
    ):
        session.get(f"{url}/users/me")

    async def main():
        auth = adapter.BearerAuth(Client(APP, endpoints=Endpoints.at(url)))
        async with library.AsyncClient(auth=auth) as session:
            with pytest.raises(UsageError, match=r"^Client cannot sign"):
                await session.get(f"{url}/users/me")

    anyio.run(main)


@pytest.mark.parametrize("library", ["requests", "aiohttp", "httpx"])
def test_without_the_extra_one_sentence_says_what_to_install(library, monkeypatch):
    module = f"trakt_auth.adapters.for_{library}"
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, module)
    with pytest.raises(UsageError, match=f"^The adapter for {library} cannot") as caught:
        importlib.import_module(module)
    assert caught.value.hint.endswith(f"pip install 'trakt-auth[{library}]'")
    assert caught.value.__suppress_context__


def test_all_adapters_are_built_and_described_alike():
    adapters = [for_aiohttp, for_httpx, for_httpx2, for_requests]
    parameters = [list(inspect.signature(each.BearerAuth).parameters) for each in adapters]
    assert parameters == [["client", "account"]] * len(adapters)
    for each in adapters:
        assert inspect.getdoc(each.BearerAuth).startswith("Puts a valid access token on every")
