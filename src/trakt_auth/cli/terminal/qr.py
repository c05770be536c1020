"""A QR code as lines of text, two modules to a character; the only file that imports segno.

Turns text into lines; whether they fit on the terminal is decided where they are drawn.
"""

from __future__ import annotations

import segno

__all__ = ["qr_lines"]

BORDER = 2  # modules; the standard asks for four, but phones read a code with two as well
# Light modules are drawn and dark ones are left out, because most terminals are dark.
BLOCKS = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}


def qr_lines(text: str) -> list[str]:
    """Return the lines of a QR code that holds the text; an empty list if the text is too long."""
    try:
        code = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        return []
    rows = [list(row) for row in code.matrix_iter(border=BORDER)]
    rows.append([0] * len(rows[0]))  # the number of rows is always odd
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(BLOCKS[bool(a), bool(b)] for a, b in zip(*pair, strict=True)) for pair in pairs]
