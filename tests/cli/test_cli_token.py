"""`token` on the fast path and in full, `refresh`, `logout`, and what the fast path may import."""

import json
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest

from support.cli_runner import SOURCE
from trakt_auth.cli import app, fast_path

HEAVY = {
    "click", "rich", "httpx2", "asyncio", "anyio", "filelock", "segno", "platformdirs",
    "logging", "email", "urllib.parse", "importlib.metadata", "concurrent.futures", "socket",
    "trakt_auth.client.sync", "trakt_auth.cli.parser", "trakt_auth.cli.app",
}  # fmt: skip


def test_prints_the_token_and_a_newline(cli):
    token = cli.sign_in()
    ran = cli("token")
    assert (ran.status, ran.out, ran.err) == (0, f"{token.access_token}\n", "")


def test_prints_nothing_else_as_a_program(cli):
    token = cli.sign_in()
    ran = cli.run("token")
    assert (ran.status, ran.out, ran.err) == (0, f"{token.access_token}\n", "")


def test_the_fast_path_imports_little(cli):
    cli.url = "https://auth.trakt.tv"
    token = cli.sign_in()
    program = (
        "import sys; from trakt_auth.cli import main; main(['token']);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={
            "PYTHONPATH": SOURCE,
            "TRAKT_CLIENT_ID": "emulator",
            "TRAKT_AUTH_STORE": cli.store,
        },
    )
    assert done.stdout == f"{token.access_token}\n"
    loaded = set(done.stderr.split())
    assert not loaded & HEAVY
    assert "trakt_auth.cli.fast_path" in loaded


@pytest.mark.parametrize(
    "arguments",
    [
        ["token"],
        ["token", "--account", "work"],
        ["--account", "work", "token"],
        ["--account=work", "token"],
        ["--account", "default", "token", "--account=work"],
        ["token", "--account", "missing"],
        ["token", "--account"],
        ["token", "--account="],
        ["--store=", "token"],
        ["token", "--store", "nonsense"],
        ["--store", "memory:", "token"],
        ["token", "extra"],
        ["token", "--help"],
        ["token", "--", "--account"],
    ],
)
@pytest.mark.parametrize("url", [None, "not a url"])
def test_fast_path_and_full_command_agree(cli, arguments, url):
    cli.sign_in()
    cli.sign_in("work")
    if url:
        cli.monkeypatch.setenv("TRAKT_AUTH_URL", url)
    fast = cli(*arguments)
    cli.monkeypatch.setattr(fast_path, "fresh_token", lambda _: None)
    full = cli(*arguments)
    assert (fast.status, fast.out, fast.err) == (full.status, full.out, full.err)
    cli.capsys.readouterr()
    assert app.run(arguments) == full.status


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRAKT_CLIENT_ID", ""), ("TRAKT_CLIENT_ID", "a\tb"), ("TRAKT_USER_AGENT", "Mozilla/5.0")],
)
def test_fast_path_and_full_command_agree_on_the_environment(cli, name, value):
    cli.sign_in()
    cli.monkeypatch.setenv(name, value)
    fast = cli("token")
    assert fast.status == 2
    assert fast.out == ""


def test_a_missing_client_id_says_where_to_get_one(cli):
    cli.monkeypatch.delenv("TRAKT_CLIENT_ID")
    ran = cli("token")
    assert ran.status == 2
    what, hint = ran.err.splitlines()
    assert "TRAKT_CLIENT_ID" in what
    assert "https://app.trakt.tv/settings/apps/api" in hint
    assert "export TRAKT_CLIENT_ID=" in hint


def test_token_without_a_login(cli):
    ran = cli("token", "--account", "my work")
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.splitlines()[1].endswith("run `trakt-auth login --account 'my work'`.")


@pytest.mark.parametrize("age", [0.8, 2.0])
def test_a_due_token_is_refreshed_first(cli, age):
    old = cli.sign_in(ago=age)
    ran = cli("token")
    assert ran.status == 0
    assert ran.out.strip() in cli.emulator.secrets
    assert ran.out.strip() != old.access_token
    assert cli("token").out == ran.out


def test_a_refused_refresh_needs_a_login(cli):
    cli.sign_in(ago=2)
    cli.emulator.end_login("emulator-user")
    assert cli("token").status == 3
    ran = cli("status", "--account", "default")
    assert ran.status == 3
    assert "refused" in ran.out


def test_two_programs_at_once_send_one_refresh(cli):
    cli.sign_in(ago=2)
    both = [cli.spawn("token") for _ in range(2)]
    said = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert said[0] == said[1]
    assert cli.emulator.state()["requests"]["/oauth/token"] == {"refreshed": 1}


def test_an_unreachable_server(cli):
    cli.url = "http://127.0.0.1:9"
    cli.sign_in(ago=2)
    cli.monkeypatch.setenv("TRAKT_AUTH_URL", cli.url)
    ran = cli("token")
    assert (ran.status, ran.out) == (5, "")
    assert len(ran.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("fault", "settings"),
    [
        ("html_200", {}),
        ("cloudflare_403", {"every_agent": True}),
        ("status", {"status": 429}),
        ("status", {"status": 503}),
    ],
)
def test_answers_that_say_nothing_of_the_login(cli, fault, settings):
    cli.sign_in(ago=2)
    cli.emulator.arm(fault, endpoint="/oauth/token", **settings)
    assert cli("token").status == 5


def hold_refresh(cli):
    """Let the emulator answer a refresh only when told: set `arrived`, wait for `released`."""
    arrived, released = threading.Event(), threading.Event()
    process = cli.emulator.process

    def held(request, **more):
        if "/oauth/token" in request.url:
            arrived.set()
            assert released.wait(60)
        return process(request, **more)

    cli.monkeypatch.setattr(cli.emulator, "process", held)
    return arrived, released


@pytest.fixture
def heeded():
    """Let started programs heed a hang-up even if the tests run under `nohup`."""
    before = signal.getsignal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_a_refresh_loses_nothing(cli, number, status):
    old = cli.sign_in(ago=2)
    arrived, released = hold_refresh(cli)
    with cli.spawn("token") as process:
        assert arrived.wait(60)
        process.send_signal(number)
        released.set()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    assert err.split() in (["Interrupted."], ["Terminated."])
    token = cli("token").out.strip()
    assert token in cli.emulator.secrets
    assert token != old.access_token
    assert cli.emulator.state()["requests"]["/oauth/token"] == {"refreshed": 1}


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_the_command_at_once(cli, number):
    cli.sign_in(ago=2)
    arrived, released = hold_refresh(cli)
    with cli.spawn("token") as process:
        try:
            assert arrived.wait(60)
            for _ in range(50):  # two that arrive before Python has seen the first count as one
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                    break
            assert process.returncode == -number
        finally:
            released.set()
            process.kill()
    assert json.loads(cli("status", "--json").out)["accounts"][0]["last_refresh"]["started_at"]


def test_refresh(cli):
    old = cli.sign_in()
    ran = cli("refresh")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.startswith("Refreshed. The token is valid until 20")
    assert cli("token").out.strip() != old.access_token


def test_refresh_without_a_login(cli):
    assert cli("refresh").status == 3


def test_logout(cli):
    cli.sign_in("work")
    ran = cli("logout", "--account", "work")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == "Account 'work' is signed out, and its token is deleted.\n"
    assert cli.emulator.state()["requests"]["/oauth/revoke"]
    again = cli("logout", "--account", "work")
    assert (again.status, again.out) == (0, "")
    assert "not signed in" in again.err


def test_a_token_with_an_unfinished_refresh_is_left_to_the_full_command(cli):
    from dataclasses import replace
    from datetime import UTC, datetime

    from trakt_auth.stores import open_store
    from trakt_auth.stores.record import Attempt, Outcome, Record

    token = cli.sign_in()
    assert fast_path.fresh_token(["token"]) == token.access_token
    store, key = open_store(cli.store), cli.key()
    note = Attempt(outcome=Outcome.BEGUN, started_at=datetime.now(UTC))
    record = replace(Record.from_stored(store.load(key)), attempt=note)
    store.save(key, record.to_payload(), expires_at=None, replacing=None)
    assert fast_path.fresh_token(["token"]) is None
    assert cli("token").out == f"{token.access_token}\n"


def test_logout_where_the_store_cannot_be_written(cli):
    from trakt_auth import StoreUnavailable
    from trakt_auth.stores.file import FileStore

    def denied(*_, **__):
        raise StoreUnavailable("The token file cannot be written: Permission denied")

    cli.sign_in()
    cli.monkeypatch.setattr(FileStore, "save", denied)
    ran = cli("logout")
    assert ran.status == 1
    assert "Permission denied" in ran.err
    assert "Trakt has ended the login; sign out again" in ran.err


def test_logout_without_a_network(cli):
    cli.sign_in()
    cli.monkeypatch.setenv("TRAKT_AUTH_URL", "http://127.0.0.1:9")
    assert cli("logout").status == 0
    assert cli("token").status == 3


def test_a_signal_within_an_import_ends_the_command_a_moment_later():
    """Raised at once it could leave the import lock taken, and a refresh would wait for ever."""
    importing = SimpleNamespace(f_code=SimpleNamespace(co_filename="<frozen importlib._bootstrap>"))
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGALRM)}
    with app._signals():
        with pytest.raises(app._Stopped) as caught:
            signal.getsignal(signal.SIGTERM)(signal.SIGTERM, importing)
            signal.pause()
        assert caught.value.number == signal.SIGTERM
    with app._signals():
        signal.getsignal(signal.SIGTERM)(signal.SIGTERM, importing)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert {one: signal.getsignal(one) for one in before} == before


def test_off_the_main_thread(cli):
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(cli("token").status))
    thread.start()
    thread.join()
    assert statuses == [3]
