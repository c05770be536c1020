"""What is drawn on a terminal: the code with its QR code, the countdown, coloured JSON.

And the only file that imports rich; imported only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from trakt_auth.cli.terminal.qr import qr_lines

__all__ = ["console", "paint", "show_device", "waiting"]

ON_DARK = "bright_white on black"  # the right way round on light terminals as well


def console(*, stderr: bool = True) -> Console:
    """Return a console that obeys NO_COLOR and guesses nothing from the text."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def show_device(code: str, uri: str) -> None:
    """Draw the code, the address, and the address as a QR code where there is room for it."""
    screen = console()
    lines = qr_lines(uri)
    # One column less: some terminals wrap when the last one is filled.
    fits = lines and len(lines[0]) < screen.width and len(lines) + 10 <= screen.height
    big = Panel(Text(code, style="bold"), padding=(1, 4), expand=False)
    parts: list[Text | Padding] = [
        Text.assemble("1. Open ", (uri, "bold cyan"), overflow="fold"),
        Text(f"2. Enter {'this code' if len(code) > 1 else code}:"),
        Padding(big, (0, 0, 0, 3)),
    ]
    if fits:
        parts.append(Text("The same address for a phone's camera:"))
        parts.append(Padding(Text("\n".join(lines), style=ON_DARK), (0, 0, 0, 3), expand=False))
    screen.print(Group(*parts))


@contextmanager
def waiting(until: datetime) -> Generator[None, None, None]:
    """Count down to the code's end for as long as the context lasts."""

    def left() -> Text:
        seconds = max(0, round((until - datetime.now(UTC)).total_seconds()))
        clock = f"{seconds // 60}:{seconds % 60:02}"
        return Text.assemble("Waiting for you ... ", (clock, "bold"), " left (Ctrl-C to stop)")

    with Live(
        console=console(),
        get_renderable=left,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
    ):
        yield


def paint(text: str, style: str, *, stderr: bool = False) -> str:
    """Return text with the terminal's codes for a style."""
    screen = console(stderr=stderr)
    with screen.capture() as capture:
        screen.print(text, style=style, end="", soft_wrap=True)
    return capture.get()
