"""Sessions, agents detached from whoever started them: started, looked for and ended here; `detached.py` is one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from typing import Any, Dict, List, Mapping, NoReturn, Optional

from . import spool
from .detached import Session
from .lease import Lease
from .locks import locked, replace
from .refusal import KINDS, Refused, refused

START_S = 20.0
LOG_MAX = 1 << 18


def start(
    workdir: str,
    name: str,
    program: str,
    fence: int,
    lease_folder: Optional[str],
    linger_s: float,
    state: Mapping[str, Any],
    root: str = "/",
) -> Dict[str, Any]:
    """Have the session running; the event that tells of it.

    Args:
        workdir: the device's folder for edgeprof.
        name: of the session.
        program: the agent's zip.
        fence: of the lease, taken for this session; from here on the session holds it, not this process.
        lease_folder: where the lease is.
        linger_s: how long it waits for a host that is gone.
        state: what is set on the device meanwhile (`state.py`).
        root: of the tree with /sys.

    Raises:
        Refused: with what stood in the way.
    """
    workdir, place = _absolute(workdir), spool.folder(workdir, name)
    lease = Lease(lease_folder)
    lease.check(fence)
    try:
        for folder in (workdir, os.path.dirname(place), place):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        with locked(os.path.join(place, "starting"), 2 * START_S) as ours:
            if not ours:
                raise Refused("busy", "another process is starting the session %s" % name)
            if spool.alive(place) and spool.known(place).get("fence") != fence:
                _await_end(place)  # its lease is lost; it notices as it is poked
            if not spool.alive(place):
                program = _absolute(program)
                asked = {"program": program, "fence": fence, "lease": lease_folder, "linger_s": linger_s, "root": root}
                replace(os.path.join(place, "ask.json"), json.dumps(dict(asked, state=dict(state))).encode())
                try:
                    _launch([sys.executable, program, "session", "--workdir", workdir, "--session", name])
                except Refused as refusal:
                    # One that was still starting, whose starter was killed, may have been first.
                    if refusal.kind != "busy" or not _comes_up(place, fence):
                        raise
    except OSError as error:
        raise refused(error, "cannot start a session in %s" % place) from error
    lease.leave(fence, os.getpid())
    return look(workdir, name)


def look(workdir: str, name: str) -> Dict[str, Any]:
    """The event that tells of a session: whether it is alive, and the number of its last call."""
    place = spool.folder(workdir, name)
    return {"event": "session", "alive": spool.alive(place), "calls": spool.last_call(place)}


def stop(workdir: str, name: str) -> None:
    """End a session, whatever it does; its folder is removed.

    Raises:
        Refused: it does not end.
    """
    _await_end(spool.folder(workdir, name), asking=True)


def drop(workdir: str, name: str) -> Dict[str, Any]:
    """Remove what is left of a session that has ended, for a host that has read all of it; one that is alive stays.

    Returns: the event that tells of it.

    Raises:
        Refused: it cannot be removed.
    """
    place = spool.folder(workdir, name)
    try:
        if os.path.isdir(place):
            with locked(os.path.join(place, "starting"), 0.0) as ours:
                if ours and spool.gone(place):
                    spool.remove(place)
    except OSError as error:
        raise refused(error, "cannot remove %s" % place) from error
    return look(workdir, name)


def run(workdir: str, name: str) -> int:
    """Become the session's process in the background; 0 as soon as it takes calls, else the refusal is on stdout."""
    workdir, place = _absolute(workdir), spool.folder(workdir, name)
    os.umask(0o077)
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        _detached(place, workdir, writes)
    os.close(writes)
    deadline, told = time.monotonic() + START_S, b""
    while not told.endswith(b"\n"):
        if not select.select([reads], [], [], max(0.0, deadline - time.monotonic()))[0]:
            os.kill(child, signal.SIGKILL)
            told = spool.line(Refused("other", "the session was not ready after %g s" % START_S).event())
            break
        data = os.read(reads, 1 << 16)
        if not data:
            told = spool.line(Refused("other", "the session ended as it started%s" % _last_words(place)).event())
            break
        told += data
    os.write(1, told)
    return 0 if b'"session"' in told else 1


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _launch(command: List[str]) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            start_new_session=True,
            timeout=2 * START_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused("other", "the session did not start within %g s" % (2 * START_S)) from error
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        told = {}
    if told.get("event") == "refused":
        raise Refused(told["kind"] if told["kind"] in KINDS else "other", told["message"], told["holder"])
    if told.get("event") != "session":
        words = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise Refused("other", "the session did not start: %s" % (words or "exit status %d" % done.returncode))


def _comes_up(place: str, fence: int) -> bool:
    """Whether the process that holds the session's lock begins to take calls, for this fence."""
    deadline = time.monotonic() + START_S
    while not spool.alive(place):
        if spool.gone(place) or time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return bool(spool.known(place).get("fence") == fence)


def _await_end(place: str, asking: bool = False) -> None:
    deadline = time.monotonic() + START_S
    while not spool.gone(place):
        if time.monotonic() > deadline:
            raise Refused("other", "the session in %s does not end" % place)
        if asking:
            spool.ask_to_end(place)
        spool.poke(place)
        time.sleep(0.02)


def _detached(place: str, workdir: str, ready: int) -> NoReturn:
    """The background process; tells on `ready` when it takes calls, or why not, and never returns."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _leave)
        try:
            _stdio(place)
            Session(place, workdir).run(ready)
            status = 0
        except OSError as error:
            traceback.print_exc()
            _answer(ready, refused(error, "the session cannot go on"))
        except Refused as refusal:
            _answer(ready, refusal)
    except SystemExit as leaving:
        status = int(leaving.code or 0)
    except BaseException:  # told in the log; a process that was forked must not go on elsewhere
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _answer(ready: int, refusal: Refused) -> None:
    with contextlib.suppress(OSError):  # nobody waits any more
        os.write(ready, spool.line(refusal.event()))


def _stdio(place: str) -> None:
    """Let go of whoever started us, so that its channel can close."""
    os.chdir("/")
    path = os.path.join(place, "log")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if os.fstat(log).st_size > LOG_MAX:
        os.ftruncate(log, 0)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(log)


def _last_words(place: str) -> str:
    try:
        with open(os.path.join(place, "log"), encoding="utf-8", errors="replace") as file:
            lines = file.read()[-2000:].split("\n")
    except OSError:
        return ""
    words = [line for line in lines if line.strip()]
    return ": " + words[-1] if words else ""


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)
