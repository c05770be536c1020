"""Checks of what a program passes to a client, each with an error that shows the right form.

A wrong type would else be noticed much later, by an error that speaks of the library's inside. No
value is shown, since it may be a secret. Nothing is opened or sent here.
"""

from __future__ import annotations

from math import inf
from typing import TypeVar

from trakt_auth.errors import UsageError
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.authorization import AuthorizationRequest, DeviceAuthorization
from trakt_auth.protocol.token import Token

__all__ = ["expect", "expect_seconds", "expect_store", "validate_account"]

T = TypeVar("T")

LONGEST_NAME = 500  # characters; what PostgreSQL can index

FORMS: dict[type, str] = {
    Application: 'Application("your-client-id", user_agent="your-app/1.0")',
    AuthorizationRequest: "what authorization_request() returned",
    DeviceAuthorization: "what start_device() returned",
    Endpoints: 'Endpoints(), or Endpoints.at("http://127.0.0.1:8080") for an emulator',
    Token: "a Token, for instance Token.from_json(...)",
    str: "the address that the browser was sent to",
}


def expect(name: str, value: T, kind: type[T]) -> T:
    """Return an argument that has the right type.

    Raises: UsageError.
    """
    if not isinstance(value, kind):
        raise UsageError(
            f"{name} is {_described(value)}, not {_named(kind)}", hint=f"Pass {FORMS[kind]}."
        )
    return value


def expect_seconds(name: str, value: object) -> float:
    """Return a finite number of seconds above 0.

    Raises: UsageError.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf:
        return value
    raise UsageError(f"{name} is not a number of seconds above 0", hint="Pass 20.0, say.")


def expect_store(name: str, value: T) -> T:
    """Return what has the methods of a TokenStore.

    Raises: UsageError.
    """
    methods = ("load", "save", "delete", "lock")
    if not isinstance(value, type) and all(callable(getattr(value, one, None)) for one in methods):
        return value
    form = f'Pass a URL, for instance {name}="file:tokens.json", or what open_store() returned.'
    if hasattr(value, "__fspath__"):
        form = f'Say which store it is: {name}=f"file:{{path}}" or {name}=f"sqlite:{{path}}".'
    raise UsageError(f"{name} is {_described(value)}, not a store", hint=form)


def validate_account(account: str) -> str:
    """Return the name of an account, or refuse one that not every store can keep.

    Raises: UsageError.
    """
    if not isinstance(account, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(
            f"The name of an account is {_described(account)}, not text",
            hint='Pass text: str(...) of a number, for instance. The usual name is "default".',
        )
    if not account:
        raise UsageError("The name of an account is empty", hint='The usual one is "default".')
    if len(account) > LONGEST_NAME:
        raise UsageError(
            f"The name of an account has {len(account)} characters, more than {LONGEST_NAME}",
            hint="Name it by a number or a digest of your own.",
        )
    return account


def _named(kind: type) -> str:
    if kind is str:
        return "text"
    return f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"


def _described(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"of type {type(value).__name__}"
