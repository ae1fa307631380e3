"""Child processes that work for us: requests on their stdin, news on a descriptor, one JSON record a line.

What they print goes to a log. They live in a session of their own, so that Ctrl-C comes to us alone and we can end
whatever they start; when we go, however that happens, their stdin ends and they go too.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

import edgeprof
from edgeprof import errors
from edgeprof.errors import EdgeprofError, MissingPackageError
from edgeprof.records import Record, from_json, to_json
from edgeprof.store import writing

END_S = 10.0
R = TypeVar("R", bound=Record)


class Child:
    """A running child. It has a `fileno` to select on; call `read` when there is something.

    Args:
        module: run as `python -m MODULE FD`, FD being the descriptor for its news.
        log: where all that it prints goes.
        environment: beside ours.
    """

    def __init__(self, module: str, log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self.started = self._heard = time.monotonic()
        self._rest = b""
        ours, theirs = os.pipe()
        self._news = ours
        try:
            with writing(log.parent), log.open("wb") as output:
                self._process = subprocess.Popen(
                    # -P: a file of the current folder named like a package must not shadow it.
                    [sys.executable, "-P", "-m", module, str(theirs)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(theirs,),
                    env=_environment(environment),
                    start_new_session=True,
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self._process.pid

    def ask(self, request: Record) -> None:
        """Send a request; one that is dead already is found so by `read`."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(to_json(request) + b"\n")
            self._process.stdin.flush()

    def fileno(self) -> int:
        """The descriptor that news come from."""
        return self._news

    def read(self, kind: type[R]) -> list[R] | None:
        """The news that have come; None when there will be no more."""
        data = os.read(self._news, 1 << 16)
        if not data:
            return None
        self._heard = time.monotonic()
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        return [from_json(line, kind, where="a child process") for line in lines]

    def silent_for(self) -> float:
        """Seconds since it was last heard."""
        return time.monotonic() - self._heard

    def wait(self) -> None:
        """Give one that has said its last word a moment to end by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)

    def stop(self) -> None:
        """End the process and all it started."""
        if self._news < 0:
            return
        os.close(self._news)
        self._news = -1
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(END_S)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def death(self, what: str) -> tuple[str, str | None]:
        """How it died without a word, in words about `what` it did, and a hint; only after `stop`."""
        code = self._process.returncode
        if code >= 0:
            return f"{what} ended with exit status {code} and no result", None
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = "SIGKILL is often the system being out of memory" if code == -signal.SIGKILL else None
        return f"{what} was killed by {name}", hint


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours, and: find this very package; the same order of sets in each."""
    package = str(Path(edgeprof.__file__).parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([package, before] if before else [package]),
        "PYTHONHASHSEED": "0",
        "PYTHONFAULTHANDLER": "1",
        **more,
    }


# --- in the child


class Parent:
    """The parent as its child sees it. Ends this process and all of its group when the parent has gone."""

    def __init__(self) -> None:
        descriptor = int(sys.argv[1])
        os.set_inheritable(descriptor, False)
        self._news: BinaryIO = os.fdopen(descriptor, "wb", buffering=0)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def request(self, kind: type[R]) -> R:
        """The next request; waits for it.

        Raises:
            RecordError: it is no such record.
        """
        return from_json(self._lines.get(), kind, where="the stdin of a child process")

    def tell(self, news: Record) -> None:
        """Send news."""
        self._news.write(to_json(news) + b"\n")

    def _listen(self) -> None:
        # Not by sys.stdin: its lock would be held for ever in processes that are forked from here, which close it.
        rest = b""
        while data := os.read(0, 1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._lines.put(line)
        os.killpg(os.getpgid(0), signal.SIGKILL)


# --- errors on their way between two processes


class Fault(Record):
    """An error of ours as a record."""

    error_class: str
    what: str
    where: str | None = None
    hint: str | None = None
    package: str | None = None
    extra: str | None = None


def to_fault(error: EdgeprofError) -> Fault:
    """The error as a record."""
    if isinstance(error, MissingPackageError):
        return Fault(error_class="MissingPackageError", what=error.what, package=error.package, extra=error.extra)
    return Fault(error_class=type(error).__name__, what=error.what, where=error.where, hint=error.hint)


def from_fault(fault: Fault, default: type[EdgeprofError]) -> EdgeprofError:
    """The error that `fault` tells of; `default` where no class of `edgeprof.errors` has its name."""
    if fault.package is not None:
        return MissingPackageError(fault.package, fault.extra or "all")
    found = getattr(errors, fault.error_class, default)
    known = isinstance(found, type) and issubclass(found, EdgeprofError)
    kind: type[EdgeprofError] = found if known else default
    return kind(fault.what, where=fault.where, hint=fault.hint)
