"""Modules that are imported at their first use.

The front desk imports quickly because it names the flows without loading them.
"""

from __future__ import annotations

from importlib import import_module

__all__ = ["Late"]


class Late:
    """Stands for a module until the first of its names is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> object:
        """Import the module, and keep the name so that this happens once for each."""
        value: object = getattr(import_module(self._name), name)
        setattr(self, name, value)
        return value
