"""What holds for all of these tests."""

from __future__ import annotations

import pytest

from ctxplug.plugins import installed


@pytest.fixture(scope="session", autouse=True)
def _plugins_of_the_process() -> None:
    """Load the plugins before a test of the command line can name none: all tests share them."""
    installed()
