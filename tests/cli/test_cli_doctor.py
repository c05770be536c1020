"""`doctor`: each thing that can be wrong is told apart, nothing is changed, no secret is shown."""

import errno
import json
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest

from trakt_auth.cli.doctor import configuration as checks
from trakt_auth.cli.doctor import network as checks_network
from trakt_auth.cli.doctor import run as doctor
from trakt_auth.cli.doctor import store as checks_store
from trakt_auth.cli.settings import Settings
from trakt_auth.stores.record import AccountKey, Attempt, Outcome, Record, pause_to


def examined(desk, *arguments, status=None):
    ran = desk("doctor", "--json", *arguments)
    assert ran.err == ""
    report = json.loads(ran.out)
    assert list(report) == ["status", "checks"]
    assert ran.status == report["status"]
    if status is not None:
        assert ran.status == status, ran.out
    for one in report["checks"]:
        assert list(one) == ["check", "mark", "said", "advice"]
        assert (one["mark"] == "ok") == (one["advice"] is None)
    return report["checks"]


def find(found, name, mark="fail"):
    """Return the words of the one check of this name and mark."""
    (one,) = [one for one in found if one["check"] == name and one["mark"] == mark]
    return f"{one['said']} {one['advice'] or ''}"


def bad(found):
    return [one["check"] for one in found if one["mark"] == "fail"]


def note(desk, token, **attempt):
    with desk.client() as client:
        client._store.save(
            AccountKey("emulator", "default"),
            Record(token=token, attempt=Attempt(**attempt)).to_payload(),
            expires_at=token.expires_at,
            replacing=None,
        )


def test_all_is_well(desk):
    token = desk.sign_in()
    before = {one: one.read_bytes() for one in desk.file.parent.iterdir()}
    found = examined(desk, status=0)
    assert {one["mark"] for one in found} == {"ok"}
    assert [one["check"] for one in found] == [
        "application", "user agent", "redirect URI", "servers", "store", "store writable",
        "store private", "login default", "sign-in server", "client id", "API server", "API key",
        "login default", "clock",
    ]  # fmt: skip
    assert before == {one: one.read_bytes() for one in desk.file.parent.iterdir()}
    state = desk.trakt.state()
    assert [entry.endpoint for entry in desk.trakt.log] == ["/oauth/revoke", "/users/settings"]
    assert state["device_codes"] == []
    assert desk("token").out == f"{token.access_token}\n"
    ran = desk("doctor")
    assert (ran.status, ran.err) == (0, "")
    *lines, empty, last = ran.out.splitlines()
    assert (empty, last) == ("", "All is well.")
    assert len(lines) == len(found)
    assert all(line.startswith("ok    ") for line in lines)


def test_nobody_has_signed_in(desk):
    found = examined(desk, status=0)
    assert "Run: trakt-auth login" in find(found, "login", "warn")
    assert "is made when somebody signs in" in find(found, "store writable", "ok")
    assert not desk.file.parent.exists()
    assert "to look at" in desk("doctor").out
    found = examined(desk, "--account", "work", status=3)
    assert "--account work" in find(found, "login work")


def test_offline_asks_nobody(desk):
    desk.sign_in()
    found = examined(desk, "--offline", status=0)
    assert find(found, "login default", "ok")
    assert not desk.trakt.log


# -- the configuration ---------------------------------------------------------------------------


def test_no_client_id(desk):
    desk.monkeypatch.delenv("TRAKT_CLIENT_ID")
    found = examined(desk, status=1)
    assert bad(found) == ["application"]
    assert "export TRAKT_CLIENT_ID" in find(found, "application")


@pytest.mark.parametrize(
    ("variable", "value", "check", "mark", "words"),
    [
        ("TRAKT_CLIENT_SECRET", "emulator", "client secret", "fail", "the same text"),
        ("TRAKT_USER_AGENT", "python-requests/2.32", "user agent", "warn", "names a library"),
        ("TRAKT_REDIRECT_URI", "http://127.0.0.1:8765/cb", "redirect URI", "ok", "comes back"),
        ("TRAKT_REDIRECT_URI", "urn:ietf:wg:oauth:2.0:oob", "redirect URI", "ok", "paste"),
        ("TRAKT_REDIRECT_URI", "http://localhost/cb", "redirect URI", "warn", "port"),
        ("TRAKT_REDIRECT_URI", "https://a.example/cb", "redirect URI", "warn", "pasted"),
        ("TRAKT_REDIRECT_URI", "https://a.example/cb?x=1", "redirect URI", "fail", "registers"),
        ("TRAKT_REDIRECT_URI", "localhost", "redirect URI", "fail", "registers"),
        ("TRAKT_AUTH_URL", "http://trakt.example", "servers", "fail", "shows every token"),
        ("TRAKT_AUTH_URL", "http://auth.trakt.tv", "servers", "fail", "unencrypted"),
        ("TRAKT_AUTH_URL", "https://auth.trakt.tv", "servers", "warn", "the other is not"),
    ],
)
def test_the_configuration(desk, variable, value, check, mark, words):
    desk.monkeypatch.setenv(variable, value)
    found = examined(desk, "--offline", status=int(mark == "fail"))
    assert words in find(found, check, mark)


def test_trakts_own_servers(desk):
    desk.monkeypatch.delenv("TRAKT_AUTH_URL")
    desk.monkeypatch.delenv("TRAKT_API_URL")
    assert "Trakt's own" in find(examined(desk, "--offline", status=0), "servers", "ok")


def test_nothing_is_sent_where_everybody_could_read_it(desk):
    desk.monkeypatch.setenv("TRAKT_API_URL", "http://trakt.example")
    assert "sign-in server" not in [one["check"] for one in examined(desk, status=1)]
    assert not desk.trakt.log


# -- the store -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "mode", "words"),
    [("file", 0o644, "can open"), ("file", 0o620, "can open"), ("folder", 0o777, "can replace")],
)
def test_a_store_that_others_can_open(desk, target, mode, words):
    desk.sign_in()
    path = desk.file if target == "file" else desk.file.parent
    path.chmod(mode)
    said = find(examined(desk, "--offline", status=1), "store private")
    assert words in said
    assert f"{mode:04o}" in said
    assert "chmod" in said


def test_a_store_that_cannot_be_read(desk):
    desk.file.parent.mkdir()
    desk.file.write_text("not json")
    found = examined(desk, status=1)
    assert bad(found) == ["store"]
    assert find(found, "API key", "ok")


def test_a_folder_that_cannot_be_written(desk):
    desk.sign_in()

    def denied(self):
        from trakt_auth.errors import StoreUnavailable

        raise StoreUnavailable("The lock file cannot be used: Read-only file system")

    desk.monkeypatch.setattr(checks_store.FileStoreLock, "acquire", denied)
    assert "Read-only" in find(examined(desk, "--offline", status=1), "store writable")


def test_a_database_that_others_could_read_is_told_before_it_is_mended(desk, tmp_path):
    store = f"sqlite:{tmp_path}/tokens.db"
    assert desk("login", "--device", "--store", store).status == 0
    (tmp_path / "tokens.db").chmod(0o644)
    found = examined(desk, "--offline", "--store", store, status=1)
    assert "mode 0644" in find(found, "store private")


def test_a_disk_that_is_full(desk):
    desk.sign_in()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    desk.monkeypatch.setattr(checks_store.os, "fsync", full)
    said = find(examined(desk, "--offline", status=1), "store writable")
    assert "No space left" in said
    assert "free some space" in said
    assert list(desk.file.parent.glob(".trakt-auth-doctor*")) == []


def test_a_folder_where_locks_do_not_work(desk):
    desk.sign_in()
    desk.monkeypatch.setattr(checks_store.FileStoreLock, "acquire", lambda self: False)
    assert "local disk" in find(examined(desk, "--offline", status=1), "store writable")


def test_a_folder_that_cannot_be_made(desk):
    desk.monkeypatch.setattr(checks_store.os, "access", lambda *_: False)
    said = find(examined(desk, "--offline", status=1), "store writable")
    assert "is not writable" in said


def test_a_folder_that_is_a_file(desk, tmp_path):
    (tmp_path / "note").write_text("a file")
    found = examined(desk, "--offline", "--store", f"file:{tmp_path}/note/tokens.json", status=1)
    assert "Not a directory" in find(found, "store")


def test_a_store_that_does_not_exist(desk):
    found = examined(desk, "--offline", "--store", "nonsense:x", status=1)
    assert bad(found) == ["store"]


def test_a_store_in_memory(desk):
    found = examined(desk, "--offline", "--store", "memory:", status=0)
    assert "ends with the command" in find(found, "store kept", "warn")


def test_a_database_file(desk, tmp_path):
    desk.sign_in()
    store = f"sqlite:{tmp_path}/db/tokens.db"
    assert find(examined(desk, "--store", store, "--offline", status=0), "store", "ok")
    assert not (tmp_path / "db").exists()
    file = str(tmp_path / "moving.json")
    desk("export", file)
    desk("import", file, "--store", store)
    before = sorted(one.name for one in (tmp_path / "db").iterdir())
    found = examined(desk, "--store", store, status=0)
    assert find(found, "store private", "ok")
    assert sorted(one.name for one in (tmp_path / "db").iterdir()) == before


@pytest.mark.parametrize("taken", [False, True])
def test_a_store_with_leases(desk, taken):
    from trakt_auth.stores.memory import MemoryStore

    store = MemoryStore()
    store.save(AccountKey("emulator", "x"), "{}", expires_at=None, replacing=None)
    if taken:
        desk.monkeypatch.setattr("trakt_auth.stores.memory.MemoryLock.acquire", lambda self: False)
    desk.monkeypatch.setattr(Settings, "open_store", lambda _: store)
    url = "postgresql://me:hush@host/db"
    # Nobody has signed in, so there may be no tables, and none are made.
    empty = list(checks_store.storage(Settings(store=url), "another"))
    assert [one.name for one in empty] == ["store"]
    told = list(checks_store.storage(Settings(store=url), "emulator"))
    assert [one.name for one in told] == ["store", "store locks"]
    assert told[1].mark is (checks.Mark.FAIL if taken else checks.Mark.OK)
    assert "hush" not in told[0].said


# -- the logins ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago", "refresh", "mark", "words"),
    [
        (0.1, True, "ok", "it is refreshed in 2 days"),
        (0.7, True, "ok", "it is refreshed at the next use"),
        (2, True, "warn", "ended 7 days ago"),
        (0.1, False, "warn", "there is no refresh token"),
        (-1, True, "warn", "from the future"),
        (2, False, "fail", "there is no refresh token"),
    ],
)
def test_the_age_of_a_token(desk, ago, refresh, mark, words):
    desk.sign_in(ago=ago, refresh=refresh)
    found = examined(desk, "--offline", status=3 if mark == "fail" else 0)
    assert words in find(found, "login default", mark)


@pytest.mark.parametrize(
    ("attempt", "mark", "words"),
    [
        ({"outcome": Outcome.REFUSED, "reason": "it was revoked"}, "fail", "It was revoked."),
        ({"outcome": Outcome.UNKNOWN, "reason": "reset"}, "warn", "was lost"),
        ({"outcome": Outcome.BEGUN}, "warn", "was lost"),
        ({"outcome": Outcome.FAILED, "reason": "503", "failures": 3}, "warn", "3 times in a row"),
        ({"outcome": Outcome.FAILED, "reason": "503", "failures": 1}, "warn", "tried again in"),
    ],
)
def test_the_last_refresh(desk, attempt, mark, words):
    now = datetime.now(UTC)
    token = desk.sign_in()
    note(desk, token, started_at=now, retry_at=now + timedelta(minutes=5), **attempt)
    before = desk.file.read_bytes()
    found = examined(desk, "--offline", status=3 if mark == "fail" else 0)
    assert words in find(found, "login default", mark)
    assert desk.file.read_bytes() == before


def test_a_refresh_that_is_under_way(desk):
    note(desk, desk.sign_in(), outcome=Outcome.BEGUN, started_at=datetime.now(UTC))
    with desk.client() as client:
        lock = client._store.lock(AccountKey("emulator", "default"))
        assert lock.acquire()
        found = examined(desk, "--offline", status=0)
        lock.release()
    assert [one["said"] for one in found if "under way" in one["said"]]


def test_a_pause(desk):
    desk.sign_in()
    with desk.client() as client:
        until = datetime.now(UTC) + timedelta(minutes=5)
        key = AccountKey("emulator", "")
        client._store.save(key, pause_to(until), expires_at=None, replacing=None)
    assert "asked too often" in find(examined(desk, "--offline", status=0), "pause", "warn")


def test_a_pause_that_cannot_be_read(desk):
    with desk.client() as client:
        client._store.save(AccountKey("emulator", ""), "{}", expires_at=None, replacing=None)
    assert bad(examined(desk, status=1)) == ["store"]


def test_a_token_that_waits_to_be_saved(desk):
    from trakt_auth.client.sync import Client

    desk.sign_in("work", ago=2)
    desk.monkeypatch.setattr(Client, "unsaved", lambda self: ["work"])
    found = examined(desk, "--offline", status=0)
    assert "waits to be saved" in find(found, "login work", "warn")
    desk.file.unlink()
    assert "waits to be saved" in find(examined(desk, "--offline"), "login work", "warn")


def test_a_record_that_cannot_be_read(desk):
    desk.sign_in("ann")
    with desk.client() as client:
        key = AccountKey("emulator", "bob")
        client._store.save(key, "{}", expires_at=None, replacing=None)
    found = examined(desk, status=1)
    assert bad(found) == ["login bob"]
    assert find(found, "login ann", "ok")
    assert bad(examined(desk, "--account", "bob")) == ["login bob"]


def test_many_logins(desk):
    desk.monkeypatch.setattr("trakt_auth.cli.doctor.login.MOST", 2)
    for name in ("ann", "bob", "cid"):
        desk.sign_in(name)
    found = examined(desk, "--offline", status=0)
    assert "1 more" in find(found, "logins", "warn")
    assert [one["check"] for one in found][-3:] == ["login ann", "login bob", "logins"]


# -- the network and what Trakt says ------------------------------------------------------------


def test_an_unknown_client_id(desk):
    desk.monkeypatch.setenv("TRAKT_CLIENT_ID", "nonsense")
    found = examined(desk, status=1)
    assert bad(found) == ["client id", "API key"]
    assert "does not know this client id" in find(found, "client id")


def test_a_wrong_secret(desk):
    desk.monkeypatch.setenv("TRAKT_CLIENT_SECRET", "wrong-secret-of-mine")
    found = examined(desk, status=1)
    assert bad(found) == ["client id"]
    assert "unset TRAKT_CLIENT_SECRET" in find(found, "client id")
    assert "wrong-secret-of-mine" not in desk.ran[-1].out


REFUSALS = [
    ("cloudflare_403", {"every_agent": True}, 1, "Trakt's edge refused"),
    ("cloudflare_403", {"every_agent": True, "plain": True}, 1, "Trakt's edge refused"),
    ("forbidden", {"cause": "key"}, 1, "it is wrong, deleted"),
    ("forbidden", {"cause": "unapproved"}, 1, "not approved"),
    ("forbidden", {"cause": "blocked"}, 1, "Trakt blocks this integration"),
    ("account_locked", {}, 1, "account is locked"),
    ("account_locked", {"deactivated": True}, 1, "account is deactivated"),
    ("status", {"status": 503}, 5, "unavailable (503)"),
    ("status", {"status": 520}, 5, "unavailable (520)"),
    ("html_200", {}, 5, "not one that it documents"),
]


@pytest.mark.parametrize(("fault", "settings", "status", "words"), REFUSALS)
@pytest.mark.parametrize(
    ("endpoint", "check"), [("/oauth/revoke", "client id"), ("/users/settings", "API key")]
)
def test_causes_are_told_apart(desk, fault, settings, status, words, endpoint, check):
    desk.sign_in()
    desk.trakt.arm(fault, endpoint=endpoint, **settings)
    found = examined(desk, status=status)
    assert bad(found) == [check]
    assert words in find(found, check)


@pytest.mark.parametrize("endpoint", ["/oauth/revoke", "/users/settings"])
def test_a_429_is_no_verdict(desk, endpoint):
    desk.trakt.arm("status", endpoint=endpoint, status=429, retry_after=143)
    check = "client id" if "revoke" in endpoint else "API key"
    said = find(examined(desk, status=0), check, "warn")
    assert "No verdict" in said
    assert "143 seconds" in said


def test_a_server_that_judges_the_token_first(desk):
    desk.trakt.arm("refuse", endpoint="/oauth/revoke", error="invalid_request")
    assert "No verdict" in find(examined(desk, status=0), "client id", "warn")


def test_a_token_that_the_api_refuses(desk):
    desk.sign_in()
    desk.trakt.end_login("emulator-user")
    found = examined(desk, status=0)
    assert "does not take the access token" in find(found, "login default", "warn")
    assert find(found, "API key", "ok")


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_clock_that_is_wrong(desk, ahead):
    desk.trakt.arm("skewed_clock", endpoint="*", times=None, seconds=ahead)
    said = find(examined(desk, status=0), "clock", "warn")
    assert "59 minutes" in said or "1 hour" in said
    assert "Tokens do not mind" in said
    assert ("behind" if ahead > 0 else "ahead of") in said


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 24 Nov 2026 03:00:00"])
def test_no_usable_date(desk, date):
    from trakt_auth.protocol.http import HttpResponse

    class Transport:
        def __init__(self, **_):
            pass

        def send(self, request):
            return HttpResponse(status=401, headers={"date": date})

        def close(self):
            pass

    desk.monkeypatch.setattr("trakt_auth.runtime.transport.HttpTransport", Transport)
    assert "clock" not in [one["check"] for one in examined(desk, status=0)]


def test_a_reset(desk):
    desk.trakt.arm("reset", endpoint="*", times=None)
    found = examined(desk, status=5)
    assert bad(found) == ["sign-in server", "API server"]
    assert "no whole answer" in find(found, "API server")


def unreachable(desk, url, status=5):
    desk.monkeypatch.setenv("TRAKT_AUTH_URL", url)
    desk.monkeypatch.setenv("TRAKT_API_URL", url)
    return find(examined(desk, status=status), "sign-in server")


def test_a_connection_that_is_refused(desk):
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        said = unreachable(desk, f"https://127.0.0.1:{bound.getsockname()[1]}")
    assert "takes no connection" in said


def test_a_name_that_does_not_exist(desk):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    desk.monkeypatch.setattr(socket, "getaddrinfo", unknown)
    said = unreachable(desk, "https://trakt.invalid")
    assert "leads to no address: Name or service not known" in said
    assert "DNS" in said


def test_tls_that_fails(desk):
    said = unreachable(desk, desk.url.replace("http:", "https:"))
    assert "no safe connection (TLS)" in said
    assert "SSL_CERT_FILE" in said


def test_a_proxy_that_fails(desk):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        proxy = f"http://me:hush@127.0.0.1:{bound.getsockname()[1]}"
        for name in ("HTTPS_PROXY", "https_proxy"):
            desk.monkeypatch.setenv(name, proxy)
        for name in ("NO_PROXY", "no_proxy"):
            desk.monkeypatch.delenv(name, raising=False)
        said = unreachable(desk, "https://trakt.invalid")
    assert "Through the proxy" in said
    assert "hush" not in said


def test_another_reason():
    from trakt_auth.errors import TransportError

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        said, _ = checks_network._why(url, TransportError("odd", outcome_unknown=False))
    assert said == "odd."


def test_certificates_that_cannot_be_read(desk):
    desk.monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    found = examined(desk, status=1)
    assert bad(found) == ["network"]
    assert "SSL_CERT_FILE" in find(found, "network")


# -- how it looks --------------------------------------------------------------------------------


class Screen:
    def __init__(self, encoding):
        self.encoding = encoding

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("encoding", "mark", "arrow"), [("utf-8", "✗", "→ "), ("ascii", "fail", "")]
)
def test_on_a_terminal_long_lines_are_folded(monkeypatch, encoding, mark, arrow):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(doctor.sys, "stdout", Screen(encoding))
    check = checks.failed("store", "It is\x1b[31m " + "very " * 15 + "bad.", "Mend it.")
    lines = doctor._line(check).splitlines()
    assert lines[0].startswith(f"{mark} store            It is [31m very")
    assert lines[-1] == " " * len(mark) + " " * 18 + arrow + "Mend it."
    assert max(map(len, lines)) < 60
    assert "\x1b" not in "".join(lines)


def test_on_a_terminal_marks_are_coloured(monkeypatch):
    from trakt_auth.cli.terminal import drawing as screen

    painted = []
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(doctor.sys, "stdout", Screen("utf-8"))
    monkeypatch.setattr(screen, "paint", lambda *words: painted.append(words) or "<mark>")
    assert doctor._line(checks.fine("x", "Good.")).startswith("<mark> x  ")
    assert painted == [("✓", "green")]


def test_failures_of_two_kinds_are_a_1():
    both = [checks.failed("a", "", "", status=3), checks.failed("b", "", "", status=5)]
    assert checks.status_of(both) == 1
    assert checks.status_of(both[:1]) == 3
    assert checks.status_of([checks.off("c", "", "")]) == 0


def test_a_reader_who_has_left(desk):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        desk.monkeypatch.setattr("sys.stdout", nobody)
        assert doctor.doctor(Settings(), as_json=False, offline=True) == 1
