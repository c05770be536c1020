"""Client libraries that know nothing of Trakt or of this project, over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from requests_oauthlib import OAuth2Session as OauthlibSession

from support.emulator_client import CALLBACK
from trakt_auth.emulator import Emulator

CLIENT_ID = "emulator"
AGENT = "another-program/1.0"


@pytest.fixture
def emulator() -> Emulator:
    # These programs send a User-Agent of their own, which is not blocked.
    return Emulator(block_default_user_agents=True)


@pytest.fixture
def url(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for library in ("OAUTHLIB", "AUTHLIB"):
        monkeypatch.setenv(f"{library}_INSECURE_TRANSPORT", "1")  # the loopback has no TLS
    with emulator.serving() as address:
        yield address


class Authlib:
    """Authlib, used as its documentation says for a public client."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = AuthlibSession(
            CLIENT_ID,
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
            token_endpoint_auth_method="none",
        )
        self.session.headers["User-Agent"] = AGENT
        self.verifier = "authlib-" + "v" * 48

    def start(self) -> str:
        address, self.state = self.session.create_authorization_url(
            f"{self.url}/oauth/authorize", code_verifier=self.verifier
        )
        return str(address)

    def finish(self, redirect: str) -> Any:
        return self.session.fetch_token(
            f"{self.url}/oauth/token",
            authorization_response=redirect,
            state=self.state,
            code_verifier=self.verifier,
        )

    def refresh(self, refresh_token: str) -> Any:
        return self.session.refresh_token(f"{self.url}/oauth/token", refresh_token)

    def revoke(self, token: str) -> int:
        answer = self.session.revoke_token(f"{self.url}/oauth/revoke", token=token)
        return int(answer.status_code)


class Oauthlib:
    """Requests-OAuthlib, used as its documentation says for a public client."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = OauthlibSession(CLIENT_ID, redirect_uri=CALLBACK, pkce="S256")
        self.session.headers["User-Agent"] = AGENT

    def start(self) -> str:
        address, _ = self.session.authorization_url(f"{self.url}/oauth/authorize")
        return str(address)

    def finish(self, redirect: str) -> Any:
        return self.session.fetch_token(
            f"{self.url}/oauth/token", authorization_response=redirect, include_client_id=True
        )

    def refresh(self, refresh_token: str) -> Any:
        return self.session.refresh_token(
            f"{self.url}/oauth/token", refresh_token, client_id=CLIENT_ID
        )

    def revoke(self, token: str) -> int:
        client = self.session._client
        address, headers, body = client.prepare_token_revocation_request(
            f"{self.url}/oauth/revoke", token, client_id=CLIENT_ID
        )
        headers["User-Agent"] = AGENT
        return requests.post(address, data=body, headers=headers, timeout=10).status_code


@pytest.fixture(params=[Authlib, Oauthlib])
def client(request: pytest.FixtureRequest, url: str) -> Authlib | Oauthlib:
    return request.param(url)


def who(url: str, token: Any) -> tuple[int, str]:
    headers = {
        "Authorization": f"Bearer {token['access_token']}",
        "trakt-api-key": CLIENT_ID,
        "trakt-api-version": "2",
        "User-Agent": AGENT,
    }
    answer = requests.get(f"{url}/users/me", headers=headers, timeout=10)
    return answer.status_code, answer.json()["username"] if answer.content else ""


def test_a_whole_login(client: Authlib | Oauthlib, emulator: Emulator, url: str) -> None:
    redirect = emulator.approve_authorization(client.start(), username="sean")
    assert redirect.startswith(CALLBACK)
    first = dict(client.finish(redirect))
    assert who(url, first) == (200, "sean")
    second = dict(client.refresh(first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    assert who(url, second) == (200, "sean")
    assert client.revoke(second["access_token"]) == 200
    assert who(url, second) == (401, "")
    counts: Any = emulator.state()["requests"]
    assert counts["/oauth/token"] == {"granted": 1, "refreshed": 1}
    assert counts["/oauth/revoke"] == {"revoked": 1}


def test_pkce_is_checked(client: Authlib | Oauthlib, emulator: Emulator) -> None:
    redirect = emulator.approve_authorization(client.start())
    if isinstance(client, Authlib):
        client.verifier = "w" * 43
    else:
        client.session._code_verifier = "w" * 43
    assert oauth_error_of(lambda: client.finish(redirect)) == "invalid_grant"


def test_errors_are_understood(client: Authlib | Oauthlib, emulator: Emulator) -> None:
    redirect = emulator.approve_authorization(client.start())
    token = dict(client.finish(redirect))
    client.refresh(token["refresh_token"])
    assert oauth_error_of(lambda: client.refresh(token["refresh_token"])) == "invalid_grant"


def test_a_denial_is_understood(url: str, emulator: Emulator) -> None:
    client = Oauthlib(url)  # Authlib takes a redirect without a code for another kind of grant
    denied = emulator.deny_authorization(client.start())
    assert oauth_error_of(lambda: client.finish(denied)) == "access_denied"


def oauth_error_of(act: Callable[[], object]) -> str:
    """Return the OAuth error that a library raises, by the name that both give it."""
    with pytest.raises(Exception) as caught:  # each has classes of its own
        act()
    return str(getattr(caught.value, "error", caught.value))


def test_the_metadata_is_enough_to_configure_a_client(url: str, emulator: Emulator) -> None:
    metadata = requests.get(
        f"{url}/.well-known/openid-configuration", headers={"User-Agent": AGENT}, timeout=10
    ).json()
    session = AuthlibSession(
        CLIENT_ID,
        redirect_uri=CALLBACK,
        code_challenge_method=metadata["code_challenge_methods_supported"][0],
        token_endpoint_auth_method=metadata["token_endpoint_auth_methods_supported"][0],
    )
    session.headers["User-Agent"] = AGENT
    verifier = "v" * 43
    address, _ = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier
    )
    redirect = emulator.approve_authorization(address, username="sean")
    token = session.fetch_token(
        metadata["token_endpoint"], authorization_response=redirect, code_verifier=verifier
    )
    assert who(url, token) == (200, "sean")
