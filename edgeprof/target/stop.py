"""Telling a connection, from another thread, that all is to end."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import Protocol


class Readable(Protocol):
    """What select can wait for."""

    def fileno(self) -> int: ...


class Stop:
    """Once set, everything that waits beside it raises KeyboardInterrupt in its own thread; until it is off."""

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe()
        self._off = False

    def __del__(self) -> None:
        os.close(self._reads)
        os.close(self._writes)

    def fileno(self) -> int:
        """Readable when it is set, for select."""
        return self._reads

    def set(self) -> None:
        """Have all that waits end. May be called from any thread, and twice."""
        os.write(self._writes, b"\n")

    def off(self) -> None:
        """From now on waiting is as ever: what is to be put in order at the end needs it."""
        self._off = True

    def check(self) -> None:
        """Raise if it is set.

        Raises:
            KeyboardInterrupt: it is.
        """
        self.wait([], 0.0)

    def wait(self, others: Sequence[Readable], seconds: float) -> bool:
        """Wait for one of the others to become readable; whether one did.

        Raises:
            KeyboardInterrupt: it is set.
        """
        watched: list[Readable] = [*others] if self._off else [*others, self]
        ready = select.select(watched, [], [], max(0.0, seconds))[0]
        if self in ready:
            raise KeyboardInterrupt
        return bool(ready)
