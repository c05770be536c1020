"""`trakt_auth.testing`: the pytest plugin, the unittest case and the plain classes."""

import os
import re
import subprocess
import sys
import threading
import time
import unittest
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx2
import pytest

import trakt_auth.testing as testing
import trakt_auth.testing.plugin as plugin
from trakt_auth import (
    AccessDenied,
    Application,
    Cancelled,
    DeviceCodeExpired,
    Endpoints,
    TransportError,
    UnexpectedResponse,
    open_store,
)
from trakt_auth.testing import EmulatedTrakt, TraktTestCase, VirtualClock
from trakt_auth.testing.trakt import DEFAULT_TIMEOUT

pytest_plugins = ["pytester"]

SOURCE = str(Path(testing.__file__).parents[2])
WITHOUT_EXTRA = (
    "import sys\nfor name in ('starlette', 'uvicorn', 'jinja2'):\n sys.modules[name] = None"
)
# Schemathesis is another test's; each pytest that is started here would import it for a second.
QUIET = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-W", "error")


@pytest.fixture
def trakt():
    with EmulatedTrakt() as trakt:
        yield trakt


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest on a file, in this process or with its plugins in another one."""
    installed = os.pathsep.join([SOURCE, *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", installed)

    def run(source, *args, subprocess=False, by_name=True, asyncio=False, **files):
        pytester.makepyfile(test_it=source, **files)
        named = () if asyncio else ("-p", "no:asyncio")
        command = (*QUIET, *named, *(("-p", "trakt_auth.testing") if by_name else ()), *args)
        if not subprocess:
            return pytester.runpytest_inprocess(*command)
        return pytester.runpytest_subprocess(*command, timeout=120)

    return run


def message(problem, *, story):
    """Return a check of an error's message: it starts with `problem` and contains `story`."""
    return lambda error: str(error).startswith(problem) and story in str(error)


# -- the emulated Trakt ----------------------------------------------------------------------------


def test_a_client_is_signed_in_without_a_socket(trakt, monkeypatch):
    monkeypatch.setattr("socket.socket", None)
    client = trakt.client("ann")
    assert client.api.get("/users/me").json()["username"] == "ann"
    trakt.assert_requested("/users/me", times=1, account="ann", outcome="ok")
    trakt.assert_signed_in("Ann")
    client.revoke()
    trakt.assert_signed_out("ann")


def test_the_test_advances_the_clock_of_emulator_and_client(trakt):
    client = trakt.client("ann")
    first = client.token()
    trakt.assert_refreshed(times=0)
    trakt.time.advance(days=8)
    assert client.token() != first
    trakt.assert_refreshed(times=1)
    trakt.assert_refreshed(times=1, username="ann")
    trakt.assert_refreshed(times=0, username="bob")
    client.refresh()
    for wrong in (0, 1, 3):
        with pytest.raises(AssertionError, match="but 2 arrived;"):
            trakt.assert_refreshed(times=wrong)
    trakt.assert_no_token_spent_twice()


def test_the_clock_starts_at_the_present_or_at_a_given_time():
    real = datetime.now(UTC)
    assert abs(EmulatedTrakt().time.now().wall - real) < timedelta(minutes=5)
    moment = datetime(2030, 1, 2, tzinfo=UTC)
    assert EmulatedTrakt(now=moment).time.now().wall == moment
    assert EmulatedTrakt(now=moment.timestamp()).time.time() == moment.timestamp()
    with pytest.raises(ValueError, match="no time zone"):
        EmulatedTrakt(now=datetime(2030, 1, 2))  # noqa: DTZ001 - the mistake that is tested


def test_a_virtual_clock_replaces_time_and_sleep(trakt):
    clock = trakt.time
    assert isinstance(clock, VirtualClock)
    start = clock.time()
    clock.advance(1, minutes=1, hours=1, days=1)
    assert clock.time() - start == 1 + 60 + 3600 + 86400
    clock.sleep(5)
    clock.sleep(0.25)
    anyio.run(clock.sleep_async, 7)
    assert clock.slept == [5, 0.25, 7]
    assert clock.time() - start == 90061 + 12.25
    assert clock.now().monotonic == clock.time()
    assert repr(clock).startswith("VirtualClock(20")
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        clock.sleep(5, cancelled)


def test_a_short_sleep_lets_other_threads_work(trakt):
    start = time.monotonic()
    for _ in range(10):
        trakt.time.sleep(0.01)  # as while another thread holds a lock
    assert time.monotonic() - start >= 0.01
    assert trakt.time.slept == [0.01] * 10


def test_a_virtual_clock_can_be_patched_into_the_time_module(trakt, monkeypatch):
    monkeypatch.setattr("time.time", trakt.time.time)
    monkeypatch.setattr("time.sleep", trakt.time.sleep)
    time.sleep(0.5)
    time.sleep(3600)
    assert time.time() == trakt.clock.now()
    assert trakt.time.slept == [0.5, 3600]


def test_every_way_to_name_a_device_that_is_approved(trakt):
    client = trakt.client()
    for question in (lambda login: login, lambda login: login.user_code, lambda _: None):
        login = client.start_device()
        assert trakt.approve(question(login), username="ann") == login.user_code
        assert client.wait_for_device(login) == client.token()
    assert client.api.get("/users/me").json()["username"] == "ann"
    trakt.assert_polled_patiently()


def test_a_device_that_is_denied_and_one_that_expires(trakt):
    client = trakt.client()
    login = client.start_device()
    assert trakt.deny() == login.user_code
    with pytest.raises(AccessDenied):
        client.wait_for_device(login)
    with pytest.raises(DeviceCodeExpired):
        client.wait_for_device(client.start_device())
    with pytest.raises(LookupError, match="no device codes are pending; say which one"):
        trakt.approve()
    client.start_device(), client.start_device()
    with pytest.raises(LookupError, match="2 device codes are pending"):
        trakt.deny()


def test_an_authorization_is_approved_and_denied(trakt):
    client = trakt.client()
    request = client.authorization_request()
    client.exchange_code(request, trakt.approve(request, username="ann"))
    assert client.api.get("/users/me").json()["username"] == "ann"
    assert "error=access_denied" in trakt.deny(request.url)
    trakt.assert_requested("/oauth/token", outcome="granted", grant_type="authorization_code")


def test_an_application_of_ones_own():
    app = Application(
        "mine", user_agent="mine/1", client_secret="hush", redirect_uri="mine://callback"
    )
    with EmulatedTrakt(application=app) as trakt:
        client = trakt.client("ann")
        assert client.application is app
        client.refresh()
        trakt.assert_requested("/oauth/token", client_id="mine")
        assert trakt.approve(client.authorization_request()).startswith("mine://callback?code=")
        assert trakt.state()["tokens"]["refresh"] == 1
        trakt.end_login("ann")
        trakt.assert_signed_out("ann")
    bare = EmulatedTrakt(application=Application("bare", user_agent="bare/1"))
    assert bare.issue_tokens()["refresh_token"]


def test_the_built_in_application_keeps_its_secret_and_redirects(trakt):
    built_in = trakt.state()["applications"][0]
    assert built_in["has_secret"]
    assert len(built_in["redirect_uris"]) == 3


@pytest.mark.parametrize("processed", [True, False])
def test_a_response_that_is_too_late_is_lost_in_no_real_time(trakt, processed):
    client = trakt.client("ann")
    start = trakt.time.time()
    with (
        trakt.fault("slow", seconds=3600, processed=processed, endpoint="oauth") as fault,
        pytest.raises(TransportError) as error,
    ):
        client.refresh()
    assert error.value.outcome_unknown
    assert fault.fired == 1
    assert trakt.time.time() - start == DEFAULT_TIMEOUT
    trakt.assert_refreshed()


@pytest.mark.parametrize("processed", [True, False])
def test_a_late_response_advances_the_clock(trakt, processed):
    start = trakt.time.time()
    trakt.arm("slow", seconds=12, processed=processed)
    trakt.client("ann").refresh()
    assert trakt.time.time() - start == 12
    trakt.assert_faults_met()


def test_a_fault_is_armed_inside_its_block_only(trakt):
    client = trakt.client("ann")
    with trakt.fault("status", status=502, times=None):
        assert client.api.get("/users/me").status_code == 502
        assert client.api.get("/users/me").status_code == 502
    assert client.api.get("/users/me").status_code == 200
    with pytest.raises(AssertionError, match="no request met the fault answer_lost"):  # noqa: SIM117
        with trakt.fault("answer_lost"):
            client.api.get("/users/me")
    with pytest.raises(ZeroDivisionError):  # noqa: SIM117 - not hidden by the failure of the block
        with trakt.fault("answer_lost"):
            raise ZeroDivisionError
    assert trakt.state()["faults"] == []


def test_faults_from_the_start():
    trakt = EmulatedTrakt(faults=["answer_lost", {"fault": "status", "status": 502}])
    assert [one["fault"] for one in trakt.state()["faults"]] == ["answer_lost", "status"]
    with pytest.raises(AssertionError, match="the armed fault answer_lost, status;"):
        trakt.assert_faults_met()
    with pytest.raises(ValueError, match="key 'fault' is its name"):
        EmulatedTrakt(faults=[{"name": "status"}])


def test_unknown_and_invalid_settings():
    with pytest.raises(TypeError, match="no setting acces; the settings are access_token_lifetime"):
        EmulatedTrakt(acces=1)
    with pytest.raises(ValueError, match="access_token_lifetime"):
        EmulatedTrakt(access_token_lifetime=0)


def test_the_url_is_served_until_the_block_ends():
    with EmulatedTrakt() as trakt:
        url = trakt.url
        assert url == trakt.url
        assert url.startswith("http://127.0.0.1:")
        assert httpx2.get(f"{url}/emulator/state").json()["now"] == trakt.time.time()
        client = trakt.client("ann", endpoints=Endpoints.at(url))
        assert client.api.get("/users/me").json()["username"] == "ann"
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url)


def test_several_clients_share_a_store(trakt, tmp_path):
    store = f"file:{tmp_path / 'tokens.json'}"
    one, other = trakt.client("ann", store=store), trakt.client(store=open_store(store))
    assert one.token() == other.token()
    trakt.time.advance(days=8)
    assert one.token() == other.token()
    trakt.assert_refreshed(times=1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client(trakt, backend):
    async def scenario():
        client = trakt.async_client("ann")
        first = await client.token()
        trakt.time.advance(days=8)
        assert await client.token() != first
        assert (await client.api.get("/users/me")).json()["username"] == "ann"
        await trakt.async_client().start_device()
        async with trakt.async_client("bob", endpoints=Endpoints.at(trakt.url)) as remote:
            assert (await remote.api.get("/users/me")).json()["username"] == "bob"

    anyio.run(scenario, backend=backend)
    trakt.assert_refreshed(times=1)


def test_an_app_with_its_own_httpx2_client(trakt):
    with httpx2.Client(base_url="https://auth.trakt.tv", transport=trakt.transport()) as app:
        answer = app.post("/oauth/device/code", json={"client_id": "emulator"})
    assert trakt.approve() == answer.json()["user_code"]


def test_many_threads_share_one_emulator(trakt):
    clients = [trakt.client("ann", store="memory:") for _ in range(8)]
    trakt.time.advance(days=8)
    threads = [threading.Thread(target=client.token) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trakt.assert_refreshed(times=8)
    trakt.assert_no_token_spent_twice()


# -- assertions and their messages -----------------------------------------------------------------


def test_messages_of_the_checks(trakt):
    client, story = trakt.client("ann"), "POST /oauth/token  200  refreshed grant_type=refresh_to"
    with pytest.raises(AssertionError, match=r"but none arrived; .*\n\(no requests\)$"):
        trakt.assert_refreshed()
    trakt.arm("truncated_json")
    with pytest.raises(UnexpectedResponse):
        client.refresh()
    problem = (
        "expected 2 requests to /oauth/token (outcome refreshed, account ann), but 1 arrived; "
    )
    with pytest.raises(AssertionError, check=message(problem, story=story)) as error:
        trakt.assert_refreshed(times=2, username="ann")
    assert "fault=truncated_json" in str(error.value)
    assert client.token().access_token not in str(error.value)
    with pytest.raises(
        AssertionError, match=r"expected at least one request to /sync/.*, but none"
    ):
        trakt.assert_requested("/sync/*")
    with pytest.raises(AssertionError, match=r"expected 1 request to /sync/.*, but none arrived"):
        trakt.assert_requested("/sync/*", times=1)
    with pytest.raises(AssertionError, match="ann is still signed in"):
        trakt.assert_signed_out("ann")
    with pytest.raises(AssertionError, match="bob is not signed in"):
        trakt.assert_signed_in("bob")
    assert [entry.endpoint for entry in trakt.requests("/oauth/*")] == ["/oauth/token"]


def test_a_refresh_token_that_is_used_twice_is_reported(trakt):
    spent = trakt.issue_tokens("ann")["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": spent, "client_id": "emulator"}
    with httpx2.Client(base_url="http://any.test", transport=trakt.transport()) as app:
        app.post("/oauth/token", json=form)
        trakt.assert_no_token_spent_twice()
        app.post("/oauth/token", json=form)
    with pytest.raises(AssertionError, match="works once, but 1 request sent a used one"):
        trakt.assert_no_token_spent_twice()


def test_early_polls_are_reported(trakt):
    with httpx2.Client(base_url="http://any.test", transport=trakt.transport()) as app:
        code = app.post("/oauth/device/code", json={"client_id": "emulator"}).json()
        form = {"client_id": "emulator", "code": code["device_code"]}
        statuses = [app.post("/oauth/device/token", json=form).status_code for _ in range(3)]
    assert statuses == [400, 429, 429]
    with pytest.raises(AssertionError, match="but 2 requests came too early"):
        trakt.assert_polled_patiently()


# -- pytest ----------------------------------------------------------------------------------------

FIXTURES = """
import pytest
from trakt_auth import TransportError

def test_signed_in(trakt_emulator, trakt_signed_in_client, signed_in_client, trakt_clock):
    assert signed_in_client is trakt_signed_in_client
    assert signed_in_client.api.get("/users/me").json()["username"] == "emulator-user"
    trakt_clock.advance(days=8)
    signed_in_client.token()
    trakt_emulator.assert_refreshed(times=1)

def test_each_test_has_its_own(trakt_emulator):
    assert trakt_emulator.log == []

@pytest.mark.trakt_emulator(access_token_lifetime=60, faults=["answer_lost"])
class TestMarked:
    def test_by_class(self, trakt_emulator, signed_in_client):
        assert signed_in_client.token().lifetime.total_seconds() == 60
        with pytest.raises(TransportError):
            signed_in_client.refresh()
        trakt_emulator.assert_faults_met()

    @pytest.mark.trakt_emulator(access_token_lifetime=90)
    def test_the_closest_marker_wins(self, signed_in_client, trakt_emulator):
        assert signed_in_client.token().lifetime.total_seconds() == 90
        assert len(trakt_emulator.state()["faults"]) == 1

def test_over_the_network(trakt_emulator, trakt_emulator_url):
    import httpx2
    assert httpx2.get(trakt_emulator_url + "/emulator/state").status_code == 200
    assert trakt_emulator_url == trakt_emulator.url
"""

ASYNC = """
import pytest

pytestmark = pytest.mark.{mark}

async def test_signed_in(trakt_emulator, signed_in_async_client, trakt_clock):
    trakt_clock.advance(days=8)
    answer = await signed_in_async_client.api.get("/users/me")
    assert answer.json()["username"] == "emulator-user"
    trakt_emulator.assert_refreshed(times=1)

async def test_the_long_name(trakt_signed_in_async_client, signed_in_async_client):
    assert trakt_signed_in_async_client is signed_in_async_client
"""


def test_the_fixtures(run):
    run(FIXTURES, "--strict-markers").assert_outcomes(passed=5)


def test_the_marker_and_the_fixtures_are_documented(run):
    run("", "--markers").stdout.fnmatch_lines(["*trakt_emulator(**settings): how this test's*"])
    lines = run("", "--fixtures").outlines
    for name in plugin.__all__[1:]:
        (number,) = [n for n, line in enumerate(lines) if line.startswith(f"{name} -- ")]
        assert "no docstring" not in lines[number + 1]


def test_overriding_the_application_and_the_settings(run):
    conftest = """
        import pytest
        from trakt_auth import Application

        @pytest.fixture
        def trakt_application():
            return Application("mine", user_agent="mine/1")

        @pytest.fixture
        def trakt_emulator_settings():
            return {"access_token_lifetime": 60, "device_interval": 1}
    """
    source = """
        import pytest

        @pytest.mark.trakt_emulator(access_token_lifetime=90)
        def test_both(trakt_emulator, signed_in_client):
            assert signed_in_client.application.client_id == "mine"
            assert trakt_emulator.options.access_token_lifetime == 90
            assert trakt_emulator.options.device_interval == 1
    """
    run(source, conftest=conftest).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("60", "The marker trakt_emulator takes keyword arguments only"),
        (
            "acess=60",
            "The emulated Trakt cannot be set up: there is no setting acess; the settings are*",
        ),
        ("replay='no'", "The emulated Trakt cannot be set up: replay must be one of*"),
        (
            "faults=['x']",
            "The emulated Trakt cannot be set up: no fault is called 'x'; the faults are*",
        ),
    ],
)
def test_the_error_of_a_wrong_marker_is_one_sentence(run, arguments, sentence):
    source = f"""
        import pytest
        @pytest.mark.trakt_emulator({arguments})
        def test_it(trakt_emulator): ...
    """
    result = run(source)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([sentence])
    result.stdout.no_fnmatch_line("*another exception*")
    result.stdout.no_fnmatch_line("*direct cause*")


def test_a_failing_test_shows_the_requests(run):
    source = """
        def test_it(trakt_emulator, signed_in_client):
            token = signed_in_client.refresh()
            print("secret", token.access_token)
            trakt_emulator.assert_refreshed(times=2)
    """
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*trakt_emulator.assert_refreshed(times=2)",
            "E *AssertionError: expected 2 requests to /oauth/token (*), but 1 arrived; *",
            "*Captured log of the emulated Trakt teardown*",
            "*POST /oauth/token  200  refreshed grant_type=refresh_token account=emulator-user*",
        ]
    )
    text = result.stdout.str()
    (secret,) = [line.split()[1] for line in text.splitlines() if line.startswith("secret ")]
    assert text.count(secret) == 1
    assert "checks.py" not in text  # the traceback ends in the test, not in this library


def test_with_the_anyio_plugin_on_asyncio_and_trio(run):
    backends = """
        import pytest
        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param
    """
    result = run(ASYNC.format(mark="anyio"), "-p", "anyio", subprocess=True, conftest=backends)
    result.assert_outcomes(passed=4)


def test_with_pytest_asyncio(run, pytester):
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    result = run(ASYNC.format(mark="asyncio"), subprocess=True, asyncio=True)
    result.assert_outcomes(passed=2)


def test_with_xdist(run):
    result = run(FIXTURES, "-n", "2", subprocess=True)
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*2 workers*"])


def test_as_an_entry_point_and_by_name_at_once(run, pytester, monkeypatch):
    info = pytester.mkdir("installed") / "trakt_auth_again-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trakt-auth-again\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + ENTRY_POINT)
    monkeypatch.setenv("PYTHONPATH", f"{info.parent}{os.pathsep}{os.environ['PYTHONPATH']}")
    source = "def test_it(signed_in_client): assert signed_in_client.token()"
    conftest = {"conftest": "pytest_plugins = ['trakt_auth.testing']"}
    for settings in ({"by_name": False}, {"by_name": True}, {"by_name": False, **conftest}):
        run(source, subprocess=True, **settings).assert_outcomes(passed=1)
    (pytester.path / "conftest.py").unlink()
    off = run(source, "-p", "no:trakt_auth.testing", subprocess=True, by_name=False)
    off.assert_outcomes(errors=1)
    off.stdout.fnmatch_lines(["E *fixture 'signed_in_client' not found"])


ENTRY_POINT = "trakt_auth.testing = trakt_auth.testing\n"


def test_the_entry_point_is_the_one_of_the_package():
    import tomllib

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    points = tomllib.loads(text)["project"]["entry-points"]["pytest11"]
    assert "".join(f"{name} = {module}\n" for name, module in points.items()) == ENTRY_POINT


def test_without_the_extra_only_the_url_is_missing(run):
    source = """
        def test_in_process(signed_in_client):
            assert signed_in_client.api.get("/users/me").status_code == 200
        def test_address(trakt_emulator_url): ...
    """
    result = run(source, subprocess=True, conftest=WITHOUT_EXTRA)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*The emulated Trakt cannot be served: *'trakt-auth[[]emulator]'*"]
    )
    result.stdout.no_fnmatch_line("*another exception*")
    result.stdout.no_fnmatch_line("*direct cause*")


def test_an_unused_plugin_imports_almost_nothing(tmp_path):
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): ...")
    program = (
        "import pytest, sys; pytest.main(['-q', '-p', sys.argv[1], *sys.argv[2:]]);"
        "print('LOADED', *sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    environment["PYTHONPATH"] = os.pathsep.join([SOURCE, *filter(None, sys.path)])

    def loaded(plugin):
        command = [sys.executable, "-c", program, plugin, "-p", "no:asyncio", *QUIET]
        told = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert "1 passed" in told.stdout
        return set(told.stdout.partition("LOADED ")[2].split())

    more = loaded("trakt_auth.testing") - loaded("no:trakt_auth.testing")
    assert more == {"trakt_auth", "trakt_auth.testing", "trakt_auth.testing.plugin"}


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'Emulated'"):
        testing.Emulated  # noqa: B018
    assert sorted(testing.__all__) == testing.__all__ == sorted(testing._HOMES)
    assert TraktTestCase.__name__ == "TraktTestCase"


# -- unittest --------------------------------------------------------------------------------------

CASES = """
import sys, unittest
sys.modules["pytest"] = None
from trakt_auth.testing import TraktTestCase

class Sync(TraktTestCase):
    trakt_settings = {"access_token_lifetime": 60}

    def test_signed_in(self):
        client = self.trakt.client("ann")
        self.trakt.time.advance(minutes=2)
        client.token()
        self.trakt.assert_refreshed(times=1)

class Other(unittest.TestCase):
    def setUp(self):
        self.other = True

class Together(TraktTestCase, Other):
    def test_both_are_set_up(self):
        assert self.other and self.trakt

class Async(TraktTestCase, unittest.IsolatedAsyncioTestCase):
    async def test_signed_in(self):
        client = self.trakt.async_client("ann")
        self.assertEqual((await client.api.get("/users/me")).json()["username"], "ann")
"""


def test_with_unittest_and_without_pytest(tmp_path):
    (tmp_path / "test_cases.py").write_text(CASES)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([SOURCE, *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest", "-v", "test_cases"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Ran 3 tests" in done.stderr


def test_with_unittest_here():
    class Case(TraktTestCase):
        def runTest(self):
            client = self.trakt.client("ann")
            assert client.api.get("/users/me").json()["username"] == "ann"

    result = unittest.TestResult()
    Case().run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_fixtures_here(
    trakt_signed_in_client, signed_in_client, trakt_signed_in_async_client, signed_in_async_client
):
    assert signed_in_client is trakt_signed_in_client
    assert signed_in_async_client is trakt_signed_in_async_client
    assert signed_in_client.api.get("/users/me").json()["username"] == "emulator-user"


# -- documentation ---------------------------------------------------------------------------------


def test_every_name_is_in_the_reference():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "testing.md").read_text()
    own = {*vars(EmulatedTrakt), *vars(EmulatedTrakt.__base__), *vars(VirtualClock)}
    names = {name for name in own if not name.startswith("_")} | {"slept", "time", "application"}
    names |= {*testing.__all__, *plugin.__all__[1:], "now", "faults", "trakt_settings"}
    assert [name for name in sorted(names - {"close"}) if not re.search(rf"\b{name}\b", page)] == []


def test_the_api_answers_what_a_test_registers(trakt_emulator: EmulatedTrakt) -> None:
    client = trakt_emulator.client("ann")
    assert client.api.get("/sync/watched/shows").json() == []
    trakt_emulator.respond("/sync/watched/shows", json=[{"plays": 3}], headers={"X-Sort-By": "x"})
    answer = client.api.get("/sync/watched/shows")
    assert answer.json() == [{"plays": 3}]
    assert answer.headers["x-sort-by"] == "x"
    trakt_emulator.time.advance(days=8)
    assert client.api.get("/sync/watched/shows").status_code == 200, "refreshed"
