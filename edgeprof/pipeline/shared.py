"""What a board of a fleet sees of its connection and its progress."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol

from edgeprof.errors import DeviceBusyError
from edgeprof.progress import Named, Progress
from edgeprof.target import AgentChannel, Connection, NoRuntime

POLL_S = 3.0
"""Between two tries to have a board on which somebody else measures."""
FREED_S = 120.0
"""How long a board of ours that ended without a link may still hold the machine: until its lease has run out."""


class Member(Protocol):
    """Another board of the fleet."""

    ended_at: float | None


class Fleet(Protocol):
    """What the boards have in common, see `Boards`."""

    @property
    def progress(self) -> Progress: ...
    def check(self) -> None: ...
    def secret(self, prompt: str) -> str | None: ...
    def pause(self, seconds: float, over: Callable[[], bool] = ...) -> None: ...
    def holding(self, session: str | None, but: str) -> Member | None: ...


class Shared:
    """The connection of a board that waits for another of the fleet which turns out to be the same machine."""

    def __init__(self, inner: Connection, name: str, fleet: Fleet, sessions: set[str], progress: Progress) -> None:
        self.agent_sha = inner.agent_sha
        self.sites = inner.sites
        self._inner = inner
        self._name = name
        self._fleet = fleet
        self._sessions = sessions
        self._progress = progress

    def hold(self, what: str, session: str, wait_s: float = 0.0) -> None:
        """See `Connection.hold`."""
        session = session or f"host-{secrets.token_hex(6)}"  # a name to be known by
        self._sessions.add(session)
        deadline = time.monotonic() + wait_s
        told = False
        while True:
            try:
                self._inner.hold(what, session)
                return
            except DeviceBusyError as error:
                other = self._fleet.holding(error.session, self._name)
                measuring = other is not None and other.ended_at is None
                freed_soon = other is not None and time.monotonic() - (other.ended_at or 0.0) < FREED_S
                if not measuring and not freed_soon and time.monotonic() >= deadline:
                    raise
                if not told:
                    told = True
                    self._progress.note(f"{error.what}; waiting for it")
            if other is not None and measuring:
                self._await(other)  # without asking again and again, which would disturb it
            else:
                self._fleet.pause(POLL_S)

    def _await(self, other: Member) -> None:
        self._fleet.pause(FREED_S, lambda: other.ended_at is not None)

    def provide(self, formats: Collection[str], *, bring: bool = True) -> dict[str, NoRuntime]:
        """See `Connection.provide`."""
        missing = self._inner.provide(formats, bring=bring)
        self.sites = self._inner.sites
        return missing

    def push(self, files: Mapping[str, Path]) -> dict[str, str]:
        """See `Connection.push`."""
        return self._inner.push(files)

    def forget(self, shas: Collection[str]) -> None:
        """See `Connection.forget`."""
        self._inner.forget(shas)

    def start_agent(self) -> AgentChannel:
        """See `Connection.start_agent`."""
        return self._inner.start_agent()

    def open_session(self, name: str) -> AgentChannel:
        """See `Connection.open_session`."""
        return self._inner.open_session(name)

    def interrupt(self) -> None:
        """See `Connection.interrupt`."""
        self._inner.interrupt()

    def close(self) -> None:
        """See `Connection.close`."""
        self._inner.close()

    def __enter__(self) -> Shared:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Line(Named):
    """A board's progress: it carries the board's name, and ends the board's thread when all is to end."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        super().__init__(fleet.progress, name)
        self._fleet = fleet

    def start(self, stage: str, total: float) -> None:
        self._fleet.check()
        super().start(stage, total)

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self._fleet.check()
        super().advance(stage, done, detail)

    def note(self, text: str) -> None:
        self._fleet.check()
        # A connection's own notes begin with the name already.
        super().note(text.removeprefix(f"{self._name}: "))

    def secret(self, prompt: str) -> str | None:
        return self._fleet.secret(prompt)


class InTurn:
    """The same progress for several threads, one after the other."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def start(self, stage: str, total: float) -> None:
        with self._lock:
            self._inner.start(stage, total)

    def expect(self, stage: str, left: float) -> None:
        with self._lock:
            self._inner.expect(stage, left)

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        with self._lock:
            self._inner.advance(stage, done, detail)

    def finish(self, stage: str) -> None:
        with self._lock:
            self._inner.finish(stage)

    def note(self, text: str) -> None:
        with self._lock:
            self._inner.note(text)

    def secret(self, prompt: str) -> str | None:
        with self._lock:
            return self._inner.secret(prompt)
