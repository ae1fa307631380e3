"""Runs process rounds one after another, blocked while they run, and tells what came of each.

The plan of a measurement is one JSON object and each event is one JSON object that names its job and round, so the same
plan can be carried out with the events going to a file, and an event that is read twice counts once.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

Event = Dict[str, Any]
Emit = Callable[[Event], None]

STDERR_BYTES = 8192
STDERR_LINES = 8
TRIES = 2
"""How often a round is run whose process was killed by somebody else (out of memory, an administrator)."""
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class HostGoneError(Exception):
    """Whoever asked is gone: stop measuring."""


class Host:
    """What is watched while a round runs: select it, fill it when it is ready, and stop when it is closed."""

    closed = False

    def fileno(self) -> int:
        """For select."""
        raise NotImplementedError

    def fill(self) -> None:
        """Take what is there; blocks only when nothing is."""
        raise NotImplementedError


class Lines(Host):
    """The lines that arrive on a descriptor, read without ever blocking on half a line."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.closed = False
        self._pending = b""
        self._lines: List[bytes] = []

    def fileno(self) -> int:
        """For select."""
        return self.descriptor

    def fill(self) -> None:
        """Take what is there; blocks only when nothing is."""
        data = os.read(self.descriptor, 1 << 16)
        if not data:
            self.closed = True
            return
        *whole, self._pending = (self._pending + data).split(b"\n")
        self._lines.extend(whole)

    def next(self) -> Optional[bytes]:
        """The next whole line, if one has arrived."""
        return self._lines.pop(0) if self._lines else None

    def unread(self) -> bytes:
        """All that was read and not given out, for somebody else to read on; `read_back` returns it."""
        data = b"".join(line + b"\n" for line in self._lines) + self._pending
        self._lines, self._pending = [], b""
        return data

    def read_back(self, data: bytes) -> None:
        """Begin with this, before what comes from the descriptor."""
        *self._lines, self._pending = data.split(b"\n")


class Supervisor:
    """Carries out plans.

    Args:
        program: the agent's own zip, started again for every round.
        emit: takes each event.
        host: closed when whoever asked is gone; None: nobody is watched.
        before_round: is told the most seconds that the round about to start may take.
    """

    def __init__(
        self,
        program: str,
        emit: Emit,
        host: Optional[Host],
        before_round: Optional[Callable[[float], None]] = None,
    ) -> None:
        self.program = program
        self.emit = emit
        self.host = host
        self.before_round = before_round

    def measure(self, plan: Dict[str, Any]) -> None:
        """Run the plan's rounds in the order given; a cell that failed for good is not tried again."""
        method, cells = plan["method"], plan["cells"]
        failed: Set[str] = set()
        for step in plan["rounds"]:
            job = step["job"]
            if job in failed:
                continue
            name = {"job": job, "round": step["round"], "attempt": step["attempt"], "position": step["position"]}
            for attempt in range(1, TRIES + 1):
                if self.before_round:
                    self.before_round(float(method["timeout_s"]))
                self.emit(dict(name, event="start"))
                begin = time.perf_counter_ns()
                told = self.run_round(dict(method, look=step.get("look"), **cells[job]))
                if "result" in told:
                    elapsed = time.perf_counter_ns() - begin
                    self.emit(dict(name, event="round", process_ns=elapsed, **told["result"]))
                    break
                if not told["failed"]["transient"] or attempt == TRIES:
                    failed.add(job)
                    self.emit(dict(name, event="failed", **told["failed"]))
                    break
        self.emit({"event": "done"})

    def inspect(self, call: Dict[str, Any]) -> None:
        """Tell the inputs and outputs of a file, opened in a process of its own: a bad file can crash its runtime."""
        spec = {"format": call["format"], "files": call["files"], "precision": call["precision"], "threads": 1}
        spec["site"] = call.get("site", [])
        told = self.run_round(dict(spec, inspect=True, timeout_s=float(call["timeout_s"])))
        if "result" in told:
            self.emit(dict(told["result"], event="inspected"))
        else:
            self.emit(dict(told["failed"], event="failed", job="inspect", round=0, attempt=0, position=0))

    def operators(self, call: Dict[str, Any]) -> None:
        """Tell where the time of a cell goes, operator by operator, in a process of its own."""
        spec = dict(call["cell"], operators=True, inferences=int(call["inferences"]))
        spec.update(timeout_s=float(call["timeout_s"]), allow_fallback=bool(call.get("allow_fallback")))
        told = self.run_round(spec)
        if "result" in told:
            self.emit(dict(told["result"], event="operators", job=call["job"]))
        else:
            self.emit(dict(told["failed"], event="failed", job=call["job"], round=0, attempt=0, position=0))

    def evaluate(self, call: Dict[str, Any]) -> None:
        """Tell what a cell says about test images, part by part, in a process of its own.

        One that was killed by somebody else is started again with the parts that are left.
        """
        job, timeout_s = call["job"], float(call["timeout_s"])
        spec = dict(call["cell"], evaluate=True, timeout_s=timeout_s, allow_fallback=bool(call.get("allow_fallback")))
        spec.update({key: call[key] for key in ("layout", "mean", "std")})
        left = {part["part"]: part for part in call["parts"]}

        def take(part: Dict[str, Any]) -> None:
            del left[part["part"]]
            self.emit(dict(part, event="evaluated", job=job))
            if self.before_round:
                self.before_round(timeout_s)

        for attempt in range(1, TRIES + 1):
            if self.before_round:
                self.before_round(timeout_s)
            told = self.run_round(dict(spec, parts=list(left.values())), take)
            if "result" in told:
                break
            if not told["failed"]["transient"] or attempt == TRIES:
                part = next(iter(left), 0)
                self.emit(dict(told["failed"], event="failed", job=job, round=part, attempt=0, position=0))
                break
        self.emit({"event": "done"})

    def energy(self, call: Dict[str, Any]) -> None:
        """Tell the power that the board takes while a cell runs, and idle, in a process of its own."""
        spec = dict(call["cell"], energy=True, program=self.program, allow_fallback=bool(call.get("allow_fallback")))
        spec.update({key: call[key] for key in ("round", "window_s", "settle_s")}, timeout_s=float(call["timeout_s"]))
        name = {"job": call["job"], "round": int(call["round"])}
        told = self.run_round(spec)
        if "result" in told:
            self.emit(dict(told["result"], event="energy", **name))
        else:
            self.emit(dict(told["failed"], event="failed", attempt=0, position=0, **name))
        self.emit({"event": "done"})

    def providers(self, call: Dict[str, Any]) -> None:
        """Tell what a format's runtime can run on, asked in a process of its own: importing one can crash."""
        spec = {"format": call["format"], "site": call.get("site", []), "timeout_s": float(call["timeout_s"])}
        told = self.run_round(dict(spec, providers=True))
        if "result" in told:
            self.emit({"event": "providers", "format": call["format"], "providers": told["result"]})
        else:
            self.emit(dict(told["failed"], event="failed", job="providers", round=0, attempt=0, position=0))

    def overhead_ns(self, site: Sequence[str] = ()) -> Optional[int]:
        """Median cost of the timing loop around a model that does nothing; None if it cannot be had (no numpy)."""
        spec = {"format": "noop", "files": {}, "threads": 1, "precision": "fp32", "timeout_s": 30.0, "warmup_s": 0.01}
        spec["site"] = list(site)
        told = self.run_round(dict(spec, warmup_min=100, block_s=0.02, block_min=1000, block_max=5000))
        samples = sorted(told["result"]["samples_ns"]) if "result" in told else []
        return int(samples[len(samples) // 2]) if samples else None

    def run_round(
        self, spec: Dict[str, Any], take: Optional[Callable[[Dict[str, Any]], None]] = None
    ) -> Dict[str, Any]:
        """Start a process for one round and wait for its end: `{"result": ...}` or `{"failed": ...}`.

        Args:
            take: given each part of work that ends in parts; the time allowed then begins anew.

        Raises:
            HostGoneError: the host closed its end meanwhile; the process has been killed.
        """
        deadline = time.monotonic() + float(spec["timeout_s"])
        process = subprocess.Popen(
            [sys.executable, self.program, "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A group of its own, so that whatever a runtime starts is killed with it.
            start_new_session=True,
            # numpy's own threads would only take memory and start-up time; no runtime reads this.
            env=dict(os.environ, OPENBLAS_NUM_THREADS="1", PYTHONPATH=python_path(spec.get("site", []))),
        )
        try:
            return self._follow(process, dict(spec, parent=os.getpid()), deadline, take)
        finally:
            _kill(process)

    def _follow(
        self,
        process: "subprocess.Popen[bytes]",
        spec: Dict[str, Any],
        deadline: float,
        take: Optional[Callable[[Dict[str, Any]], None]],
    ) -> Dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once: its exit status tells
            process.stdin.write(json.dumps(spec).encode() + b"\n")
            process.stdin.close()
        out, phase, told = Lines(process.stdout.fileno()), "starting", b""
        watched: List[Any] = [out, process.stderr] + ([self.host] if self.host else [])
        while not out.closed:
            ready = select.select(watched, [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                message = "not finished within %g s; it was %s" % (spec["timeout_s"], _doing(phase))
                return _failed("hang", message, phase, told)
            if self.host in ready and self.host is not None:
                self.host.fill()
                if self.host.closed:
                    raise HostGoneError
            if process.stderr in ready:
                data = os.read(process.stderr.fileno(), 1 << 16)
                told = (told + data)[-STDERR_BYTES:]
                if not data:
                    watched.remove(process.stderr)
            if out in ready:
                out.fill()
            line = out.next()
            while line is not None:
                message_in = json.loads(line)
                if "result" in message_in:
                    return {"result": message_in["result"]}
                if "failed" in message_in:
                    found = message_in["failed"]
                    return _failed(found["error_class"], found["message"], phase, told, package=found["package"])
                if take and "part" in message_in:
                    take(message_in["part"])
                    deadline = time.monotonic() + float(spec["timeout_s"])
                else:
                    phase = message_in["phase"]
                line = out.next()
        return self._died(process, deadline, phase, told)

    def _died(self, process: "subprocess.Popen[bytes]", deadline: float, phase: str, told: bytes) -> Dict[str, Any]:
        assert process.stderr is not None
        try:
            status = process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return _failed("hang", "it closed its output but did not end", phase, told)
        # Last words that came with the end. Its own children may hold the pipe open: take only what is there.
        while select.select([process.stderr], [], [], 0)[0]:
            data = os.read(process.stderr.fileno(), 1 << 16)
            if not data:
                break
            told = (told + data)[-STDERR_BYTES:]
        if status >= 0:
            return _failed("crash", "it ended with exit status %d while %s" % (status, _doing(phase)), phase, told)
        message = "killed by %s while %s" % (_signal_name(-status), _doing(phase))
        outside = -status in FROM_OUTSIDE
        if -status == signal.SIGKILL:
            message += " (out of memory?)"
        return _failed("crash", message, phase, told, transient=outside)


def python_path(site: Sequence[str]) -> str:
    """The environment of a format before whatever the device's Python looks through anyway."""
    return os.pathsep.join([*site, *filter(None, [os.environ.get("PYTHONPATH")])])


def _failed(
    kind: str, message: str, phase: str, told: bytes, package: Optional[str] = None, transient: bool = False
) -> Dict[str, Any]:
    lines = [line.rstrip() for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
    found = {"error_class": kind, "message": message, "phase": phase, "stderr": lines[-STDERR_LINES:]}
    return {"failed": dict(found, package=package, transient=transient)}


def _doing(phase: str) -> str:
    return phase if phase.split()[0].endswith("ing") else "in " + phase


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all it started, and take its exit status."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
