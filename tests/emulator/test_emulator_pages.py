from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from support.emulator_client import CALLBACK, CHALLENGE, OUT_OF_BAND, Browser, Desk, body, query_of


def at_consent(desk: Desk, browser: Browser, **changes: str | None) -> Browser:
    return browser.open(desk.authorize_url(**changes)).sign_in()


def test_sign_in_allow_and_return(desk: Desk, browser: Browser) -> None:
    browser.open(desk.authorize_url())
    assert "/sign-in" in browser.url
    browser.sign_in("sean")
    assert "Allow Emulator demo" in browser.text
    assert "sean" in browser.text
    browser.submit(browser.url, decision="allow")
    assert browser.last.status == 303
    assert browser.location.startswith(CALLBACK + "?")
    answer = query_of(browser.location)
    assert answer["state"] == "s t&te"
    assert desk.exchange(answer["code"]).status == 200


def test_deny(desk: Desk, browser: Browser) -> None:
    at_consent(desk, browser).submit(browser.url, decision="deny")
    assert query_of(browser.location)["error"] == "access_denied"
    assert query_of(browser.location)["state"] == "s t&te"


def test_no_state_is_sent_back_where_none_was_given(desk: Desk, browser: Browser) -> None:
    at_consent(desk, browser, state=None).submit(browser.url, decision="allow")
    assert list(query_of(browser.location)) == ["code"]


def test_neither_allow_nor_deny(desk: Desk, browser: Browser) -> None:
    assert at_consent(desk, browser).submit(browser.url, decision="?").last.status == 400


def test_approved_application_gets_no_second_screen(desk: Desk, browser: Browser) -> None:
    at_consent(desk, browser).submit(browser.url, decision="allow")
    browser.open(desk.authorize_url(state="again"))
    assert query_of(browser.location)["state"] == "again"
    assert desk.exchange(query_of(browser.location)["code"]).status == 200


def test_prompt_login_asks_again_and_once(desk: Desk, browser: Browser) -> None:
    at_consent(desk, browser).submit(browser.url, decision="allow")
    browser.open(desk.authorize_url(prompt="login"))
    assert "/sign-in" in browser.url
    assert 'value="sean"' in browser.text
    browser.sign_in("sean")
    assert "code" in query_of(browser.location)
    browser.open(desk.authorize_url(prompt="login")).sign_in("maria")
    assert "Allow Emulator demo" in browser.text


def test_signup(desk: Desk, browser: Browser) -> None:
    browser.open(desk.authorize_url(signup="true"))
    assert "/sign-up" in browser.url
    browser.submit("/sign-up", username="new", next="/activate")
    assert browser.url.endswith("/activate")
    browser.open(desk.authorize_url(signup="true"))
    assert "Allow Emulator demo" in browser.text, "who is signed in has no need to sign up"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "nobody"},
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
    desk: Desk, browser: Browser, changes: dict[str, str | None]
) -> None:
    browser.open(desk.authorize_url(**changes))
    assert (browser.last.status, browser.last.media_type) == (400, "text/html")
    assert "location" not in browser.last.headers


def test_a_parameter_given_twice_is_refused(desk: Desk, browser: Browser) -> None:
    browser.open(desk.authorize_url() + "&redirect_uri=" + quote(CALLBACK))
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
    desk: Desk, browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    browser.open(desk.authorize_url(**changes))
    assert browser.location.startswith(CALLBACK + "?")
    answer = query_of(browser.location)
    assert (answer["error"], answer["state"]) == (error, "s t&te")


def test_out_of_band_shows_the_code(desk: Desk, browser: Browser) -> None:
    at_consent(desk, browser, redirect_uri=OUT_OF_BAND)
    assert "shown a code" in browser.text
    browser.submit(browser.url, decision="allow")
    assert browser.last.status == 200
    found = re.search(r'id="authorization-code">([^<]+)<', browser.text)
    assert found is not None
    address = browser.url
    assert desk.exchange(found[1], redirect_uri=OUT_OF_BAND).status == 200
    assert browser.open(address).last.status == 404
    assert browser.open("/oauth/authorize/native").last.status == 404


def test_out_of_band_denied(desk: Desk, browser: Browser) -> None:
    at_consent(desk, browser, redirect_uri=OUT_OF_BAND).submit(browser.url, decision="deny")
    assert "Access denied" in browser.text


def test_custom_schemes(desk: Desk, browser: Browser) -> None:
    desk.emulator.register_application("tv", redirect_uris=["my.tv+app://back"], name="<b>TV</b>")
    url = desk.authorize_url(client_id="tv", redirect_uri="my.tv+app://back")
    browser.open(url).sign_in()
    assert "&lt;b&gt;TV&lt;/b&gt;" in browser.text
    assert "form-action 'self' my.tv+app:;" in browser.last.headers["content-security-policy"]
    browser.submit(browser.url, decision="allow")
    assert browser.location.startswith("my.tv+app://back?code=")
    assert desk.emulator.approve_authorization(url).startswith("my.tv+app://back?code=")


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        (CALLBACK, " http://127.0.0.1:8765;"),
        ("http://[::1]:9/cb", " http:;"),
        ("https://user@host/cb", " https:;"),
        (OUT_OF_BAND, ";"),
    ],
)
def test_forms_may_end_at_the_redirect_uri_only(
    desk: Desk, browser: Browser, redirect_uri: str, source: str
) -> None:
    desk.emulator.register_application("tv", redirect_uris=[redirect_uri])
    browser.open(desk.authorize_url(client_id="tv", redirect_uri=redirect_uri))
    policy = browser.last.headers["content-security-policy"]
    assert f"form-action 'self'{source}" in policy, "signing in may end there too"
    browser.sign_in()
    assert browser.last.headers["content-security-policy"].count(f"'self'{source}") == 1


def test_every_page_has_its_security_headers(desk: Desk, browser: Browser) -> None:
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
        assert not re.search(r'(src|href)="(?!/|#|data:,|http://127\.0\.0\.1:8999/)', browser.text)


def test_session_cookie(desk: Desk, browser: Browser) -> None:
    browser.open("/sign-in")
    cookie = browser.last.headers["set-cookie"]
    assert re.fullmatch(r"emulator_session_8999=[\w-]{32}; Path=/; HttpOnly; SameSite=Lax", cookie)
    before = dict(browser.cookies)
    browser.sign_in()
    assert browser.cookies != before, "signing in changes the cookie"
    stale = Browser(desk)
    stale.cookies = before
    assert "/sign-in" in stale.open("/activate").url
    secure = Browser(desk, "https://desk.example")
    secure.open("/sign-in")
    assert secure.last.headers["set-cookie"].endswith("; Secure")
    assert "emulator_session_https" in secure.cookies


def test_session_ends_after_a_day(desk: Desk, browser: Browser) -> None:
    browser.open("/sign-in").sign_in()
    desk.wait(86_400)
    assert "/sign-in" in browser.open("/activate").url


@pytest.mark.parametrize(
    "action", ["/sign-in", "/sign-up", "/sign-out", "/oauth/authorize", "/activate", "/"]
)
def test_forms_need_their_token(desk: Desk, browser: Browser, action: str) -> None:
    browser.open("/sign-in").sign_in()
    browser.submit(action, csrf="wrong", username="x")
    assert browser.last.status == 403
    stranger = Browser(desk)
    stranger.open("/sign-in")
    token = stranger.csrf
    browser.open("/activate").submit(action, csrf=token)
    assert browser.last.status == 403


def test_a_form_that_cannot_be_read(desk: Desk) -> None:
    answer = desk.send("POST", "/sign-in", body=b"{", headers={"content-type": "application/json"})
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


def test_known_accounts_are_offered(desk: Desk, browser: Browser) -> None:
    desk.sign_in("maria")
    browser.open("/sign-in")
    assert '<button class="small" type="submit" name="username" value="maria">' in browser.text


def test_sign_out(browser: Browser) -> None:
    browser.open("/sign-in").sign_in()
    browser.submit("/sign-out", next="/activate/ABCD2345")
    assert "next=%2Factivate%2FABCD2345" in browser.url
    browser.sign_in("maria")
    assert "maria" in browser.text


def test_a_form_sent_after_signing_out_asks_to_sign_in(desk: Desk, browser: Browser) -> None:
    browser.open("/sign-in")
    assert "/sign-in" in browser.submit(desk.authorize_url(), decision="allow").url
    assert "/sign-in" in browser.submit("/activate", code="x").url
    address = desk.authorize_url(client_id="nobody")
    assert browser.submit(address, decision="allow").last.status == 400


def test_activate(desk: Desk, browser: Browser) -> None:
    device = desk.start_device()
    code = device["user_code"]
    browser.open("/activate").sign_in("sean")
    browser.submit("/activate", code=f" {code[:4].lower()}-{code[4:]} ")
    assert "Emulator demo" in browser.text
    assert code in browser.text
    browser.submit("/activate", code=code, decision="allow")
    assert "Device connected" in browser.text
    answer = desk.poll(device)
    assert body(desk.api(body(answer)))["user"]["username"] == "sean"


def test_activate_with_the_code_filled_in(desk: Desk, browser: Browser) -> None:
    device = desk.start_device()
    browser.open(f"/activate/{device['user_code'].lower()}").sign_in()
    assert f'value="{device["user_code"]}"' in browser.text
    assert desk.poll(device).status == 400, "a link alone approves nothing"
    browser.submit("/activate", code=device["user_code"], decision="deny")
    assert "Access denied" in browser.text
    desk.wait(5)
    assert desk.poll(device).status == 418


def test_activate_refuses_codes(desk: Desk, browser: Browser) -> None:
    used, old = desk.start_device()["user_code"], desk.start_device()["user_code"]
    desk.emulator.approve_device(used)
    browser.open("/activate").sign_in()
    assert browser.submit("/activate", code="nope").last.status == 404
    assert 'role="alert"' in browser.text
    assert browser.submit("/activate", code=used, csrf=browser.csrf).last.status == 409
    desk.wait(600)
    browser.open("/activate")
    assert browser.submit("/activate", code=old).last.status == 410


def test_the_page_that_asks_about_a_device(desk: Desk, browser: Browser) -> None:
    code, used = desk.start_device()["user_code"], desk.start_device()["user_code"]
    desk.emulator.approve_device(used)
    browser.open(f"/activate/{code.lower()}/confirm")
    assert f"next=%2Factivate%2F{code}" in browser.url, "first of all: who are you?"
    browser.sign_in("sean")
    assert browser.open(f"/activate/{code}/confirm").last.status == 200
    assert code in browser.text
    assert browser.open(f"/activate/{used}/confirm").last.status == 409
    assert browser.open("/activate/NOPE/confirm").last.status == 404
    desk.wait(600)
    assert browser.open(f"/activate/{code}/confirm").last.status == 410
    assert "Enter another code" in browser.text


def test_a_decision_that_is_sent_twice(desk: Desk, browser: Browser) -> None:
    for decision, ending in (("allow", "success"), ("deny", "denied")):
        device = desk.start_device()
        code = device["user_code"]
        browser.open("/activate")
        if decision == "allow":
            browser.sign_in("sean")
        for _ in range(3):
            browser.open("/activate").submit("/activate", code=code, decision=decision)
            assert browser.url.endswith(f"/activate/{ending}")
            desk.poll(device)
            desk.wait(5)
    stranger = Browser(desk)
    stranger.open("/activate").sign_in("maria")
    taken = desk.start_device()["user_code"]
    desk.emulator.approve_device(taken, username="sean")
    assert stranger.submit("/activate", code=taken, decision="allow").last.status == 409


def test_auto_approved_code_is_used_already() -> None:
    desk = Desk(auto_approve=0)
    browser = Browser(desk)
    browser.open("/activate").sign_in()
    assert browser.submit("/activate", code=desk.start_device()["user_code"]).last.status == 409


def test_registration_follows_the_application_form(desk: Desk) -> None:
    register = desk.emulator.register_application
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
