"""The power that a board takes while it runs one file, beside what it takes idle: a process of its own.

Three windows: idle with the file loaded, the file in a loop, and the same loop with the sensor left alone, which tells
what reading it costs. Nothing here is ever a latency sample.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Tuple

from .runtimes import Model
from .sampler import Sampler
from .samples import RoundError, arranged, read_samples
from .worker import opened, pin

WINDOWS = (("idle", True), ("busy", True), ("busy", False))
"""What is done in a window, and whether the sensor is read; in the reverse order in every second round."""
UPDATES = 15
"""Readings of the sensor that a window holds at least."""
LONGEST_S = 20.0
SETTLED = 2
"""Readings of the sensor that are waited for after a change, before a window begins."""


def energy(spec: Dict[str, Any], phase: Callable[[str], None]) -> Dict[str, Any]:
    """The windows of one round; returns the fields of the event `energy` that come from this process.

    Raises:
        RoundError: with its class; `sensor` where there is none, or no longer.
    """
    started_at = time.time()
    phase("looking for the power sensor")
    sampler = Sampler(spec["program"])  # before this process is bound to its cores, so that it is not
    try:
        pin(spec.get("cores"))
        phase("reading the inputs")
        given = read_samples(spec.get("samples"))
        phase("loading the file")
        model = opened(spec, given)
        if model.threads != int(spec["threads"]):
            raise RoundError("error", "the runtime took %d threads, asked were %s" % (model.threads, spec["threads"]))
        feeds, _ = arranged(model, given)
        window_s = long_enough(float(spec["window_s"]), UPDATES * sampler.period_s)
        settle_s = long_enough(float(spec["settle_s"]), SETTLED * sampler.period_s)
        phase("warm-up")
        looped(model, feeds, settle_s)
        windows = []
        for state, metered in WINDOWS if int(spec["round"]) % 2 == 0 else reversed(WINDOWS):
            phase("the %s window" % state)
            windows.append(_window(model, feeds, state, sampler if metered else None, window_s, settle_s))
    finally:
        sampler.close()
    found = dict(sampler.about, started_at=started_at, windows=windows, runs_on=model.runs_on)
    return dict(found, precision_executed=model.precision, threads_used=model.threads)


def long_enough(asked_s: float, needed_s: float) -> float:
    """What is asked for, or longer where the sensor needs it, within bounds."""
    return min(LONGEST_S, max(asked_s, needed_s))


def _window(
    model: Model, feeds: List[Any], state: str, sampler: Any, window_s: float, settle_s: float
) -> Dict[str, Any]:
    """One of them, after a while of the same."""
    times: List[int] = []
    if sampler is not None:
        sampler.begin()
    if state == "idle":
        time.sleep(settle_s)
        begin = time.monotonic_ns()
        time.sleep(window_s)
        end = time.monotonic_ns()
    else:
        looped(model, feeds, settle_s)
        begin, end, times = looped(model, feeds, window_s)
    read = {"at_ns": [], "values": []} if sampler is None else sampler.end(begin, end)
    median = sorted(times)[len(times) // 2] if times else None
    return dict(read, state=state, elapsed_ns=end - begin, inferences=len(times), median_ns=median)


def looped(model: Model, feeds: List[Any], seconds: float) -> Tuple[int, int, List[int]]:
    """Run without a pause until `seconds` have passed, at least once.

    Returns: begin of the first inference and end of the last, on the monotonic clock, and what each took, in ns.
    """
    clock, run, ways = time.monotonic_ns, model.run, len(feeds)
    times: List[int] = []
    add = times.append
    begin = before = clock()
    enough = begin + int(seconds * 1e9)
    while before < enough or not times:
        run(feeds[len(times) % ways])
        now = clock()
        add(now - before)
        before = now
    return begin, before, times
