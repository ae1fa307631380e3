"""A device on this machine for the tests of leases, sessions and followers: folders of its own and the real agent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import process_tools as processes
import tiny_models

from edgeprof.agent import session, spool
from edgeprof.agent.lease import Lease
from edgeprof.agent.refusal import Refused
from edgeprof.target.build import agent_bytes

Event = dict[str, Any]
METHOD = {"warmup_s": 0.0, "warmup_min": 1, "block_s": 0.0, "block_min": 8, "block_max": 8, "timeout_s": 600.0}
DEADLINE_S = 20.0
NOBODY = 65534


class Device:
    """Its workdir has a space and letters beyond ASCII in its name."""

    def __init__(self, folder: Path) -> None:
        self.workdir = folder / "a workdir – 試"
        self.leases = folder / "leases"
        blobs = self.workdir / "blobs"
        for made in (blobs, self.leases):
            made.mkdir(parents=True)
        self.program = blobs / hashlib.sha256(agent_bytes()).hexdigest()
        self.program.write_bytes(agent_bytes())
        self.folder = folder
        self.open: list[Follower] = []
        self.pids: set[int] = set()
        tiny_models.stand_in(folder)

    @property
    def lease(self) -> Lease:
        return Lease(str(self.leases))

    def place(self, name: str = "run-1") -> Path:
        """The session's folder."""
        return self.workdir / "sessions" / name

    def start(self, name: str = "run-1", *, linger_s: float = 600.0, root: str = "/", **state: Any) -> Event:
        """Take the lease for a session and have it running."""
        fence = self.lease.take("ana@desk", "edgeprof run", name, os.getpid(), 60.0)
        told = session.start(
            str(self.workdir), name, str(self.program), fence, str(self.leases), linger_s, state, root=root
        )
        self.pids.add(self.pid(name))
        return told

    def pid(self, name: str = "run-1") -> int:
        """The session's process."""
        return int(spool.known(str(self.place(name)))["pid"])

    def follow(self, call: int = 0, offset: int = 0, name: str = "run-1", before: str = "") -> Follower:
        """A host's follower, attached."""
        follower = Follower(self, name, before)
        follower.say({"call": call, "offset": offset})
        return follower

    def cell(self, does: str) -> Event:
        """A cell that has the stand-in runtime do something."""
        model, samples = self.folder / hashlib.sha256(does.encode()).hexdigest()[:8], self.folder / "samples"
        model.write_text(does)
        ins = tiny_models.stand_in_inputs()
        samples.write_bytes(tiny_models.samples(ins, ins))
        made = {"format": "onnx", "precision": "fp32", "threads": 1, "cores": None, "wrong_above": 0.01}
        return {**made, "files": {"model.onnx": str(model)}, "samples": str(samples)}

    def plan(self, does: str, rounds: int, **method: float) -> Event:
        """A call that measures one cell."""
        order = [{"job": "a", "round": number, "attempt": 1, "position": number} for number in range(rounds)]
        return {"call": "measure", "method": {**METHOD, **method}, "cells": {"a": self.cell(does)}, "rounds": order}

    def close(self) -> None:
        """End whatever is left."""
        for follower in self.open:
            follower.close()
        for place in (self.workdir / "sessions").glob("*"):
            if "pid" in spool.known(str(place)):
                self.pids.add(self.pid(place.name))
        for pid in self.pids:
            end = Path(f"/proc/{pid}/cmdline")
            with contextlib.suppress(OSError):
                if str(self.program).encode() in end.read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    processes.await_end(pid)


class Follower:
    """A running `follow` and its pipes; `received` is what a host keeps of the spool."""

    def __init__(self, device: Device, name: str, before: str = "") -> None:
        command = [sys.executable, str(device.program), "follow", "--workdir", str(device.workdir), "--session", name]
        if before:
            run = "from edgeprof_agent import main, follow; %s; sys.exit(main.main(sys.argv[2:], sys.argv[1]))"
            command[1:1] = ["-c", "import sys; sys.path.insert(0, sys.argv[1]); " + run % before]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.pending = b""
        self.received = b""
        device.open.append(self)

    def say(self, words: Event) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words).encode() + b"\n")

    def hear(self) -> Event:
        """The next line; control lines have `"control": True`; an empty one at the end."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE_S
        while b"\n" not in self.pending:
            ready = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, "nothing was heard"
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                return {}
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        if line.startswith(b"#"):
            return {**json.loads(line[1:]), "control": True}
        self.received += line + b"\n"
        event: Event = json.loads(line)
        return event

    def until(self, *kinds: str) -> list[Event]:
        """The lines up to one of these kinds."""
        heard: list[Event] = []
        while not heard or heard[-1]["event"] not in kinds:
            heard.append(self.hear())
            assert heard[-1], f"it ended after {heard[:-1]}"
        return heard

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def as_other_user(do: Callable[[], Any]) -> Any:
    """What it gives when a user does it who may do nothing special: JSON, or the refusal."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            try:
                told = {"gave": do()}
            except Refused as refusal:
                told = {"refused": refusal.kind, "message": str(refusal)}
            os.write(writes, json.dumps(told).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    assert data, "it raised something else than a refusal"
    told = json.loads(data)
    if "refused" in told:
        raise Refused(told["refused"], told["message"])
    return told["gave"]
