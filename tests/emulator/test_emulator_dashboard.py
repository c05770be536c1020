"""The dashboard without a browser: its texts, its buttons, and whose requests it accepts."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from support.emulator_client import FORM, Browser, EmulatorClient, body
from support.person import fill_with_activity
from trakt_auth.emulator import Emulator
from trakt_auth.emulator.dashboard.explain import FAULTS
from trakt_auth.emulator.dashboard.fault_form import fault_forms
from trakt_auth.emulator.dashboard.fired import FIRED
from trakt_auth.emulator.dashboard.selection import LOG_KINDS, kind_of
from trakt_auth.emulator.dashboard.view import format_duration
from trakt_auth.emulator.faults.armed import kinds
from trakt_auth.protocol.http import HttpRequest


def press(browser: Browser, decision: str, **fields: str) -> int:
    """Press a button of the dashboard; return the status, 200 if it worked."""
    return browser.open("/").submit("/", decision=decision, **fields).last.status


# -- faults ----------------------------------------------------------------------------------------


def form_of(fault: dict[str, object]) -> dict[str, str]:
    """The fields that the page sends if the user has changed none of them."""
    form = {"fault": str(fault["name"]), "times": "1", "percent": "100"}
    form["endpoint"] = fault["endpoints"][0]  # type: ignore[index]
    for one in fault["parameters"]:  # type: ignore[attr-defined]
        if one["kind"] != "switch":
            form[one["field"]] = "" if one["default"] is None else str(one["default"])
        elif one["default"]:
            form[one["field"]] = "yes"
    return form


@pytest.mark.parametrize("fault", fault_forms(), ids=lambda fault: fault["name"])
def test_every_fault_can_be_armed_with_its_defaults(
    client: EmulatorClient, browser: Browser, fault: dict
) -> None:
    browser.open(f"/?fault={fault['name']}")
    browser.submit(f"/?fault={fault['name']}", decision="arm", **form_of(fault))
    assert browser.last.status == 200
    by_hand = Emulator()
    by_hand.arm(fault["name"])
    assert client.emulator.state()["faults"] == by_hand.state()["faults"]
    assert f"Arm {fault['name']}" in browser.text


def test_every_fault_has_a_form() -> None:
    assert [fault["name"] for fault in fault_forms()] == list(kinds()) == list(FAULTS)
    assert list(FIRED) == list(FAULTS)
    choices = [
        (fault["name"], one["field"].removeprefix("with."), one["choices"])
        for fault in fault_forms()
        for one in fault["parameters"]  # type: ignore[attr-defined]
        if one["choices"]
    ]
    assert len(choices) == 3
    for name, parameter, values in choices:
        for value in values:
            Emulator().arm(name, **{parameter: int(value) if value.isdigit() else value})
        with pytest.raises(ValueError, match="one of"):
            Emulator().arm(name, **{parameter: "other"})


@pytest.mark.parametrize(
    "changes",
    [
        {"fault": "none"},
        {"times": "x"},
        {"times": "1.5"},
        {"percent": "x"},
        {"percent": "101"},
        {"with.seconds": "soon"},
        {"with.seconds": "-1"},
        {"with.seconds": "nan"},
    ],
)
def test_a_mistake_arms_nothing(
    client: EmulatorClient, browser: Browser, changes: dict[str, str]
) -> None:
    fields = {"fault": "slow", "times": "1", "percent": "100", **changes}
    assert press(browser, "arm", **fields) == 409
    assert "Nothing was changed" in browser.text
    assert client.emulator.state()["faults"] == []


def test_arming_how_often(client: EmulatorClient, browser: Browser) -> None:
    press(browser, "arm", fault="slow", times="", percent="25", endpoint="api")
    (fault,) = client.emulator.state()["faults"]  # type: ignore[misc]
    assert (fault["times"], fault["probability"], fault["endpoint"]) == (None, 0.25, "api")
    assert fault["processed"] is False, "a switch that is off is not sent"


# -- what the page shows ---------------------------------------------------------------------------


def test_how_to_connect_comes_first_until_a_user_has_signed_in(
    client: EmulatorClient, browser: Browser
) -> None:
    client.emulator.register_application("tv", redirect_uris=["tv://back"], client_secret="hidden")
    text = browser.open("/").text
    assert text.count("Point a program here") == 1
    assert text.index("Point a program here") < text.index("Device codes")
    start = text[text.index("Point a program here") : text.index("Device codes")]
    for value in ("export TRAKT_AUTH_URL=http://127.0.0.1:8999", "TRAKT_CLIENT_ID=emulator"):
        assert value in start
    for value in ("http://localhost:8765/callback", "tv://back", "emulator-secret"):
        assert f"<code>{value}</code>" in start
    assert "hidden</code>" not in start
    client.sign_in()
    text = browser.open("/").text
    assert text.count("Point a program here") == 1
    assert text.index("Point a program here") > text.index("Arm a fault")


def shown(text: str) -> list[str]:
    """The method and path of each line of the log."""
    return re.findall(r"<code>((?:GET|POST) /[^<]*)</code>\n", text)


def test_the_log_can_be_limited_to_a_kind(client: EmulatorClient, browser: Browser) -> None:
    fill_with_activity(client)
    client.emulator.disarm()
    client.api(client.sign_in())
    client.post("/emulator/clock", {"advance": 5})
    browser.open("/sign-in")
    found = {kind: set(shown(browser.open(f"/?log={kind}").text)) for kind in LOG_KINDS}
    assert found["api"] == {"GET /users/settings"}
    assert found["page"] == {"GET /sign-in"}
    assert found["control"] == {"POST /emulator/clock"}
    assert "POST /oauth/token" in found["oauth"]
    assert found[""] == found["oauth"] | found["api"] | found["page"] | found["control"]
    assert set(shown(browser.open("/?log=other").text)) == found[""]
    parts = browser.open("/emulator/room?log=page").text
    assert shown(parts) == ["GET /sign-in"]
    assert 'href="/?log=page#log" data-select aria-current="true">Pages</a>' in parts


def test_a_kind_is_found_among_many_other_requests(
    client: EmulatorClient, browser: Browser
) -> None:
    client.post("/emulator/clock", {"advance": 5})
    for _ in range(100):
        client.oauth("token")
    assert shown(browser.open("/?log=control").text) == ["POST /emulator/clock"]
    assert "No requests of this kind yet." in browser.open("/?log=api").text


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        ("/oauth/device/code", "oauth"),
        ("/.well-known/openid-configuration", "oauth"),
        ("/oauth/authorize/native", "page"),
        ("/activate/{code}", "page"),
        ("/", "control"),
        ("/emulator/state", "control"),
        ("/openapi.json", "control"),
        ("/users/me", "api"),
        ("(unknown)", "api"),
    ],
)
def test_the_kind_of_a_request(endpoint: str, kind: str) -> None:
    assert kind_of(endpoint) == kind


def test_the_icon_is_in_the_page(browser: Browser) -> None:
    for path in ("/", "/sign-in"):
        browser.open(path)
        found = re.search(r'<link rel="icon" href="data:image/svg\+xml,([^"]+)">', browser.text)
        assert found is not None
        assert ET.fromstring(unquote(found[1])).tag.endswith("svg")
        assert "img-src data:;" in browser.last.headers["content-security-policy"]


# -- confirmations ---------------------------------------------------------------------------------


def confirmed(browser: Browser) -> str:
    found = re.search(r'role="status">([^<]*)</p>', browser.text)
    assert found is not None
    return found[1]


def test_a_confirmation_survives_the_reload(client: EmulatorClient, browser: Browser) -> None:
    code = client.start_device()["user_code"]
    for decision, fields, text in (
        ("approve", {"user_code": code, "username": "ann"}, f"Approved {code}."),
        ("arm", {"fault": "slow"}, "Armed slow."),
        ("disarm_all", {}, "Disarmed all faults."),
        ("disconnect", {"username": "ann", "client_id": "emulator"}, "Disconnected ann from"),
        ("advance", {"seconds": "604800"}, "Advanced the clock by 7 d."),  # ends the session
        ("reset", {}, "Deleted everything except the applications and the time."),
    ):
        assert press(browser, decision, **fields) == 200
        assert browser.url.endswith(f"done={decision}")
        assert text in confirmed(browser)
    assert confirmed(browser.open("/")) == ""


def test_only_the_latest_action_is_confirmed(client: EmulatorClient, browser: Browser) -> None:
    press(browser, "advance", seconds="5")
    press(browser, "disarm_all")
    assert confirmed(browser.open("/?done=advance")) == ""
    assert confirmed(browser.open("/?done=other")) == ""
    assert confirmed(browser.open("/?done=disarm_all")) == "Disarmed all faults."


def test_what_is_selected_survives_an_action(client: EmulatorClient, browser: Browser) -> None:
    here = "/?log=oauth&fault=slow"
    browser.open(here)
    assert 'method="post" action="/?log=oauth&amp;fault=slow"' in browser.text
    browser.submit(here, decision="disarm_all")
    assert browser.url.endswith("/?log=oauth&fault=slow&done=disarm_all")
    browser.open(here).submit(here, decision="advance", seconds="x")
    assert f'href="{here.replace("&", "&amp;")}">Back to the dashboard' in browser.text


# -- the other buttons -----------------------------------------------------------------------------


def test_buttons_for_items_that_are_gone(client: EmulatorClient, browser: Browser) -> None:
    client.sign_in("maria")
    for decision, fields in (
        ("disarm", {"number": "0"}),
        ("disconnect", {"username": "unknown"}),
        ("end", {"username": "unknown"}),
        ("end", {"username": "maria", "client_id": "emulator", "number": "99"}),
        ("nonsense", {}),
    ):
        assert press(browser, decision, **fields) == 404
    assert press(browser, "advance", seconds="x") == 409
    assert press(browser, "advance", seconds="-5") == 409


def test_buttons_that_end_things(client: EmulatorClient, browser: Browser) -> None:
    first, second = client.sign_in("maria"), client.sign_in("maria")
    fields = {"username": "maria", "client_id": "emulator"}
    assert press(browser, "end", number="2", **fields) == 200
    assert (client.alive(first), client.alive(second)) == (True, False)
    client.emulator.arm("reset")
    fault = client.emulator.arm("slow", seconds=2.5, processed=False)
    client.emulator.arm("status", times=3)
    assert press(browser, "disarm", number=str(fault.number)) == 200
    assert [one["fault"] for one in client.emulator.state()["faults"]] == ["reset", "status"]  # type: ignore[union-attr]
    assert press(browser, "disarm_all") == 200
    assert client.emulator.state()["faults"] == []


def test_texts_about_a_fault_and_the_clock(client: EmulatorClient, browser: Browser) -> None:
    client.emulator.arm("slow", seconds=2.5, processed=False)
    client.emulator.arm("status", times=None, probability=0.5)
    browser.open("/")
    assert "seconds 2.5, processed no" in browser.text
    assert "every time, 50% of requests" in browser.text
    assert "retry_after none" in browser.text
    assert "frozen, not advanced" in browser.text
    client.emulator = Emulator()
    client.wait(60)
    assert "running, advanced by 1 min" in Browser(client).open("/").text


def test_disconnecting_does_what_it_does_on_trakt(client: EmulatorClient, browser: Browser) -> None:
    token = client.sign_in("Maria")
    assert press(browser, "disconnect", username="Maria", client_id="emulator") == 200
    assert not client.alive(token)
    assert "No user has signed in" in browser.text
    browser.open(client.authorize_url()).sign_in("maria")
    assert "Allow Emulator demo" in browser.text, "the user is asked again"


def test_a_program_that_presses_gets_json(client: EmulatorClient, browser: Browser) -> None:
    browser.open("/")
    headers = {**FORM, "Accept": "application/json"}
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    form = f"csrf={browser.csrf}&decision=advance&seconds=x".encode()
    answer = client.send("POST", "/", body=form, headers=headers)
    assert answer.status == 409
    assert body(answer) == {"error": "Seconds must be a number, not 'x'."}
    answer = client.send("POST", "/", body=form.replace(b"=x", b"=60"), headers=headers)
    assert (answer.status, body(answer)) == (200, {"done": "Advanced the clock by 1 min."})


def test_a_reset_is_the_first_line_of_the_new_log(client: EmulatorClient, browser: Browser) -> None:
    client.sign_in()
    assert press(browser, "reset") == 200
    assert "Deleted everything except the applications and the time." in browser.text
    assert [line.outcome for line in client.emulator.log] == ["reset", "page"]


# -- whose requests it accepts ---------------------------------------------------------------------


def ask(
    client: EmulatorClient, method: str, path: str, peer: str = "127.0.0.1", **headers: str
) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest(method=method, url=f"http://127.0.0.1:8999{path}", headers=named)
    answer = client.emulator.process(request, peer=peer).response
    assert answer is not None
    return answer.status


@pytest.mark.parametrize("path", ["/emulator/room", "/emulator/room.js", "/emulator/room.css"])
def test_parts_of_the_dashboard_are_for_this_machine(client: EmulatorClient, path: str) -> None:
    assert ask(client, "GET", path) == 200
    assert ask(client, "GET", path, sec_fetch_site="same-origin") == 200
    assert ask(client, "GET", path, sec_fetch_site="cross-site") == 403
    assert ask(client, "GET", path, "10.0.0.3") == 403
    assert client.counts() == {}, "the page's own requests are not logged"


def test_a_button_needs_the_same_site(client: EmulatorClient, browser: Browser) -> None:
    browser.open("/")
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    form = f"csrf={browser.csrf}&decision=disarm_all".encode()

    def send(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**FORM, "Cookie": cookie, **named}
        return client.send("POST", "/", body=form, headers=sent).status

    assert send() == 303
    assert send(Origin="null", Sec_Fetch_Site="same-origin") == 303
    assert send(Origin="http://127.0.0.1:8999", Sec_Fetch_Site="same-origin") == 303
    assert send(Origin="null") == 403
    assert send(Origin="null", Sec_Fetch_Site="cross-site") == 403
    assert send(Origin="http://127.0.0.1:8998") == 403
    assert send(Sec_Fetch_Site="same-site") == 403


def test_only_the_dashboard_may_run_a_script(browser: Browser) -> None:
    policy = browser.open("/").last.headers["content-security-policy"]
    nonce = re.search(r"script-src 'nonce-([^']+)'; connect-src 'self';", policy)
    assert nonce is not None
    assert f'<script nonce="{nonce[1]}" src="/emulator/room.js" defer></script>' in browser.text
    assert browser.text.count("<script") == 1
    assert "style=" not in browser.text
    for path in ("/sign-in", "/activate/success", "/nowhere"):
        policy = browser.open(path).last.headers.get("content-security-policy", "")
        assert "script-src" not in policy


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (600, "10 min"),
        (599.9, "9 min 59 s"),
        (3601, "1 h"),
        (604_799, "6 d 23 h"),
    ],
)
def test_format_duration(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
