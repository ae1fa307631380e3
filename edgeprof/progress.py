"""How stages tell of their progress. Whoever starts them shows it; the stages never print."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Receives what a stage does. All calls are cheap and may be ignored."""

    def start(self, stage: str, total: float) -> None:
        """A stage begins that has `total` units of work left (epochs, files, rounds)."""

    def expect(self, stage: str, left: float) -> None:
        """The stage turned out to have `left` units of work left."""

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        """`done` more units are finished; `detail` says what is being worked on."""

    def finish(self, stage: str) -> None:
        """The stage is over."""

    def note(self, text: str) -> None:
        """A line worth keeping: what is reused, what failed, what was taken up again."""

    def secret(self, prompt: str) -> str | None:
        """A password or passphrase, asked of a person; None where nobody can be asked. Never kept, shown or logged."""


class Silent:
    """Shows nothing: what the Python API does unless it is told otherwise."""

    def start(self, stage: str, total: float) -> None: ...

    def expect(self, stage: str, left: float) -> None: ...

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None: ...

    def finish(self, stage: str) -> None: ...

    def note(self, text: str) -> None: ...

    def secret(self, prompt: str) -> str | None:
        return None


class Lines:
    """Lines for logs and notebooks: of each stage at most one every few seconds, and its last.

    Args:
        write: takes a line without its end, for example `print`.
        secret: asks a person for a password or passphrase; None: nobody can be asked.
    """

    EVERY_S = 5.0

    def __init__(self, write: Callable[[str], object], secret: Callable[[str], str | None] | None = None) -> None:
        self._write = write
        self._secret = secret
        self._clocks: dict[str, Clock] = {}
        self._last: dict[str, float] = {}

    def start(self, stage: str, total: float) -> None:
        self._clocks[stage] = Clock(total)
        self._say(f"{stage}: {amount(total)} to do")

    def expect(self, stage: str, left: float) -> None:
        clock = self._clocks.get(stage)
        if clock is not None:
            clock.total = clock.done + left

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        clock = self._clocks.get(stage)
        if clock is None:
            return
        clock.done += done
        now = time.monotonic()
        if now - self._last.get(stage, 0.0) >= self.EVERY_S or clock.done >= clock.total:
            self._last[stage] = now
            left = clock.left()
            come = f"{amount(clock.done)}/{amount(clock.total)}" + (f", {left}" if left else "")
            self._say(f"{stage}: {come}  {detail}")

    def finish(self, stage: str) -> None:
        clock = self._clocks.pop(stage, None)
        if clock:
            self._say(f"{stage}: finished in {time.monotonic() - clock.began:.0f} s")

    def note(self, text: str) -> None:
        self._say(text)

    def secret(self, prompt: str) -> str | None:
        return None if self._secret is None else self._secret(prompt)

    def _say(self, text: str) -> None:
        # A device's or a file's words in it cannot steer the terminal.
        self._write("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text))


PACE_S = 1.0
"""Before that a pace says nothing: the first of what is sent only goes into buffers."""


class Clock:
    """Time left of a stage, from the pace so far."""

    def __init__(self, total: float) -> None:
        self.total = total
        self.done = 0.0
        self.began = time.monotonic()

    def left(self) -> str:
        """In words; "" where nothing can be said of it."""
        taken = time.monotonic() - self.began
        if not 0 < self.done < self.total or taken < PACE_S:
            return ""
        seconds = taken / self.done * (self.total - self.done)
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"


def amount(value: float) -> str:
    """Never in powers of ten, of images there may be very many; of parts (of megabytes) no more than tenths."""
    return f"{value:.1f}".removesuffix(".0")


class Named:
    """The same for one of several devices at work at once: its stages and notes carry its name."""

    def __init__(self, inner: Progress, name: str) -> None:
        self._inner = inner
        self._name = name

    def start(self, stage: str, total: float) -> None:
        self._inner.start(f"{self._name}: {stage}", total)

    def expect(self, stage: str, left: float) -> None:
        self._inner.expect(f"{self._name}: {stage}", left)

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self._inner.advance(f"{self._name}: {stage}", done, detail)

    def finish(self, stage: str) -> None:
        self._inner.finish(f"{self._name}: {stage}")

    def note(self, text: str) -> None:
        self._inner.note(f"{self._name}: {text}")

    def secret(self, prompt: str) -> str | None:
        return self._inner.secret(prompt)
