"""For unittest: a test case with a Trakt of its own.

Nothing but setting up and tearing down.testing`.
"""

from __future__ import annotations

import unittest
from typing import Any, ClassVar

from trakt_auth.testing.trakt import EmulatedTrakt

__all__ = ["TraktTestCase"]


class TraktTestCase(unittest.TestCase):
    """Gives each test `self.trakt`, an `EmulatedTrakt` made with the class's `trakt_settings`.

    For coroutine tests: `class MyTest(TraktTestCase, unittest.IsolatedAsyncioTestCase)`.
    A `setUp` of one's own begins with `super().setUp()`.
    """

    trakt_settings: ClassVar[dict[str, Any]] = {}
    trakt: EmulatedTrakt

    def setUp(self) -> None:
        """Make the emulated Trakt; it is closed after the test and its clean-ups."""
        super().setUp()
        self.trakt = self.enterContext(EmulatedTrakt(**self.trakt_settings))
