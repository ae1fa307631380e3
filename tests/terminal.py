"""A command on a terminal of its own, as a person at a keyboard has it; what it says and what it is told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

DEADLINE_S = 60.0
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Ends with its `with` block; a command that still runs is killed then."""

    def __init__(self, words: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        ours, its = pty.openpty()
        self._ours = ours
        self.said = ""
        """All of it so far, without what steers a terminal."""
        self._read = 0
        self.process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**environment, "TERM": "xterm", "COLUMNS": "300"},
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(its)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def read_until(self, words: str) -> None:
        """Returns when it has said these words, after those awaited before."""
        deadline = time.monotonic() + DEADLINE_S
        while words not in self.said[self._read :]:
            assert self._more(deadline), f"it ended without {words!r}: {self.said}"
        self._read = self.said.index(words, self._read) + len(words)

    def type(self, line: str) -> None:
        """A line from the keyboard; a prompt for it must have been read."""
        os.write(self._ours, line.encode() + b"\n")

    def type_unseen(self, line: str) -> None:
        """The same, as soon as the terminal shows no more what is typed."""
        deadline = time.monotonic() + DEADLINE_S
        while termios.tcgetattr(self._ours)[3] & termios.ECHO:
            assert time.monotonic() < deadline, "it goes on showing what is typed"
            time.sleep(0.02)
        self.type(line)

    def press(self, key: str) -> None:
        """A key with control, such as `c`."""
        os.write(self._ours, bytes([ord(key.upper()) - 64]))

    def end(self) -> int:
        """The exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self._more(deadline):
            pass
        return self.process.wait(timeout=DEADLINE_S)

    def _more(self, deadline: float) -> bool:
        """Take in what it says; whether more may come."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"it says nothing more: {self.said}"
        data = b""
        with contextlib.suppress(OSError):  # that is how the end shows
            data = os.read(self._ours, 1 << 16)
        self.said += STEERING.sub("", data.decode("utf-8", "replace").replace("\r", ""))
        return bool(data)
