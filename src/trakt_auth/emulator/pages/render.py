"""Jinja2: a template and its variables become HTML. Nothing else.

The only file that imports jinja2; every value is escaped.
`pages.
"""

from __future__ import annotations

from pathlib import Path

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
except ImportError as error:  # pragma: no cover - the tests have the extra
    raise ImportError(
        "the emulator's pages need jinja2: pip install 'trakt-auth[emulator]'"
    ) from error

__all__ = ["render"]

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, values: dict[str, object]) -> str:
    """Fill a template."""
    return _TEMPLATES.get_template(template).render(values)
