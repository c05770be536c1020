"""A QR code as lines of text, two modules to a character; the only file that imports segno.

Draws what it is given and knows nothing of terminals.
"""

from __future__ import annotations

import segno

__all__ = ["qr_lines"]

QUIET = 2  # modules around the code: fewer than the standard's four, and every phone reads it
# Light modules are drawn, dark ones left out: most terminals are dark.
BLOCKS = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}


def qr_lines(text: str) -> list[str]:
    """Return the lines of a QR code that holds the text as it is; none when it is too long."""
    try:
        code = segno.make_qr(text, error="l")
    except segno.DataOverflowError:
        return []
    rows = [list(row) for row in code.matrix_iter(border=QUIET)]
    rows.append([0] * len(rows[0]))  # the number of rows is always odd
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(BLOCKS[bool(a), bool(b)] for a, b in zip(*pair, strict=True)) for pair in pairs]
