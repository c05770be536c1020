"""The entry point, help, pipes, the emulator and the demo."""

import importlib
import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path

import pytest

from support.cli_runner import SOURCE
from trakt_auth.cli import app, main, parser
from trakt_auth.cli.commands import emulator_extra
from trakt_auth.cli.help import ENVIRONMENT, EXIT_STATUSES, FIRST_STEPS
from trakt_auth.cli.terminal import output
from trakt_auth.stores.record import Attempt

COMMANDS = [
    "login", "status", "token", "refresh", "logout", "rekey", "api", "import", "export", "doctor",
    "emulator", "demo",
]  # fmt: skip


@pytest.mark.parametrize("columns", [1, 40, 80, 200])
@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_help_fits_the_terminal_and_has_an_example(command, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main([*command, "--help"]) == 0
    text, said = capsys.readouterr()
    assert said == ""
    assert "\b" not in text
    assert "\\b" not in text  # click's marker, when click does not recognise it
    examples = FIRST_STEPS.strip().replace("\n", "\n    ")
    wrapped, example, last = text.partition("  Example: " if command else examples)
    assert example
    if not command or columns > 60:
        wrapped += last
    assert max(map(len, wrapped.splitlines())) <= min(max(columns, 40), 80)


def test_the_help_of_status_names_every_key_of_its_json(cli):
    cli.sign_in()
    report = json.loads(cli("status", "--json").out)
    (account,) = report["accounts"]
    refresh = {field.name for field in fields(Attempt)}
    text = cli("status", "--help").out
    assert [key for key in {*report, *account, *refresh} if key not in text] == []


def test_help_and_version(cli):
    ran = cli("--help")
    assert ran.status == 0
    assert all(f"\n  {name} " in ran.out for name in COMMANDS)
    assert "TRAKT_USER_AGENT" in ran.out
    assert cli("--version").out.startswith("trakt-auth ")


def test_the_reference_says_what_the_help_says():
    page = (Path(SOURCE).parent / "docs" / "reference" / "command-line.md").read_text()
    rows = [line.replace("`", "") for line in page.splitlines() if line.startswith("|")]
    for name, text in [*ENVIRONMENT, *EXIT_STATUSES]:
        assert f"| {name} | {text.replace('`', '')} |" in rows
    for name, command in parser.cli.commands.items():
        row = next(line for line in rows if line.startswith(f"| {name} "))
        quoted = row.split(" | ")[1].partition(": [")[0].rstrip(" |.")
        assert quoted in f"{command.short_help} {command.help}".replace("`", "")


def test_no_command(cli):
    ran = cli()
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Usage: ")


@pytest.mark.parametrize("arguments", [["nonsense"], ["status", "--nonsense"], ["status", "more"]])
def test_wrong_usage(cli, arguments):
    ran = cli(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 2
    assert "--help" in ran.err


def test_a_source_tree_has_a_version_too(monkeypatch):
    import importlib.metadata

    from trakt_auth.cli.settings import version

    def missing(_):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert version() == "0"


def test_the_user_agent_is_the_callers(cli):
    from trakt_auth.cli.settings import Settings

    assert Settings().application().user_agent.startswith("trakt-auth/")
    cli.monkeypatch.setenv("TRAKT_USER_AGENT", "my-player/1.2")
    assert Settings().application().user_agent == "my-player/1.2"


@pytest.mark.parametrize("module", ["trakt_auth", "trakt_auth.cli"])
def test_as_a_module(monkeypatch, capsys, module):
    monkeypatch.setattr(sys, "argv", ["trakt-auth", "--version"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"{module}.__main__")
    assert ended.value.code == 0
    assert "trakt-auth" in capsys.readouterr().out


def test_a_signal_before_anything_has_begun(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("trakt_auth.cli.fast_path.fresh_token", interrupted)
    assert main(["token"]) == 130


@pytest.mark.parametrize("command", [["token"], ["status"], ["--help"]])
def test_a_reader_that_closed_the_pipe(cli, command):
    cli.sign_in()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "trakt_auth.cli", *command],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE},
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's own")
def test_a_full_disk_behind_stdout(cli):
    cli.sign_in()
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trakt_auth.cli", "token"],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": SOURCE},
            check=False,
        )
    assert done.returncode == 1
    assert b"cannot be written" in done.stderr


class Broken(io.StringIO):
    def write(self, _):
        raise OSError(28, "No space left on device")


def test_streams_that_break(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", Broken())
    assert output.write_result("x") == 1
    assert "No space left" in capsys.readouterr().err
    monkeypatch.setattr("sys.stderr", Broken())
    output.say("stderr is closed")
    closed = io.StringIO()
    closed.close()
    assert not output.is_terminal(closed)
    assert not output.is_terminal(None)


def test_click_exits_by_itself(monkeypatch):
    def leave(_):
        raise SystemExit(1)

    monkeypatch.setattr(parser, "dispatch", leave)
    assert app.run([]) == 1


@pytest.mark.parametrize("quiet", [True, False])
def test_emulator(cli, quiet):
    arguments = ["--port", "0", "--client-id", "mine", "--redirect-uri", "http://127.0.0.1:1/x"]
    arguments += ["--require-user-agent", "--profile", "legacy", "--device-interval", "1"]
    with cli.spawn("emulator", *arguments, *(["--quiet"] if quiet else [])) as process:
        line = process.stdout.readline()
        assert line.startswith("trakt-auth emulator ready at http://127.0.0.1:")
        url = line.split()[-1]
        with urllib.request.urlopen(f"{url}/emulator/state") as answer:
            assert b'"mine"' in answer.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    if quiet:
        assert err.strip() == "Interrupted."
    else:
        assert f"export TRAKT_AUTH_URL={url}\n" in err
        assert "TRAKT_CLIENT_ID=mine" in err
        assert "/emulator/state " in err


def served(cli, *requests, before=None, options=()):
    """Run `emulator` in this process, with a server that handles these requests and returns."""
    from trakt_auth.emulator import server

    def serve(emulator, *, host, port, ready):
        ready("http://127.0.0.1:1")
        if before:
            before(emulator)
        for request in requests:
            reply = emulator.process(request)
            while reply.resume:
                reply = reply.resume()

    cli.monkeypatch.setattr(server, "serve", serve)
    return cli("emulator", "--port", "0", *options)


def test_emulator_tells_of_requests(cli):
    from trakt_auth.protocol.http import HttpRequest

    headers = {"host": "127.0.0.1:1"}
    good = HttpRequest(method="GET", url="http://127.0.0.1:1/emulator/state", headers=headers)
    api = HttpRequest(method="GET", url="http://127.0.0.1:1/users/me", headers=headers)
    bad = HttpRequest(method="GET", url="http:///", headers={})
    ran = served(
        cli, bad, good, api, before=lambda one: one.arm("slow", seconds=1, processed=False)
    )
    assert ran.status == 0
    assert ran.out == "trakt-auth emulator ready at http://127.0.0.1:1\n"
    lines = [line for line in ran.err.splitlines() if " GET " in line]
    assert len(lines) == 2
    assert "(fault: slow)" in lines[1]


def test_emulator_with_responses_from_a_file(cli, tmp_path):
    from trakt_auth.protocol.http import HttpRequest

    told = []

    def look(emulator):
        token = emulator.issue_tokens()["access_token"]
        headers = {
            "trakt-api-key": "emulator",
            "trakt-api-version": "2",
            "authorization": f"Bearer {token}",
            "origin": "http://a.example",
        }
        url = "http://127.0.0.1:1/movies/tron"
        told.append(emulator.handle(HttpRequest(method="GET", url=url, headers=headers)))

    file = tmp_path / "responses.json"
    file.write_text('[{"path": "/movies/*", "json": {"year": 1982}}]')
    options = ["--responses", str(file), "--allow-origin", "http://b.example"]
    assert served(cli, before=look, options=options).status == 0
    assert told[0].body == b'{"year":1982}'
    assert "access-control-allow-origin" not in told[0].headers


@pytest.mark.parametrize("content", [None, "{", "{}", '[{"path": "x"}]'])
def test_emulator_with_a_file_of_responses_that_is_wrong(cli, tmp_path, content):
    file = tmp_path / "responses.json"
    if content is not None:
        file.write_text(content)
    assert cli("emulator", "--port", "0", "--responses", str(file)).status == 2


def test_emulator_with_a_state_file(cli, tmp_path):
    file = tmp_path / "state.json"
    assert served(cli, options=["--state", str(file)]).status == 0
    assert served(cli, options=["--state", str(file)]).status == 0
    file.write_text("{")
    ran = served(cli, options=["--state", str(file)])
    assert ran.status == 2
    assert "is not a state file of the emulator" in ran.err
    assert served(cli, options=["--state", str(tmp_path / "no" / "x")]).status == 2


def test_emulator_with_a_port_that_is_taken(cli):
    port = cli.url.rpartition(":")[2]
    ran = cli("emulator", "--port", port)
    assert (ran.status, ran.out) == (1, "")
    assert f"port {port}" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "99999"],
        ["--access-token-lifetime", "0"],
        ["--client-secret", "x"],
        ["--redirect-uri", "http://127.0.0.1:1/x"],
        ["--client-id", "a", "--redirect-uri", "nonsense"],
    ],
)
def test_emulator_with_wrong_options(cli, arguments):
    assert cli("emulator", *arguments).status == 2


@pytest.mark.parametrize("command", [["emulator", "--port", "0"], ["demo"]])
def test_a_missing_extra(cli, command):
    cli.monkeypatch.setattr(emulator_extra, "MODULES", ("trakt_auth.emulator.nowhere",))
    ran = cli(*command)
    assert (ran.status, ran.out) == (1, "")
    assert 'pip install "trakt-auth[emulator]"' in ran.err


def test_demo(cli):
    ran = cli("demo")
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("✓") for line in lines)
    assert ran.out.count("1 refresh sent") == 2
    assert "401 for the old token" in lines[-1]


def test_demo_on_a_terminal_is_coloured(cli):
    from trakt_auth.cli import demo

    cli.monkeypatch.setattr(demo, "uses_colour", lambda _: True)
    cli.monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\033[" in demo._line("title", "fact", 1, good=True)
    assert demo._run("title", lambda: "fact")


def test_demo_that_fails_says_so(cli):
    from trakt_auth.cli.demo import scenes

    def fails(_):
        scenes._expect(False, "2 refreshes were sent")

    cli.monkeypatch.setattr(scenes, "SCENES", (("refresh once", fails),))
    ran = cli("demo")
    assert ran.status == 1
    assert ran.out.startswith("✗ refresh once")
    assert "2 refreshes were sent" in ran.out


def test_demo_notices_a_token_that_is_still_served(cli):
    from types import SimpleNamespace

    from trakt_auth.cli.demo import scenes

    client = SimpleNamespace(
        token=lambda **_: cli.sign_in(), revoke=lambda **_: None, adopt=lambda *_, **__: None
    )
    with pytest.raises(scenes.Failed):
        scenes.revoke(SimpleNamespace(client=client))


def test_a_terminal_without_check_marks(monkeypatch):
    from trakt_auth.cli import demo

    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert demo._mark(good=True) == "ok"
    assert demo._mark(good=False) == "FAILED"


def test_a_button_that_is_not_there(cli):
    from trakt_auth.cli.demo.person import Person

    person = Person("dave")
    person.visit(f"{cli.url}/activate")
    with pytest.raises(LookupError):
        person.press("nothing")
