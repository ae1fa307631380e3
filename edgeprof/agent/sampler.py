"""Reads the power sensor while another process works: a process of its own, so that reading costs the work little.

It first tells of its sensor, then obeys single characters on stdin: `+` begin, `-` end, which is answered by all that
was read meanwhile. It ends with its stdin. Times are those of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from typing import Any, Dict, List

from . import power
from .samples import RoundError


def run() -> None:
    """Be the process."""
    sensor, why = power.find()
    if sensor is None:
        _tell({"missing": why})
        return
    about = {"sensor": sensor.name, "covers": sensor.covers, "counts": sensor.counts, "wraps": sensor.wraps}
    update_ns = None if sensor.update_s is None else round(sensor.update_s * 1e9)
    _tell(dict(about, update_ns=update_ns, poll_s=sensor.poll_s))
    while os.read(0, 1) == b"+":
        at_ns: List[int] = []
        values: List[int] = []
        due = time.monotonic()
        while True:
            before = time.monotonic_ns()
            value = sensor.read()
            if value is not None:
                at_ns.append((before + time.monotonic_ns()) // 2)
                values.append(value)
            due = max(due + sensor.poll_s, time.monotonic())
            if select.select([0], [], [], max(0.0, due - time.monotonic()))[0]:
                break
        if os.read(0, 1) != b"-":
            return
        _tell({"at_ns": at_ns, "values": values})


def _tell(message: Dict[str, Any]) -> None:
    data = (json.dumps(message) + "\n").encode()
    while data:
        data = data[os.write(1, data) :]


class Sampler:
    """The process as the one that works sees it. It dies with its process group.

    Args:
        program: the agent's own zip.

    Raises:
        RoundError: there is no sensor that can be read.
    """

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, program, "sampler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.about = self._hear()
        """The fields of the host's record that tell of the sensor."""
        if "missing" in self.about:
            raise RoundError("sensor", self.about["missing"])
        self.period_s = max(float(self.about.pop("poll_s")), (self.about["update_ns"] or 0) / 1e9)
        """From one reading that can differ to the next."""

    def begin(self) -> None:
        """Have it read from now on."""
        self._say(b"+")

    def end(self, begin_ns: int, end_ns: int) -> Dict[str, List[int]]:
        """Have it stop: `at_ns` after `begin_ns` and `values` of what was read between the two.

        Raises:
            RoundError: fewer than two readings came: the sensor is gone.
        """
        self._say(b"-")
        told = self._hear()
        inside = [(at, value) for at, value in zip(told["at_ns"], told["values"]) if begin_ns <= at <= end_ns]
        if len(inside) < 2:
            raise RoundError("sensor", "the power sensor (%s) could no longer be read" % self.about["sensor"])
        return {"at_ns": [at - begin_ns for at, _ in inside], "values": [value for _, value in inside]}

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _say(self, word: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise RoundError("sensor", "the process that reads the power sensor has ended") from error

    def _hear(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        heard = self._process.stdout.readline()
        if not heard:
            raise RoundError("sensor", "the process that reads the power sensor has ended")
        found: Dict[str, Any] = json.loads(heard)
        return found
