"""A test case for unittest, in which each test has an emulated Trakt of its own.

Sets it up and tears it down, and nothing else; pytest is not imported.
"""

from __future__ import annotations

import unittest
from typing import Any, ClassVar

from trakt_auth.testing.trakt import EmulatedTrakt

__all__ = ["TraktTestCase"]


class TraktTestCase(unittest.TestCase):
    """Gives each test `self.trakt`, an `EmulatedTrakt` with the settings in `trakt_settings`.

    For coroutine tests: `class MyTest(TraktTestCase, unittest.IsolatedAsyncioTestCase)`.
    If a subclass has a `setUp`, it calls `super().setUp()` first.
    """

    trakt_settings: ClassVar[dict[str, Any]] = {}
    trakt: EmulatedTrakt

    def setUp(self) -> None:
        """Create the emulated Trakt; it is closed after the test and its clean-ups."""
        super().setUp()
        self.trakt = self.enterContext(EmulatedTrakt(**self.trakt_settings))
