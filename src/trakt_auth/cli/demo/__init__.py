"""`trakt-auth demo`: everything that the library does, in a few seconds, each fact measured.

Plays the scenes on the stage and shows how each went; decides nothing about logins.
Only `commands` imports this package.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from trakt_auth.cli.commands.emulator_extra import require_emulator
from trakt_auth.cli.terminal.output import DONE, FAILED, clean, coloured, delivered, say

__all__ = ["demo"]


def demo() -> int:
    """Play all scenes; return 1 as soon as one does not do what it says."""
    require_emulator()
    from trakt_auth.cli.demo.scenes import SCENES
    from trakt_auth.cli.demo.stage import open_stage

    started = time.monotonic()
    with open_stage() as stage:
        say(f"A Trakt of your own runs at {stage.url}. Its clock moves; nobody waits.\n")
        for title, scene in SCENES:
            if not _play(title, partial(scene, stage)):
                return FAILED
    say(f"\nAll of it took {time.monotonic() - started:.1f} seconds, and nothing is left behind.")
    return DONE


def _play(title: str, scene: Callable[[], str]) -> bool:
    begun = time.monotonic()
    try:
        fact, good = scene(), True
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the audience is told
        fact, good = f"{type(error).__name__}: {error}", False
    milliseconds = (time.monotonic() - begun) * 1000
    written = delivered(_line(title, clean(fact), milliseconds, good=good))
    return good and written == DONE


def _line(title: str, fact: str, milliseconds: float, *, good: bool) -> str:
    mark = _mark(good=good)
    title, time_ = f"{title:<27}", f"{milliseconds:4.0f} ms"
    if coloured(sys.stdout):
        from trakt_auth.cli.terminal.drawing import paint

        mark = paint(mark, "bold green" if good else "bold red")
        title, time_ = paint(title, "bold"), paint(time_, "dim")
    return f"{mark} {title} {time_}  {fact}\n"


def _mark(*, good: bool) -> str:
    mark = "✓" if good else "✗"
    try:
        mark.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "ok" if good else "FAILED"
    return mark
