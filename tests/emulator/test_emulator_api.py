from __future__ import annotations

import pytest

from support.emulator_client import EmulatorClient, body


def test_settings(client: EmulatorClient) -> None:
    answer = client.api(client.sign_in("Séan O'Neil"))
    content = body(answer)
    assert content["user"]["username"] == "Séan O'Neil"
    assert content["user"]["ids"]["slug"] == "s-an-o-neil"
    assert content["account"]["timezone"] == "Europe/Amsterdam"
    assert "x-request-id" in answer.headers


def test_me_and_last_activities(client: EmulatorClient) -> None:
    token = client.sign_in("日本")
    assert body(client.api(token, "/users/me"))["ids"]["slug"] == "user"
    assert body(client.api(token, "/sync/last_activities"))["all"] == "2027-01-15T08:00:00.000Z"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer nonsense", "Basic eDp5"])
def test_no_good_token(client: EmulatorClient, authorization: str | None) -> None:
    answer = client.api(client.sign_in(), authorization=authorization)
    assert (answer.status, answer.body) == (401, b"")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="Trakt", error="invalid_token", '
        'error_description="The access token is invalid or has expired"'
    )


def test_token_expires(client: EmulatorClient) -> None:
    token = client.sign_in()
    client.wait(604_799)
    assert client.alive(token)
    client.wait(1)
    assert client.api(token).status == 401


def test_a_refresh_token_is_no_access_token(client: EmulatorClient) -> None:
    assert client.api({"access_token": client.sign_in()["refresh_token"]}).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"trakt_api_key": None}, 403),
        ({"trakt_api_key": "unknown"}, 403),
        ({"trakt_api_key": "other"}, 401),
        ({"trakt_api_version": None}, 400),
        ({"trakt_api_version": "1"}, 400),
        ({"content_type": "text/plain"}, 412),
        ({"content_type": "application/json; charset=utf-8"}, 200),
        ({"authorization": None, "trakt_api_key": None}, 403),
    ],
)
def test_required_headers(
    client: EmulatorClient, headers: dict[str, str | None], status: int
) -> None:
    client.emulator.register_application("other")
    assert client.api(client.sign_in(), **headers).status == status


def test_methods_and_paths(client: EmulatorClient) -> None:
    token = client.sign_in()
    answer = client.send("DELETE", "/users/me")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert client.api(token, "/users/unknown").status == 404
    assert body(client.api(token, "/users/unknown")) == {"error": "not_found"}
    client.emulator.issue_tokens("Maria B")
    assert body(client.api(token, "/users/maria-b"))["username"] == "Maria B"
    page = client.send("GET", "/nowhere", headers={"accept": "text/html,*/*"})
    assert (page.status, page.media_type) == (404, "text/html")


def test_head_has_no_body(client: EmulatorClient) -> None:
    answer = client.send("HEAD", "/activate")
    assert (answer.status, answer.body) == (303, b"")


@pytest.mark.parametrize(
    ("agent", "status"),
    [
        (None, 403),
        ("python-requests/2.32", 403),
        ("Python/3.11 aiohttp/3.9", 403),
        ("my-player/1.2 python-httpx2/2", 200),
    ],
)
def test_default_user_agents_can_be_blocked(agent: str | None, status: int) -> None:
    client = EmulatorClient(block_default_user_agents=True)
    answer = client.api(client.sign_in(), user_agent=agent)
    assert answer.status == status
    if status == 403:
        assert answer.media_type == "text/html"
        assert answer.headers["server"] == "cloudflare"
        assert "x-request-id" not in answer.headers
    assert client.send("GET", "/").status == 200, "the pages are for browsers"
