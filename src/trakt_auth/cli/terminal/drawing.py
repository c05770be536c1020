"""What is drawn on a terminal: the code with its QR code, the countdown, coloured text.

The only file that imports rich, and itself imported only when something is drawn.
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

__all__ = ["paint", "show_device", "waiting"]

QR_CHARACTERS = "█▀▄"
OTHERS = 8  # lines beside the QR code: with it, a terminal of 80 columns and 24 lines is enough
ON_DARK = "bright_white on black"  # so that a light terminal does not invert the QR code


def show_device(code: str, uri: str) -> None:
    """Draw the code, the address, and a QR code of the address if there is room for it."""
    console = _console()
    lines = qr_lines(uri) if can_show(QR_CHARACTERS, console.encoding) else []
    # One column less: some terminals wrap when the last one is filled.
    fits = lines and len(lines[0]) < console.width and len(lines) + OTHERS <= console.height
    big = Panel(Text(code, style="bold"), padding=(0, 4), expand=False)
    parts: list[Text | Padding] = [
        Text.assemble("1. Open ", (uri, "bold cyan"), overflow="fold"),
        Text("2. Enter this code:"),
        Padding(big, (0, 0, 0, 3)),
    ]
    if fits:
        parts.append(Text("Or open the same address by scanning this with a phone:"))
        parts.append(Padding(Text("\n".join(lines), style=ON_DARK), (0, 0, 0, 3), expand=False))
    console.print(Group(*parts))


def can_show(text: str, encoding: str) -> bool:
    """Tell whether a stream of this encoding has all the characters of a text."""
    try:
        text.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


@contextmanager
def waiting(until: datetime) -> Generator[None, None, None]:
    """Count down to the moment at which the code expires, as long as the context lasts."""

    def left() -> Text:
        seconds = max(0, round((until - datetime.now(UTC)).total_seconds()))
        clock = f"{seconds // 60}:{seconds % 60:02}"
        return Text.assemble("Waiting for you ... ", (clock, "bold"), " left (Ctrl-C to stop)")

    with Live(
        console=_console(),
        get_renderable=left,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
    ):
        yield


def paint(text: str, style: str) -> str:
    """Return text with the terminal's codes for a style."""
    console = _console(stderr=False)
    with console.capture() as capture:
        console.print(text, style=style, end="", soft_wrap=True)
    return capture.get()


def _console(*, stderr: bool = True) -> Console:
    """Return a console that obeys NO_COLOR and reads no markup in the text."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
