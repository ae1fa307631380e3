"""Which boot this is, how long it has been up, whether a process still lives: nothing here trusts the wall clock."""

from __future__ import annotations

import os
import time
from typing import List, Optional


def boot_id(root: str = "/") -> str:
    """Another one after each start of the device; empty where the kernel does not tell."""
    try:
        with open(os.path.join(root, "proc/sys/kernel/random/boot_id"), encoding="ascii", errors="replace") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def boottime() -> float:
    """Seconds since the device started, time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def started(pid: int) -> Optional[str]:
    """When a process began, in the kernel's ticks (proc(5), field 22); None: there is none, or /proc hides it."""
    fields = _stat(pid)
    return fields[19] if fields else None


def alive(pid: int, began: Optional[str]) -> bool:
    """Whether the process that had this number and beginning still runs; believed where /proc hides it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # it runs, as somebody else
    fields = _stat(pid)
    if not fields:
        return True
    return fields[0] not in ("Z", "X") and began in (None, fields[19])


def space() -> str:
    """The name space that this process's numbers belong to; a container's are its own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _stat(pid: int) -> Optional[List[str]]:
    try:
        # That of its first thread says the same. Not /proc/PID/stat: under qemu a process finds there, of itself alone,
        # numbers that qemu made up.
        with open("/proc/%d/task/%d/stat" % (pid, pid), encoding="utf-8", errors="replace") as file:
            # The name in brackets may hold anything, also spaces and brackets.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return fields if len(fields) > 19 else None
