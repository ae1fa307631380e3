"""The testbed tests itself by its own fixtures."""

from __future__ import annotations

import pytest
from testbed.fixtures import board  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    """The marker of tests that `board` is asked for in."""
    config.addinivalue_line("markers", "board: needs root, for boards in name spaces; see tests/testbed/rootless.sh")
