"""Every path is the data API: its checks, registered responses, empty lists and rate limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.emulator_client import EmulatorClient, body

HEADERS = {"trakt-api-key": "emulator", "trakt-api-version": "2"}
PATHS = ("/sync/watched/shows", "/movies/trending", "/scrobble/start", "/anything")


def call(client: EmulatorClient, method: str, path: str, sent: bytes = b"") -> Any:
    token = client.sign_in()["access_token"]
    headers = HEADERS | {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return client.send(method, path, headers=headers, body=sent)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
def test_key_and_token_come_first(client: EmulatorClient, method: str, path: str) -> None:
    client.emulator.respond(path, json=[])
    assert client.send(method, path).status == 403
    answer = client.send(method, path, headers=HEADERS)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="Trakt"')
    assert call(client, method, path).status == 200


def test_an_expired_token_gets_401_at_any_path(client: EmulatorClient) -> None:
    token = client.sign_in()
    assert client.api(token, "/sync/playback").status == 200
    client.wait(604_800)
    assert client.api(token, "/sync/playback").status == 401
    entry = client.emulator.log[-1]
    assert (entry.endpoint, entry.status) == ("/sync/playback", 401)
    assert entry.notes["reason"] == "unknown or expired token"


@pytest.mark.parametrize("endpoint", ["*", "api", "/sync/*"])
def test_faults_strike_at_any_path(client: EmulatorClient, endpoint: str) -> None:
    client.emulator.arm("status", endpoint=endpoint, status=502)
    assert call(client, "POST", "/sync/history").status == 502
    assert call(client, "POST", "/sync/history").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/users/likes/lists",
        "/users/maria/watched/movies",
        "/sync/playback",
        "/users/maria/collection/shows",
        "/sync/watched/shows?extended=progress",
        "/users/me/watchlist/movies",
        "/sync/ratings/movies",
        "/sync/watchlist",
        "/search/movie,show,episode?query=x",
        "/users/me/comments",
        "/users/me/history",
    ],
)
def test_lists_are_empty_and_have_pages(client: EmulatorClient, path: str) -> None:
    answer = call(client, "GET", path)
    assert (answer.status, body(answer)) == (200, [])
    pages = {name: answer.headers[f"x-pagination-{name}"] for name in ("page", "limit")}
    assert pages == {"page": "1", "limit": "10"}
    assert answer.headers["x-pagination-page-count"] == "0"
    assert answer.headers["x-pagination-item-count"] == "0"
    assert client.emulator.log[-1].outcome == "empty_list"
    assert call(client, "POST", path).status == 404


@pytest.mark.parametrize("given", ["2", "x", "9" * 30, "²"])
def test_pages_are_those_that_were_asked_for(client: EmulatorClient, given: str) -> None:
    answer = call(client, "GET", f"/sync/history?page={given}&limit=100")
    assert answer.headers["x-pagination-page"] == ("2" if given == "2" else "1")
    assert answer.headers["x-pagination-limit"] == "100"


def test_another_path_says_how_to_register_a_response(client: EmulatorClient) -> None:
    answer = call(client, "POST", "/scrobble/start")
    content = body(answer)
    assert (answer.status, content["error"]) == (404, "not_served")
    assert "does not serve POST /scrobble/start" in content["error_description"]
    example = content["error_description"].partition("POST /emulator/responses ")[2]
    assert client.post("/emulator/responses", json.loads(example)).status == 200
    assert body(call(client, "POST", "/scrobble/start")) == []
    entry = client.emulator.log[-1]
    assert (entry.method, entry.endpoint, entry.outcome) == (
        "POST",
        "/scrobble/start",
        "registered",
    )
    assert client.counts()["/scrobble/start"] == {"not_served": 1, "registered": 1}


def test_a_registered_response_is_sent_as_it_is(client: EmulatorClient) -> None:
    client.emulator.respond(
        "/movies/*/summary", json={"title": "É"}, status=201, headers={"X-Sort-By": "rank"}
    )
    answer = call(client, "GET", "/movies/tron/2/summary")
    assert (answer.status, body(answer)) == (201, {"title": "É"})
    assert answer.headers["x-sort-by"] == "rank"
    assert answer.media_type == "application/json"
    client.emulator.respond("/movies/tron", text="hello")
    assert call(client, "GET", "/movies/tron").body == b"hello"
    client.emulator.respond("/movies/tron", status=204)
    assert call(client, "GET", "/movies/tron").body == b""
    client.emulator.respond("/movies/tron", json=None)
    assert call(client, "GET", "/movies/tron").body == b"null"


def test_a_registered_response_for_a_method_and_for_once(client: EmulatorClient) -> None:
    client.emulator.respond("/sync/history", method="post", json={"added": 1}, times=1)
    assert body(call(client, "GET", "/sync/history")) == []
    assert client.send("POST", "/sync/history", headers=HEADERS).status == 401
    assert body(call(client, "POST", "/sync/history")) == {"added": 1}
    assert call(client, "POST", "/sync/history").status == 404


def test_a_registered_response_replaces_that_of_a_known_path(client: EmulatorClient) -> None:
    client.emulator.respond("/users/me", json={"username": "x"})
    client.emulator.respond("/users/settings", method="POST", json={"saved": True})
    assert body(call(client, "GET", "/users/me")) == {"username": "x"}
    assert body(call(client, "POST", "/users/settings")) == {"saved": True}
    assert body(call(client, "GET", "/users/settings"))["user"]["username"] == "sean"


def test_a_public_response_needs_no_token(client: EmulatorClient) -> None:
    client.emulator.respond("/movies/trending", json=[], public=True)
    assert client.send("GET", "/movies/trending").status == 403
    assert client.send("GET", "/movies/trending", headers=HEADERS).status == 200
    bad = HEADERS | {"authorization": "Bearer nonsense"}
    assert client.send("GET", "/movies/trending", headers=bad).status == 401


def test_a_list_replaces_all_and_an_object_adds_one(client: EmulatorClient) -> None:
    client.post("/emulator/responses", [{"path": "/a", "json": 1}, {"path": "/b", "json": 2}])
    client.post("/emulator/responses", {"path": "/c", "json": 3})
    assert [body(call(client, "GET", path)) for path in ("/a", "/b", "/c")] == [1, 2, 3]
    answer = client.post("/emulator/responses", [])
    assert body(answer) == {"responses": []}
    assert call(client, "GET", "/a").status == 404


def test_a_reset_keeps_only_what_was_loaded(client: EmulatorClient) -> None:
    client.emulator.load_responses([{"path": "/a", "json": 1, "times": 1}])
    client.emulator.respond("/b", json=2)
    assert [one["path"] for one in client.emulator.state()["responses"]] == ["/a", "/b"]
    assert call(client, "GET", "/a").status == 200
    client.post("/emulator/reset")
    assert call(client, "GET", "/a").status == 200
    assert call(client, "GET", "/b").status == 404


@pytest.mark.parametrize(
    "content",
    [
        None,
        7,
        ["x"],
        {},
        {"path": "no-slash"},
        {"path": 7},
        {"path": "/a", "status": 99},
        {"path": "/a", "status": "200"},
        {"path": "/a", "status": True},
        {"path": "/a", "times": 0},
        {"path": "/a", "times": True},
        {"path": "/a", "public": 1},
        {"path": "/a", "method": None},
        {"path": "/a", "json": 1, "text": "x"},
        {"path": "/a", "text": 1},
        {"path": "/a", "status": 204, "json": 1},
        {"path": "/a", "headers": []},
        {"path": "/a", "headers": {"a b": "x"}},
        {"path": "/a", "headers": {"x": "a\nb"}},
        {"path": "/a", "headers": {"Content-Length": "7"}},
        {"path": "/a", "nonsense": 1},
    ],
)
def test_a_response_that_is_not_valid_changes_nothing(
    client: EmulatorClient, content: object
) -> None:
    client.emulator.respond("/b", json=2)
    answer = client.post("/emulator/responses", content)
    assert answer.status == 400
    assert body(answer)["error"]
    assert client.post("/emulator/responses", [{"path": "/c"}, content]).status == 400
    assert [one["path"] for one in client.emulator.state()["responses"]] == ["/b"]


def test_a_browser_and_the_oauth_endpoints_are_not_the_api(client: EmulatorClient) -> None:
    for path, headers in (
        ("/nowhere", {"accept": "text/html"}),
        ("/picture.png", {"sec-fetch-dest": "image"}),
        ("/oauth/nowhere", {}),
        ("/emulator/nowhere", {}),
    ):
        assert client.send("GET", path, headers=headers).status == 404, path
        assert client.emulator.log[-1].endpoint == "(unknown)"


def test_any_number_of_paths_needs_bounded_memory(client: EmulatorClient) -> None:
    for number in range(1100):
        client.send("GET", f"/x/{number}/\n{'y' * 300}")
    assert len(client.counts()) <= 1001
    assert sum(sum(one.values()) for one in client.counts().values()) == 1100
    assert all(len(one.endpoint) <= 200 for one in client.emulator.log)
    assert all(one.endpoint.isprintable() for one in client.emulator.log)


# -- rate limits -----------------------------------------------------------------------------------


def test_gets_are_counted_by_user() -> None:
    client = EmulatorClient(rate_limits=True)
    sean, maria = client.sign_in("sean"), client.sign_in("maria")
    left = [
        json.loads(client.api(sean, "/sync/playback").headers["x-ratelimit"])["remaining"]
        for _ in range(500)
    ]
    assert left == [*range(499, -1, -1)]
    client.wait(100)
    answer = client.api(sean)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, b"", "200")
    assert json.loads(answer.headers["x-ratelimit"]) == {
        "name": "AUTHED_API_GET_LIMIT",
        "period": 300,
        "limit": 500,
        "remaining": 0,
        "until": client.emulator.clock.now() + 200,
    }
    assert client.api(maria).status == 200
    client.wait(200)
    assert client.api(sean).status == 200


def test_one_other_call_a_second() -> None:
    client = EmulatorClient(rate_limits=True)
    client.emulator.respond("/sync/history", json={})
    assert [call(client, "POST", "/sync/history").status for _ in range(2)] == [200, 429]
    assert call(client, "GET", "/sync/history").status == 200
    assert client.emulator.log[-2].notes["reason"] == "AUTHED_API_POST_LIMIT"
    client.wait(1)
    assert call(client, "DELETE", "/sync/history").status == 200


def test_nothing_is_counted_by_default(client: EmulatorClient) -> None:
    answers = [call(client, "POST", "/users/me") for _ in range(3)]
    assert {one.status for one in answers} == {405}
    assert "x-ratelimit" not in call(client, "GET", "/users/me").headers


# -- bodies ----------------------------------------------------------------------------------------


def test_extended_adds_what_the_schemas_say(client: EmulatorClient) -> None:
    token = client.sign_in("sean")
    plain = set(body(client.api(token, "/users/me")))
    assert plain == {"username", "private", "deleted", "name", "vip", "vip_ep", "director", "ids"}
    full = set(body(client.api(token, "/users/me?extended=full"))) - plain
    assert full >= {"joined_at", "location", "about", "gender", "age"}
    assert set(body(client.api(token, "/users/me?extended=images"))) - plain == {"images"}
    vip = set(body(client.api(token, "/users/me?extended=full,vip"))) - plain
    assert vip >= {"joined_at", "vip_og", "vip_years", "vip_cover_image"}
    assert isinstance(body(client.api(token, "/users/sean"))["ids"]["trakt"], int)
    assert "browsing" not in body(client.api(token))
    assert "browsing" in body(client.api(token, "/users/settings?extended=browsing"))


def test_settings_have_every_required_field(client: EmulatorClient) -> None:
    content = body(client.api(client.sign_in("sean")))
    assert set(content["user"]) >= {
        "username", "private", "vip", "vip_ep", "director", "ids", "joined_at", "images", "vip_og",
        "vip_years",
    }  # fmt: skip
    assert content["user"]["ids"].keys() >= {"slug", "uuid"}
    assert content["user"]["images"]["avatar"]["full"].startswith("https://")
    assert content["permissions"] == {"commenting": True, "liking": True, "following": True}
    assert content["account"].keys() >= {"timezone", "date_format", "time_24hr"}


def test_last_activities_have_every_required_field(client: EmulatorClient) -> None:
    content = body(client.api(client.sign_in("sean"), "/sync/last_activities"))
    assert set(content) == {
        "all", "movies", "episodes", "shows", "seasons", "comments", "lists", "watchlist",
        "favorites", "collaborations", "saved_filters", "notes", "account",
    }  # fmt: skip
    assert "hidden_at" in content["movies"]
    assert set(content["comments"]) == {"liked_at", "reacted_at", "blocked_at"}
    assert set(content["lists"]) == {"liked_at", "reacted_at", "updated_at", "commented_at"}
