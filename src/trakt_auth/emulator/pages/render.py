"""Renders templates to HTML with Jinja2, for the pages and the dashboard.

The only file that imports jinja2; every value is escaped. No page is chosen here.
"""

from __future__ import annotations

from pathlib import Path

try:
    from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
except ImportError as _error:  # pragma: no cover - the tests have the extra
    raise ImportError(
        "the emulator's pages need jinja2: pip install 'trakt-auth[emulator]'"
    ) from _error

__all__ = ["render"]

_EMULATOR = Path(__file__).parents[1]
_TEMPLATES = Environment(
    loader=PrefixLoader(
        {
            folder: FileSystemLoader(_EMULATOR / folder / "templates")
            for folder in ("pages", "dashboard")
        }
    ),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, values: dict[str, object]) -> str:
    """Render `FOLDER/NAME.html`, which is `templates/NAME.html` in that folder of the emulator."""
    return _TEMPLATES.get_template(template).render(values)
