"""Relays between one host and one detached session: calls to it, its spool back, byte by byte.

To the host go the session's own lines and, between whole ones of them, control lines that begin with `#`: `attached`
first, `pong`, `refused`, and `gone` last. It may be killed at any moment; another goes on from the offset that the host
has. It sleeps while the device measures.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from typing import Any, Dict, List, Optional

from . import processes, spool
from .locks import acquire, read_object, replace
from .refusal import Refused, refused
from .supervisor import Lines
from .wake import Changes, changes

FIRST_S = 60.0
"""How long the host may take to say from where."""
SILENT_S = 900.0
"""A host that says nothing, or takes nothing, for so long is gone, whatever its connection says."""
LOOK_S, LOOK_BLIND_S, LOOK_SOON_S = 30.0, 1.0, 0.05
"""How often the session is looked for: with word of changes, without it, and when its lock was just closed."""
TAKEOVER_S = 5.0
CHUNK = 1 << 18
PIPE_BUF = 4096
"""What a descriptor that can be written takes without blocking."""


def follow(workdir: str, name: str, source_fd: int, out_fd: int) -> int:
    """Relay until the host closes its end or the session is gone; returns the exit status."""
    follower = Follower(source_fd, out_fd)
    try:
        return follower.run(spool.folder(workdir, name))
    except Refused as refusal:
        follower.tell(refusal.event())
        return 1
    except (BrokenPipeError, _HostGone):
        return 0


class _HostGone(Exception):
    pass


class Follower:
    """One host's relay."""

    def __init__(self, source_fd: int, out_fd: int) -> None:
        self._host = Lines(source_fd)
        self._out = out_fd
        self._heard = time.monotonic()
        self._place = ""
        self._number = 0
        self._offset = 0

    def run(self, place: str) -> int:
        """Relay until the end."""
        self._place = place
        first = self._first()
        try:
            last = spool.last_call(place)
            self._number, self._offset = int(first.get("call", 0)) or last, int(first.get("offset", 0))
        except (TypeError, ValueError) as error:
            raise Refused("other", "this says not what to follow: %r" % first) from error
        watch = self._hold()
        alive = spool.alive(place)
        told = {"event": "attached", "call": self._number, "calls": spool.last_call(place), "alive": alive}
        self.tell(dict(told, boot=processes.boot_id()))
        spool.poke(place)  # it may have thought itself alone
        self._obey_all()  # what came with the first line
        soon = 0
        while True:
            gone = spool.gone(place)
            self._relay()
            if gone:
                self.tell({"event": "gone", "why": self._why()})
                return 0
            wait_s = LOOK_SOON_S if soon else LOOK_S if watch else LOOK_BLIND_S
            watched: List[Any] = [self._host, watch] if watch else [self._host]
            ready = select.select(watched, [], [], wait_s)[0]
            soon = max(0, soon - 1)
            if watch in ready and watch is not None and "lock" in watch.take():
                # The kernel tells of the closing before it lets go of the lock.
                soon = 20
            if self._host in ready and not self._listen():
                return 0
            if time.monotonic() - self._heard > SILENT_S:
                return 0

    def tell(self, event: Dict[str, Any]) -> None:
        """Write a control line."""
        self._write(b"#" + spool.line(event))

    def _first(self) -> Dict[str, Any]:
        deadline = time.monotonic() + FIRST_S
        while True:
            line = self._host.next()
            if line is not None:
                return _parsed(line)
            if self._host.closed or not select.select([self._host], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise _HostGone
            self._host.fill()

    def _hold(self) -> Optional[Changes]:
        """Be the only follower: an older one, whose link may be dead, is ended."""
        if not os.path.isdir(self._place):
            return None
        path = os.path.join(self._place, "follower")
        try:
            # Kept open, and so held, until this process ends.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            deadline = time.monotonic() + TAKEOVER_S
            while not acquire(descriptor, 0.1):
                older = read_object(path) or {}
                # By its beginning too: the number may be another's by now.
                if older.get("started") and processes.started(older["pid"]) == older["started"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(older["pid"], signal.SIGKILL)
                if time.monotonic() > deadline:
                    raise Refused("busy", "another host follows this session and does not let go")
            me = {"pid": os.getpid(), "started": processes.started(os.getpid())}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(me).encode(), 0)
        except OSError as error:
            raise refused(error, "cannot follow the session") from error
        return changes(self._place)

    def _listen(self) -> bool:
        """Do what the host's lines say; False at their end."""
        self._host.fill()
        self._heard = time.monotonic()
        self._obey_all()
        return not self._host.closed

    def _obey_all(self) -> None:
        line = self._host.next()
        while line is not None:
            try:
                self._obey(_parsed(line), line)
            except Refused as refusal:
                self.tell(refusal.event())
            line = self._host.next()

    def _obey(self, said: Dict[str, Any], line: bytes) -> None:
        if "ping" in said:
            self.tell({"event": "pong", "ping": said["ping"]})
            return
        number, last = said.get("number"), spool.last_call(self._place)
        if not isinstance(number, int) or not max(last, 1) <= number <= last + 1:
            raise Refused("other", "the call is number %r, and the last was %d" % (number, last))
        path = spool.call_path(self._place, number)
        if number > last and not spool.gone(self._place):
            try:
                replace(path, line)
            except OSError as error:
                raise refused(error, "cannot hand over the call") from error
        if said.get("call") == "end":
            spool.ask_to_end(self._place)
        spool.poke(self._place)
        if number != self._number:
            self._relay()
            self._number, self._offset = number, 0

    def _relay(self) -> None:
        """Write the whole lines that are new in the spool."""
        try:
            descriptor = os.open(spool.spool_path(self._place, self._number), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # nothing came of the call yet
        try:
            pending = b""
            while True:
                data = os.pread(descriptor, CHUNK, self._offset + len(pending))
                if not data:
                    return
                whole, newline, rest = data.rpartition(b"\n")
                if newline:
                    self._write(pending + whole + newline)
                    self._offset += len(pending) + len(whole) + 1
                    pending = rest
                else:
                    pending += data
        finally:
            os.close(descriptor)

    def _why(self) -> str:
        session = spool.known(self._place)
        if not session or session.get("ended"):
            return "ended"
        return "killed" if session.get("boot") == processes.boot_id() else "restarted"

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if not select.select([], [self._out], [], SILENT_S)[1]:
                raise _HostGone
            view = view[os.write(self._out, view[:PIPE_BUF]) :]


def _parsed(line: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused("other", "this is no call: %r" % line[:80])
    return found
