"""`api`: bodies, headers, paths, and the exit status that a response stands for."""

import io
import json

import pytest

from trakt_auth.cli import main
from trakt_auth.cli.commands import api as job
from trakt_auth.cli.commands.api_call import Response
from trakt_auth.cli.terminal.output import escaped


def test_the_body_is_written_unchanged(cli):
    cli.sign_in()
    ran = cli("api", "get", "/users/me")
    assert (ran.status, ran.err) == (0, "")
    assert json.loads(ran.out)["username"] == "emulator-user"
    assert "\n" not in ran.out


def test_json_is_indented_on_a_terminal(cli):
    cli.sign_in()
    cli.monkeypatch.setattr(job, "is_terminal", lambda _: True)
    assert cli("api", "GET", "/users/me").out.startswith('{\n  "username"')
    assert job._indented(b"<html>") == b"<html>"


def test_an_expired_token_is_refreshed(cli):
    cli.sign_in(ago=2)
    assert cli("api", "GET", "/users/me").status == 0


@pytest.mark.parametrize(
    ("status", "expected"), [(404, 1), (422, 1), (429, 5), (500, 5), (503, 5), (520, 5)]
)
def test_statuses(cli, status, expected):
    cli.sign_in()
    if status in (404, 422):
        path = "/nowhere"
    else:
        path = "/users/me"
        cli.emulator.arm("status", endpoint="/users/me", status=status)
    ran = cli("api", "GET", path)
    assert ran.status == expected
    assert ran.err.startswith(f"trakt-auth: GET {path}: {404 if path == '/nowhere' else status}")
    assert len(ran.err.splitlines()) == 1


def test_refused_after_a_refresh(cli):
    cli.sign_in()
    cli.emulator.arm("unauthorized", endpoint="/users/me", times=2)
    assert cli("api", "GET", "/users/me").status == 3


def test_not_signed_in(cli):
    assert cli("api", "GET", "/users/me").status == 3


def test_unreachable(cli):
    cli.sign_in()
    cli.monkeypatch.setenv("TRAKT_API_URL", "http://127.0.0.1:9")
    ran = cli("api", "GET", "/users/me")
    assert ran.status == 5
    assert "gave no answer" in ran.err


@pytest.mark.parametrize(
    "path",
    [
        "users/me",
        "https://evil.example/users/me",
        "//evil.example/x",
        "/line\nbreak",
        "",
        "http://127.0.0.1/x",
    ],
)
def test_paths_that_are_refused(cli, path):
    cli.sign_in()
    ran = cli("api", "GET", path)
    assert (ran.status, ran.out) == (2, "")
    assert "/users/me" not in cli.emulator.state()["requests"]


def test_a_url_in_the_query_is_no_host(cli):
    cli.sign_in()
    assert cli("api", "GET", "/users/me?next=https://example.org").status == 0


@pytest.mark.parametrize(
    "header", ["nothing", ": x", "a b: c", "Authorization: Bearer x", "x: ü", "x: a\nb"]
)
def test_headers_that_are_refused(cli, header):
    assert cli("api", "GET", "/users/me", "--header", header).status == 2


def sent(cli, *arguments):
    seen = []
    respond = cli.emulator.process

    def spy(request, **more):
        seen.append(request)
        return respond(request, **more)

    cli.monkeypatch.setattr(cli.emulator, "process", spy)
    cli.sign_in()
    cli("api", "POST", "/users/me", *arguments)
    return seen[-1]


def test_a_header(cli):
    assert sent(cli, "--header", "X-Sort-By: rank").headers["x-sort-by"] == "rank"


def test_data(cli, tmp_path):
    file = tmp_path / "body.json"
    file.write_text('{"file": 1}')
    assert sent(cli, "--data", '{"a": 1}').body == b'{"a": 1}'
    assert sent(cli, "--data", f"@{file}").body == b'{"file": 1}'
    cli.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    assert sent(cli, "--data", "-").body == b"[1]"


@pytest.mark.parametrize("data", ["not json", "@/nowhere/body.json", "@/", "[" * 100_000])
def test_data_that_is_refused(cli, data):
    assert cli("api", "POST", "/users/me", "--data", data).status == 2


def test_a_method_that_does_not_exist(cli):
    assert cli("api", "FETCH", "/users/me").status == 2


def test_a_path_too_long_to_send(cli):
    cli.sign_in()
    assert cli("api", "GET", "/" + "x" * 70_000).status == 2


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"user": {"username": 1}}'])
def test_a_name_that_trakt_does_not_tell(monkeypatch, body):
    from trakt_auth.cli.commands import api_call

    answer = api_call.Response(status=200, reason="OK", body=body)
    monkeypatch.setattr(api_call, "call", lambda *_, **__: answer)
    assert api_call.username(None, "default") is None


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "body",
    [
        b'{"title": "\\u001b]0;x\\u0007\\u009b2J\\u202eabc\\u2066\\u007f"}',
        json.dumps({"title": "\x9b2J\u202eabc\u2066\x7f"}, ensure_ascii=False).encode(),
        b"\x1b]0;x\x07 \x1b[31m plain \x9b2J \r\xe2\x80\xae",
        b"\xff\xfe\x1b[2J",
    ],
)
def test_a_server_cannot_control_the_terminal(cli, body):
    cli.sign_in()
    cli.monkeypatch.setattr(
        "trakt_auth.cli.commands.api.call",
        lambda *_, **__: Response(status=200, reason="", body=body),
    )
    written = io.BytesIO()
    cli.monkeypatch.setattr("sys.stdout", Terminal(written, encoding="utf-8"))
    assert main(["api", "GET", "/x"]) == 0
    text = written.getvalue().decode()
    assert all(one == "\n" or one.isprintable() for one in text)
    assert "2J" in text


def test_escaped_json_is_still_the_same_json():
    value = {"title": "\x9b2J\u202eabc\u2066\x7f\x1b"}
    assert json.loads(escaped(json.dumps(value, ensure_ascii=False))) == value
