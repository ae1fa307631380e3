"""Waiting for what comes about on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONGEST_S = 100.0


def pause(seconds: float) -> None:
    """Until a moment that is chance's, and no event's."""
    time.sleep(seconds)


def awaited(get: Callable[[], T | None], missing: str | Callable[[], str]) -> T:
    """What `get` gives as soon as it gives something that is true.

    Args:
        missing: what to say when it never does.
    """
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        value = get()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(missing if isinstance(missing, str) else missing())
