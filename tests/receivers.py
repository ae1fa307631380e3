"""The agent that takes files, as a process of its own, and a stream to it as the link gives one."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edgeprof.errors import LinkError
from edgeprof.target.build import agent_bytes


class Pipes:
    """A running receiver and its pipes; `cut_after` bytes written, the link breaks."""

    def __init__(self, workdir: Path, *, cut_after: int | None = None, kill: bool = False) -> None:
        program = Path(tempfile.gettempdir()) / f"edgeprof-test-agent-{os.getpid()}"
        if not program.exists():
            program.write_bytes(agent_bytes())
            atexit.register(program.unlink)
        self.process = subprocess.Popen(
            # Nothing but the standard library, as on a board.
            [sys.executable, "-I", "-S", str(program), "serve", "--workdir", str(workdir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.written = 0
        self.read = 0
        self._cut_after = cut_after
        self._kill = kill
        self._pending = b""
        self._ended = False

    def write(self, data: bytes | memoryview) -> None:
        """All of it."""
        assert self.process.stdin is not None
        view = memoryview(data).cast("B")
        cut = self._cut_after is not None and self.written + len(view) > self._cut_after
        if self._cut_after is not None and cut:
            view = view[: self._cut_after - self.written]
        try:
            while view:
                count = self.process.stdin.write(view) or 0
                self.written += count
                view = view[count:]
        except (BrokenPipeError, ValueError):
            raise LinkError("the link broke") from None
        if cut:
            self.cut()
            raise LinkError("the link was cut")

    def read_line(self, timeout_s: float) -> bytes:
        """Without its newline."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            if self._ended or not self._fill(max(0.0, deadline - time.monotonic())):
                raise LinkError("no line came")
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def ready(self) -> bool:
        """A line, or the end."""
        while b"\n" not in self._pending and not self._ended and self._fill(0.0):
            pass
        return self._ended or b"\n" in self._pending

    def _fill(self, seconds: float) -> bool:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return False
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        self.read += len(data)
        self._pending += data
        self._ended = not data
        return True

    def cut(self) -> None:
        """The receiver sees its stdin closed, or is killed outright."""
        assert self.process.stdin is not None
        if self._kill:
            self.process.send_signal(signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def close(self) -> int:
        """The receiver's exit status."""
        self.cut()
        status = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def __enter__(self) -> Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
