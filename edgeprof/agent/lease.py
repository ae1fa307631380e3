"""The lease on the board: one session measures at a time, whichever host and user it is of.

It is one small file that all users of the board share, changed only under its flock and by a single write, so that
another reads it whole however the writer ends. Time is that since the device started: its wall clock may jump.

The file holds `fence` (a number that only grows), `boot`, `session`, `owner`, `what`, and `holders`: the processes of
that session, each with `pid`, `started`, `space` and `expires`. The lease is valid while one of them lives and has not
expired. A session may have two for a while: the agent that took the lease, and the detached one that keeps it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import stat
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from . import processes
from .locks import acquire
from .refusal import Refused, refused

NAME = "edgeprof.lease"
HOST_S = 900.0
"""How long a host has the board without a word: to unpack a wheel on a slow card, and not for ever when it is gone."""
FOLDERS = ("/run/lock", "/var/lock", "/tmp")  # noqa: S108 (shared by all users on purpose)
BLOCK = 4096
"""The file is one page, written at once: a writer that is killed has written all of it or nothing."""
TEXT_MAX = 200
WAIT_S = 10.0
TRIES = 20

Record = Dict[str, Any]


class Lease:
    """The lease in a folder.

    Args:
        folder: None: the one of `FOLDERS` that has the lease, else the first that can be written.
        clock: seconds since the device started.
        root: where to look for /proc's boot id.
    """

    def __init__(self, folder: Optional[str], clock: Callable[[], float] = processes.boottime, root: str = "/") -> None:
        self._folders = FOLDERS if folder is None else (os.path.expanduser(folder),)
        self._clock = clock
        self._boot = processes.boot_id(root)

    def take(self, owner: str, what: str, session: str, pid: int, ttl_s: float, fence: Optional[int] = None) -> int:
        """Take it for a session; its owner may take it for it again, with the same number. Returns the fence.

        Args:
            owner: user@host, for whoever finds the board in use.
            what: the command, likewise.
            pid: whose end ends the lease.
            ttl_s: until it must be renewed.
            fence: if it was taken before: whoever knows the number may take it again, also for another session.

        Raises:
            Refused: busy, with who has it; or the file cannot be used.
        """
        asked = clean(session), clean(owner), clean(what)
        with self._open() as descriptor:
            now, (last, record) = self._clock(), _read(descriptor)
            if record and self._again(record, fence, asked):
                number, holders = int(record["fence"]), record["holders"]
            else:
                holder = self._holder(record, now)
                if holder and holder["alive"]:
                    message = "the board is in use by %(owner)s (%(what)s, session %(session)s)" % holder
                    raise Refused("busy", "%s, for %.0f s unless renewed" % (message, holder["expires_in_s"]), holder)
                # Time as well as count, so that a fence from before a restart that emptied the folder fits nobody.
                number, holders = max(last + 1, int(now * 1000)), []
            made = dict(zip(("session", "owner", "what"), asked), fence=number, boot=self._boot)
            _write(descriptor, dict(made, holders=self._with(holders, pid, now, ttl_s)))
            return number

    def renew(self, fence: int, pid: int, ttl_s: float) -> None:
        """Hold it for longer, as this process. A lease that ran out unnoticed by others is simply held again.

        Raises:
            Refused: lease_lost; or the file cannot be used.
        """
        with self._open() as descriptor:
            record = self._ours(_read(descriptor)[1], fence)
            holders = self._with(record["holders"], pid, self._clock(), ttl_s)
            _write(descriptor, dict(record, holders=holders))

    def check(self, fence: int) -> None:
        """Whether nobody else has taken it since.

        Raises:
            Refused: lease_lost; or the file cannot be used.
        """
        with self._open() as descriptor:
            self._ours(_read(descriptor)[1], fence)

    def leave(self, fence: int, pid: int) -> None:
        """This process no longer holds it; the last one gives it back."""
        with contextlib.suppress(Refused), self._open() as descriptor:
            record = self._ours(_read(descriptor)[1], fence)
            left = self._others(record["holders"], pid, self._clock())
            _write(descriptor, dict(record, holders=left) if left else _free(record))

    def release(self, fence: int) -> None:
        """Give it back; nothing happens when it is not ours any more."""
        with contextlib.suppress(Refused), self._open() as descriptor:
            record = self._ours(_read(descriptor)[1], fence)
            _write(descriptor, _free(record))

    def holder(self) -> Optional[Record]:
        """Who has it: owner, what, session, fence, expires_in_s; not `alive`: its processes ended, anyone may take it.

        Raises:
            Refused: the file cannot be used.
        """
        with self._open() as descriptor:
            return self._holder(_read(descriptor)[1], self._clock())

    def _again(self, record: Record, fence: Optional[int], asked: Sequence[str]) -> bool:
        if record["boot"] != self._boot or not record["session"]:
            return False
        return record["fence"] == fence or (record["session"], record["owner"]) == tuple(asked[:2])

    def _holder(self, record: Optional[Record], now: float) -> Optional[Record]:
        if record is None or record["boot"] != self._boot:
            return None
        left = [(_alive(one), one["expires"] - now) for one in record["holders"] if one["expires"] > now]
        if not left:
            return None
        lives, seconds = max(left)
        found = {name: record[name] for name in ("owner", "what", "session", "fence")}
        return dict(found, expires_in_s=seconds, alive=lives)

    def _ours(self, record: Optional[Record], fence: int) -> Record:
        if record is None:
            raise Refused("lease_lost", "the lease file of the board is damaged or was removed")
        if record["fence"] == fence and record["boot"] == self._boot and record["session"]:
            return record
        holder = self._holder(record, self._clock())
        by = " by %(owner)s (%(what)s)" % holder if holder and holder["fence"] != fence else ""
        raise Refused("lease_lost", "the lease on the board (number %d) has been taken over or ended%s" % (fence, by))

    def _others(self, holders: List[Record], pid: int, now: float) -> List[Record]:
        return [one for one in holders if one["pid"] != pid and one["expires"] > now and _alive(one)]

    def _with(self, holders: List[Record], pid: int, now: float, ttl_s: float) -> List[Record]:
        mine = {"pid": pid, "started": processes.started(pid), "space": processes.space()}
        return [*self._others(holders, pid, now)[-4:], dict(mine, expires=float(now + ttl_s))]

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        """The file, ours alone meanwhile.

        Raises:
            Refused: it cannot be opened, made, or had in time.
        """
        for _ in range(TRIES):
            path, descriptor = self._descriptor()
            try:
                _plain(descriptor, path)
                if not acquire(descriptor, WAIT_S):
                    raise Refused("busy", "another process keeps the lease file %s locked" % path)
                if _is_there(descriptor, path):
                    try:
                        yield descriptor
                    except OSError as error:
                        raise refused(error, "cannot write the lease file %s" % path) from error
                    return
            finally:
                os.close(descriptor)
        raise Refused("other", "the lease file in %s is removed again and again" % ", ".join(self._folders))

    def _descriptor(self) -> Tuple[str, int]:
        """The file opened: wherever it is, else made in the first folder that lets us."""
        found = self._try(0)
        # Only now with O_CREAT: fs.protected_regular forbids it on others' files in sticky folders, even to root.
        found = found or self._try(os.O_CREAT | os.O_EXCL) or self._try(0)
        if found:
            return found
        raise Refused("read_only", "no lease file can be made in %s" % " or ".join(self._folders))

    def _try(self, flags: int) -> Optional[Tuple[str, int]]:
        for folder in self._folders:
            path = os.path.join(folder, NAME)
            mask = os.umask(0)
            try:
                # O_NONBLOCK: what lies there may be no file.
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | flags, 0o666)
            except FileExistsError:
                return None  # made by another just now
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise Refused("damaged", "%s is a symbolic link; remove it: rm %s" % (path, path)) from error
                if error.errno == errno.ENOENT:
                    continue  # though another may have made it since
                if os.path.lexists(path) or error.errno in (errno.ENOSPC, errno.EDQUOT):
                    # Another folder would be another lease.
                    raise refused(error, "cannot open the lease file") from error
            else:
                return path, descriptor
            finally:
                os.umask(mask)
        return None


def clean(words: str) -> str:
    """What another user wrote, fit to be shown."""
    return "".join(one if one.isprintable() else "?" for one in words)[:TEXT_MAX]


def _plain(descriptor: int, path: str) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise Refused("damaged", "%s is not a file of its own; remove it: rm -r %s" % (path, path))


def _is_there(descriptor: int, path: str) -> bool:
    """Whether the file opened still has its name: a cleaner of /tmp may have taken it meanwhile."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _alive(holder: Record) -> bool:
    """Whether the process lives; believed of one whose numbers are of another name space."""
    return bool(holder["space"] != processes.space() or processes.alive(holder["pid"], holder["started"]))


def _free(record: Record) -> Record:
    """Nobody's; its number still counts."""
    return dict(record, session="", owner="", what="", holders=[])


def _read(descriptor: int) -> Tuple[int, Optional[Record]]:
    """The last fence that can be made out, and the record; None: there is none, or it is damaged."""
    data = os.pread(descriptor, BLOCK, 0)
    numbers = re.findall(rb'"fence": ?([0-9]{1,16})\b', data)
    last = max(map(int, numbers), default=0)
    try:
        record = json.loads(data)
        fence, holders = record["fence"], record["holders"]
        texts = {name: clean(record[name]) for name in ("boot", "session", "owner", "what") if _is(str, record[name])}
        if not _is(int, fence) or len(texts) < 4 or not all(map(_sound, holders)):
            return last, None
    except (ValueError, KeyError, TypeError, RecursionError):
        return last, None
    return max(last, fence), dict(texts, fence=fence, holders=holders)


def _sound(holder: Record) -> bool:
    began, expires = holder["started"], holder["expires"]
    fits = _is(int, holder["pid"]) and 0 < holder["pid"] < 1 << 31 and _is(str, holder["space"])
    return fits and (began is None or _is(str, began)) and _is(float, expires) and math.isfinite(expires)


def _is(kind: type, value: Any) -> bool:
    return type(value) is kind


def _write(descriptor: int, record: Record) -> None:
    data = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
    os.pwrite(descriptor, data.ljust(BLOCK - 1) + b"\n", 0)
