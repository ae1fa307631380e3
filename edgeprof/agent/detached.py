"""The process of a session: its calls and events lie in files (`spool.py`), and no host need be there.

It holds the board's lease, carries out one call after the other, and ends when it is told to, when the lease is lost,
or when no host has followed it for a while. It does nothing by itself while a round runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
import traceback
from typing import Any, Dict, Optional

from . import processes, spool, state
from .lease import Lease
from .locks import acquire, held, read_object, replace
from .refusal import Refused, refused
from .supervisor import HostGoneError, Supervisor
from .wake import Wake

LOCK_S = 3.0
"""How long it tries to lock its folder: whoever asks whether it is locked has it for an instant."""
LOOK_S = 30.0
IDLE_TTL_S = 90.0
SPARE_S = 60.0
"""By how much the lease outlasts what is carried out."""
CALL_S = 60.0
"""What a call may take that does not say it."""
RESERVE_BYTES = 1 << 16
"""Kept to be given up when the disk is full, so that this can still be told."""


class Session:
    """The session's process, from its lock to its end."""

    def __init__(self, place: str, workdir: str) -> None:
        asked = read_object(os.path.join(place, "ask.json"))
        if asked is None:
            raise Refused("other", "nobody has asked for the session in %s" % place)
        self.place = place
        self.workdir = workdir
        self.asked = asked
        self.fence = int(asked["fence"])
        self.token = "%d %s" % (os.getpid(), processes.started(os.getpid()))
        self.lease = Lease(asked["lease"])
        self.last = 0
        self.out: Optional[int] = None
        self.lost = False

    def run(self, ready: int) -> None:
        """Take calls until it is to end.

        Raises:
            Refused: it could not begin.
        """
        lock = os.open(os.path.join(self.place, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not acquire(lock, LOCK_S):
            raise Refused("busy", "the session is already running")
        self.lease.renew(self.fence, os.getpid(), IDLE_TTL_S)
        try:
            state.put_back(self.workdir)  # what a session before left, when even its watchdog could not
            if any(value is not None for value in self.asked["state"].values()):
                state.watchdog(self.workdir, self.token)
                state.apply(self.workdir, self.asked["state"], self.asked["root"], self.token)
            self._begin()
        except BaseException:
            self._put_back()
            self.lease.leave(self.fence, os.getpid())  # whoever asked may still have it
            raise
        try:
            with contextlib.suppress(OSError):  # whoever asked is gone; its host can still come
                os.write(ready, spool.line({"event": "session"}))
            self._serve()
        finally:
            self._put_back()
            self.lease.leave(self.fence, os.getpid())
        if os.path.exists(self._path("end")):
            spool.remove(self.place)

    def _begin(self) -> None:
        """Have the folder ready; `session.json`, the last, tells that it is."""
        try:
            self.last = spool.last_call(self.place)
            for name in ("end", "wake"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path(name))
            os.mkfifo(self._path("wake"), 0o600)
            self.wake = Wake(self._path("wake"), self._to_end)
            self._reserve()
            self._note(ended=False)
            spool.remove_until(self.place, self.last)
        except OSError as error:
            raise refused(error, "cannot start a session in %s" % self.place) from error

    def _serve(self) -> None:
        supervisor = Supervisor(self.asked["program"], self.emit, self.wake, self._before_round)
        followed = time.monotonic()
        while not self.lost and not os.path.exists(self._path("end")):
            if os.path.exists(spool.call_path(self.place, self.last + 1)):
                self.last += 1
                self._carry_out(supervisor)
                followed = time.monotonic()
                continue
            try:
                self.lease.renew(self.fence, os.getpid(), IDLE_TTL_S)
            except Refused as refusal:
                if refusal.kind == "lease_lost":
                    self._tell(refusal)
                    break
                sys.stderr.write("the lease could not be renewed: %s\n" % refusal)
            if held(self._path("follower")):
                followed = time.monotonic()
            left = float(self.asked["linger_s"]) - (time.monotonic() - followed)
            if left <= 0:
                break
            if select.select([self.wake], [], [], min(LOOK_S, left))[0]:
                self.wake.fill()
        with contextlib.suppress(OSError):
            self._note(ended=True)

    def _carry_out(self, supervisor: Supervisor) -> None:
        from .main import answer  # which loads this module

        try:
            self._open_spool()
            spool.remove_until(self.place, self.last - 1)
            with open(spool.call_path(self.place, self.last), "rb") as file:
                line = file.read()
            call = _object(line)
            if call.get("call") == "end":
                spool.ask_to_end(self.place)
                return
            allowed = call.get("timeout_s")
            allowed_s = float(allowed) if isinstance(allowed, (int, float)) else CALL_S
            self.lease.renew(self.fence, os.getpid(), allowed_s + SPARE_S)
            answer(line, supervisor, self.asked["program"], self.workdir)
        except HostGoneError:
            pass  # the loop looks why
        except Refused as refusal:
            self._tell(refusal)
        except OSError as error:
            traceback.print_exc()
            self._tell(refused(error, "the call could not be carried out"))
        except Exception as error:  # a bug of ours ends the call, not the session that holds the samples
            traceback.print_exc()
            self.emit({"event": "error", "message": "%s: %s" % (type(error).__name__, error)})

    def emit(self, event: Dict[str, Any]) -> None:
        """Add an event to the spool, whole or not at all.

        Raises:
            Refused: the lease is lost, so that another may have disturbed it; it is not kept.
            OSError: it could not be written.
        """
        if event["event"] not in ("start", "refused", "error") and self._lease_lost():
            self.lease.check(self.fence)
        self.lost = self.lost or event.get("kind") == "lease_lost"
        data = spool.line(event)
        if self.out is None:
            self._open_spool()
        assert self.out is not None
        size = os.fstat(self.out).st_size
        try:
            while data:
                data = data[os.write(self.out, data) :]
            if event["event"] != "start":
                # Here, between two rounds, and not by the kernel during one; and kept through a power cut.
                os.fdatasync(self.out)
        except OSError:
            os.ftruncate(self.out, size)
            raise

    def _tell(self, refusal: Refused) -> None:
        try:
            self.emit(refusal.event())
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path("reserve"))
            self.emit(refusal.event())

    def _before_round(self, timeout_s: float) -> None:
        self.lease.renew(self.fence, os.getpid(), timeout_s + SPARE_S)

    def _lease_lost(self) -> bool:
        try:
            self.lease.check(self.fence)
        except Refused as refusal:
            return refusal.kind == "lease_lost"
        return False

    def _to_end(self) -> bool:
        return os.path.exists(self._path("end")) or self._lease_lost()

    def _open_spool(self) -> None:
        if self.out is not None:
            os.close(self.out)
            self.out = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.out = os.open(spool.spool_path(self.place, self.last), flags, 0o600)
        with contextlib.suppress(OSError):
            self._reserve()

    def _reserve(self) -> None:
        if not os.path.exists(self._path("reserve")):
            replace(self._path("reserve"), b"\0" * RESERVE_BYTES)

    def _note(self, ended: bool) -> None:
        noted = {"pid": os.getpid(), "started": processes.started(os.getpid()), "boot": processes.boot_id()}
        noted.update(fence=self.fence, lease=self.asked["lease"], program=self.asked["program"], calls=self.last)
        replace(self._path("session.json"), json.dumps(dict(noted, ended=ended)).encode(), durable=True)

    def _put_back(self) -> None:
        try:
            state.put_back(self.workdir, self.token)
        except Refused as refusal:
            sys.stderr.write("what was set on the device is not put back: %s\n" % refusal)

    def _path(self, name: str) -> str:
        return os.path.join(self.place, name)


def _object(line: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
