"""A command of a user that runs while a fault strikes."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from typing import IO, Any, NamedTuple

from waiting import awaited


class Ended(NamedTuple):
    """What a command left."""

    code: int
    told: dict[str, Any]
    """The one JSON document on stdout."""
    stderr: str

    @property
    def error(self) -> dict[str, Any]:
        """Why it failed: what, where, hint, exit_code."""
        assert "error" in self.told, self.told
        found: dict[str, Any] = self.told["error"]
        return found


class Running:
    """A command that runs; both of its outputs are taken in as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.lines: list[str] = []
        """Of stderr."""
        self._out: list[str] = []
        self._readers = [self._reader(process.stderr, self.lines), self._reader(process.stdout, self._out)]

    def await_line(self, words: str) -> str:
        """The first line of stderr with these words, as soon as it is there."""

        def found() -> str | None:
            assert self._process.poll() is None or words in "".join(self.lines), "".join([*self.lines, *self._out])
            return next((line for line in self.lines if words in line), None)

        return awaited(found, lambda: f"nobody said {words!r}:\n" + "".join(self.lines))

    def signal(self, number: int) -> None:
        """SIGINT ..."""
        self._process.send_signal(number)

    def stand_still(self) -> None:
        """It has no idea of what happens from here on; only `kill` ends it."""
        self.signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL, as a power cut of the host."""
        self._process.kill()
        self._process.wait()

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def await_end(self) -> int:
        """Its exit code, when it has ended."""
        return self._process.wait(240)

    def end(self, code: int = 0) -> Ended:
        """Wait for its end, which must be with this exit code."""
        found = self.await_end()
        for reader in self._readers:
            reader.join(20)
        stdout, stderr = "".join(self._out), "".join(self.lines)
        assert found == code, f"exit {found}\n{stdout}\n{stderr}"
        assert "Traceback" not in stderr, stderr
        return Ended(found, json.loads(stdout), stderr)

    def close(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            for reader in self._readers:
                reader.join(20)
            pipe.close()

    def _reader(self, pipe: IO[str] | None, lines: list[str]) -> threading.Thread:
        assert pipe is not None
        thread = threading.Thread(target=lambda: lines.extend(iter(pipe.readline, "")), daemon=True)
        thread.start()
        return thread
