"""`trakt-auth doctor`: runs the checks and prints a line for each as soon as it is known.

What is checked is in the other files of this folder.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from trakt_auth.cli.doctor.check import Check, Mark, exit_status, from_error
from trakt_auth.cli.doctor.configuration import check_configuration
from trakt_auth.cli.doctor.login import check_logins, usable_token
from trakt_auth.cli.doctor.store import check_store
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import clean, is_terminal, uses_colour, write_result
from trakt_auth.errors import StoreError, UsageError
from trakt_auth.protocol.application import Endpoints
from trakt_auth.stores.record import AccountKey

__all__ = ["doctor"]

COLUMN = 16  # characters for the name of a check; a longer one moves its line to the right
MARKS = {Mark.OK: ("✓", "green"), Mark.WARN: ("!", "yellow"), Mark.FAIL: ("✗", "bold red")}
NARROWEST, WIDEST = 36, 100  # characters of a terminal's lines


def doctor(settings: Settings, *, as_json: bool, offline: bool) -> int:
    """Check everything; return the exit status."""
    done: list[Check] = []
    for check in _checks(settings, offline=offline):
        done.append(check)
        if not as_json and write_result(_line(check), painted=True):
            return 1
    status = exit_status(done)
    if as_json:
        return write_result(json.dumps(_report(done, status), indent=2) + "\n") or status
    return write_result(f"\n{_summary(done)}\n") or status


def _checks(settings: Settings, *, offline: bool) -> Iterator[Check]:
    yield from check_configuration(settings)
    try:
        application, endpoints = settings.application(), settings.endpoints() or Endpoints()
        owner = settings.owner()
    except UsageError:  # reported above
        return
    readable = True
    for check in check_store(settings, owner):
        readable = readable and not (check.name == "store" and check.mark is Mark.FAIL)
        yield check
    now, access_token = datetime.now(UTC), None
    if readable:
        store = settings.open_store()
        try:
            access_token = usable_token(store, AccountKey(owner, settings.account_name), now)
            yield from check_logins(settings, store, owner, now)
        except StoreError as error:
            yield from_error("store", error)
        finally:
            store.close()
    if not offline:
        from trakt_auth.cli.doctor.network import check_network

        yield from check_network(
            application, endpoints, account=settings.account_name, access_token=access_token
        )


def _report(done: list[Check], status: int) -> dict[str, object]:
    return {
        "status": status,
        "checks": [
            {
                "check": check.name,
                "mark": check.mark.value,
                "said": clean(check.said),
                "advice": clean(check.advice) or None,
            }
            for check in done
        ],
    }


def _summary(done: list[Check]) -> str:
    marks = Counter(check.mark for check in done)
    found = [
        f"{marks[mark]} {word}{'s' if marks[mark] > 1 else ''}"
        for mark, word in ((Mark.FAIL, "error"), (Mark.WARN, "warning"))
        if marks[mark]
    ]
    return f"{', '.join(found)}." if found else "Everything is in order."


def _line(check: Check) -> str:
    """Write a check as one line; on a terminal, wrap it beside its name."""
    name = clean(check.name)
    text = clean(f"{check.said} {check.advice}")
    if not is_terminal(sys.stdout):
        return f"{check.mark.value:<5} {name:<{COLUMN}} {text}\n"
    mark, style = MARKS[check.mark]
    arrow = "→ "
    if "utf" not in (sys.stdout.encoding or "").lower():
        mark, arrow = check.mark.value, ""
    width = max(NARROWEST, min(shutil.get_terminal_size().columns - 1, WIDEST))
    indent = " " * (len(mark) + COLUMN + 2)
    lines = [_wrapped(check.said, f"{mark} {name:<{COLUMN}} ", indent, width)]
    if check.advice:
        lines.append(_wrapped(arrow + check.advice, indent, indent, width))
    text = "\n".join(lines) + "\n"
    if not uses_colour(sys.stdout):
        return text
    from trakt_auth.cli.terminal.drawing import paint

    return paint(mark, style) + text.removeprefix(mark)


def _wrapped(text: str, first: str, others: str, width: int) -> str:
    return textwrap.fill(
        clean(text), width, initial_indent=first, subsequent_indent=others,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
