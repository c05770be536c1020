"""`trakt-auth demo`: what the library does, in a few seconds, each fact measured.

Runs the scenes one after the other and prints how each ended. The scenes are in `scenes`, and what
they need is set up in `stage`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from trakt_auth.cli.commands.emulator_extra import require_emulator
from trakt_auth.cli.terminal.output import DONE, FAILED, clean, say, uses_colour, write_result

__all__ = ["demo"]


def demo() -> int:
    """Run all scenes; return 1 as soon as one fails."""
    require_emulator()
    from trakt_auth.cli.demo.scenes import SCENES
    from trakt_auth.cli.demo.stage import open_stage

    started = time.monotonic()
    with open_stage() as stage:
        say(f"A local Trakt emulator runs at {stage.url}.")
        say("Its clock is moved ahead, so nothing has to wait.\n")
        for title, scene in SCENES:
            if not _run(title, partial(scene, stage)):
                return FAILED
    say(f"\nThis took {time.monotonic() - started:.1f} seconds. All files were removed again.")
    return DONE


def _run(title: str, scene: Callable[[], str]) -> bool:
    begun = time.monotonic()
    try:
        fact, good = scene(), True
    except Exception as error:  # noqa: BLE001 - any failure is printed
        fact, good = f"{type(error).__name__}: {error}", False
    milliseconds = (time.monotonic() - begun) * 1000
    written = write_result(_line(title, clean(fact), milliseconds, good=good), painted=True)
    return good and written == DONE


def _line(title: str, fact: str, milliseconds: float, *, good: bool) -> str:
    mark = _mark(good=good)
    title, time_ = f"{title:<27}", f"{milliseconds:4.0f} ms"
    if uses_colour(sys.stdout):
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
