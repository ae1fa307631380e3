"""A TCP link that fails on command: delay, rate, stall, reset, refusal, a cut after so many bytes.

It is a process of its own, so that it takes nothing of the tester's interpreter. `up` is from client to server.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

from process_tools import await_value

Direction = Literal["up", "down"]


class Counts(NamedTuple):
    """Bytes delivered each way since the start, connections taken so far, connections open now."""

    up: int
    down: int
    taken: int
    open: int


class Proxy:
    """Listens on a loopback port of its own and forwards to `host`:`port`.

    Args:
        delay_ms: one way, of every byte; any number of bytes may be under way.
        bytes_per_s: each way; 0 is no limit.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", delay_ms: float = 0, bytes_per_s: float = 0) -> None:
        ours, its = socket.socketpair()
        words = [sys.executable, str(Path(__file__).with_name("proxy_process.py")), str(its.fileno()), host, str(port)]
        with its:
            self._process = subprocess.Popen(words, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
        ours.settimeout(20)
        self._control = ours
        self._answers = ours.makefile("rb")
        self.host = "127.0.0.1"
        self.port = int(self._ask("port")[0])
        if delay_ms or bytes_per_s:
            self.shape(delay_ms, bytes_per_s)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def close(self) -> None:
        """The end of the proxy and its connections."""
        self._answers.close()
        self._control.close()
        self._process.wait(timeout=20)

    def shape(self, delay_ms: float = 0, bytes_per_s: float = 0) -> None:
        """From now on; what is under way already keeps its time."""
        self._ask("shape", delay_ms / 1e3, bytes_per_s)

    def stall(self) -> None:
        """Nothing moves any more; connections stay, and new ones are taken."""
        self._ask("stall")

    def resume(self) -> None:
        """The end of `stall`."""
        self._ask("resume")

    def reset(self) -> None:
        """RST to both ends of all connections; new ones are taken."""
        self._ask("reset")

    def refuse(self) -> None:
        """New connections are refused, as by a closed port; the old ones go on."""
        self._ask("refuse")

    def allow(self) -> None:
        """The end of `refuse`."""
        self._ask("allow")

    def cut_after(self, size: int, direction: Direction = "up", how: Literal["reset", "stall"] = "reset") -> None:
        """Once, when `size` more bytes have been delivered in the direction; of those that follow none is."""
        self._ask("cut", direction, size, how)

    def counts(self) -> Counts:
        """So far."""
        return Counts(*self._ask("counts"))

    def await_bytes(self, size: int, direction: Direction = "up") -> None:
        """Returns when `size` bytes have been delivered in the direction since the start."""
        await_value(lambda: True if getattr(self.counts(), direction) >= size else None)

    def _ask(self, *words: str | float) -> list[int]:
        self._control.sendall(json.dumps(words).encode() + b"\n")
        answer = json.loads(self._answers.readline())
        assert isinstance(answer, list)
        return answer
