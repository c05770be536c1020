"""What a program passes by mistake gets an error that shows the right form, and sends nothing."""

import asyncio
from math import inf, nan
from pathlib import Path

import pytest

from trakt_auth import Application, AsyncClient, Client, Endpoints, UsageError, open_store

APP = Application("an-id", user_agent="tests/1")
CLIENTS = pytest.mark.parametrize("kind", [Client, AsyncClient])


@CLIENTS
@pytest.mark.parametrize("value", ["id", b"id", None, {"client_id": "id"}, 5, Application])
def test_an_application_that_is_none(kind, value):
    with pytest.raises(UsageError, match=r"^application is .*, not an Application") as caught:
        kind(value)
    assert 'Application("your-client-id"' in caught.value.hint


@CLIENTS
@pytest.mark.parametrize("value", ["http://127.0.0.1:8080", 5, Endpoints, APP])
def test_endpoints_that_are_none(kind, value):
    with pytest.raises(UsageError, match=r"^endpoints is .*, not an Endpoints") as caught:
        kind(APP, endpoints=value)
    assert "Endpoints.at(" in caught.value.hint


@CLIENTS
@pytest.mark.parametrize("name", ["store", "fallback"])
@pytest.mark.parametrize("value", [5, {}, b"memory:", open_store, type(open_store("memory:"))])
def test_a_store_that_is_none(kind, name, value):
    with pytest.raises(UsageError, match=rf"^{name} is .*, not a store") as caught:
        kind(APP, **{name: value})
    assert f'{name}="file:tokens.json"' in caught.value.hint


def test_a_path_does_not_say_which_store_it_is():
    with pytest.raises(UsageError) as caught:
        Client(APP, store=Path("tokens.json"))
    assert 'store=f"file:{path}"' in caught.value.hint
    with pytest.raises(UsageError) as caught:
        Client(APP, store="tokens.json")
    assert "For a file: file:tokens.json" in caught.value.hint


@pytest.mark.parametrize("value", ["5", None, 0, -1, nan, inf, True, []])
def test_a_timeout_that_is_no_number_of_seconds(value):
    with pytest.raises(UsageError, match="timeout is not a number of seconds above 0"):
        Client(APP, timeout=value)


@pytest.mark.parametrize("fields", [{"client_id": 5}, {"user_agent": None}, {"redirect_uri": 5}])
def test_fields_of_an_application_that_are_not_text(fields):
    (name,) = fields
    with pytest.raises(UsageError, match=rf"^{name} is of type .*, not text"):
        Application(**({"client_id": "id", "user_agent": "x/1"} | fields))


CALLS = [
    ("exchange_code", (None, "x")),
    ("poll_device", ("the-device-code",)),
    ("wait_for_device", ({"device_code": "x"},)),
    ("adopt", ("an-access-token",)),
]


@pytest.mark.parametrize(("method", "arguments"), CALLS)
def test_arguments_of_calls(method, arguments):
    with Client(APP) as client, pytest.raises(UsageError, match=r" is .*, not an? ") as caught:
        getattr(client, method)(*arguments)
    assert caught.value.hint.startswith("Pass ")
    assert "the-device-code" not in f"{caught.value} {caught.value.hint}"

    async def call():
        async with AsyncClient(APP) as client:
            await getattr(client, method)(*arguments)

    with pytest.raises(UsageError, match=r" is .*, not an? "):
        asyncio.run(call())


def test_a_callback_that_is_not_text():
    app = Application("an-id", user_agent="tests/1", redirect_uri="http://127.0.0.1:8765/callback")
    with Client(app) as client, pytest.raises(UsageError, match="callback is None, not text"):
        client.exchange_code(client.authorization_request(), None)


@pytest.mark.parametrize("account", [5, None, b"default"])
def test_the_name_of_an_account_that_is_not_text(account):
    with Client(APP) as client, pytest.raises(UsageError, match=r"is .*, not text"):
        client.token(account=account)
