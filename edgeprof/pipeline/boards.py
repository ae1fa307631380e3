"""Several boards at work at once, a thread for each, with their own store and connection; all of them end together."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from edgeprof import target
from edgeprof.errors import DeviceError, EdgeprofError
from edgeprof.measure.files import shown
from edgeprof.pipeline.shared import POLL_S, InTurn, Line, Shared
from edgeprof.progress import Progress
from edgeprof.records import Device, Failure, Identity, Stage
from edgeprof.store import Store

STOP_S = 20.0
"""For all boards together to let go in order; a session on a board takes up to 15 s to put its state back."""
ALL_MODELS = "all models"
"""What a failure of a whole board is about."""

T = TypeVar("T")


class At(NamedTuple):
    """What a step works with: a board, and what is its thread's own."""

    store: Store
    device: Device
    connection: Shared
    progress: Progress


class Boards:
    """A fleet at work. Leaving the `with` block ends every thread, with its connection closed in order.

    `failures` are those of whole boards; `progress` is for what the main thread does meanwhile.
    """

    def __init__(self, root: Path, devices: Sequence[Device], progress: Progress) -> None:
        self.root = root
        self.progress = InTurn(progress)
        self.failures: list[Failure] = []
        self.changed = threading.Condition()
        """Told of whenever a board has ended, this machine is free, or all is to end."""
        self._stopped = False
        self._told: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._here_busy = False
        self._boards = [_Board(self, device) for device in devices]

    def __enter__(self) -> Boards:
        for board in self._boards:
            board.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.changed:
            self._stopped = True
            self.changed.notify_all()
        for board in self._boards:
            board.steps.put(None)
            if board.connection is not None and board.ended_at is None:
                board.connection.interrupt()
        deadline = time.monotonic() + STOP_S
        for board in self._boards:
            board.thread.join(max(0.0, deadline - time.monotonic()))
            if board.thread.is_alive():  # a daemon: it ends with the process, and what is stored is whole
                self.progress.note(f"{board.device.name}: did not let go in time and is left behind")

    def reach(self, step: Callable[[At], T]) -> dict[str, T]:
        """Do the first step on all boards at once.

        Returns: what it gave, by the name of the device; a board where it failed is a Failure and out of the fleet.

        Raises:
            EdgeprofError: it failed on all of them.
        """
        for board in self._boards:
            board.steps.put(step)
        _import_slow_modules()
        self._await(lambda: all(board.ended_at or board.reached for board in self._boards))
        left = self._settled("connect", self._boards)
        if not left:
            self._raise_bug()
            raise _none_left(self._boards)
        return {board.device.name: board.value for board in left}

    def measure(self, step: Callable[[At], T]) -> dict[str, T]:
        """Do the last step on all boards that are left, and let go of each when it is through.

        This machine comes after the others, and its devices one after the other: what the host does for the others
        would disturb a measurement on it.

        Returns: as for `reach`.

        Raises:
            EdgeprofError: it failed on all of them, and no device is to blame.
        """

        def in_turn(at: At) -> T:
            with self._turn(at.device):
                return step(at)

        standing = [board for board in self._boards if board.error is None]
        for board in standing:
            board.steps.put(in_turn)
            board.steps.put(None)
        self._await(lambda: all(board.ended_at for board in standing))
        left = self._settled("profile", standing)
        self._raise_bug()
        if not left and not any(isinstance(board.error, DeviceError) for board in standing):
            raise _none_left(standing)
        return {board.device.name: board.value for board in left}

    def _await(self, over: Callable[[], bool]) -> None:
        """Wait for the boards' threads, and do meanwhile what they ask for."""
        while not over():
            asked = self._told.get()
            if asked is not None:
                asked()

    def _settled(self, stage: Stage, standing: Sequence[_Board]) -> list[_Board]:
        """Those that came through a step; the others become failures."""
        for board in standing:
            if isinstance(board.error, EdgeprofError):
                self.failures.append(failed(stage, board.device, board.error))
        return [board for board in standing if board.error is None]

    def _raise_bug(self) -> None:
        """What no board is to blame for; it has waited until the others were through."""
        for board in self._boards:
            if board.error is not None and not isinstance(board.error, EdgeprofError):
                raise board.error

    # --- for the boards' threads

    def check(self) -> None:
        """End the thread if all is to end.

        Raises:
            KeyboardInterrupt: it is.
        """
        if self._stopped:
            raise KeyboardInterrupt

    def tell(self, asked: Callable[[], None] | None = None) -> None:
        """Wake the main thread, to do something or to look at how far the boards are."""
        self._told.put(asked)

    def secret(self, prompt: str) -> str | None:
        """Asked by the main thread, which alone can be interrupted while a person types."""
        answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.tell(lambda: answers.put(self.progress.secret(prompt)))
        while True:
            with contextlib.suppress(queue.Empty):
                return answers.get(timeout=1.0)
            self.check()

    def pause(self, seconds: float, over: Callable[[], bool] = lambda: False) -> None:
        """Wait, at most until something is over.

        Raises:
            KeyboardInterrupt: all is to end.
        """
        with self.changed:
            self.changed.wait_for(lambda: over() or self._stopped, seconds)
        self.check()

    def holding(self, session: str | None, but: str) -> _Board | None:
        """The board of the fleet, but that one, that measures under this name: it is the same machine."""
        others = (board for board in self._boards if board.device.name != but)
        return next((board for board in others if session in board.sessions), None)

    @contextlib.contextmanager
    def _turn(self, device: Device) -> Iterator[None]:
        """This machine for one of its devices alone, after all boards that are not this machine."""
        if device.transport != "local":
            yield
            return
        far = [board for board in self._boards if board.device.transport != "local"]
        with self.changed:
            while self._here_busy or not all(board.ended_at for board in far):
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
        self.steps: queue.SimpleQueue[Callable[[At], object] | None] = queue.SimpleQueue()
        self.reached = False
        """Whether it came through its first step."""
        self.value: Any = None
        """What the last step gave."""
        self.sessions: set[str] = set()
        """Names under which it holds its machine."""
        self.connection: Shared | None = None
        self.error: BaseException | None = None
        self.ended_at: float | None = None
        self.thread = threading.Thread(target=self._work, name=device.name, daemon=True)
        self._boards = boards

    def _work(self) -> None:
        boards, device = self._boards, self.device
        progress = Line(boards, device.name)
        try:
            with (
                contextlib.closing(Store(boards.root)) as store,
                target.connect(device, store, progress) as connection,
            ):
                self.connection = Shared(connection, device.name, boards, self.sessions, progress)
                at = At(store, device, self.connection, progress)
                while (step := self.steps.get()) is not None:
                    boards.check()
                    self.value = step(at)
                    self.reached = True
                    boards.tell()
        except EdgeprofError as error:
            self.error = error
            with contextlib.suppress(KeyboardInterrupt):
                progress.note(f"failed, the others go on: {_words(error, device)}")
        except BaseException as error:
            self.error = error
            if not isinstance(error, KeyboardInterrupt):
                with contextlib.suppress(BaseException):
                    progress.note(f"failed, the others go on: a bug in edgeprof: {type(error).__name__}: {error}")
        finally:
            with boards.changed:
                self.ended_at = time.monotonic()
                boards.changed.notify_all()
            boards.tell()


def failed(stage: Stage, device: Device, error: EdgeprofError) -> Failure:
    """A board that came to no ranking, as a result like the others."""
    return Failure(
        stage=stage,
        identity=Identity(model=ALL_MODELS, device=device.name),
        error=_words(error, device),
        error_class=type(error).__name__,
        transient=error.transient,
        hint=error.hint and shown(error.hint),
    )


def _import_slow_modules() -> None:
    """Half a second, while the boards are being reached; else all their threads would queue for it later."""
    from edgeprof import rank, report  # noqa: F401
    from edgeprof.stats import sequence, stopping  # noqa: F401


def _words(error: EdgeprofError, device: Device) -> str:
    """What happened, and where if that says more than which device."""
    return shown(error.what if error.where in (None, device.name) else error)


def _none_left(boards: Sequence[_Board]) -> EdgeprofError:
    """The error that no board can be measured."""
    errors = [(board, board.error) for board in boards if isinstance(board.error, EdgeprofError)]
    if not any(isinstance(error, DeviceError) for _, error in errors):
        return errors[0][1]
    told = "; ".join(f"{board.device.name}: {_words(error, board.device)}" for board, error in errors)
    hints = dict.fromkeys(shown(error.hint) for _, error in errors if error.hint)
    return DeviceError(
        f"none of the {len(errors)} devices can be measured: {told}", hint="; ".join(list(hints)[:3]) or None
    )
