"""The timing loop: integers in nanoseconds, in time order, nothing between two samples that could be left for later."""

from __future__ import annotations

import gc
import time
from typing import Any, Callable, List, Optional, Sequence, Tuple

Run = Callable[[List[Any]], List[Any]]

KEPT_BYTES = 32 << 20
"""Memory for the outputs of timed runs; when it is full the oldest are overwritten."""


class Kept:
    """A copy of the outputs of timed runs, made in memory set aside before the block, to be compared after it."""

    def __init__(self, outputs: Sequence[Any], most: int) -> None:
        import numpy as np

        one = sum(int(output.nbytes) for output in outputs)
        self.slots = max(1, min(most, KEPT_BYTES // max(one, 1)))
        self.arrays = [np.empty((self.slots, *output.shape), output.dtype) for output in outputs]

    def keep(self, sample: int, outputs: Sequence[Any]) -> None:
        """Copy the outputs of a sample. Raises ValueError when a shape has changed."""
        slot = sample % self.slots
        for array, output in zip(self.arrays, outputs):
            array[slot] = output

    def samples(self, taken: int) -> List[Tuple[int, int]]:
        """(slot, sample) of what is still there after `taken` samples."""
        first = max(0, taken - self.slots)
        return [(sample % self.slots, sample) for sample in range(first, taken)]


def timed(
    run: Run,
    call_ns: Callable[[], int],
    feeds: Sequence[List[Any]],
    seconds: float,
    least: int,
    most: int,
    end_ns: int,
    kept: Optional[Kept] = None,
) -> Tuple[List[int], List[int]]:
    """Run until `seconds` have passed and `least` samples are taken, at most `most`; never much beyond `end_ns`.

    Returns: nanoseconds of each sample, and of the runtime's own call within it.

    Args:
        call_ns: tells the duration of the runtime's own call in the last run.
        feeds: the inputs; sample i runs feeds[i % len(feeds)].
        end_ns: on `time.perf_counter_ns`; the last sample begins before it, whatever `least` says.
        kept: takes every sample's outputs, outside the timed part.
    """
    clock = time.perf_counter_ns
    samples: List[int] = []
    calls: List[int] = []
    add, add_call = samples.append, calls.append
    keep = kept.keep if kept is not None else _forget
    ways, done = len(feeds), 0
    gc.collect()
    gc.disable()
    try:
        enough_ns = min(clock() + int(seconds * 1e9), end_ns)
        while done < most:
            feed = feeds[done % ways]
            begin = clock()
            outputs = run(feed)
            end = clock()
            add(end - begin)
            add_call(call_ns())
            keep(done, outputs)
            done += 1
            if end >= enough_ns and (done >= least or end >= end_ns):
                break
    finally:
        gc.enable()
    return samples, calls


def _forget(sample: int, outputs: Sequence[Any]) -> None:
    pass
