"""The link between this machine and a board: two interfaces, and on demand a cable in user space between them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CABLE = Path(__file__).with_name("cable.py")


class BoardLink:
    """`interface` here, `eth0` in the network of the process `holder`, where `inside` runs commands.

    The board's first process has that network's `eth0` moved to the network `boot` for as long as it lives.
    """

    def __init__(self, holder: int, inside: Callable[..., None], cable: bool) -> None:
        self._inside = inside
        self._cable: subprocess.Popen[bytes] | None = None
        for number in random.sample(range(2, 255), 200):
            self.interface = f"edgeprof{number}"
            far = ["type", "veth", "peer", "name", "line" if cable else "eth0", "netns", str(holder)]
            words = ["ip", "link", "add", self.interface, *far]
            made = subprocess.run(words, capture_output=True, text=True, check=False)
            if made.returncode == 0:
                break
            assert "File exists" in made.stderr, made.stderr
        self.host = f"10.77.{number}.2"
        subprocess.run(["ip", "addr", "add", f"10.77.{number}.1/24", "dev", self.interface], check=True)
        subprocess.run(["ip", "link", "set", self.interface, "up"], check=True)
        if cable:
            inside("ip", "link", "add", "port", "type", "veth", "peer", "name", "eth0")
            for end in ("line", "port"):
                inside("ip", "link", "set", end, "up")
            words = ["nsenter", "--target", str(holder), "--net", sys.executable, str(CABLE), "line", "port"]
            self._cable = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            self._set()

    def attach(self) -> None:
        """Give it to a board that starts."""
        self._inside("ip", "link", "set", "eth0", "netns", "boot")
        self._inside("ip", "-n", "boot", "addr", "add", f"{self.host}/24", "dev", "eth0")
        for interface in ("lo", "eth0"):
            self._inside("ip", "-n", "boot", "link", "set", interface, "up")

    def detach(self) -> None:
        """Take it from the board: nothing that the board still says comes through."""
        self._inside("ip", "-n", "boot", "link", "set", "eth0", "netns", "1")

    def plug(self, plugged: bool) -> None:
        """Whether anything comes through."""
        if self._cable:
            self._set(plugged=plugged)
        else:
            self._inside("ip", "-n", "boot", "link", "set", "eth0", "up" if plugged else "down")

    def shape(self, delay_ms: float, mbit_per_s: float, loss_percent: float, jitter_ms: float) -> None:
        """From now on, each way."""
        single = loss_percent > 0 or 0 < mbit_per_s < 300  # no bundles of up to 64 KiB then
        segments = ("gso_max_segs", "1" if single else "65535")
        subprocess.run(["ip", "link", "set", "dev", self.interface, *segments], check=True)
        self._inside("ip", "-n", "boot", "link", "set", "dev", "eth0", *segments)
        self._set(delay_ms=delay_ms, mbit_per_s=mbit_per_s, loss_percent=loss_percent, jitter_ms=jitter_ms)

    def close(self) -> None:
        """The end of the cable and of both interfaces."""
        if self._cable and self._cable.stdin:
            self._cable.stdin.close()
            self._cable.wait(timeout=20)
        subprocess.run(["ip", "link", "del", self.interface], check=False, capture_output=True)

    def _set(self, **settings: float) -> None:
        assert self._cable, "made without cable=True"
        assert self._cable.stdin
        assert self._cable.stdout
        self._cable.stdin.write(json.dumps(settings).encode() + b"\n")
        self._cable.stdin.flush()
        assert self._cable.stdout.readline() == b"ok\n"
