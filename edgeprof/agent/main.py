"""The agent's commands.

`serve` speaks JSON lines with the host and ends with its stdin; `session` is the same detached, its calls and events in
files; `follow` relays between a host and a session; `worker` is one process round; `sampler` reads the power sensor for
one.

Calls, one JSON object a line: `{"call": "hello"}`, `{"call": "facts", "sites", "full", "now", "state"}`,
`{"call": "inspect", "format", "files", "precision", "site", "timeout_s"}` (answered by `inspected` or `failed`),
`{"call": "operators", "job", "cell": {...}, "inferences", "timeout_s"}` (answered by `operators` or `failed`),
`{"call": "evaluate", "job", "cell": {...}, "layout", "mean", "std", "parts": [{"part", "images"}, ...], "timeout_s"}`
(answered by `evaluated` for each part, `failed` if it broke off, and `done`),
`{"call": "energy", "job", "cell": {...}, "round", "window_s", "settle_s", "timeout_s"}` (answered by `energy` or
`failed`, and `done`), and
`{"call": "measure", "method": {...}, "cells": {job: {...}}, "rounds": [{"job", "round", "attempt", "position", "look"},
...]}`. Events, one JSON object a line on stdout: `hello`, `facts`; for a measurement `start` before each round, then
`round` (its numbers) or `failed` (class crash, hang, error, nan, outputs_wrong, missing_runtime, fallback, cores or
sensor), and `done` at the end; `error` for a call that is not understood, `refused` for one that is not carried out
(`refusal.py`). Nothing else is ever written there. With `--workdir` there are also the calls of `board.py`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Optional

# Each mode imports what it needs: every round of a measurement starts here, and a small board imports slowly.
if TYPE_CHECKING:
    from .supervisor import Supervisor

PROTOCOL = 5
USAGE = "usage: agent serve|session|follow|worker|sampler [--workdir DIR] [--session NAME] [--mark LINE]\n"

# Calls that the supervisor carries out by the method of the same name -> what they are about.
CALLS = {
    "inspect": "file to inspect",
    "measure": "plan",
    "operators": "cell to profile",
    "evaluate": "images to evaluate",
    "energy": "cell to meter",
    "providers": "question for providers",
}


def main(arguments: Optional[List[str]] = None, program: Optional[str] = None) -> int:
    """Run a command; returns the exit status."""
    program = os.path.abspath(program or sys.argv[0])
    mode, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    options = dict(zip(rest[::2], rest[1::2]))
    if mode == "worker":
        from .worker import main as work

        work()
        return 0
    if mode == "sampler":
        from .sampler import run as sample

        sample()
        return 0
    workdir, session = options.get("--workdir"), options.get("--session")
    if "--mark" in options:  # after whatever a login shell has printed
        os.write(1, b"\n" + options["--mark"].encode() + b"\n")
    if mode == "serve":
        return serve(program, workdir)
    if mode == "follow" and workdir and session:
        from .follow import follow

        return follow(workdir, session, 0, 1)
    if mode == "session" and workdir and session:
        from .session import run

        return run(workdir, session)
    sys.stderr.write(USAGE)
    return 2


def serve(program: str, workdir: Optional[str] = None) -> int:
    """Answer calls until stdin closes or a signal asks to end; no process is left behind."""
    from .supervisor import HostGoneError, Lines, Supervisor

    out = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    # A host that is gone is told by its closed stdin; writing to it must not kill us before the worker is.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def emit(event: Dict[str, Any]) -> None:
        data = (json.dumps(event, allow_nan=False) + "\n").encode()
        try:
            while data:
                data = data[os.write(out, data) :]
        except BrokenPipeError as error:
            raise HostGoneError from error

    host = Lines(0)
    supervisor = Supervisor(program, emit, host)
    try:
        while True:
            line = host.next()
            if line is not None and workdir is not None and is_receive(line):
                from .blobs import receive

                rest = receive(workdir, 0, out, host.unread())
                if rest is None:
                    return 0
                host.read_back(rest)
            elif line is not None:
                try:
                    answer(line, supervisor, program, workdir)
                except HostGoneError:
                    raise
                except Exception as error:  # what the device or we do wrong ends the call, not the agent
                    emit(_broken(error))
            elif host.closed:
                return 0
            else:
                host.fill()
    except HostGoneError:
        return 0


def _broken(error: Exception) -> Dict[str, Any]:
    """The event that a call could not be carried out."""
    import traceback

    from .refusal import refused

    traceback.print_exc()
    if isinstance(error, OSError):
        return refused(error, "the call could not be carried out").event()
    return {"event": "error", "message": "%s: %s" % (type(error).__name__, error)}


def is_receive(line: bytes) -> bool:
    """Whether a call says that files follow on the same descriptor (`blobs.py`)."""
    try:
        return bool(json.loads(line)["call"] == "receive")
    except (ValueError, KeyError, TypeError):
        return False


def answer(line: bytes, supervisor: Supervisor, program: str, workdir: Optional[str] = None) -> None:
    """Carry out one call. A call that makes no sense is answered, not fatal."""
    from .refusal import Refused

    try:
        call = json.loads(line)
        name = call["call"]
    except (ValueError, KeyError, TypeError):
        supervisor.emit({"event": "error", "message": "this is no call: %r" % line[:80]})
        return
    try:
        if name == "hello":
            hello = {"event": "hello", "protocol": PROTOCOL, "agent_sha": sha256(program)}
            supervisor.emit(dict(hello, python="%d.%d.%d" % sys.version_info[:3]))
        elif name == "facts":
            supervisor.emit({"event": "facts", "facts": found_out(call, supervisor, workdir)})
        elif isinstance(name, str) and name in CALLS:
            getattr(supervisor, name)(call)
        elif workdir is not None:
            from .board import carry_out

            supervisor.emit(carry_out(call, workdir, program))
        else:
            supervisor.emit({"event": "error", "message": "unknown call %r" % (name,)})
    except Refused as refusal:
        supervisor.emit(refusal.event())
    except (KeyError, TypeError, ValueError) as error:
        message = "this is no %s: %s %s" % (CALLS.get(name, name), type(error).__name__, error)
        supervisor.emit({"event": "error", "message": message})


def found_out(call: Dict[str, Any], supervisor: Supervisor, workdir: Optional[str]) -> Dict[str, Any]:
    """What the device is; with `full` also the cost of the timing loop, with `now` what goes on there."""
    from .facts import facts
    from .hardware import sudo_allowed
    from .now import now

    sites = call.get("sites") or {}
    found = facts(sites=sites, workdir=workdir)
    site: List[str] = next((folders for folders in sites.values() if folders), [])
    if call.get("now"):
        found["now"] = now()
        if call.get("state"):
            found["now"]["sudo"] = sudo_allowed(call["state"])
    found["harness_overhead_ns"] = supervisor.overhead_ns(site) if call.get("full", True) else None
    return found


def sha256(path: str) -> str:
    """Of a file."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)
