"""What users hold: `Client` and `AsyncClient`, and what both share.

No order of steps lives here; each method runs one flow. The names are imported at their first use.
"""

from importlib import import_module

TYPE_CHECKING = False  # importing `typing` would double the time of `import trakt_auth`
if TYPE_CHECKING:
    from trakt_auth.client.asynchronous import AsyncClient
    from trakt_auth.client.sync import Client

__all__ = ["AsyncClient", "Client"]

_HOMES = {"AsyncClient": "asynchronous", "Client": "sync"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
