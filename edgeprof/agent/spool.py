"""The folder of a detached session, as the session and its followers know it.

session.json            what it was started with, its process, the number of the last call when it began, `ended`
lock, follower          held (flock) by the session, by the process that relays for the host
wake                    FIFO: a byte in it has the session look around
call-NNNNNN.json        what the host asks, one object
spool-NNNNNN.jsonl      what came of it, one object a line
end                     the session shall end now
log                     what it wrote to stderr
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from typing import Any, Dict

from . import processes
from .locks import held, read_object
from .refusal import Refused

NUMBERED = re.compile(r"(?:call-([0-9]{6,})\.json|spool-([0-9]{6,})\.jsonl)$")


def folder(workdir: str, name: str) -> str:
    """Of a session, which need not exist.

    Raises:
        Refused: it can be no session's name.
    """
    if not re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,80}", name):
        raise Refused("other", "%r can be no session's name" % name)
    return os.path.join(os.path.abspath(os.path.expanduser(workdir)), "sessions", name)


def call_path(place: str, number: int) -> str:
    """Where a call lies."""
    return os.path.join(place, "call-%06d.json" % number)


def spool_path(place: str, number: int) -> str:
    """Where a call's events lie."""
    return os.path.join(place, "spool-%06d.jsonl" % number)


def line(event: Dict[str, Any]) -> bytes:
    """As it lies in a spool."""
    return json.dumps(event, allow_nan=False).encode() + b"\n"


def known(place: str) -> Dict[str, Any]:
    """What `session.json` holds; empty when there is none."""
    return read_object(os.path.join(place, "session.json")) or {}


def numbered(place: str) -> Dict[str, int]:
    """The files of calls and spools -> their numbers."""
    try:
        names = os.listdir(place)
    except OSError:
        return {}
    matches = {name: NUMBERED.match(name) for name in names}
    return {name: int(match.group(1) or match.group(2)) for name, match in matches.items() if match}


def last_call(place: str) -> int:
    """The highest number that a call ever had; 0: there was none."""
    return max([*numbered(place).values(), int(known(place).get("calls", 0))])


def remove_until(place: str, number: int) -> None:
    """Calls and spools up to a number."""
    for name, its in numbered(place).items():
        if its <= number:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(place, name))


def remove(place: str) -> None:
    """The whole folder; out of the way first, so that a session that is started now finds none of it."""
    aside = os.path.join(os.path.dirname(place), ".%s.%d" % (os.path.basename(place), os.getpid()))
    os.rename(place, aside)
    shutil.rmtree(aside, ignore_errors=True)


def gone(place: str) -> bool:
    """Whether no session's process is there, not even one that is still starting."""
    return not held(os.path.join(place, "lock"))


def alive(place: str) -> bool:
    """Whether the session's process is there and takes calls."""
    session = known(place)
    return not gone(place) and "pid" in session and processes.alive(session["pid"], session["started"])


def poke(place: str) -> None:
    """Have the session look around, if it is there."""
    # Without waiting: a FIFO that nobody reads, or a full one, needs no byte.
    with contextlib.suppress(OSError):
        descriptor = os.open(os.path.join(place, "wake"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)


def ask_to_end(place: str) -> None:
    """Have the session end at once, whatever it does."""
    with contextlib.suppress(FileNotFoundError), open(os.path.join(place, "end"), "wb"):
        pass
    poke(place)
