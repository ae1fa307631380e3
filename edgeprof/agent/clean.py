"""Removing what has not been used for long: blobs, broken transfers, unpacked wheels, dead sessions."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from typing import Any, Dict, Iterator, List

from .blobs import RECEIVER, blobs_folder, is_sha
from .locks import held, locked
from .refusal import Refused, refused
from .site import UNPACKER

MARKS = (RECEIVER, UNPACKER, ".write")
"""Empty files that every connection makes anew: two locks, and what tells that the folder can be written."""

BEFORE_SESSION_S = 86400.0
"""What a session uses may have been sent so long before it began."""
STARTING_S = 120.0
"""A younger session may be about to start."""


def clean(workdir: str, older_than_s: float, everything: bool, program: str) -> Dict[str, Any]:
    """Remove what was not used for `older_than_s`, or all of it; never a session that is alive, nor what it may use.

    Ages go by the device's own clock and by when a file was last asked for. The program, if it lies there, stays.

    Raises:
        Refused: files are being received; something cannot be removed.
    """
    now = time.time()
    least = 0.0 if everything else max(older_than_s, 0.0)
    removed = _Removed()
    blobs, site, sessions = (os.path.join(workdir, name) for name in ("blobs", "site", "sessions"))
    try:
        with _nobody_writes(os.path.join(blobs, RECEIVER), os.path.join(site, UNPACKER)):
            alive = [session for session in _entries(sessions) if held(os.path.join(session, "lock"))]
            for session in _entries(sessions):
                if session not in alive and now - _used(session) >= max(least, STARTING_S):
                    removed.take(session)
            used = max([now - _begun(session) + BEFORE_SESSION_S for session in alive], default=0.0)
            least = max(least, used)
            for path in [*_entries(blobs), *_entries(site)]:
                # A clock that was set back makes files of the future: they are new, unless all is to go.
                age = now - _used(path)
                if not _same(path, program) and (age >= least or (everything and not alive)):
                    removed.take(path)
    except OSError as error:
        raise refused(error, "not everything could be removed") from error
    return {"event": "cleaned", "files": removed.files, "bytes": removed.bytes}


def forget(workdir: str, shas: Any) -> Dict[str, Any]:
    """Remove files that were pushed and are needed no more; what is not there is no matter.

    Raises:
        Refused: one cannot be removed.
    """
    if not isinstance(shas, list) or not all(is_sha(sha) for sha in shas):
        raise Refused("other", "this is no list of files to remove: %s" % repr(shas)[:100])
    removed = _Removed()
    try:
        folder = blobs_folder(workdir)
        for sha in shas:
            with contextlib.suppress(FileNotFoundError):
                removed.take(os.path.join(folder, sha))
    except OSError as error:
        raise refused(error, "a file could not be removed") from error
    return {"event": "cleaned", "files": removed.files, "bytes": removed.bytes}


class _Removed:
    """Removes and counts."""

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0

    def take(self, path: str) -> None:
        """Remove a file or folder."""
        if not os.path.isdir(path) or os.path.islink(path):
            self.count(path)
            os.unlink(path)
            return
        for folder, _, files in os.walk(path):
            for name in files:
                self.count(os.path.join(folder, name))
        shutil.rmtree(path)

    def count(self, path: str) -> None:
        """Take note of a file that goes."""
        self.files += 1
        self.bytes += os.lstat(path).st_size


@contextlib.contextmanager
def _nobody_writes(*locks: str) -> Iterator[None]:
    with contextlib.ExitStack() as held_now:
        for lock in locks:
            if os.path.isdir(os.path.dirname(lock)) and not held_now.enter_context(locked(lock, 0.0)):
                raise Refused("busy", "files are being sent to this device")
        yield


def _entries(folder: str) -> List[str]:
    """What lies in a folder, but its marks."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    return [os.path.join(folder, name) for name in names if name not in MARKS]


def _used(path: str) -> float:
    """When it was last used. A session uses its folder and the files right in it."""
    times = [os.lstat(path).st_mtime]
    if os.path.basename(os.path.dirname(path)) == "sessions" and stat.S_ISDIR(os.lstat(path).st_mode):
        times += [os.lstat(os.path.join(path, name)).st_mtime for name in os.listdir(path)]
    return max(times)


def _begun(session: str) -> float:
    """When a session that is alive was started: the time of the oldest thing it has."""
    return min([os.lstat(session).st_mtime, *(os.lstat(one).st_mtime for one in _entries(session))])


def _same(path: str, program: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(program)
