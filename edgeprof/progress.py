"""How stages tell of their progress. The cli shows it; the stages never print."""

from __future__ import annotations

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
    """Shows nothing: for the Python API and for tests."""

    def start(self, stage: str, total: float) -> None: ...

    def expect(self, stage: str, left: float) -> None: ...

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None: ...

    def finish(self, stage: str) -> None: ...

    def note(self, text: str) -> None: ...

    def secret(self, prompt: str) -> str | None:
        return None


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
