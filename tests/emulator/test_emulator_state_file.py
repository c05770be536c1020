"""The state file: accounts, codes and tokens outlive the process; of secrets only hashes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.emulator_client import Browser, EmulatorClient, body


def restarted(path: Path) -> EmulatorClient:
    client = EmulatorClient()
    client.emulator.keep_in(str(path))
    return client


def test_logins_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    old = restarted(path)
    first = body(old.exchange(old.code("sean", scope="openid")))
    second = body(old.refresh(first))
    ended = body(old.exchange(old.code("maria")))
    old.oauth("revoke", token=ended["access_token"])

    client = restarted(path)
    assert client.alive(first)
    assert client.alive(second)
    assert not client.alive(ended)
    assert client.refresh(first).status == 400, "a spent refresh token stays spent"
    third = body(client.refresh(second))
    assert third["scope"] == "public openid"
    assert {one["username"] for one in client.emulator.state()["accounts"]} == {"sean", "maria"}
    assert client.emulator.issue_tokens("new")
    numbers = [one["number"] for one in client.emulator.state()["families"]]
    assert len(numbers) == len(set(numbers))
    assert restarted(path).alive(third)


def test_device_codes_and_browser_sessions_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    old = restarted(path)
    device = old.start_device()
    browser = Browser(old).open("/activate").sign_in("sean")

    client = restarted(path)
    browser.client = client
    browser.open(f"/activate/{device['user_code']}/confirm")
    browser.submit("/activate", code=device["user_code"], decision="allow")
    client.wait(5)
    token = body(client.poll(device))
    assert body(client.api(token, "/users/me"))["username"] == "sean"
    assert restarted(path).poll(device).status == 409


def test_the_clock_does_not_go_back(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    old = restarted(path)
    token = body(old.exchange(old.code()))
    old.wait(604_801)
    assert old.api(token).status == 401
    client = restarted(path)
    assert client.emulator.clock.now() >= old.emulator.clock.now() - 1
    assert client.api(token).status == 401


def test_the_file_is_private_and_has_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    client = restarted(path)
    token = body(client.exchange(client.code()))
    text = path.read_text()
    assert token["access_token"] not in text
    assert token["refresh_token"] not in text
    assert list(tmp_path.iterdir()) == [path]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_replaced_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    client = restarted(path)
    before = path.read_text()

    def full(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        client.exchange(client.code())
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"now": 0}',
        '{"now": 0, "state": []}',
        '{"now": 0, "state": {"version": 2}}',
        '{"now": 0, "state": {"version": 1, "accounts": [7]}}',
        '{"now": 0, "state": {"version": 1, "accounts": [], "sessions": [["x", "y", "z"]]}}',
    ],
)
def test_a_broken_file_is_an_error_and_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"."):
        restarted(path)
    assert path.read_text() == content


def test_it_is_written_only_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    client = restarted(path)
    client.start_device()
    path.unlink()
    client.send("GET", "/activate/success")
    assert not path.exists()
    client.start_device()
    assert len(json.loads(path.read_text())["state"]["device_codes"]) == 2
