"""The canary is always the same work, and disturbs neither the memory nor the threads of what is measured."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np

from edgeprof.agent.canary import Canary

FRESH = """
import os
import numpy
from edgeprof.agent.worker import memory
from edgeprof.agent.canary import Canary
peak, threads = memory("VmHWM"), len(os.listdir("/proc/self/task"))
assert len(Canary().time(5)) == 5
print(memory("VmHWM") - peak, len(os.listdir("/proc/self/task")) - threads)
"""


def test_it_times_as_often_as_asked_in_whole_nanoseconds() -> None:
    canary = Canary()
    times = canary.time(4)
    assert len(times) == 4
    assert all(isinstance(one, int) and one > 0 for one in times)
    assert canary.time(0) == []


def test_it_computes_what_it_claims_and_the_same_every_time() -> None:
    """Work that depended on what came before it, or that denormals or infinities slowed down, would drift by itself."""
    canary = Canary()
    canary.time(1)
    first = [array.copy() for array in (canary._product, canary._sum)]
    exact = np.einsum("ij,jk->ik", canary._left.astype(float), canary._right.astype(float))
    np.testing.assert_allclose(canary._product, exact, rtol=1e-5)
    np.testing.assert_array_equal(canary._sum, canary._one + canary._other)
    canary.time(20)
    other = Canary()
    other.time(1)
    for now, there, then in zip((canary._product, canary._sum), (other._product, other._sum), first, strict=True):
        np.testing.assert_array_equal(now, then)
        np.testing.assert_array_equal(now, there)
        assert np.isfinite(now).all()
        assert now.max() > 1e-3


def test_its_arrays_do_not_overlap_and_lie_the_same_in_every_process() -> None:
    canary = Canary()
    arrays = (canary._one, canary._other, canary._sum, canary._left, canary._right, canary._product)
    begins = [array.ctypes.data for array in arrays]
    assert begins[0] % (1 << 21) == 0
    assert len({begin % 4096 for begin in begins[:3]}) == 3
    assert len({begin % 4096 for begin in begins[3:]}) == 3
    for place, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:place])


def test_it_makes_no_array_in_the_timed_part() -> None:
    canary = Canary()
    canary.time(1)
    tracemalloc.start()
    try:
        canary._work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16384  # its smallest array has so many bytes


def test_it_takes_less_than_10_mb_and_no_threads() -> None:
    done = subprocess.run([sys.executable, "-c", FRESH], stdout=subprocess.PIPE, check=True, timeout=60)
    grown, threads = map(int, done.stdout.split())
    assert 6 << 20 < grown < 10_000_000
    assert threads == 0
