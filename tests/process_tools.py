"""Looking at processes through /proc, for tests that no process is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
DEADLINE_S = 20.0


def await_value(get: Callable[[], T | None]) -> T:
    """What `get` gives as soon as it gives something: neither None nor False."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        value = get()
        if value is not None and value is not False:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


def children(pid: int) -> list[int]:
    """The living children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def training_workers(of: int) -> list[int]:
    """The children of a process that train. A test's process may have others, such as a browser for all its tests."""
    lines = {one: Path(f"/proc/{one}/cmdline") for one in children(of)}
    return [one for one, line in lines.items() if line.exists() and b"edgeprof.train.worker" in line.read_bytes()]


def alive(pid: int) -> bool:
    """Whether it exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def await_end(pid: int) -> None:
    """Returns when the process is gone."""
    await_value(lambda: None if alive(pid) else True)
