"""Calls into a store whose author we do not know: only errors of our own tree come out.

No engine is known here, and nothing is retried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from trakt_auth.errors import StoreUnavailable, TraktAuthError

__all__ = ["guard_store_errors"]

T = TypeVar("T")
P = ParamSpec("P")


def guard_store_errors(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a method of a store; an exception that no store may raise becomes StoreUnavailable.

    Raises: StoreError.
    """
    try:
        return call(*args, **kwargs)
    except TraktAuthError:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a library in Rust is no Exception
        # Not chained: the message of the original can quote the payload, which holds tokens.
        raise StoreUnavailable(f"The store failed with {type(error).__name__}") from None
