"""What objects do when this process forks: the only place that calls `os.register_at_fork`.

No store and no engine is known here. A registered object is referenced weakly, so it can be
collected as if it had not been registered.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar
from weakref import ref

__all__ = ["on_fork"]

T = TypeVar("T")


def on_fork(
    owner: T,
    *,
    before: Callable[[T], object] | None = None,
    after_in_parent: Callable[[T], object] | None = None,
    after_in_child: Callable[[T], object] | None = None,
) -> None:
    """Call functions with `owner` whenever this process forks, for as long as `owner` lives.

    They run when those of `os.register_at_fork` run: after a fork, the child has no thread but the
    one that forked. The functions of several objects run in no particular order.
    """
    for calls, function in (
        (_before, before),
        (_after_in_parent, after_in_parent),
        (_after_in_child, after_in_child),
    ):
        if function is not None:
            calls.add(owner, function)


class _Calls:
    """Functions, and the objects that they are to be called with."""

    def __init__(self) -> None:
        self._functions: dict[ref[Any], Callable[[Any], object]] = {}

    def add(self, owner: T, function: Callable[[T], object]) -> None:
        self._functions[ref(owner, self._discard)] = function

    def run(self) -> None:
        with ExitStack() as calls:  # it calls every function, even after one has raised
            # A copy: other threads create and drop objects meanwhile.
            for reference, function in self._functions.copy().items():
                owner = reference()
                if owner is not None:
                    calls.callback(function, owner)

    def _discard(self, reference: ref[Any]) -> None:
        self._functions.pop(reference, None)


_before, _after_in_parent, _after_in_child = _Calls(), _Calls(), _Calls()
# Otherwise two threads that fork at the same moment would call them for one object together.
_one_fork = threading.Lock()


def _run_before() -> None:
    _one_fork.acquire()
    _before.run()


def _run_in_parent() -> None:
    try:
        _after_in_parent.run()
    finally:
        _one_fork.release()


def _run_in_child() -> None:
    try:
        _after_in_child.run()
    finally:
        _one_fork.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(
        before=_run_before, after_in_parent=_run_in_parent, after_in_child=_run_in_child
    )
