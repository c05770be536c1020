"""The emulator's pages and its control room in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from support.emulator_client import CHALLENGE, VERIFIER, Desk, body
from support.person import Person, Watch, application, every_page, live_in

Sit = Callable[..., Person]


@pytest.fixture
def sit(chromium: Chromium) -> Iterator[Sit]:
    """Seat a person at a window of its own; whatever the page did wrong fails the test."""
    with ExitStack() as stack:
        watches: list[tuple[Watch, set[int]]] = []

        def sit(desk: Desk | None = None, *, refused: set[int] | None = None, **context: Any):
            desk = desk or Desk()
            url = stack.enter_context(desk.emulator.serving())
            home = stack.enter_context(application())
            opened = chromium.new_context(**context)
            stack.callback(opened.close)
            opened.set_default_timeout(20_000)
            watch = Watch(opened, url, home.origin)
            watches.append((watch, refused or set()))
            return Person(opened.new_page(), desk, watch, url=url, home=home)

        yield sit
        for watch, refused in watches:
            assert watch.problems == []
            assert watch.statuses == refused


# -- what a person does ----------------------------------------------------------------------------


def test_code_flow_by_keyboard(sit: Sit) -> None:
    person = sit()
    person.authorize(code_challenge=CHALLENGE, code_challenge_method="S256").sign_in()
    person.sees("Allow Emulator demo to use your account?")
    expect(person.page.get_by_text("Signed in as sean")).to_be_visible()
    person.tab_to(person.button("Allow")).key("Enter")
    answer = person.answer()
    assert answer["state"] == "s t&te"
    proof = {"client_id": "app", "redirect_uri": person.callback, "code_verifier": VERIFIER}
    token = body(person.desk.exchange(answer["code"], **proof))
    assert body(person.desk.api(token, trakt_api_key="app"))["user"]["username"] == "sean"


def test_device_flow_by_keyboard(sit: Sit) -> None:
    person = sit()
    device = person.desk.start_device()
    code = device["user_code"]
    person.open("/activate").sign_in().at_the_code()
    person.type(f" {code[:4].lower()} - {code[4:].lower()} ").key("Enter")
    expect(person.page.get_by_text(code)).to_be_visible()
    person.tab_to(person.button("Allow")).key("Space")
    person.sees("Device connected")
    assert person.desk.alive(body(person.desk.poll(device)))


def test_a_wrong_code_is_announced_and_can_be_corrected(sit: Sit) -> None:
    person = sit(refused={404})
    code = person.desk.start_device()["user_code"]
    person.open("/activate").sign_in().at_the_code()
    person.type("WRONG").key("Enter")
    field = person.page.get_by_label("Code shown on your device")
    expect(person.page.get_by_role("alert")).to_contain_text("not known")
    expect(field).to_have_accessible_description(re.compile("not known"))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    field.fill(code)
    person.key("Enter").sees("Allow Emulator demo to use your account?")


def test_an_expired_code(sit: Sit) -> None:
    person = sit(refused={410})
    code = person.desk.start_device()["user_code"]
    person.open(f"/activate/{code.lower()}").sign_in().at_the_code()
    expect(person.page.get_by_label("Code shown on your device")).to_have_value(code)
    person.desk.wait(600)
    person.key("Enter").sees("Code expired")
    person.page.get_by_role("link", name="Enter another code").click()
    person.sees("Connect a device")


def test_deny(sit: Sit) -> None:
    person = sit()
    person.authorize().sign_in()
    person.tab_to(person.button("Deny")).key("Enter")
    assert person.answer()["error"] == "access_denied"
    device = person.desk.start_device()
    person.open(f"/activate/{device['user_code']}").at_the_code().key("Enter")
    person.tab_to(person.button("Deny")).key("Enter")
    person.sees("Access denied")
    assert person.desk.poll(device).status == 418


def test_a_button_pressed_twice(sit: Sit) -> None:
    person = sit()
    for decision, heading in (("Allow", "Device connected"), ("Deny", "Access denied")):
        code = person.desk.start_device()["user_code"]
        person.open(f"/activate/{code}")
        if decision == "Allow":
            person.sign_in()
        person.button("Continue").dblclick()
        expect(person.button(decision)).to_be_visible()
        again = person.another_window()
        person.button(decision).dblclick()
        person.sees(heading)
        again.button(decision).click()
        again.sees(heading)
    person.authorize()
    person.button("Allow").dblclick()
    fields = {"client_id": "app", "redirect_uri": person.callback}
    assert person.desk.exchange(person.answer()["code"], **fields).status == 200


def test_the_back_button(sit: Sit) -> None:
    person = sit(refused={409})
    code = person.desk.start_device()["user_code"]
    person.open(f"/activate/{code}").sign_in()
    person.button("Continue").click()
    person.button("Allow").click()
    person.sees("Device connected")
    person.page.go_back()
    person.sees("Code already used")
    person.page.go_back()
    person.sees("Connect a device")
    person.authorize()
    person.button("Deny").click()
    assert person.answer()["error"] == "access_denied"
    person.page.go_back()
    person.button("Allow").click()
    assert "code" in person.answer()


def test_two_accounts(sit: Sit) -> None:
    person = sit()
    device = person.desk.start_device()
    person.open(f"/activate/{device['user_code']}").sign_in("ann")
    person.tab_to(person.button("Use another account")).key("Enter")
    person.sign_in("bob")
    expect(person.page.get_by_text("Signed in as bob")).to_be_visible()
    expect(person.page.get_by_label("Code shown on your device")).to_have_value(device["user_code"])
    person.at_the_code().key("Enter")
    person.tab_to(person.button("Allow")).key("Enter")
    person.sees("Device connected")
    assert body(person.desk.api(body(person.desk.poll(device))))["user"]["username"] == "bob"
    person.open("/sign-in")
    person.tab_to(person.button("ann")).key("Enter")
    expect(person.page.get_by_text("Signed in as ann")).to_be_visible()


# -- how it looks, and to whom ---------------------------------------------------------------------

NARROW = {"width": 320, "height": 640}


@pytest.mark.parametrize(("scheme", "size"), [("light", None), ("dark", NARROW)])
def test_every_page_is_accessible_and_fits(sit: Sit, scheme: str, size: object) -> None:
    context = {"color_scheme": scheme, **({"viewport": size} if size else {})}
    person = sit(refused={400, 404, 409, 410}, reduced_motion="reduce", **context)
    found: list[str] = []
    names: list[str] = []
    for name in every_page(person):
        names.append(name)
        found += person.violations() + person.too_wide()
        expect(person.page.get_by_text("Emulator: not Trakt")).to_be_visible()
    assert found == []
    assert len(set(names)) == len(names) == 18


def test_dark_and_light_differ(sit: Sit) -> None:
    person = sit()
    colours = set()
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        person.open("/sign-in")
        colours.add(person.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


def test_axe_and_the_ruler_find_what_is_wrong(sit: Sit) -> None:
    person = sit(viewport=NARROW).open("/sign-in")
    person.page.evaluate("document.querySelector('label').remove()")
    assert "label" in str(person.violations())
    person.page.evaluate("document.querySelector('h1').textContent = 'W'.repeat(9)")
    assert person.too_wide() == []
    person.page.evaluate("document.querySelector('main').style.minWidth = '25rem'")
    assert len(person.too_wide()) == 1


# -- what another site can do ----------------------------------------------------------------------


def elsewhere(person: Person, html: str) -> None:
    """Open a page of another origin; it is on this machine, so that no cookie is held back."""
    person.home.pages["/elsewhere"] = html
    person.page.goto(f"{person.home.origin}/elsewhere")


@pytest.mark.parametrize("path", ["/", "/emulator/reset", "/emulator/clock"])
def test_another_site_cannot_press_a_button(sit: Sit, path: str) -> None:
    person = sit(refused={403})
    person.open("/")
    person.desk.emulator.arm("slow")
    before = person.desk.emulator.clock.now()
    elsewhere(
        person,
        f'<form method="post" action="{person.url}{path}">'
        '<input name="decision" value="reset"><button>Go</button></form>',
    )
    with person.page.expect_navigation() as landed:
        person.button("Go").click()
    assert landed.value is not None
    assert landed.value.status == 403
    assert len(person.desk.emulator.state()["faults"]) == 1  # type: ignore[arg-type]
    assert person.desk.emulator.clock.now() == before


def test_no_page_can_be_framed(sit: Sit) -> None:
    person = sit()
    for path in ("/", "/sign-in", "/nowhere"):
        elsewhere(person, f'<iframe name="inside" src="{person.url}{path}"></iframe>')
        inside = person.page.frame("inside")
        assert inside is not None
        inside.wait_for_load_state()
        assert inside.url.startswith("chrome-error:"), path
    person.watch.problems.clear()  # the browser may say so
    person.watch.statuses.clear()


# -- the control room ------------------------------------------------------------------------------


def log_of(person: Person, text: str):
    return person.page.get_by_role("log").get_by_role("listitem").filter(has_text=text)


def test_room_says_what_to_do_when_there_is_nothing(sit: Sit) -> None:
    person = sit().open("/")
    for words in (
        "No device codes yet. Run: trakt-auth login --device",
        "Nobody has signed in.",
        "No requests yet.",
        "None: everything behaves.",
    ):
        expect(person.page.get_by_text(words)).to_be_visible()


def test_room_decides_codes_and_tells_what_happened(sit: Sit) -> None:
    person = sit().open("/")
    page, desk = person.page, person.desk
    page.evaluate("window.sameDocument = true")
    first, second = desk.start_device(), desk.start_device()
    page.get_by_label(f"Account that approves {first['user_code']}").fill("ann")
    person.button(f"Approve {first['user_code']}").click()
    expect(page.locator("#codes")).to_contain_text("Approved as ann, not collected yet")
    expect(page.get_by_role("status")).to_have_text(f"Approved {first['user_code']}.")
    person.tab_to(person.button(f"Deny {second['user_code']}")).key("Enter")
    expect(page.locator("#codes")).not_to_contain_text(second["user_code"])
    expect(page.locator("#codes-title")).to_be_focused()
    assert desk.poll(second).status == 418
    expect(log_of(person, "stop polling")).to_contain_text("RFC 8628 §3.5")
    assert desk.poll(first).status == 200
    expect(log_of(person, "The code was approved: here are the tokens, once.")).to_be_visible()
    expect(page.locator("#codes")).to_contain_text("No device codes yet")
    expect(page.locator("#logins")).to_contain_text("ann in Emulator demo")
    assert page.evaluate("window.sameDocument"), "nothing was reloaded"


def test_room_explains_an_early_poll_and_a_replay(sit: Sit) -> None:
    person = sit().open("/")
    device = person.desk.start_device()
    person.desk.poll(device)
    person.desk.poll(device)
    line = log_of(person, "Polled before the interval was over: slow down. (RFC 8628 §3.5")
    expect(line).to_contain_text("429")
    token = person.desk.sign_in()
    person.desk.refresh(token)
    person.desk.refresh(token)
    expect(log_of(person, "A spent refresh token came again")).to_contain_text("RFC 9700 §4.14.2")
    line = log_of(person, "Refreshed:")
    line.get_by_text("Fields").click()
    expect(line.locator("dl")).to_contain_text("sent refresh_token")
    expect(line.locator("dl")).to_contain_text("grant_type")


def test_room_never_holds_a_secret(sit: Sit) -> None:
    person = sit().open("/")
    desk = person.desk
    device = desk.start_device()
    token = desk.sign_in("maria")
    new = body(desk.refresh(token, client_secret="emulator-secret"))
    desk.exchange(desk.code(), code_verifier=VERIFIER)
    desk.oauth("revoke", token=new["access_token"])
    desk.emulator.arm("refuse")
    desk.refresh(new)
    person.authorize().sign_in()
    person.button("Allow").click()
    code = person.answer()["code"]
    person.open("/")
    expect(log_of(person, "Ended the login, as asked.")).to_be_visible()
    for summary in person.page.get_by_text("Fields").all():
        summary.click()
    seen = person.page.content().replace("<code>emulator-secret</code>", "", 1)
    secrets = [
        value
        for answer in (device, token, new)
        for name, value in answer.items()
        if name in {"access_token", "refresh_token", "device_code"}
    ]
    assert len(secrets) == 5
    for secret in (*secrets, code, "emulator-secret", VERIFIER, "s t&te", "s+t%26te"):
        assert secret not in seen


def test_room_moves_the_clock(sit: Sit) -> None:
    person = sit(refused={409}).open("/")
    desk = person.desk
    token = desk.sign_in("maria")
    logins = person.page.locator("#logins")
    expect(logins).to_contain_text("7 d left")
    person.button("+1 day").click()
    expect(logins).to_contain_text("6 d left")
    person.page.get_by_label("Forward by seconds").fill("3600")
    person.key("Enter")
    expect(logins).to_contain_text("5 d 23 h left")
    expect(person.page.locator("#clock")).to_contain_text("1 d 1 h ahead")
    expect(log_of(person, "Moved the clock forward: 1 h.")).to_be_visible()
    person.button("+7 days").click()
    expect(logins).to_contain_text("none: expired or ended")
    assert not desk.alive(token)
    person.page.get_by_label("Forward by seconds").fill("1e300")
    person.key("Enter")
    expect(person.page.get_by_role("alert")).to_contain_text("Nothing was done")


def test_room_arms_and_disarms_faults(sit: Sit) -> None:
    person = sit().open("/")
    page, desk = person.page, person.desk
    rack = person.rack("status")
    rack.get_by_label("retry after").fill("30")
    rack.get_by_label("times").fill("2")
    person.button("Arm status").click()
    expect(page.locator("#faults")).to_contain_text("2 more")
    assert desk.oauth("device/code").status == 503
    expect(page.locator("#faults")).to_contain_text("1 more")
    expect(log_of(person, "Fault status")).to_contain_text("armed by you")
    person.button("Disarm status").click()
    expect(page.locator("#faults")).to_contain_text("everything behaves")
    assert desk.oauth("device/code").status == 200
    rack = person.rack("html_200")
    rack.get_by_label("where").select_option("all program calls")
    rack.get_by_label("times").fill("")
    rack.get_by_label("probability, %").fill("50")
    person.button("Arm html_200").click()
    expect(page.locator("#faults")).to_contain_text("every time, 50% of requests")
    answers = {desk.oauth("device/code").media_type for _ in range(40)}
    assert answers == {"application/json", "text/html"}
    person.button("Disarm all").click()
    expect(page.locator("#faults")).to_contain_text("everything behaves")


def test_room_ends_tokens_and_logins_and_everything(sit: Sit) -> None:
    person = sit().open("/")
    page, desk = person.page, person.desk
    first, second = desk.sign_in("maria"), desk.sign_in("maria")
    person.button("End the tokens of login 1 of maria").click()
    expect(page.get_by_role("status")).to_have_text("Ended the tokens of login 1.")
    assert (desk.alive(first), desk.alive(second)) == (False, True)
    person.button("Disconnect Emulator demo from maria").click()
    expect(page.locator("#logins")).to_contain_text("Nobody has signed in")
    assert not desk.alive(second)
    person.button("Reset").click()
    expect(log_of(person, "Forgot everything")).to_have_count(1)
    desk.sign_in("after")
    person.button("Disconnect Emulator demo from after").click()
    expect(page.get_by_role("status")).to_contain_text("Disconnected")


def test_room_keeps_focus_text_and_what_is_open(sit: Sit) -> None:
    person = sit()
    page, desk = person.page, person.desk
    gone, kept = desk.start_device(), desk.start_device()
    person.open("/")
    rack = person.rack("skewed_clock")
    line = log_of(person, "Gave out a device code").first
    line.get_by_text("Fields").click()
    name = page.get_by_label(f"Account that approves {kept['user_code']}")
    name.fill("half a na")
    desk.emulator.deny_device(gone["user_code"])
    desk.poll(gone)
    expect(log_of(person, "stop polling")).to_be_visible()
    expect(page.locator("#codes")).not_to_contain_text(gone["user_code"])
    expect(name).to_be_focused()
    person.type("me")
    expect(name).to_have_value("half a name")
    expect(rack.get_by_label("seconds")).to_be_visible()
    expect(log_of(person, "Gave out a device code").last.locator("dl")).to_have_count(1)
    assert page.locator("#log details[open]").count() == 1


def test_room_can_be_paused(sit: Sit) -> None:
    person = sit()
    page, codes = person.page, person.page.locator("#codes .user-code")
    page.clock.install()
    person.open("/")
    pause = person.button("Pause updates")
    person.desk.start_device()
    page.clock.run_for(1000)
    expect(codes).to_have_count(1)
    person.tab_to(pause).key("Space")
    expect(pause).to_have_attribute("aria-pressed", "true")
    person.desk.start_device()
    looked: list[str] = []
    page.on("request", lambda request: looked.append(request.url))
    page.clock.run_for(10_000)
    assert looked == []
    person.key("Space")
    expect(codes).to_have_count(2)
    assert looked


def test_room_says_when_the_emulator_is_gone(chromium: Chromium) -> None:
    desk = Desk()
    with desk.emulator.serving() as url:
        page = chromium.new_page()
        page.goto(url)
        port = int(url.rpartition(":")[2])
    expect(page.get_by_role("alert")).to_have_text("The emulator does not answer. Trying again.")
    with desk.emulator.serving(port=port):
        expect(page.get_by_role("alert")).to_be_empty()
    page.close()


def test_room_works_without_script(sit: Sit) -> None:
    person = sit(java_script_enabled=False, refused={409})
    desk = person.desk
    first = desk.start_device()
    person.open("/")
    person.button(f"Approve {first['user_code']}").click()
    expect(person.page.locator("#codes")).to_contain_text("not collected yet")
    assert desk.poll(first).status == 200
    expect(person.button("Pause updates")).to_be_hidden()
    person.page.get_by_label("Forward by seconds").fill("1e300")
    person.key("Enter").sees("Nothing was done")
    person.page.get_by_role("link", name="Back to the control room").click()
    person.sees("Control room")


def test_room_with_much_in_it(sit: Sit) -> None:
    desk = Desk()
    for number in range(60):
        live_in(desk)
        desk.emulator.disarm()
        desk.sign_in(f"user-{number}")
    person = sit(desk).open("/")
    expect(person.page.get_by_role("log").get_by_role("listitem")).to_have_count(60)
    expect(person.page.locator("#logins .what")).to_have_count(50)
