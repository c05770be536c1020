"""Pages from which a user could not go on: they say what is wrong and link onward."""

from __future__ import annotations

import pytest

from support.emulator_client import OUT_OF_BAND, Browser, EmulatorClient

REGISTERED = ("http://127.0.0.1:8765/callback", "http://localhost:8765/callback", OUT_OF_BAND)
ONWARD = '<a href="/">Start page of the emulator</a> <a href="/activate">'


def test_a_wrong_redirect_uri_is_shown_beside_the_registered_ones(
    client: EmulatorClient, browser: Browser
) -> None:
    given = "http://127.0.0.1:8765/other?<b>"
    browser.open(client.authorize_url(redirect_uri=given))
    assert browser.last.status == 400
    assert "<code>http://127.0.0.1:8765/other?&lt;b&gt;</code>" in browser.text
    for uri in REGISTERED:
        assert f"<code>{uri}</code>" in browser.text
    assert ONWARD in browser.text


def test_an_application_without_redirect_uris(client: EmulatorClient, browser: Browser) -> None:
    client.emulator.register_application("tv", name="Player")
    browser.open(client.authorize_url(client_id="tv"))
    assert "Registered for Player" in browser.text
    assert "None: this application can only sign in with the code of a device." in browser.text


def test_an_unknown_client_id_is_shown_the_known_ones(
    client: EmulatorClient, browser: Browser
) -> None:
    client.emulator.register_application("tv", redirect_uris=["tv://back"])
    browser.open(client.authorize_url(client_id="wrong"))
    assert browser.last.status == 400
    assert "Registered client ids" in browser.text
    for client_id in ("emulator", "tv"):
        assert f"<code>{client_id}</code>" in browser.text
    assert "tv://back" not in browser.text
    assert ONWARD in browser.text


def test_an_invalid_out_of_band_request_lists_the_redirect_uris(
    client: EmulatorClient, browser: Browser
) -> None:
    browser.open(client.authorize_url(redirect_uri=OUT_OF_BAND, response_type="token"))
    assert "unsupported_response_type" in browser.text
    assert f"<code>{REGISTERED[0]}</code>" in browser.text


@pytest.mark.parametrize("path", ["/oauth/authorize/native?code=x", "/activate/denied"])
def test_a_page_that_ends_a_flow_links_onward(browser: Browser, path: str) -> None:
    assert ONWARD in browser.open(path).text


def test_a_page_that_does_not_exist_links_onward(client: EmulatorClient) -> None:
    answer = client.send("GET", "/nowhere", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert ONWARD in answer.body.decode()


def test_the_start_page_of_another_machine_leads_to_the_codes(client: EmulatorClient) -> None:
    other = Browser(client, "http://emulator.example:8999").open("/")
    assert "available on its own machine only" in other.text
    assert '<a href="/activate">Enter the code of a device</a>' in other.text
    assert 'href="/"' not in other.text
