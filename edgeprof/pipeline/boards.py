"""Several boards at work at once, a thread for each, with their own store and connection; all of them end together."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from edgeprof import target
from edgeprof.errors import DeviceBusyError, DeviceError, EdgeprofError
from edgeprof.pipeline.board_lines import InTurn, Line
from edgeprof.progress import Progress
from edgeprof.records import Device, Failure, Identity, Stage
from edgeprof.store import Store
from edgeprof.target import Connection

STOP_S = 20.0
"""For all boards together to let go in order; a session on a board takes up to 15 s to put its state back."""
POLL_S = 3.0
"""Between two tries to have a board on which somebody else measures."""
FREED_S = 120.0
"""How long a board of ours that ended without a link may still hold the machine: until its lease has run out."""
ALL = "all models"
"""What a failure of a whole board is about."""

T = TypeVar("T")
Step = Callable[["At"], T]


class At(NamedTuple):
    """What a step works with: a board, and what is its thread's own."""

    store: Store
    device: Device
    connection: Connection
    progress: Progress


@runtime_checkable
class Interruptible(Protocol):
    """A connection that can be told from another thread to raise KeyboardInterrupt in whoever waits in it."""

    def interrupt(self) -> None: ...


class Boards:
    """A fleet at work. Leaving the `with` block ends every thread, with its connection closed in order.

    `failures` are those of whole boards; `progress` is for what the main thread does meanwhile.
    """

    def __init__(self, root: Path, devices: Sequence[Device], progress: Progress) -> None:
        self.root = root
        self.progress = InTurn(progress)
        self.failures: list[Failure] = []
        self.stopped = threading.Event()
        self.told: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """What the threads have for the main thread to do."""
        self.changed = threading.Condition()
        self._inner = progress
        self._here_busy = False
        self._boards = [_Board(self, device) for device in devices]

    def __enter__(self) -> Boards:
        for board in self._boards:
            board.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        for board in self._boards:
            board.steps.put(None)
            if isinstance(board.connection, Interruptible) and board.ended_at is None:
                board.connection.interrupt()
        with self.changed:
            self.changed.notify_all()
        deadline = time.monotonic() + STOP_S
        for board in self._boards:
            board.thread.join(max(0.0, deadline - time.monotonic()))
            if board.thread.is_alive():  # a daemon: it ends with the process, and what is stored is whole
                self.progress.note(f"{board.device.name}: did not end in time and is left behind")

    def reach(self, step: Step[T]) -> dict[str, T]:
        """Do a step on all boards at once.

        Returns: what it gave, by the name of the device; a board where it failed is a Failure and out of the fleet.

        Raises:
            EdgeprofError: it failed on all of them.
        """
        return self._each("connect", step, last=False)

    def measure(self, step: Step[T]) -> dict[str, T]:
        """Do the last step on all boards that are left, each by itself on its machine, and let go of them.

        This machine comes after the others, and its devices one after the other: what the host does for the others
        would disturb a measurement on it.

        Returns: as for `reach`; empty when it failed everywhere.
        """
        return self._each("profile", step, last=True)

    def _each(self, stage: Stage, step: Step[T], last: bool) -> dict[str, T]:
        found: dict[str, T] = {}
        standing = [board for board in self._boards if board.error is None]
        waiting = set(standing)

        def work(board: _Board, at: At) -> None:
            with self._turn(board) if last else contextlib.nullcontext():
                value = step(at)
            self.told.put(lambda: found.update({at.device.name: value}))
            if not last:
                self.told.put(lambda: waiting.discard(board))

        for board in standing:
            board.over = lambda board=board: waiting.discard(board)  # type: ignore[misc]
            board.steps.put(lambda at, board=board: work(board, at))  # type: ignore[misc]
            if last:
                board.steps.put(None)
        while waiting:
            self.told.get()()
        errors = [board.error for board in standing if board.error is not None]
        for board in standing:
            if isinstance(board.error, EdgeprofError):
                self.failures.append(failed(stage, board.device, board.error))
        if last or len(errors) == len(standing):
            for error in errors:
                if not isinstance(error, EdgeprofError):
                    raise error  # a bug of ours; it waited until the other boards were through
        if not last and len(errors) == len(standing):
            raise _none_left([error for error in errors if isinstance(error, EdgeprofError)])
        return {board.device.name: found[board.device.name] for board in standing if board.device.name in found}

    # --- for the boards' threads

    def check(self) -> None:
        """End the thread if all is to end.

        Raises:
            KeyboardInterrupt: it is.
        """
        if self.stopped.is_set():
            raise KeyboardInterrupt

    def secret(self, prompt: str) -> str | None:
        """Asked by the main thread, which alone can be interrupted while a person types."""
        answer: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.told.put(lambda: answer.put(self.progress.secret(prompt)))
        while True:
            with contextlib.suppress(queue.Empty):
                return answer.get(timeout=1.0)
            self.check()

    def holder(self, session: str | None, asking: _Board) -> _Board | None:
        """The other board of the fleet that measures under that name: it is the same machine."""
        others = (board for board in self._boards if board is not asking)
        return next((board for board in others if session is not None and session in board.sessions), None)

    def pause(self, seconds: float, over: Callable[[], bool] = lambda: False) -> None:
        """Wait, at most until something is over.

        Raises:
            KeyboardInterrupt: all is to end.
        """
        with self.changed:
            self.changed.wait_for(lambda: over() or self.stopped.is_set(), seconds)
        self.check()

    @contextlib.contextmanager
    def _turn(self, board: _Board) -> Iterator[None]:
        """This machine for one of its devices alone, after all boards that are not this machine."""
        if board.device.transport != "local":
            yield
            return
        far = [one for one in self._boards if one.device.transport != "local"]
        with self.changed:
            while self._here_busy or any(one.ended_at is None for one in far):
                self.changed.wait(POLL_S)
                self.check()
            self._here_busy = True
        try:
            yield
        finally:
            with self.changed:
                self._here_busy = False
                self.changed.notify_all()


class _Board:
    """A device and its thread, which does one step after the other and then lets go of the device."""

    def __init__(self, boards: Boards, device: Device) -> None:
        self.device = device
        self.steps: queue.SimpleQueue[Callable[[At], None] | None] = queue.SimpleQueue()
        self.sessions: set[str] = set()
        """Names under which it holds its machine."""
        self.connection: _Shared | None = None
        self.error: BaseException | None = None
        self.ended_at: float | None = None
        self.over: Callable[[], None] = lambda: None
        self.thread = threading.Thread(target=self._work, name=device.name, daemon=True)
        self._boards = boards
        self._progress = Line(boards.progress, device.name, boards.check, boards.secret)

    def _work(self) -> None:
        try:
            with (
                contextlib.closing(Store(self._boards.root)) as store,
                target.connect(self.device, store, self._progress) as connection,
            ):
                self.connection = _Shared(connection, self, self._boards, self._progress)
                at = At(store, self.device, self.connection, self._progress)
                while (step := self.steps.get()) is not None:
                    self._boards.check()
                    step(at)
        except EdgeprofError as error:
            self.error = error
            with contextlib.suppress(KeyboardInterrupt):
                self._progress.note(f"{self.device.name}: failed, the others go on: {_what(error, self.device)}")
        except BaseException as error:
            self.error = error
        finally:
            with self._boards.changed:
                self.ended_at = time.monotonic()
                self._boards.changed.notify_all()
            self._boards.told.put(lambda: self.over())


class _Shared:
    """The connection of a board of a fleet: it waits for another board of the fleet that turns out to be its machine."""

    def __init__(self, inner: Connection, board: _Board, boards: Boards, progress: Progress) -> None:
        self.agent_sha = inner.agent_sha
        self.sites = inner.sites
        self._inner = inner
        self._board = board
        self._boards = boards
        self._progress = progress

    def hold(self, what: str, session: str, wait_s: float = 0.0) -> None:
        """See `Connection.hold`."""
        if session:
            self._board.sessions.add(session)
        deadline = time.monotonic() + wait_s
        told = False
        while True:
            try:
                self._inner.hold(what, session)
                return
            except DeviceBusyError as error:
                other = self._boards.holder(error.session, self._board)
                ended_at = None if other is None else other.ended_at
                ours = other is not None and (ended_at is None or time.monotonic() - ended_at < FREED_S)
                if not ours and time.monotonic() >= deadline:
                    raise
                if not told:
                    told = True
                    why = error.what if other is None else f"is the same machine as {other.device.name}"
                    self._progress.note(f"{self._board.device.name}: {why}; waiting for it")
            if other is not None and ours and ended_at is None:
                self._boards.pause(threading.TIMEOUT_MAX, lambda other=other: other.ended_at is not None)  # type: ignore[misc]
            else:
                self._boards.pause(POLL_S)

    def interrupt(self) -> None:
        """See `Interruptible`."""
        if isinstance(self._inner, Interruptible):
            self._inner.interrupt()

    def provide(self, formats: Any, *, bring: bool = True) -> dict[str, target.NoRuntime]:
        """See `Connection.provide`."""
        missing = self._inner.provide(formats, bring=bring)
        self.sites = self._inner.sites
        return missing
