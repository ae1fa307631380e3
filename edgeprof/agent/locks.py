"""Files that one process at a time holds (flock): the kernel lets go of them however the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Dict, Iterator, Optional

PAUSE_S = 0.01


def acquire(descriptor: int, timeout_s: float) -> bool:
    """Lock an open file for this process alone; whether that came about in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(PAUSE_S)


@contextlib.contextmanager
def locked(path: str, timeout_s: float) -> Iterator[bool]:
    """Hold the file, made if need be, meanwhile; whether it came to be held in time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield acquire(descriptor, timeout_s)
    finally:
        os.close(descriptor)


def held(path: str) -> bool:
    """Whether a process holds the file. Asking locks it for an instant: whoever wants it must try for longer."""
    try:
        # Not for writing, so that no watcher is told of our asking.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def replace(path: str, data: bytes, durable: bool = False) -> None:
    """Write a file so that it is there whole or not at all; `durable`: also after a power cut.

    Raises:
        OSError: nothing has changed.
    """
    part = os.path.join(os.path.dirname(path), ".%s.part" % os.path.basename(path))
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    if durable:
        sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_object(path: str) -> Optional[Dict[str, Any]]:
    """The JSON object in a file; None when there is no such file or it holds something else."""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
