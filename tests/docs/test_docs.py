"""Every example in the documentation runs as printed, against an emulator in place of 8088."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trakt_auth.testing import VirtualClock

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if "```python" in page.read_text()
)
PRINTED = "http://127.0.0.1:8088"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)[^)]*\)")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


class Person:
    """Answers `input` and the redirect as somebody would who says yes."""

    def __init__(self, emulator, capsys):
        self.emulator, self.capsys, self.url = emulator, capsys, None
        self.printed = ""

    def read(self):
        self.printed += self.capsys.readouterr().out
        found = re.findall(r"(http://\S+/oauth/authorize\S+)", self.printed)
        return self.emulator.approve_authorization(found[-1], username="ann")

    def input(self, prompt):
        return self.read()


@pytest.fixture
def person(emulator, clock, capsys, monkeypatch, tmp_path):
    """A desk where time does not pass by itself and every code is approved."""
    import builtins

    from trakt_auth.client import base
    from trakt_auth.runtime.loopback import CallbackReceiver

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(base, "SystemClock", lambda: VirtualClock(emulator.clock))
    person = Person(emulator, capsys)
    monkeypatch.setattr(builtins, "input", person.input)
    monkeypatch.setattr(CallbackReceiver, "wait", lambda *_, **__: person.read())
    return person


@pytest.fixture
def emulator():
    from trakt_auth.emulator import Clock, Emulator

    return Emulator(clock=Clock.frozen(), auto_approve=3)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run_as_printed(page, url, person, capsys, emulator):
    with socket.socket() as free:  # tests run side by side, so each has a port of its own
        free.bind(("127.0.0.1", 0))
        redirect = f"http://127.0.0.1:{free.getsockname()[1]}/callback"
    emulator.register_application("emulator", redirect_uris=[redirect])
    namespace = {"__name__": "example"}
    for number, block in enumerate(blocks(page, "python")):
        here = block.replace(PRINTED, url).replace("http://127.0.0.1:8765/callback", redirect)
        exec(compile(here, f"{page.name}[{number}]", "exec"), namespace)
    assert person.printed + capsys.readouterr().out


def test_the_readme_example_says_hello_twice(url, person, capsys, emulator):
    (block,) = blocks(ROOT / "README.md", "python")
    for _ in range(2):
        exec(block.replace(PRINTED, url), {})
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["Enter", "Hello,", "Hello,"]
    emulator.clock.advance(8 * 24 * 3600)
    exec(block.replace(PRINTED, url), {})
    assert emulator.state()["tokens"]["rotations"] == 1


def test_the_readme_moves_from_a_file_to_postgresql(
    url, person, capsys, postgres, tmp_path, monkeypatch
):
    from trakt_auth.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (example,) = blocks(ROOT / "README.md", "python")
    exec(example.replace(PRINTED, url), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["Enter", "Hello,"]
    (moving,) = [block for block in blocks(ROOT / "README.md", "sh") if "moved.json" in block]
    with postgres.schema() as there:
        ran = 0
        moving = moving.replace(PRINTED, url).replace("postgresql://me@db.example/app", there)
        for line in moving.splitlines():
            words = shlex.split(line, comments=True)
            match words[0]:
                case "export":
                    monkeypatch.setenv(*words[1].split("=", 1))
                case "rm":
                    for name in words[1:]:
                        (tmp_path / name).unlink()
                case "trakt-auth":
                    assert main(words[1:]) == 0
                    ran += 1
                case _:
                    assert line == 'pip install "trakt-auth[postgres]"'
        assert ran == 2
        capsys.readouterr()
        exec(example.replace(PRINTED, url).replace("file:hello-tokens.json", there), {})
    assert capsys.readouterr().out.startswith("Hello, ")  # nobody had to sign in again
    assert not (tmp_path / "hello-tokens.json").exists()


def test_the_tutorials_commands(tmp_path):
    from trakt_auth.emulator import Emulator

    (block,) = blocks(ROOT / "docs" / "tutorial.md", "console")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    environment["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"  # nobody's own
    environment |= {name: os.environ[name] for name in os.environ if name.startswith("COV")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    ran = 0
    with Emulator(auto_approve=0, device_interval=1).serving() as url:
        for line in block.replace(PRINTED, url).splitlines():
            words = shlex.split(line.removeprefix("$ "))
            if words[0] == "export":
                environment |= dict(word.split("=", 1) for word in words[1:])
                continue
            assert words[0] == "trakt-auth"
            command = [sys.executable, "-m", "trakt_auth.cli", *words[1:]]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, (line, done.stderr)
            ran += 1
    assert ran == 6


TESTING = ROOT / "docs" / "how-to" / "test-your-app.md"
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```", TESTING.read_text(), re.DOTALL | re.MULTILINE)
COMMANDS = {block.split()[0]: block for block in blocks(TESTING, "sh")}
BY_HAND = {"python3", "trakt-auth"}  # a virtual environment, and the emulator in the background


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Run a shell script beside the files of the page, as printed; return what it wrote."""
    from trakt_auth.emulator import Emulator

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    without = "-p no:cacheprovider -p no:asyncio -p no:schemathesis"
    monkeypatch.setenv("PYTEST_ADDOPTS", f"-p trakt_auth.testing {without}")

    def shell(script):
        with Emulator().serving() as url:
            for name, text in FILES:
                (tmp_path / name).write_text(text.replace(PRINTED, url))
            done = subprocess.run(
                ["sh", "-eu", "-c", script.replace(PRINTED, url)],
                cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return shell


RUN = {
    "pytest": "3 passed",
    "python": "Ran 2 tests",
    "node": "pass 1",
    "go": "ok  ",
    "field()": '"username":"ann"',
}


@pytest.mark.parametrize("command", RUN)
def test_programs_that_test_an_app(command, shell):
    if command == "go" and shutil.which("go") is None:
        pytest.skip("there is no Go on this machine")
    assert RUN[command] in shell(COMMANDS[command]).replace(": ", ":")


def test_every_program_that_tests_an_app_is_run(shell):
    assert set(COMMANDS) == set(RUN) | BY_HAND
    names = [name for name, _ in FILES if name.endswith(".py")]
    assert len(names) == 6
    assert "11 passed" in shell(f"pytest -q -W error {' '.join(names)}")


def test_links_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob(".github/*.md")]:
        for target in LINK.findall(page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_error_is_in_the_reference():
    from trakt_auth import errors

    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert [name for name in errors.__all__ if f"`{name}`" not in page] == []


def test_every_option_and_fault_is_in_the_reference():
    from trakt_auth.emulator import Emulator, Options
    from trakt_auth.emulator.faults.armed import _KINDS as KINDS

    page = (ROOT / "docs" / "reference" / "emulator.md").read_text()
    names = [*KINDS, *Options().to_dict()]
    assert [name for name in names if f"`{name}`" not in page] == []
    assert Emulator().options.to_dict()["device_interval"] == 5


def test_the_version_is_one():
    import tomllib

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
