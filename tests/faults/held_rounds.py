"""Rounds on a device that wait where a fault is to strike, and a list of all that ever began there.

A `sitecustomize` that the device's Python finds: it counts the workers of sessions, and holds one that is to wait.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

SITE = """\
import os, sys, time

def begin(folder):
    with open("/proc/%d/cmdline" % os.getppid(), "rb") as file:
        words = file.read().split(b"\\0")
    if b"session" not in words:
        return
    line = b"%d %s\\n" % (os.getpid(), words[words.index(b"--session") + 1])
    begun = os.open(os.path.join(folder, "begun"), os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.write(begun, line)
    number = os.pread(begun, 1 << 20, 0).split(b"\\n").index(line[:-1])
    stop, agent = os.path.join(folder, "stop-%d" % number), os.getppid()
    while os.path.exists(stop) and os.getppid() == agent:
        time.sleep(0.01)

if sys.orig_argv[-1:] == ["worker"]:
    begin(os.path.dirname(os.path.abspath(__file__)))
"""


class Begun(NamedTuple):
    """A round that began: its process, and the session that it is of."""

    pid: int
    session: str


class HeldRounds:
    """Of all sessions of a device whose logins have `environment`. Rounds count from 0, repeated ones anew."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.site = folder / "sitecustomize.py"
        """Run at the start of every Python there, but those that begin without a site."""
        self.site.write_text(SITE)
        self.environment = {"PYTHONPATH": str(folder)}

    def begun(self) -> list[Begun]:
        """All so far, in order."""
        try:
            lines = (self._folder / "begun").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [Begun(int(pid), session) for pid, session in (line.split() for line in lines)]

    def stop(self, *numbers: int) -> None:
        """Have these rounds wait when they have begun, until `go`."""
        for number in numbers:
            assert number >= len(self.begun()), "it has begun already"
            (self._folder / f"stop-{number}").touch()

    def go(self, *numbers: int) -> None:
        """The end of `stop`."""
        for number in numbers:
            (self._folder / f"stop-{number}").unlink()
