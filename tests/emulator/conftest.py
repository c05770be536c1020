from __future__ import annotations

import pytest
from emulator_desk import Browser, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def browser(desk: Desk) -> Browser:
    return Browser(desk)
