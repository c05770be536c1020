"""The dashboard in a real Chromium: what a user sees and does, with and without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Locator, expect

from support.emulator_client import VERIFIER, EmulatorClient, body
from support.person import Person, fill_with_activity

NewPerson = Callable[..., Person]


def log_of(person: Person, text: str):
    return person.page.get_by_role("log").get_by_role("listitem").filter(has_text=text)


def test_the_empty_dashboard_says_what_to_do(new_person: NewPerson) -> None:
    person = new_person().open("/")
    for words in (
        "No device codes yet. Run: trakt-auth login --device",
        "No user has signed in.",
        "No requests yet.",
        "None: everything works.",
    ):
        expect(person.page.get_by_text(words)).to_be_visible()


def test_the_dashboard_decides_codes_and_explains_requests(new_person: NewPerson) -> None:
    person = new_person().open("/")
    page, client = person.page, person.client
    page.evaluate("window.sameDocument = true")
    first, second = client.start_device(), client.start_device()
    page.get_by_label(f"Account that approves {first['user_code']}").fill("ann")
    person.button(f"Approve {first['user_code']}").click()
    expect(page.locator("#codes")).to_contain_text(
        "Approved as ann; the program has not collected the tokens yet"
    )
    expect(page.get_by_role("status")).to_have_text(f"Approved {first['user_code']}.")
    person.tab_to(person.button(f"Deny {second['user_code']}")).key("Enter")
    expect(page.locator("#codes")).not_to_contain_text(second["user_code"])
    expect(page.locator("#codes-title")).to_be_focused()
    assert client.poll(second).status == 418
    expect(log_of(person, "stop polling")).to_contain_text("RFC 8628 §3.5")
    assert client.poll(first).status == 200
    expect(log_of(person, "The user has approved the code")).to_be_visible()
    expect(page.locator("#codes")).to_contain_text("No device codes yet")
    expect(page.locator("#logins")).to_contain_text("ann in Emulator demo")
    assert page.evaluate("window.sameDocument"), "nothing was reloaded"


def test_the_dashboard_explains_an_early_poll_and_a_replay(new_person: NewPerson) -> None:
    person = new_person().open("/")
    device = person.client.start_device()
    person.client.poll(device)
    person.client.poll(device)
    line = log_of(
        person, "polled before the interval had passed: it has to slow down. (RFC 8628 §3.5"
    )
    expect(line).to_contain_text("429")
    token = person.client.sign_in()
    person.client.refresh(token)
    person.client.refresh(token)
    expect(log_of(person, "A used refresh token was sent again")).to_contain_text(
        "RFC 9700 §4.14.2"
    )
    line = log_of(person, "Refreshed:")
    line.get_by_text("Fields").click()
    expect(line.locator("dl")).to_contain_text("request refresh_token")
    expect(line.locator("dl")).to_contain_text("grant_type")


def test_the_dashboard_contains_no_secret(new_person: NewPerson) -> None:
    person = new_person().open("/")
    client = person.client
    device = client.start_device()
    token = client.sign_in("maria")
    new = body(client.refresh(token, client_secret="emulator-secret"))
    client.exchange(client.code(), code_verifier=VERIFIER)
    client.oauth("revoke", token=new["access_token"])
    client.emulator.arm("refuse")
    client.refresh(new)
    person.authorize().sign_in()
    person.button("Allow").click()
    code = person.answer()["code"]
    person.open("/")
    expect(log_of(person, "Revoked the token.")).to_be_visible()
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


def test_the_dashboard_advances_the_clock(new_person: NewPerson) -> None:
    person = new_person(refused={409}).open("/")
    client = person.client
    token = client.sign_in("maria")
    logins = person.page.locator("#logins")
    expect(logins).to_contain_text("7 d left")
    person.button("+1 day").click()
    expect(logins).to_contain_text("6 d left")
    person.page.get_by_label("Seconds to advance").fill("3600")
    person.key("Enter")
    expect(logins).to_contain_text("5 d 23 h left")
    expect(person.page.locator("#clock")).to_contain_text("advanced by 1 d 1 h")
    expect(log_of(person, "Advanced the clock: 1 h.")).to_be_visible()
    person.button("+7 days").click()
    expect(logins).to_contain_text("none: expired or revoked")
    assert not client.alive(token)
    person.page.get_by_label("Seconds to advance").fill("1e300")
    person.key("Enter")
    expect(person.page.get_by_role("alert")).to_contain_text("Nothing was changed")


def test_the_dashboard_arms_and_disarms_faults(new_person: NewPerson) -> None:
    person = new_person().open("/")
    page, client = person.page, person.client
    form = person.open_fault("status")
    form.get_by_label("retry after").fill("30")
    form.get_by_label("times").fill("2")
    person.button("Arm status").click()
    expect(page.locator("#faults")).to_contain_text("2 more")
    assert client.oauth("device/code").status == 503
    expect(page.locator("#faults")).to_contain_text("1 more")
    expect(log_of(person, "Fault status")).to_contain_text("Responded with 503, Retry-After 30")
    expect(log_of(person, "Fault status")).to_contain_text("armed by you")
    person.button("Disarm status").click()
    expect(page.locator("#faults")).to_contain_text("everything works")
    assert client.oauth("device/code").status == 200
    form = person.open_fault("html_200")
    form.get_by_label("where").select_option("all requests of programs")
    form.get_by_label("times").fill("")
    form.get_by_label("probability, %").fill("50")
    person.button("Arm html_200").click()
    expect(page.locator("#faults")).to_contain_text("every time, 50% of requests")
    answers = {client.oauth("device/code").media_type for _ in range(40)}
    assert answers == {"application/json", "text/html"}
    person.button("Disarm all").click()
    expect(page.locator("#faults")).to_contain_text("everything works")


def test_the_dashboard_ends_logins_and_resets(new_person: NewPerson) -> None:
    person = new_person().open("/")
    page, client = person.page, person.client
    first, second = client.sign_in("maria"), client.sign_in("maria")
    person.button("End the tokens of login 1 of maria").click()
    expect(page.get_by_role("status")).to_have_text(
        "Ended the tokens of login 1 of maria in emulator."
    )
    assert (client.alive(first), client.alive(second)) == (False, True)
    person.button("Disconnect Emulator demo from maria").click()
    expect(page.locator("#logins")).to_contain_text("No user has signed in")
    assert not client.alive(second)
    person.button("Reset").click()
    expect(log_of(person, "Deleted everything")).to_have_count(1)
    client.sign_in("after")
    person.button("Disconnect Emulator demo from after").click()
    expect(page.get_by_role("status")).to_contain_text("Disconnected")


def test_an_update_keeps_focus_text_and_what_is_open(new_person: NewPerson) -> None:
    person = new_person()
    page, client = person.page, person.client
    gone, kept = client.start_device(), client.start_device()
    person.open("/")
    form = person.open_fault("skewed_clock")
    line = log_of(person, "Issued a device code").first
    line.get_by_text("Fields").click()
    name = page.get_by_label(f"Account that approves {kept['user_code']}")
    name.fill("half a na")
    client.emulator.deny_device(gone["user_code"])
    client.poll(gone)
    expect(log_of(person, "stop polling")).to_be_visible()
    expect(page.locator("#codes")).not_to_contain_text(gone["user_code"])
    expect(name).to_be_focused()
    person.type("me")
    expect(name).to_have_value("half a name")
    expect(form.get_by_label("seconds")).to_be_visible()
    expect(log_of(person, "Issued a device code").last.locator("dl")).to_have_count(1)
    assert page.locator("#log details[open]").count() == 1


def test_updates_can_be_paused(new_person: NewPerson) -> None:
    person = new_person()
    page, codes = person.page, person.page.locator("#codes .user-code")
    page.clock.install()
    person.open("/")
    pause = person.button("Pause updates")
    person.client.start_device()
    page.clock.run_for(1000)
    expect(codes).to_have_count(1)
    person.tab_to(pause).key("Space")
    expect(pause).to_have_attribute("aria-pressed", "true")
    person.client.start_device()
    updates: list[str] = []
    page.on("request", lambda request: updates.append(request.url))
    page.clock.run_for(10_000)
    assert updates == []
    person.key("Space")
    expect(codes).to_have_count(2)
    assert updates


def test_the_dashboard_says_when_the_emulator_does_not_respond(chromium: Chromium) -> None:
    client = EmulatorClient()
    with client.emulator.serving() as url:
        page = chromium.new_page()
        page.goto(url)
        port = int(url.rpartition(":")[2])
    expect(page.get_by_role("alert")).to_have_text("The emulator does not respond. Trying again.")
    with client.emulator.serving(port=port):
        expect(page.get_by_role("alert")).to_be_empty()
    page.close()


def test_the_dashboard_works_without_scripts(new_person: NewPerson) -> None:
    person = new_person(java_script_enabled=False, refused={409})
    client = person.client
    first = client.start_device()
    person.open("/")
    person.button(f"Approve {first['user_code']}").click()
    expect(person.page.locator("#codes")).to_contain_text("has not collected the tokens yet")
    assert client.poll(first).status == 200
    expect(person.button("Pause updates")).to_be_hidden()
    person.page.get_by_label("Seconds to advance").fill("1e300")
    person.key("Enter").sees("Nothing was changed")
    person.page.get_by_role("link", name="Back to the dashboard").click()
    person.sees("Dashboard")


def test_how_to_connect_can_be_copied_and_moves_when_a_user_signs_in(
    new_person: NewPerson,
) -> None:
    person = new_person(permissions=["clipboard-read", "clipboard-write"]).open("/")
    page = person.page
    person.button("Copy the commands").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert copied == [
        f"export TRAKT_AUTH_URL={person.url}",
        f"export TRAKT_API_URL={person.url}",
        "export TRAKT_CLIENT_ID=emulator",
        "trakt-auth login --device",
    ]
    start = page.get_by_role("region", name="Point a program here")
    assert top(start) < top(page.locator("#codes"))
    person.client.sign_in("maria")
    expect(page.locator("#connect-first")).to_be_hidden()
    expect(start).to_have_count(1)
    assert top(start) > top(page.locator("#faults"))


def test_commands_are_selected_if_they_cannot_be_copied(new_person: NewPerson) -> None:
    person = new_person().open("/")
    person.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject() }")
    person.button("Copy the commands").click()
    expect(person.page.get_by_role("status")).to_contain_text("copy it with the keyboard")
    assert "TRAKT_API_URL" in person.page.evaluate("getSelection().toString()")


def test_the_log_is_limited_without_leaving_the_page(new_person: NewPerson) -> None:
    person = new_person().open("/")
    page, client = person.page, person.client
    page.evaluate("window.sameDocument = true")
    client.api(client.sign_in())
    client.start_device()
    kinds = page.get_by_role("navigation", name="Requests in the log")
    expect(log_of(person, "/users/settings")).to_have_count(1)
    kinds.get_by_role("link", name="OAuth").click()
    expect(log_of(person, "/users/settings")).to_have_count(0)
    expect(log_of(person, "/oauth/device/code")).to_have_count(1)
    expect(kinds.get_by_role("link", name="OAuth")).to_have_attribute("aria-current", "true")
    person.open_fault("slow")
    assert page.url == f"{person.url}/?log=oauth&fault=slow"
    person.button("Arm slow").click()
    expect(page.locator("#faults")).to_contain_text("1 more")
    assert page.evaluate("window.sameDocument"), "nothing was reloaded"
    page.reload()
    expect(person.button("Arm slow")).to_be_visible()
    expect(log_of(person, "/users/settings")).to_have_count(0)
    kinds.get_by_role("link", name="All").click()
    expect(log_of(person, "/users/settings")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 360])
def test_a_confirmation_is_in_sight(new_person: NewPerson, width: int) -> None:
    person = new_person(viewport={"width": width, "height": 600}, refused={409}).open("/")
    page = person.page
    page.clock.install()
    page.reload()
    person.button("Arm status").click()
    expect(page.get_by_role("status")).to_have_text("Armed status.")
    expect(page.get_by_role("status")).to_be_in_viewport()
    page.clock.run_for(8000)
    expect(page.get_by_role("status")).to_be_empty()
    person.page.get_by_label("Seconds to advance").fill("1e300")
    person.key("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    expect(page.get_by_role("alert")).to_be_in_viewport()


def test_the_log_is_above_the_faults_and_the_page_is_not_tall(new_person: NewPerson) -> None:
    client = EmulatorClient()
    person = new_person(client, viewport={"width": 360, "height": 740}).open("/")
    for _ in range(60):
        client.oauth("device/code")
    expect(person.page.get_by_role("log").get_by_role("listitem")).to_have_count(60)
    assert top(person.page.locator("#log")) < top(person.page.locator("#faults"))
    assert top(person.page.locator("#log")) < top(person.page.locator("#clock"))
    client.emulator.reset()
    person.page.set_viewport_size({"width": 1280, "height": 800})
    expect(person.page.get_by_text("No requests yet.")).to_be_visible()
    height = person.page.evaluate("document.documentElement.scrollHeight")
    assert height < 1300, "it was 2,561"
    code, side = (person.page.locator(one).bounding_box() for one in (".column", ".side"))
    assert code is not None
    assert side is not None
    assert abs(code["height"] - side["height"]) < 5, "no part of the page is empty"


def top(target: Locator) -> float:
    """How far from the top of the page an element is, in pixels."""
    return float(target.evaluate("one => one.getBoundingClientRect().top + scrollY"))


def test_the_dashboard_is_confirmed_and_selected_without_scripts(new_person: NewPerson) -> None:
    person = new_person(java_script_enabled=False)
    page = person.page
    person.client.oauth("device/code")
    person.client.api(person.client.sign_in())
    person.open("/")
    expect(person.page.get_by_role("button", name="Copy")).to_be_hidden()
    page.get_by_role("link", name="API", exact=True).click()
    expect(log_of(person, "/oauth/device/code")).to_have_count(0)
    page.get_by_label("Fault", exact=True).select_option("slow")
    person.button("Choose").click()
    page.get_by_label("seconds", exact=True).fill("3")
    person.button("Arm slow").click()
    expect(page.get_by_role("status")).to_have_text("Armed slow.")
    expect(page.locator("#faults")).to_contain_text("seconds 3")
    expect(log_of(person, "/oauth/device/code")).to_have_count(0)
    expect(log_of(person, "/users/settings")).to_have_count(1)


def test_the_lists_of_the_dashboard_are_limited(new_person: NewPerson) -> None:
    client = EmulatorClient()
    for number in range(60):
        fill_with_activity(client)
        client.emulator.disarm()
        client.sign_in(f"user-{number}")
    person = new_person(client).open("/")
    expect(person.page.get_by_role("log").get_by_role("listitem")).to_have_count(60)
    expect(person.page.locator("#logins .what")).to_have_count(50)
