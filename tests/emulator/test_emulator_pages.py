from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from support.emulator_client import (
    CALLBACK,
    CHALLENGE,
    OUT_OF_BAND,
    Browser,
    EmulatorClient,
    body,
    query_of,
)


def at_consent(client: EmulatorClient, browser: Browser, **changes: str | None) -> Browser:
    return browser.open(client.authorize_url(**changes)).sign_in()


def test_sign_in_allow_and_return(client: EmulatorClient, browser: Browser) -> None:
    browser.open(client.authorize_url())
    assert "/sign-in" in browser.url
    browser.sign_in("sean")
    assert "Allow Emulator demo" in browser.text
    assert "sean" in browser.text
    browser.submit(browser.url, decision="allow")
    assert browser.last.status == 303
    assert browser.location.startswith(CALLBACK + "?")
    answer = query_of(browser.location)
    assert answer["state"] == "s t&te"
    assert client.exchange(answer["code"]).status == 200


def test_deny(client: EmulatorClient, browser: Browser) -> None:
    at_consent(client, browser).submit(browser.url, decision="deny")
    assert query_of(browser.location)["error"] == "access_denied"
    assert query_of(browser.location)["state"] == "s t&te"


def test_no_state_is_sent_back_where_none_was_given(
    client: EmulatorClient, browser: Browser
) -> None:
    at_consent(client, browser, state=None).submit(browser.url, decision="allow")
    assert list(query_of(browser.location)) == ["code"]


def test_neither_allow_nor_deny(client: EmulatorClient, browser: Browser) -> None:
    assert at_consent(client, browser).submit(browser.url, decision="?").last.status == 400


def test_approved_application_gets_no_second_screen(
    client: EmulatorClient, browser: Browser
) -> None:
    at_consent(client, browser).submit(browser.url, decision="allow")
    browser.open(client.authorize_url(state="again"))
    assert query_of(browser.location)["state"] == "again"
    assert client.exchange(query_of(browser.location)["code"]).status == 200


def test_prompt_login_asks_again_and_once(client: EmulatorClient, browser: Browser) -> None:
    at_consent(client, browser).submit(browser.url, decision="allow")
    browser.open(client.authorize_url(prompt="login"))
    assert "/sign-in" in browser.url
    assert 'value="sean"' in browser.text
    browser.sign_in("sean")
    assert "code" in query_of(browser.location)
    browser.open(client.authorize_url(prompt="login")).sign_in("maria")
    assert "Allow Emulator demo" in browser.text


def test_signup(client: EmulatorClient, browser: Browser) -> None:
    browser.open(client.authorize_url(signup="true"))
    assert "/sign-up" in browser.url
    browser.submit("/sign-up", username="new", next="/activate")
    assert browser.url.endswith("/activate")
    browser.open(client.authorize_url(signup="true"))
    assert "Allow Emulator demo" in browser.text, "a user who is signed in need not sign up"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "unknown"},
        {"redirect_uri": None},
        {"redirect_uri": "http://evil.example/"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": CALLBACK.replace("8765", "8766")},
        {"redirect_uri": "http://evil.example/", "response_type": "token"},
        {"redirect_uri": OUT_OF_BAND, "response_type": "token"},
    ],
)
def test_nothing_is_redirected_to_an_unchecked_address(
    client: EmulatorClient, browser: Browser, changes: dict[str, str | None]
) -> None:
    browser.open(client.authorize_url(**changes))
    assert (browser.last.status, browser.last.media_type) == (400, "text/html")
    assert "location" not in browser.last.headers


def test_a_parameter_given_twice_is_refused(client: EmulatorClient, browser: Browser) -> None:
    browser.open(client.authorize_url() + "&redirect_uri=" + quote(CALLBACK))
    assert browser.last.status == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge": "v" * 43, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
    ],
)
def test_errors_go_to_the_application(
    client: EmulatorClient, browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    browser.open(client.authorize_url(**changes))
    assert browser.location.startswith(CALLBACK + "?")
    answer = query_of(browser.location)
    assert (answer["error"], answer["state"]) == (error, "s t&te")


def test_out_of_band_shows_the_code(client: EmulatorClient, browser: Browser) -> None:
    at_consent(client, browser, redirect_uri=OUT_OF_BAND)
    assert "shown a code" in browser.text
    browser.submit(browser.url, decision="allow")
    assert browser.last.status == 200
    found = re.search(r'id="authorization-code">([^<]+)<', browser.text)
    assert found is not None
    address = browser.url
    assert client.exchange(found[1], redirect_uri=OUT_OF_BAND).status == 200
    assert browser.open(address).last.status == 404
    assert browser.open("/oauth/authorize/native").last.status == 404


def test_out_of_band_denied(client: EmulatorClient, browser: Browser) -> None:
    at_consent(client, browser, redirect_uri=OUT_OF_BAND).submit(browser.url, decision="deny")
    assert "Access denied" in browser.text


def test_custom_schemes(client: EmulatorClient, browser: Browser) -> None:
    client.emulator.register_application("tv", redirect_uris=["my.tv+app://back"], name="<b>TV</b>")
    url = client.authorize_url(client_id="tv", redirect_uri="my.tv+app://back")
    browser.open(url).sign_in()
    assert "&lt;b&gt;TV&lt;/b&gt;" in browser.text
    assert "form-action 'self' my.tv+app:;" in browser.last.headers["content-security-policy"]
    browser.submit(browser.url, decision="allow")
    assert browser.location.startswith("my.tv+app://back?code=")
    assert client.emulator.approve_authorization(url).startswith("my.tv+app://back?code=")


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        (CALLBACK, " http://127.0.0.1:8765;"),
        ("http://[::1]:9/cb", " http:;"),
        ("https://user@host/cb", " https:;"),
        (OUT_OF_BAND, ";"),
    ],
)
def test_forms_may_lead_to_the_redirect_uri_only(
    client: EmulatorClient, browser: Browser, redirect_uri: str, source: str
) -> None:
    client.emulator.register_application("tv", redirect_uris=[redirect_uri])
    browser.open(client.authorize_url(client_id="tv", redirect_uri=redirect_uri))
    policy = browser.last.headers["content-security-policy"]
    assert f"form-action 'self'{source}" in policy, "signing in may lead there too"
    browser.sign_in()
    assert browser.last.headers["content-security-policy"].count(f"'self'{source}") == 1


def test_every_page_has_its_security_headers(client: EmulatorClient, browser: Browser) -> None:
    for address in ("/", "/sign-in", "/sign-up", "/activate/success", "/oauth/authorize"):
        browser.open(address)
        headers = browser.last.headers
        policy = headers["content-security-policy"]
        nonce = re.search(r"style-src 'nonce-([^']+)'", policy)
        assert nonce is not None
        assert f'<style nonce="{nonce[1]}">' in browser.text
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "Emulator: not Trakt" in browser.text
        assert not re.search(
            r'(src|href)="(?!/|#|data:image/svg|http://127\.0\.0\.1:8999/)', browser.text
        )


def test_session_cookie(client: EmulatorClient, browser: Browser) -> None:
    browser.open("/sign-in")
    cookie = browser.last.headers["set-cookie"]
    assert re.fullmatch(r"emulator_session_8999=[\w-]{32}; Path=/; HttpOnly; SameSite=Lax", cookie)
    before = dict(browser.cookies)
    browser.sign_in()
    assert browser.cookies != before, "signing in changes the cookie"
    stale = Browser(client)
    stale.cookies = before
    assert "/sign-in" in stale.open("/activate").url
    secure = Browser(client, "https://emulator.example")
    secure.open("/sign-in")
    assert secure.last.headers["set-cookie"].endswith("; Secure")
    assert "emulator_session_https" in secure.cookies


def test_session_ends_after_a_day(client: EmulatorClient, browser: Browser) -> None:
    browser.open("/sign-in").sign_in()
    client.wait(86_400)
    assert "/sign-in" in browser.open("/activate").url


@pytest.mark.parametrize(
    "action", ["/sign-in", "/sign-up", "/sign-out", "/oauth/authorize", "/activate", "/"]
)
def test_forms_need_their_token(client: EmulatorClient, browser: Browser, action: str) -> None:
    browser.open("/sign-in").sign_in()
    browser.submit(action, csrf="wrong", username="x")
    assert browser.last.status == 403
    stranger = Browser(client)
    stranger.open("/sign-in")
    token = stranger.csrf
    browser.open("/activate").submit(action, csrf=token)
    assert browser.last.status == 403


def test_a_form_that_cannot_be_read(client: EmulatorClient) -> None:
    answer = client.send(
        "POST", "/sign-in", body=b"{", headers={"content-type": "application/json"}
    )
    assert (answer.status, answer.media_type) == (400, "text/html")


@pytest.mark.parametrize("username", ["", "  ", "x" * 61, "\x07"])
def test_unreadable_usernames(browser: Browser, username: str) -> None:
    browser.open("/sign-in").submit("/sign-in", username=username, next="/activate")
    assert browser.last.status == 400
    assert 'role="alert"' in browser.text


@pytest.mark.parametrize(
    "following",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/activatex", "", "/oauth/token"],
)
def test_sign_in_goes_on_to_pages_of_its_own(browser: Browser, following: str) -> None:
    browser.open("/sign-in").submit("/sign-in", username="x", next=following, follow=False)
    assert browser.location == "/activate"


def test_known_accounts_are_offered(client: EmulatorClient, browser: Browser) -> None:
    client.sign_in("maria")
    browser.open("/sign-in")
    assert '<button class="small" type="submit" name="username" value="maria">' in browser.text


def test_sign_out(browser: Browser) -> None:
    browser.open("/sign-in").sign_in()
    browser.submit("/sign-out", next="/activate/ABCD2345")
    assert "next=%2Factivate%2FABCD2345" in browser.url
    browser.sign_in("maria")
    assert "maria" in browser.text


def test_a_form_sent_after_signing_out_asks_to_sign_in(
    client: EmulatorClient, browser: Browser
) -> None:
    browser.open("/sign-in")
    assert "/sign-in" in browser.submit(client.authorize_url(), decision="allow").url
    assert "/sign-in" in browser.submit("/activate", code="x").url
    address = client.authorize_url(client_id="unknown")
    assert browser.submit(address, decision="allow").last.status == 400


def test_activate(client: EmulatorClient, browser: Browser) -> None:
    device = client.start_device()
    code = device["user_code"]
    browser.open("/activate").sign_in("sean")
    browser.submit("/activate", code=f" {code[:4].lower()}-{code[4:]} ")
    assert "Emulator demo" in browser.text
    assert code in browser.text
    browser.submit("/activate", code=code, decision="allow")
    assert "Device connected" in browser.text
    answer = client.poll(device)
    assert body(client.api(body(answer)))["user"]["username"] == "sean"


def test_activate_with_the_code_filled_in(client: EmulatorClient, browser: Browser) -> None:
    device = client.start_device()
    browser.open(f"/activate/{device['user_code'].lower()}").sign_in()
    assert f'value="{device["user_code"]}"' in browser.text
    assert client.poll(device).status == 400, "a link alone approves nothing"
    browser.submit("/activate", code=device["user_code"], decision="deny")
    assert "Access denied" in browser.text
    client.wait(5)
    assert client.poll(device).status == 418


def test_activate_refuses_codes(client: EmulatorClient, browser: Browser) -> None:
    used, old = client.start_device()["user_code"], client.start_device()["user_code"]
    client.emulator.approve_device(used)
    browser.open("/activate").sign_in()
    assert browser.submit("/activate", code="nope").last.status == 404
    assert 'role="alert"' in browser.text
    assert browser.submit("/activate", code=used, csrf=browser.csrf).last.status == 409
    client.wait(600)
    browser.open("/activate")
    assert browser.submit("/activate", code=old).last.status == 410


def test_the_page_that_asks_to_allow_a_device(client: EmulatorClient, browser: Browser) -> None:
    code, used = client.start_device()["user_code"], client.start_device()["user_code"]
    client.emulator.approve_device(used)
    browser.open(f"/activate/{code.lower()}/confirm")
    assert f"next=%2Factivate%2F{code}" in browser.url, "the user signs in first"
    browser.sign_in("sean")
    assert browser.open(f"/activate/{code}/confirm").last.status == 200
    assert code in browser.text
    assert browser.open(f"/activate/{used}/confirm").last.status == 409
    assert browser.open("/activate/NOPE/confirm").last.status == 404
    client.wait(600)
    assert browser.open(f"/activate/{code}/confirm").last.status == 410
    assert "Enter another code" in browser.text


def test_a_decision_that_is_sent_twice(client: EmulatorClient, browser: Browser) -> None:
    for decision, ending in (("allow", "success"), ("deny", "denied")):
        device = client.start_device()
        code = device["user_code"]
        browser.open("/activate")
        if decision == "allow":
            browser.sign_in("sean")
        for _ in range(3):
            browser.open("/activate").submit("/activate", code=code, decision=decision)
            assert browser.url.endswith(f"/activate/{ending}")
            client.poll(device)
            client.wait(5)
    stranger = Browser(client)
    stranger.open("/activate").sign_in("maria")
    taken = client.start_device()["user_code"]
    client.emulator.approve_device(taken, username="sean")
    assert stranger.submit("/activate", code=taken, decision="allow").last.status == 409


def test_auto_approved_code_is_used_already() -> None:
    client = EmulatorClient(auto_approve=0)
    browser = Browser(client)
    browser.open("/activate").sign_in()
    assert browser.submit("/activate", code=client.start_device()["user_code"]).last.status == 409


def test_applications_are_checked_as_by_trakts_form(client: EmulatorClient) -> None:
    register = client.emulator.register_application
    for uri in ("", "callback", "http://h/?a=1", "http://h/#x", "http://h/ x", "http://é", "x:y"):
        with pytest.raises(ValueError, match="scheme"):
            register("app", redirect_uris=[uri])
    with pytest.raises(ValueError, match="25"):
        register("app", redirect_uris=[f"http://h/{n}" for n in range(26)])
    with pytest.raises(ValueError, match="2048"):
        register("app", redirect_uris=["http://h/" + "x" * 2048])
    for client_id in ("", "é", "a\nb"):
        with pytest.raises(ValueError, match="client id"):
            register(client_id)
    application = register("app", "hidden", redirect_uris=["urn:ietf:wg:oauth:2.0:oob"])
    assert "hidden" not in repr(application)
    assert application.title == "app"
