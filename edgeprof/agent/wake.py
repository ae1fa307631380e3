"""What wakes a process that sleeps: a FIFO for the session, the kernel's word on changed files for its follower."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from typing import Callable, Optional, Set

from .supervisor import Host

IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE, IN_DELETE_SELF, IN_MOVE_SELF = 0x2, 0x8, 0x80, 0x100, 0x400, 0x800
IN_NONBLOCK, IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
HEAD = struct.Struct("iIII")


class Wake(Host):
    """A FIFO that wakes its reader, also while a round runs.

    Args:
        path: of the FIFO.
        to_end: whether the round shall be given up.
    """

    def __init__(self, path: str, to_end: Callable[[], bool]) -> None:
        # For writing too: otherwise it would be at its end for ever once the first writer has closed it.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._to_end = to_end

    def fileno(self) -> int:
        """For select."""
        return self._descriptor

    def fill(self) -> None:
        """Take what is there."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 1 << 12):
                pass
        self.closed = self._to_end()


class Changes:
    """Tells of changes in a folder, by inotify.

    Raises:
        OSError: there is none here, or no watch is left.
    """

    def __init__(self, folder: str) -> None:
        try:
            import ctypes

            libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = int(libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
            mask = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF
            added = -1
            if self._descriptor >= 0:
                added = libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)
            number = ctypes.get_errno()
        except (ImportError, AttributeError) as error:
            raise OSError(errno.ENOSYS, "no inotify") from error
        if added < 0:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            raise OSError(number, os.strerror(number), folder)

    def fileno(self) -> int:
        """For select."""
        return self._descriptor

    def take(self) -> Set[str]:
        """The names of what has changed; waits for nothing."""
        names = set()
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._descriptor, 1 << 16)
            while data:
                size = HEAD.unpack_from(data)[3]
                names.add(os.fsdecode(data[HEAD.size : HEAD.size + size].rstrip(b"\0")))
                data = data[HEAD.size + size :]
        return names


def changes(folder: str) -> Optional[Changes]:
    """Of a folder; None where the kernel tells of none."""
    try:
        return Changes(folder)
    except OSError:
        return None
