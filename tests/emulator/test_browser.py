"""The emulator's pages in a real Chromium; the dashboard has a file of its own."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from support.emulator_client import CHALLENGE, VERIFIER, body
from support.person import Person, every_page

NewPerson = Callable[..., Person]


# -- what a user does ------------------------------------------------------------------------------


def test_code_flow_by_keyboard(new_person: NewPerson) -> None:
    person = new_person()
    person.authorize(code_challenge=CHALLENGE, code_challenge_method="S256").sign_in()
    person.sees("Allow Emulator demo to use your account?")
    expect(person.page.get_by_text("Signed in as sean")).to_be_visible()
    person.tab_to(person.button("Allow")).key("Enter")
    answer = person.answer()
    assert answer["state"] == "s t&te"
    proof = {"client_id": "app", "redirect_uri": person.callback, "code_verifier": VERIFIER}
    token = body(person.client.exchange(answer["code"], **proof))
    assert body(person.client.api(token, trakt_api_key="app"))["user"]["username"] == "sean"


def test_device_flow_by_keyboard(new_person: NewPerson) -> None:
    person = new_person()
    device = person.client.start_device()
    code = device["user_code"]
    person.open("/activate").sign_in().at_the_code()
    person.type(f" {code[:4].lower()} - {code[4:].lower()} ").key("Enter")
    expect(person.page.get_by_text(code)).to_be_visible()
    person.tab_to(person.button("Allow")).key("Space")
    person.sees("Device connected")
    assert person.client.alive(body(person.client.poll(device)))


def test_a_wrong_code_is_announced_and_can_be_corrected(new_person: NewPerson) -> None:
    person = new_person(refused={404})
    code = person.client.start_device()["user_code"]
    person.open("/activate").sign_in().at_the_code()
    person.type("WRONG").key("Enter")
    field = person.page.get_by_label("Code shown on your device")
    expect(person.page.get_by_role("alert")).to_contain_text("not known")
    expect(field).to_have_accessible_description(re.compile("not known"))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    field.fill(code)
    person.key("Enter").sees("Allow Emulator demo to use your account?")


def test_an_expired_code(new_person: NewPerson) -> None:
    person = new_person(refused={410})
    code = person.client.start_device()["user_code"]
    person.open(f"/activate/{code.lower()}").sign_in().at_the_code()
    expect(person.page.get_by_label("Code shown on your device")).to_have_value(code)
    person.client.wait(600)
    person.key("Enter").sees("Code expired")
    person.page.get_by_role("link", name="Enter another code").click()
    person.sees("Connect a device")


def test_deny(new_person: NewPerson) -> None:
    person = new_person()
    person.authorize().sign_in()
    person.tab_to(person.button("Deny")).key("Enter")
    assert person.answer()["error"] == "access_denied"
    device = person.client.start_device()
    person.open(f"/activate/{device['user_code']}").at_the_code().key("Enter")
    person.tab_to(person.button("Deny")).key("Enter")
    person.sees("Access denied")
    assert person.client.poll(device).status == 418


def test_a_button_pressed_twice(new_person: NewPerson) -> None:
    person = new_person()
    for decision, heading in (("Allow", "Device connected"), ("Deny", "Access denied")):
        code = person.client.start_device()["user_code"]
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
    assert person.client.exchange(person.answer()["code"], **fields).status == 200


def test_the_back_button(new_person: NewPerson) -> None:
    person = new_person(refused={409})
    code = person.client.start_device()["user_code"]
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


def test_two_accounts(new_person: NewPerson) -> None:
    person = new_person()
    device = person.client.start_device()
    person.open(f"/activate/{device['user_code']}").sign_in("ann")
    person.tab_to(person.button("Use another account")).key("Enter")
    person.sign_in("bob")
    expect(person.page.get_by_text("Signed in as bob")).to_be_visible()
    expect(person.page.get_by_label("Code shown on your device")).to_have_value(device["user_code"])
    person.at_the_code().key("Enter")
    person.tab_to(person.button("Allow")).key("Enter")
    person.sees("Device connected")
    assert body(person.client.api(body(person.client.poll(device))))["user"]["username"] == "bob"
    person.open("/sign-in")
    person.tab_to(person.button("ann")).key("Enter")
    expect(person.page.get_by_text("Signed in as ann")).to_be_visible()


# -- looks and accessibility -----------------------------------------------------------------------

NARROW = {"width": 320, "height": 640}


@pytest.mark.parametrize(("scheme", "size"), [("light", None), ("dark", NARROW)])
def test_every_page_is_accessible_and_fits(
    new_person: NewPerson, scheme: str, size: object
) -> None:
    context = {"color_scheme": scheme, **({"viewport": size} if size else {})}
    person = new_person(refused={400, 404, 409, 410}, reduced_motion="reduce", **context)
    found: list[str] = []
    names: list[str] = []
    for name in every_page(person):
        names.append(name)
        found += person.violations() + person.too_wide()
        expect(person.page.get_by_text("Emulator: not Trakt")).to_be_visible()
    assert found == []
    assert len(set(names)) == len(names) == 18


def test_dark_and_light_differ(new_person: NewPerson) -> None:
    person = new_person()
    colours = set()
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        person.open("/sign-in")
        colours.add(person.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


def test_the_checks_of_pages_find_mistakes(new_person: NewPerson) -> None:
    person = new_person(viewport=NARROW).open("/sign-in")
    person.page.evaluate("document.querySelector('label').remove()")
    assert "label" in str(person.violations())
    person.page.evaluate("document.querySelector('h1').textContent = 'W'.repeat(9)")
    assert person.too_wide() == []
    person.page.evaluate("document.querySelector('main').style.minWidth = '25rem'")
    assert len(person.too_wide()) == 1


# -- other websites --------------------------------------------------------------------------------


def elsewhere(person: Person, html: str) -> None:
    """Open a page of another origin on this machine: the browser sends it the same cookies."""
    person.site.pages["/elsewhere"] = html
    person.page.goto(f"{person.site.origin}/elsewhere")


@pytest.mark.parametrize("path", ["/", "/emulator/reset", "/emulator/clock"])
def test_another_site_cannot_press_a_button(new_person: NewPerson, path: str) -> None:
    person = new_person(refused={403})
    person.open("/")
    person.client.emulator.arm("slow")
    before = person.client.emulator.clock.now()
    elsewhere(
        person,
        f'<form method="post" action="{person.url}{path}">'
        '<input name="decision" value="reset"><button>Go</button></form>',
    )
    with person.page.expect_navigation() as navigation:
        person.button("Go").click()
    assert navigation.value is not None
    assert navigation.value.status == 403
    assert len(person.client.emulator.state()["faults"]) == 1  # type: ignore[arg-type]
    assert person.client.emulator.clock.now() == before


def test_no_page_can_be_framed(new_person: NewPerson) -> None:
    person = new_person()
    for path in ("/", "/sign-in", "/nowhere"):
        elsewhere(person, f'<iframe name="inside" src="{person.url}{path}"></iframe>')
        inside = person.page.frame("inside")
        assert inside is not None
        inside.wait_for_load_state()
        assert inside.url.startswith("chrome-error:"), path
    person.watch.problems.clear()  # the browser may log that it blocked the frame
    person.watch.statuses.clear()
