"""The emulator's own OpenAPI document, and thousands of requests that hold the emulator to it.

All of it runs in process, through the ASGI application that uvicorn serves, with the same cases in
every run. Where a generated request is valid, the values that come from an earlier response (a
code, a token, a form's CSRF token) are filled in, so that valid requests have to succeed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import schemathesis
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

import trakt_auth.emulator.routes as routes
from support.emulator_client import (
    CALLBACK,
    CHALLENGE,
    OUT_OF_BAND,
    VERIFIER,
    Browser,
    EmulatorClient,
)
from trakt_auth.emulator import Emulator
from trakt_auth.emulator.faults.armed import kinds
from trakt_auth.emulator.server import _Adapter
from trakt_auth.protocol.http import HttpRequest

DOCUMENT = json.loads(
    Emulator().handle(HttpRequest(method="GET", url="http://127.0.0.1/openapi.json")).body
)
OAUTH = ("/oauth/token", "/oauth/revoke", "/oauth/device/code", "/oauth/device/token")
# The parts of the dashboard are not documented.
PRIVATE = ("/emulator/room", "/emulator/room.css", "/emulator/room.js")
ORIGIN = "http://127.0.0.1"  # control calls are accepted from this machine only
CASES = 50  # random ones for each operation, in addition to those that cover its schema


def settings() -> SchemathesisConfig:
    def statuses(path: str, check: str, *expected: int | str) -> dict[str, Any]:
        return {"include-path": path, "checks": {check: {"expected-statuses": list(expected)}}}

    return SchemathesisConfig.from_dict(
        {
            "seed": 20261124,
            "generation": {
                "deterministic": True,
                "database": "none",
                "max-examples": CASES,
                "mode": "all",
            },
            "checks": {
                # Valid requests succeed; for a form that is status 303.
                "positive_data_acceptance": {"expected-statuses": [200, 303]},
                "negative_data_rejection": {"expected-statuses": ["4xx"]},
            },
            "operations": [
                # RFC 6749 section 4.1.2.1: errors are sent in a redirect.
                statuses("/oauth/authorize", "negative_data_rejection", 303, "4xx"),
                # Like Trakt's, they respond with 404 to other methods than POST.
                *(
                    {"include-path": path, "checks": {"unsupported_method": {"enabled": False}}}
                    for path in OAUTH
                ),
                # The document does not list the dashboard's buttons.
                {
                    "include-name": "POST /",
                    "checks": {"positive_data_acceptance": {"expected-statuses": [303, 404]}},
                },
                # How far the clock can go depends on what it shows.
                statuses("/emulator/clock", "positive_data_acceptance", 200, 400),
            ],
        }
    )


class Application:
    """The ASGI application under test; its emulator is replaced before every case."""

    def __init__(self, profile: str) -> None:
        self.profile = profile
        self.renew()

    def renew(self) -> EmulatorClient:
        self.client = EmulatorClient(profile=self.profile)
        self.client.emulator.register_application(
            "emulator", "emulator-secret", [CALLBACK, OUT_OF_BAND]
        )
        self.adapter = _Adapter(self.client.emulator, asyncio.Event())
        return self.client

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.adapter(scope | {"client": ("127.0.0.1", 1)}, receive, send)


APPLICATIONS = {profile: Application(profile) for profile in ("current", "legacy")}


def contract(profile: str, paths: Iterable[str]) -> Any:
    document = DOCUMENT | {"paths": {path: DOCUMENT["paths"][path] for path in paths}}
    schema = schemathesis.openapi.from_dict(document, config=settings())
    schema.app = APPLICATIONS[profile]
    return schema


CURRENT = contract("current", DOCUMENT["paths"])
LEGACY = contract("legacy", OAUTH)  # the other endpoints are the same in both profiles


def test_the_document_is_valid_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_every_route_is_documented_and_nothing_else() -> None:
    served = {
        (route.path, method.lower())
        for route in routes._ROUTES
        for method in route.handlers
        if route.path not in PRIVATE
    }
    assert served == {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}


def test_every_part_of_the_document_is_described_and_used() -> None:
    text = json.dumps(DOCUMENT)
    for kind, parts in DOCUMENT["components"].items():
        for name, part in parts.items():
            assert f'"#/components/{kind}/{name}' in text or kind == "securitySchemes", name
            assert kind != "responses" or part["description"].endswith("."), name
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            assert operation["summary"]
            assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
            for parameter in operation.get("parameters", ()):
                assert parameter["description"]


def test_every_fault_is_documented_with_its_parameters() -> None:
    documented = DOCUMENT["components"]["schemas"]["Fault"]["discriminator"]["mapping"]
    assert documented.keys() == kinds().keys()
    matchers = DOCUMENT["components"]["schemas"]["FaultMatchers"]["properties"]
    for name, kind in kinds().items():
        schema = DOCUMENT["components"]["schemas"][documented[name].rpartition("/")[2]]
        given = {key: value["default"] for key, value in schema["properties"].items()
                 if key not in matchers and key != "fault"}  # fmt: skip
        assert given == kind().parameters()


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every content of a request or a response, with a name for it."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            parts = {"request": operation.get("requestBody", {})} | operation["responses"]
            for where, part in parts.items():
                name = part.get("$ref", "").rpartition("/")[2]
                found = DOCUMENT["components"]["responses"][name] if name else part
                for media_type, content in found.get("content", {}).items():
                    yield f"{method} {path} {where} {media_type}", content


def test_every_example_of_the_document_fits_its_schema() -> None:
    seen = 0
    for where, content in contents():
        schema = {**content["schema"], "components": DOCUMENT["components"]}
        examples = [one["value"] for one in content.get("examples", {}).values()]
        for example in [*examples, *([content["example"]] if "example" in content else [])]:
            problems = [error.message for error in OAS31Validator(schema).iter_errors(example)]
            assert not problems, where
            seen += 1
    assert seen > 40


# -- what a valid request needs --------------------------------------------------------------------


def body_of(case: schemathesis.Case) -> dict[str, Any]:
    return case.body if isinstance(case.body, dict) else {}


def prepare_token(client: EmulatorClient, case: schemathesis.Case) -> None:
    body = body_of(case)
    if body["grant_type"] == "refresh_token":
        body["refresh_token"] = client.sign_in()["refresh_token"]
        if body.get("redirect_uri"):
            body["redirect_uri"] = CALLBACK
    elif body.get("code_verifier"):
        body["code_verifier"] = VERIFIER
        body["code"] = client.code(code_challenge=CHALLENGE, code_challenge_method="S256")
    else:
        body["code"] = client.code()
    if body["grant_type"] == "authorization_code":
        body["redirect_uri"] = CALLBACK


def prepare_poll(client: EmulatorClient, case: schemathesis.Case) -> None:
    device = client.start_device()
    client.emulator.approve_device(device["user_code"])
    body_of(case)["code"] = device["device_code"]


def prepare_user_code(client: EmulatorClient, case: schemathesis.Case) -> None:
    case.path_parameters["user_code"] = client.start_device()["user_code"]
    username = body_of(case).get("username")
    if isinstance(username, str) and not (username.strip() and username.isprintable()):
        body_of(case)["username"] = "sean"
    if isinstance(username, str) and len(username) > 60:
        body_of(case)["username"] = username[:60]


def prepare_api(client: EmulatorClient, case: schemathesis.Case) -> None:
    case.headers["trakt-api-key"] = "emulator"
    case.headers["Authorization"] = f"Bearer {client.sign_in()['access_token']}"


def prepare_user(client: EmulatorClient, case: schemathesis.Case) -> None:
    prepare_api(client, case)
    case.path_parameters["slug"] = "sean"


def prepare_userinfo(client: EmulatorClient, case: schemathesis.Case) -> None:
    token = json.loads(client.exchange(client.code(scope="openid")).body)["access_token"]
    case.headers["Authorization"] = f"Bearer {token}"


def prepare_responses(client: EmulatorClient, case: schemathesis.Case) -> None:
    """Make one valid response of whatever was generated: a schema cannot say all of its rules."""
    prepare_faults(client, case)
    for one in case.body if isinstance(case.body, list) else [case.body]:
        if one.get("status") == 204 or "text" in one:
            one.pop("json", None)
        if one.get("status") == 204:
            one.pop("text", None)
        one.pop("headers", None)


def prepare_ask(client: EmulatorClient, case: schemathesis.Case) -> None:
    case.query |= {"client_id": "emulator", "redirect_uri": CALLBACK}
    if "code_challenge" in case.query or "code_challenge_method" in case.query:
        case.query |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def prepare_form(client: EmulatorClient, case: schemathesis.Case) -> None:
    """Fill in the cookie and the CSRF token of a session in which a user is signed in."""
    browser = Browser(client, ORIGIN).open("/activate").sign_in()
    body_of(case)["csrf"] = browser.csrf
    case.headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    if "username" in body_of(case):
        body_of(case)["username"] = "maria"
    if "code" in body_of(case):
        body_of(case)["code"] = client.start_device()["user_code"]
    if case.path == "/oauth/authorize":
        prepare_ask(client, case)


def prepare_confirm(client: EmulatorClient, case: schemathesis.Case) -> None:
    prepare_form(client, case)
    case.path_parameters["code"] = client.start_device()["user_code"]


def prepare_faults(client: EmulatorClient, case: schemathesis.Case) -> None:
    """Turn 5.0 into 5: a whole number for JSON Schema, but not for the emulator."""
    case.body = json.loads(json.dumps(case.body), parse_float=whole)


def whole(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def prepare_shown_code(client: EmulatorClient, case: schemathesis.Case) -> None:
    case.query["code"] = client.code(redirect_uri=OUT_OF_BAND)


PREPARE = {
    "token": prepare_token,
    "deviceToken": prepare_poll,
    "approve": prepare_user_code,
    "deny": prepare_user_code,
    "faults": prepare_faults,
    "settings": prepare_api,
    "me": prepare_api,
    "user": prepare_user,
    "lastActivities": prepare_api,
    "responses": prepare_responses,
    "userinfo": prepare_userinfo,
    "postUserinfo": prepare_userinfo,
    "authorize": prepare_ask,
    "decideAuthorization": prepare_form,
    "signIn": prepare_form,
    "signUp": prepare_form,
    "signOut": prepare_form,
    "activate": prepare_form,
    "confirmCode": prepare_confirm,
    "press": prepare_form,
    "showCode": prepare_shown_code,
}


def fill_in(client: EmulatorClient, case: schemathesis.Case) -> None:
    body = body_of(case)
    if case.media_type == "application/x-www-form-urlencoded":
        # A form has no null, and each field only once (RFC 6749 section 3.2).
        case.body = body = {key: value for key, value in body.items() if isinstance(value, str)}
    if "client_id" in body:
        body["client_id"] = "emulator"
    if body.get("client_secret"):
        body["client_secret"] = "emulator-secret"
    prepare = PREPARE.get(case.operation.definition.raw["operationId"])
    if prepare is not None:
        prepare(client, case)


# -- the contract ----------------------------------------------------------------------------------


def check_contract(case: schemathesis.Case, application: Application) -> None:
    """Send a case to a new emulator, and run every check of schemathesis on the response."""
    client = application.renew()
    if case.meta is not None and case.meta.generation.mode.is_positive:
        fill_in(client, case)
    answer = case.call(base_url=ORIGIN)
    excluded = []
    poll = case.path == "/oauth/device/token" and answer.status_code in {400, 429}
    if poll and not answer.content:
        # OpenAPI cannot describe this: pending has no body and no content type, other 400s do.
        assert "content-type" not in answer.headers
        excluded = [CHECKS.get_one("content_type_conformance")]
    case.validate_response(answer, excluded_checks=excluded)
    if case.path in OAUTH and answer.status_code >= 400 and answer.content:
        assert {"error", "error_description"} <= answer.json().keys()


@CURRENT.parametrize()
def test_contract(case: schemathesis.Case) -> None:
    check_contract(case, APPLICATIONS["current"])


@LEGACY.parametrize()
def test_contract_of_the_legacy_profile(case: schemathesis.Case) -> None:
    check_contract(case, APPLICATIONS["legacy"])


def test_every_check_is_on() -> None:
    load_all_checks()
    off = {"max_response_time"}  # benchmarks/emulator.py measures times
    checks = settings().projects.default.checks
    for name in CHECKS.get_all_names():
        if name not in off:
            assert checks.get_by_name(name=name).enabled, name


# These break the contract on purpose.
OUTSIDE = {"html_200", "json_200_without_token", "truncated_json"}
OTHERS = {"answer_lost", "reset", "unauthorized"}  # no response at all; the data API only
REQUESTS = {
    "/oauth/token": {"grant_type": "refresh_token", "refresh_token": "x"},
    "/oauth/revoke": {"token": "x"},
    "/oauth/device/code": {},
    "/oauth/device/token": {"code": "x"},
}


@pytest.mark.parametrize("path", OAUTH)
@pytest.mark.parametrize("fault", sorted(kinds().keys() - OUTSIDE - OTHERS))
def test_answers_of_faults_are_documented(fault: str, path: str) -> None:
    client = APPLICATIONS["current"].renew()
    client.emulator.arm(fault, endpoint=path, **({"seconds": 0} if fault == "slow" else {}))
    body = {"client_id": "emulator", **REQUESTS[path]}
    case = CURRENT[path]["POST"].Case(body=body, media_type="application/json")
    checks = [
        CHECKS.get_one(name)
        for name in (
            "status_code_conformance",
            "content_type_conformance",
            "response_headers_conformance",
            "response_schema_conformance",
        )
    ]
    case.call_and_validate(base_url=ORIGIN, checks=checks)
