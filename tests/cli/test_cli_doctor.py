"""`doctor`: each cause has its own message, nothing is changed, no secret is shown."""

import errno
import json
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest

from trakt_auth.cli.doctor import check, network, run
from trakt_auth.cli.doctor import store as store_checks
from trakt_auth.cli.settings import Settings
from trakt_auth.stores.record import Attempt, Outcome, Record, pause_to


def examined(cli, *arguments, status=None):
    ran = cli("doctor", "--json", *arguments)
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
    """Return the message and advice of the one check with this name and mark."""
    (one,) = [one for one in found if one["check"] == name and one["mark"] == mark]
    return f"{one['said']} {one['advice'] or ''}"


def bad(found):
    return [one["check"] for one in found if one["mark"] == "fail"]


def note(cli, token, **attempt):
    with cli.client() as client:
        client._store.save(
            cli.key(),
            Record(token=token, attempt=Attempt(**attempt)).to_payload(),
            expires_at=token.expires_at,
            replacing=None,
        )


def test_everything_is_in_order(cli):
    token = cli.sign_in()
    before = {one: one.read_bytes() for one in cli.file.parent.iterdir()}
    found = examined(cli, status=0)
    assert {one["mark"] for one in found} == {"ok"}
    assert [one["check"] for one in found] == [
        "application", "user agent", "redirect URI", "servers", "store", "store writable",
        "store private", "login default", "sign-in server", "client id", "API server", "API key",
        "login default", "clock",
    ]  # fmt: skip
    assert before == {one: one.read_bytes() for one in cli.file.parent.iterdir()}
    state = cli.emulator.state()
    assert [entry.endpoint for entry in cli.emulator.log] == ["/oauth/revoke", "/users/settings"]
    assert state["device_codes"] == []
    assert cli("token").out == f"{token.access_token}\n"
    ran = cli("doctor")
    assert (ran.status, ran.err) == (0, "")
    *lines, empty, last = ran.out.splitlines()
    assert (empty, last) == ("", "Everything is in order.")
    assert len(lines) == len(found)
    assert all(line.startswith("ok    ") for line in lines)


def test_no_login_is_stored(cli):
    found = examined(cli, status=0)
    assert "Run: trakt-auth login" in find(found, "login", "warn")
    assert "will be created by the first login" in find(found, "store writable", "ok")
    assert not cli.file.parent.exists()
    assert cli("doctor").out.endswith("\n1 warning.\n")
    found = examined(cli, "--account", "work", status=3)
    assert "--account work" in find(found, "login work")


def test_offline_sends_nothing(cli):
    cli.sign_in()
    found = examined(cli, "--offline", status=0)
    assert find(found, "login default", "ok")
    assert not cli.emulator.log


# -- the configuration ---------------------------------------------------------------------------


def test_no_client_id(cli):
    cli.monkeypatch.delenv("TRAKT_CLIENT_ID")
    found = examined(cli, status=1)
    assert bad(found) == ["application"]
    assert "export TRAKT_CLIENT_ID" in find(found, "application")


@pytest.mark.parametrize(
    ("variable", "value", "check", "mark", "words"),
    [
        ("TRAKT_CLIENT_SECRET", "emulator", "client secret", "fail", "the same text"),
        ("TRAKT_USER_AGENT", "python-requests/2.32", "user agent", "warn", "names a library"),
        ("TRAKT_REDIRECT_URI", "http://127.0.0.1:8765/cb", "redirect URI", "ok", "returns to"),
        ("TRAKT_REDIRECT_URI", "urn:ietf:wg:oauth:2.0:oob", "redirect URI", "ok", "paste"),
        ("TRAKT_REDIRECT_URI", "http://localhost/cb", "redirect URI", "warn", "port"),
        ("TRAKT_REDIRECT_URI", "https://a.example/cb", "redirect URI", "warn", "have to paste"),
        ("TRAKT_REDIRECT_URI", "https://a.example/cb?x=1", "redirect URI", "fail", "without ?"),
        ("TRAKT_REDIRECT_URI", "localhost", "redirect URI", "fail", "without ?"),
        ("TRAKT_AUTH_URL", "http://trakt.example", "servers", "fail", "every token unencrypted"),
        ("TRAKT_AUTH_URL", "http://auth.trakt.tv", "servers", "fail", "unencrypted"),
        ("TRAKT_AUTH_URL", "https://auth.trakt.tv", "servers", "warn", "the other is not"),
    ],
)
def test_the_configuration(cli, variable, value, check, mark, words):
    cli.monkeypatch.setenv(variable, value)
    found = examined(cli, "--offline", status=int(mark == "fail"))
    assert words in find(found, check, mark)


def test_trakts_own_servers(cli):
    cli.monkeypatch.delenv("TRAKT_AUTH_URL")
    cli.monkeypatch.delenv("TRAKT_API_URL")
    assert "Trakt's own" in find(examined(cli, "--offline", status=0), "servers", "ok")


def test_nothing_is_sent_unencrypted(cli):
    cli.monkeypatch.setenv("TRAKT_API_URL", "http://trakt.example")
    assert "sign-in server" not in [one["check"] for one in examined(cli, status=1)]
    assert not cli.emulator.log


# -- the store -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "mode", "words"),
    [("file", 0o644, "can open"), ("file", 0o620, "can open"), ("folder", 0o777, "can replace")],
)
def test_a_store_that_others_can_open(cli, target, mode, words):
    cli.sign_in()
    path = cli.file if target == "file" else cli.file.parent
    path.chmod(mode)
    said = find(examined(cli, "--offline", status=1), "store private")
    assert words in said
    assert f"{mode:04o}" in said
    assert "chmod" in said


def test_a_store_that_belongs_to_another_user(cli):
    cli.sign_in()
    own = os.geteuid()
    cli.monkeypatch.setattr(store_checks.os, "geteuid", lambda: own + 54321)
    said = find(examined(cli, "--offline", status=1), "store private")
    assert "belongs to the user" in said
    assert f"chown {own + 54321} " in said


def test_a_folder_above_that_everyone_can_write(cli):
    cli.file = cli.file.parent / "below" / cli.file.name
    cli.monkeypatch.setenv("TRAKT_AUTH_STORE", f"file:{cli.file}")
    cli.sign_in()
    above = cli.file.parent.parent
    above.chmod(0o777)
    said = find(examined(cli, "--offline", status=1), "store private")
    assert f"can replace folders in {above} " in said
    above.chmod(0o1777)
    assert find(examined(cli, "--offline", status=0), "store private", "ok")


@pytest.mark.parametrize("which", ["store", "lock"])
def test_a_file_that_cannot_be_written_although_its_folder_can(cli, which):
    cli.sign_in()
    victim = cli.file
    if which == "lock":
        victim = cli.file.with_name(f"{cli.file.name}.0123456789abcdef.lock")
        victim.write_bytes(b"")
    real = os.open

    def opened(path, flags, *rest, **more):
        if os.fspath(path) == str(victim) and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *rest, **more)

    cli.monkeypatch.setattr(store_checks.os, "open", opened)
    checks = [
        one for one in examined(cli, "--offline", status=1) if one["check"] == "store writable"
    ]
    assert [one["mark"] for one in checks] == ["ok", "fail"]
    assert str(victim) in checks[1]["said"]


def test_a_store_that_cannot_be_read(cli):
    cli.file.parent.mkdir()
    cli.file.write_text("not json")
    found = examined(cli, status=1)
    assert bad(found) == ["store"]
    assert find(found, "API key", "ok")


def test_a_folder_that_cannot_be_written(cli):
    cli.sign_in()

    def denied(self):
        from trakt_auth.errors import StoreUnavailable

        raise StoreUnavailable("The lock file cannot be used: Read-only file system")

    cli.monkeypatch.setattr(store_checks.FileStoreLock, "acquire", denied)
    assert "Read-only" in find(examined(cli, "--offline", status=1), "store writable")


def test_a_readable_database_is_reported_before_opening_makes_it_private(cli, tmp_path):
    store = f"sqlite:{tmp_path}/tokens.db"
    assert cli("login", "--device", "--store", store).status == 0
    (tmp_path / "tokens.db").chmod(0o644)
    found = examined(cli, "--offline", "--store", store, status=1)
    assert "mode 0644" in find(found, "store private")


def test_a_disk_that_is_full(cli):
    cli.sign_in()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    cli.monkeypatch.setattr(store_checks.os, "fsync", full)
    said = find(examined(cli, "--offline", status=1), "store writable")
    assert "No space left" in said
    assert "free some space" in said
    assert list(cli.file.parent.glob(".trakt-auth-doctor*")) == []


def test_a_folder_where_locks_do_not_work(cli):
    cli.sign_in()
    cli.monkeypatch.setattr(store_checks.FileStoreLock, "acquire", lambda self: False)
    assert "local disk" in find(examined(cli, "--offline", status=1), "store writable")


def test_a_folder_that_cannot_be_made(cli):
    cli.monkeypatch.setattr(store_checks.os, "access", lambda *_: False)
    said = find(examined(cli, "--offline", status=1), "store writable")
    assert "is not writable" in said


def test_a_folder_that_is_a_file(cli, tmp_path):
    (tmp_path / "note").write_text("a file")
    found = examined(cli, "--offline", "--store", f"file:{tmp_path}/note/tokens.json", status=1)
    assert "Not a directory" in find(found, "store")


def test_a_store_that_does_not_exist(cli):
    found = examined(cli, "--offline", "--store", "nonsense:x", status=1)
    assert bad(found) == ["store"]


def test_a_store_in_memory(cli):
    found = examined(cli, "--offline", "--store", "memory:", status=0)
    assert "lost when the command ends" in find(found, "store kept", "warn")


def test_a_database_file(cli, tmp_path):
    cli.sign_in()
    store = f"sqlite:{tmp_path}/db/tokens.db"
    assert find(examined(cli, "--store", store, "--offline", status=0), "store", "ok")
    assert not (tmp_path / "db").exists()
    file = str(tmp_path / "moving.json")
    cli("export", file)
    cli("import", file, "--store", store)
    before = sorted(one.name for one in (tmp_path / "db").iterdir())
    found = examined(cli, "--store", store, status=0)
    assert find(found, "store private", "ok")
    assert sorted(one.name for one in (tmp_path / "db").iterdir()) == before


@pytest.mark.parametrize("taken", [False, True])
def test_a_store_with_leases(cli, taken):
    from trakt_auth.stores.memory import MemoryStore

    store = MemoryStore()
    store.save(cli.key("x"), "{}", expires_at=None, replacing=None)
    if taken:
        cli.monkeypatch.setattr("trakt_auth.stores.memory.MemoryLock.acquire", lambda self: False)
    cli.monkeypatch.setattr(Settings, "open_store", lambda _: store)
    url = "postgresql://me:hush@host/db"
    # Without a login there may be no tables yet, and the check creates none.
    empty = list(store_checks.check_store(Settings(store=url), "another"))
    assert [one.name for one in empty] == ["store"]
    told = list(store_checks.check_store(Settings(store=url), cli.key().client_id))
    assert [one.name for one in told] == ["store", "store locks"]
    assert told[1].mark is (check.Mark.FAIL if taken else check.Mark.OK)
    assert "hush" not in told[0].said


# -- the logins ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago", "refresh", "mark", "words"),
    [
        (0.1, True, "ok", "it is refreshed in 2 days"),
        (0.7, True, "ok", "it is refreshed at the next use"),
        (2, True, "warn", "expired 7 days ago"),
        (0.1, False, "warn", "there is no refresh token"),
        (-1, True, "warn", "in the future"),
        (2, False, "fail", "there is no refresh token"),
    ],
)
def test_the_age_of_a_token(cli, ago, refresh, mark, words):
    cli.sign_in(ago=ago, refresh=refresh)
    found = examined(cli, "--offline", status=3 if mark == "fail" else 0)
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
def test_the_last_refresh(cli, attempt, mark, words):
    now = datetime.now(UTC)
    token = cli.sign_in()
    note(cli, token, started_at=now, retry_at=now + timedelta(minutes=5), **attempt)
    before = cli.file.read_bytes()
    found = examined(cli, "--offline", status=3 if mark == "fail" else 0)
    assert words in find(found, "login default", mark)
    assert cli.file.read_bytes() == before


def test_a_refresh_that_is_under_way(cli):
    note(cli, cli.sign_in(), outcome=Outcome.BEGUN, started_at=datetime.now(UTC))
    with cli.client() as client:
        lock = client._store.lock(cli.key())
        assert lock.acquire()
        found = examined(cli, "--offline", status=0)
        lock.release()
    assert [one["said"] for one in found if "still running" in one["said"]]


def test_a_pause(cli):
    cli.sign_in()
    with cli.client() as client:
        until = datetime.now(UTC) + timedelta(minutes=5)
        key = cli.key("")
        client._store.save(key, pause_to(until), expires_at=None, replacing=None)
    assert "asked too often" in find(examined(cli, "--offline", status=0), "pause", "warn")


def test_a_pause_that_cannot_be_read(cli):
    with cli.client() as client:
        client._store.save(cli.key(""), "{}", expires_at=None, replacing=None)
    assert bad(examined(cli, status=1)) == ["store"]


def test_an_unsaved_token(cli):
    from trakt_auth.client.sync import Client

    cli.sign_in("work", ago=2)
    cli.monkeypatch.setattr(Client, "unsaved", lambda self: ["work"])
    found = examined(cli, "--offline", status=0)
    assert "could not be saved in the store yet" in find(found, "login work", "warn")
    cli.file.unlink()
    assert "could not be saved in the store yet" in find(
        examined(cli, "--offline"), "login work", "warn"
    )


def test_a_record_that_cannot_be_read(cli):
    cli.sign_in("ann")
    with cli.client() as client:
        key = cli.key("bob")
        client._store.save(key, "{}", expires_at=None, replacing=None)
    found = examined(cli, status=1)
    assert bad(found) == ["login bob"]
    assert find(found, "login ann", "ok")
    assert bad(examined(cli, "--account", "bob")) == ["login bob"]


def test_many_logins(cli):
    cli.monkeypatch.setattr("trakt_auth.cli.doctor.login.MOST", 2)
    for name in ("ann", "bob", "cid"):
        cli.sign_in(name)
    found = examined(cli, "--offline", status=0)
    assert "1 more" in find(found, "logins", "warn")
    assert [one["check"] for one in found][-3:] == ["login ann", "login bob", "logins"]


# -- the network and what Trakt says ------------------------------------------------------------


def test_an_unknown_client_id(cli):
    cli.monkeypatch.setenv("TRAKT_CLIENT_ID", "nonsense")
    found = examined(cli, status=1)
    assert bad(found) == ["client id", "API key"]
    assert "does not know this client id" in find(found, "client id")


def test_a_wrong_secret(cli):
    cli.monkeypatch.setenv("TRAKT_CLIENT_SECRET", "wrong-secret-of-mine")
    found = examined(cli, status=1)
    assert bad(found) == ["client id"]
    assert "unset TRAKT_CLIENT_SECRET" in find(found, "client id")
    assert "wrong-secret-of-mine" not in cli.ran[-1].out


CAUSES = [
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


@pytest.mark.parametrize(("fault", "settings", "status", "words"), CAUSES)
@pytest.mark.parametrize(
    ("endpoint", "check"), [("/oauth/revoke", "client id"), ("/users/settings", "API key")]
)
def test_causes_are_told_apart(cli, fault, settings, status, words, endpoint, check):
    cli.sign_in()
    cli.emulator.arm(fault, endpoint=endpoint, **settings)
    found = examined(cli, status=status)
    assert bad(found) == [check]
    assert words in find(found, check)


@pytest.mark.parametrize("endpoint", ["/oauth/revoke", "/users/settings"])
def test_a_429_checks_nothing(cli, endpoint):
    cli.emulator.arm("status", endpoint=endpoint, status=429, retry_after=143)
    check = "client id" if "revoke" in endpoint else "API key"
    said = find(examined(cli, status=0), check, "warn")
    assert "Cannot be checked" in said
    assert "143 seconds" in said


def test_a_server_that_checks_the_token_before_the_client(cli):
    cli.emulator.arm("refuse", endpoint="/oauth/revoke", error="invalid_request")
    assert "Cannot be checked" in find(examined(cli, status=0), "client id", "warn")


def test_a_token_that_the_api_refuses(cli):
    cli.sign_in()
    cli.emulator.end_login("emulator-user")
    found = examined(cli, status=0)
    assert "rejects the access token" in find(found, "login default", "warn")
    assert find(found, "API key", "ok")


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_clock_that_is_wrong(cli, ahead):
    cli.emulator.arm("skewed_clock", endpoint="*", times=None, seconds=ahead)
    said = find(examined(cli, status=0), "clock", "warn")
    assert "59 minutes" in said or "1 hour" in said
    assert "Tokens still work" in said
    assert ("behind" if ahead > 0 else "ahead of") in said


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 24 Nov 2026 03:00:00"])
def test_no_usable_date(cli, date):
    from trakt_auth.protocol.http import HttpResponse

    class Transport:
        def __init__(self, **_):
            pass

        def prepare(self):
            pass

        def send(self, request, check=None):
            return HttpResponse(status=401, headers={"date": date})

        def close(self):
            pass

    cli.monkeypatch.setattr("trakt_auth.runtime.transport.HttpTransport", Transport)
    assert "clock" not in [one["check"] for one in examined(cli, status=0)]


def test_a_reset(cli):
    cli.emulator.arm("reset", endpoint="*", times=None)
    found = examined(cli, status=5)
    assert bad(found) == ["sign-in server", "API server"]
    assert "no whole answer" in find(found, "API server")


def unreachable(cli, url, status=5):
    cli.monkeypatch.setenv("TRAKT_AUTH_URL", url)
    cli.monkeypatch.setenv("TRAKT_API_URL", url)
    return find(examined(cli, status=status), "sign-in server")


def test_a_connection_that_is_refused(cli):
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        said = unreachable(cli, f"https://127.0.0.1:{bound.getsockname()[1]}")
    assert "Cannot connect to" in said


def test_a_name_that_does_not_exist(cli):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    cli.monkeypatch.setattr(socket, "getaddrinfo", unknown)
    said = unreachable(cli, "https://trakt.invalid")
    assert "cannot be resolved: Name or service not known" in said
    assert "DNS" in said


def test_tls_that_fails(cli):
    said = unreachable(cli, cli.url.replace("http:", "https:"))
    assert "the secure connection (TLS) fails" in said
    assert "SSL_CERT_FILE" in said


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_fails(cli, variable):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{bound.getsockname()[1]}"
        for name in (variable, variable.lower()):
            cli.monkeypatch.setenv(name, f"http://me:hush@{place}")
        for name in ("NO_PROXY", "no_proxy"):
            cli.monkeypatch.delenv(name, raising=False)
        said = unreachable(cli, "https://trakt.invalid")
    assert f"Through the configured proxy {place}" in said
    assert "hush" not in said


def test_another_reason():
    from trakt_auth.errors import TransportError

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        said, _ = network._why(url, TransportError("odd", outcome_unknown=False))
    assert said == "odd."


def test_certificates_that_cannot_be_read(cli):
    cli.monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    found = examined(cli, status=1)
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
def test_on_a_terminal_long_lines_are_wrapped(monkeypatch, encoding, mark, arrow):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(run.sys, "stdout", Screen(encoding))
    failure = check.error("store", "It is\x1b[31m " + "very " * 15 + "bad.", "Mend it.")
    lines = run._line(failure).splitlines()
    assert lines[0].startswith(f"{mark} store            It is [31m very")
    assert lines[-1] == " " * len(mark) + " " * 18 + arrow + "Mend it."
    assert max(map(len, lines)) < 60
    assert "\x1b" not in "".join(lines)


def test_on_a_terminal_marks_are_coloured(monkeypatch):
    from trakt_auth.cli.terminal import drawing

    painted = []
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(run.sys, "stdout", Screen("utf-8"))
    monkeypatch.setattr(drawing, "paint", lambda *words: painted.append(words) or "<mark>")
    assert run._line(check.passed("x", "Good.")).startswith("<mark> x  ")
    assert painted == [("✓", "green")]


def test_failures_of_two_kinds_are_a_1():
    both = [check.error("a", "", "", status=3), check.error("b", "", "", status=5)]
    assert check.exit_status(both) == 1
    assert check.exit_status(both[:1]) == 3
    assert check.exit_status([check.warning("c", "", "")]) == 0


def test_a_reader_that_closed_the_pipe(cli):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        cli.monkeypatch.setattr("sys.stdout", closed)
        assert run.doctor(Settings(), as_json=False, offline=True) == 1
