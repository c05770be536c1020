"""What a fork calls: for which objects, when, and one fork at a time."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from trakt_auth.stores.engines import forks
from trakt_auth.stores.engines.forks import on_fork


class Owner:
    """Remembers what it was called for."""

    def __init__(self) -> None:
        self.called: list[str] = []
        on_fork(
            self,
            before=Owner.note("before"),
            after_in_parent=Owner.note("after_in_parent"),
            after_in_child=Owner.note("after_in_child"),
        )

    @staticmethod
    def note(word: str) -> Callable[[Owner], None]:
        return lambda owner: owner.called.append(word)


def test_a_fork_calls_what_was_registered() -> None:
    owner = Owner()
    child = os.fork()
    if not child:
        os._exit(0 if owner.called == ["before", "after_in_child"] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert owner.called == ["before", "after_in_parent"]


@pytest.mark.parametrize("hook", ["before", "after_in_parent", "after_in_child"])
def test_one_function_is_enough(hook: str) -> None:
    called: list[object] = []
    owner = Owner()
    on_fork(owner, **{hook: called.append})
    forks._run_before()
    forks._run_in_parent()
    forks._run_before()
    forks._run_in_child()
    assert called == [owner] * (2 if hook == "before" else 1)


def test_registering_does_not_keep_an_object_alive() -> None:
    owner = Owner()
    called, reference = owner.called, weakref.ref(owner)
    registered = len(forks._after_in_child._functions)
    del owner
    gc.collect()
    assert reference() is None
    assert len(forks._after_in_child._functions) < registered
    forks._run_before()
    forks._run_in_child()
    assert called == []


def test_a_function_that_raises_stops_no_other() -> None:
    calls, called, owners = forks._Calls(), [], [Owner() for _ in range(3)]

    def fail(_: Owner) -> None:
        raise LookupError

    for owner, function in zip(owners, (called.append, fail, called.append), strict=True):
        calls.add(owner, function)
    with pytest.raises(LookupError):
        calls.run()
    assert set(called) == {owners[0], owners[2]}


def test_other_threads_may_register_objects_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, owners = forks._Calls(), [Owner() for _ in range(3)]

    class Interrupted(ExitStack):
        def callback(self, *call: Any) -> Any:
            owners.append(Owner())
            calls.add(owners[-1], owners.remove)
            return super().callback(*call)

    monkeypatch.setattr(forks, "ExitStack", Interrupted)
    called: list[Owner] = []
    for owner in owners:
        calls.add(owner, called.append)
    calls.run()
    assert set(called) == set(owners[:3])
    assert len(owners) == 6


def test_one_fork_at_a_time() -> None:
    for end in (forks._run_in_parent, forks._run_in_child):
        forks._run_before()
        assert not forks._one_fork.acquire(blocking=False)  # another thread's fork would wait
        end()
        assert forks._one_fork.acquire(blocking=False)
        forks._one_fork.release()
