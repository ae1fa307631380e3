"""The timing loop takes what was asked, keeps what came out, and leaves the process as it was."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprof.agent import timing
from edgeprof.agent.timing import Kept, timed

FAR = 1 << 62


def echo(arrays: list[Any]) -> list[Any]:
    return arrays


def call_ns() -> int:
    return 7


def feeds(ways: int) -> list[list[Any]]:
    return [[np.full((1, 3), way, np.float32)] for way in range(ways)]


# Each example collects garbage twice, which takes a while in a process that has imported much.
@settings(max_examples=25, deadline=None)
@given(least=st.integers(0, 30), most=st.integers(1, 30), ways=st.integers(1, 5))
def test_without_time_it_takes_the_least_but_at_most_the_most(least: int, most: int, ways: int) -> None:
    samples, calls = timed(echo, call_ns, feeds(ways), 0.0, least, most, FAR)
    assert len(samples) == len(calls) == max(1, min(least, most))
    assert set(calls) == {7}
    assert all(isinstance(sample, int) and sample >= 0 for sample in samples)


def test_it_goes_on_until_the_time_is_up() -> None:
    begin = time.perf_counter()
    timed(echo, call_ns, feeds(1), 0.02, 1, 10**9, FAR)
    assert time.perf_counter() - begin >= 0.02


def test_the_deadline_ends_it_whatever_was_asked() -> None:
    """A model too slow for its time gives few samples, which the verdict tells; it is not killed as hanging."""
    samples, _ = timed(echo, call_ns, feeds(1), 100.0, 1000, 1000, time.perf_counter_ns())
    assert len(samples) == 1


@settings(max_examples=25, deadline=None)
@given(taken=st.integers(1, 40), ways=st.integers(1, 6), slots=st.integers(1, 50))
def test_kept_outputs_belong_to_their_inputs(taken: int, ways: int, slots: int) -> None:
    """Also when memory is short and the oldest are overwritten."""
    kept = Kept(echo([np.zeros((1, 3), np.float32)]), most=slots)
    assert kept.slots == slots
    timed(echo, call_ns, feeds(ways), 0.0, taken, taken, FAR, kept)
    places = kept.samples(taken)
    assert len(places) == min(taken, slots)
    for slot, sample in places:
        assert kept.arrays[0][slot, 0, 0] == sample % ways


def test_memory_for_outputs_is_bounded() -> None:
    kept = Kept([np.zeros((1, 1 << 20), np.float32)], most=5000)
    assert sum(array.nbytes for array in kept.arrays) <= timing.KEPT_BYTES


def test_an_output_is_copied_not_referred_to() -> None:
    """OpenVINO gives a view that the next run overwrites."""
    buffer = np.zeros((1, 3), np.float32)

    def overwrite(arrays: list[Any]) -> list[Any]:
        buffer[:] = arrays[0]
        return [buffer]

    kept = Kept([buffer], most=4)
    timed(overwrite, call_ns, feeds(4), 0.0, 4, 4, FAR, kept)
    assert kept.arrays[0][:, 0, 0].tolist() == [0, 1, 2, 3]


def test_no_garbage_is_collected_in_the_block_and_collection_is_on_again_after_an_error() -> None:
    seen = []

    def fail(arrays: list[Any]) -> list[Any]:
        seen.append(gc.isenabled())
        raise ValueError("the kernel says no")

    with pytest.raises(ValueError, match="kernel"):
        timed(fail, call_ns, feeds(1), 0.0, 1, 1, FAR)
    assert seen == [False]
    assert gc.isenabled()
