"""One receiver at a time, where a newcomer ends the one before: the link of that one may be dead."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import Dict, Iterator, Optional

from . import processes
from .locks import acquire
from .refusal import Refused

END_S = 5.0
"""How long the one before may take to end by itself, and then to end at all."""


@contextlib.contextmanager
def only(path: str) -> Iterator[None]:
    """Hold a lock file; whoever holds it already is ended.

    Raises:
        Refused: it could not be had within the deadline.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not acquire(handle, 0.0) and not _ended(handle):
            raise Refused("busy", "another edgeprof is sending files to this device, and its transfer cannot be ended")
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_name(os.getpid())).encode(), 0)
        yield
    finally:
        os.close(handle)


def _ended(handle: int) -> bool:
    """Whether the lock came free after one of both signals."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + END_S
        told = None
        while time.monotonic() < deadline:
            pid = _holder(handle)
            if pid is not None and pid != told:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
                told = pid
            if acquire(handle, 0.1):
                return True
    return False


def _holder(handle: int) -> Optional[int]:
    """The process named in the file; None where that is not surely the one that holds the lock (reused, elsewhere)."""
    try:
        name = json.loads(os.pread(handle, 4096, 0))
        pid = int(name["pid"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    mine = _name(pid)
    return pid if mine["started"] and mine == name else None


def _name(pid: int) -> Dict[str, object]:
    """What no other process is called, if two hosts or containers share the folder neither."""
    found = {"pid": pid, "started": processes.started(pid), "boot": processes.boot_id()}
    return dict(found, space=processes.space())
