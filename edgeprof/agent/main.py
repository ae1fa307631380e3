"""The agent's commands: `serve` speaks JSON lines with the host, `worker` is one process round.

Calls, one JSON object a line on stdin: `{"call": "hello"}`, `{"call": "facts"}`,
`{"call": "inspect", "format", "files", "precision", "timeout_s"}` (answered by `inspected` or `failed`),
`{"call": "operators", "job", "cell": {...}, "inferences", "timeout_s"}` (answered by `operators` or `failed`), and
`{"call": "measure", "method": {...}, "cells": {job: {...}}, "rounds": [{"job", "round", "position", "look"}, ...]}`.
Events, one JSON object a line on stdout: `hello`, `facts`; for a measurement `start` before each round, then `round`
(its numbers) or `failed` (class crash, hang, error, nan, outputs_wrong, missing_runtime, fallback or cores), and `done`
at the end; `error` for a call that is not understood. Nothing else is ever written there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import sys
from typing import Any, Dict, List, Optional

from .facts import facts
from .supervisor import HostGoneError, Lines, Supervisor

PROTOCOL = 2

# Calls that the supervisor carries out by the method of the same name -> what they are about.
CALLS = {"inspect": "file to inspect", "measure": "plan", "operators": "cell to profile"}


def main(arguments: Optional[List[str]] = None, program: Optional[str] = None) -> int:
    """Run a command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    program = os.path.abspath(program or sys.argv[0])
    if arguments == ["serve"]:
        return serve(program)
    if arguments == ["worker"]:
        from .worker import main as work

        work()
        return 0
    sys.stderr.write("usage: agent.zip serve\n")
    return 2


def serve(program: str) -> int:
    """Answer calls until stdin closes or a signal asks to end; no process is left behind."""
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
            if line is not None:
                answer(line, supervisor, program)
            elif host.closed:
                return 0
            else:
                host.fill()
    except HostGoneError:
        return 0


def answer(line: bytes, supervisor: Supervisor, program: str) -> None:
    """Carry out one call. A call that makes no sense is answered, not fatal."""
    try:
        call = json.loads(line)
        name = call["call"]
    except (ValueError, KeyError, TypeError):
        supervisor.emit({"event": "error", "message": "this is no call: %r" % line[:80]})
        return
    if name == "hello":
        hello = {"event": "hello", "protocol": PROTOCOL, "agent_sha": sha256(program)}
        supervisor.emit(dict(hello, python=platform.python_version()))
    elif name == "facts":
        found = dict(facts(), harness_overhead_ns=supervisor.overhead_ns())
        supervisor.emit({"event": "facts", "facts": found})
    elif isinstance(name, str) and name in CALLS:
        try:
            getattr(supervisor, name)(call)
        except (KeyError, TypeError, ValueError) as error:
            message = "this is no %s: %s %s" % (CALLS[name], type(error).__name__, error)
            supervisor.emit({"event": "error", "message": message})
    else:
        supervisor.emit({"event": "error", "message": "unknown call %r" % (name,)})


def sha256(path: str) -> str:
    """Of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)
