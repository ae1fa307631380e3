"""A small fixed workload, timed beside every block: when its time changes, the device changed and not the model."""

from __future__ import annotations

import time
from typing import Any, List

SIDE, PRODUCTS = 64, 40
"""Of the square float32 matrices (16 KiB each), and how often they are multiplied: 21 MFLOP."""
STREAM, PASSES = (1 << 19) - 5120, 2
"""float32 in each array of the pass over memory (just under 2 MiB), and how often it is made: 12 MiB moved."""
GAP = 80
"""float32 between two arrays, so that loads and stores at the same place of two arrays never share a page's offset."""
HUGE_PAGE = 1 << 21
"""Bytes, on x86 and Arm. All arrays together fill three, so that the pages are alike in every process."""


class Canary:
    """Vector arithmetic in cache, which follows the core's clock, then passes over 6 MiB, which feel caches and memory.

    Both halves grow from a PC to a board about alike, so that both count on either. One thread: such small products are
    below the size from which OpenBLAS uses more, and the agent sets its threads to 1 besides. Always the same values,
    and no array is made in the timed part. It holds 6 MiB from when it is made, and the BLAS some 0.2 MiB from its
    first use.
    """

    def __init__(self) -> None:
        import numpy as np

        memory = np.zeros(4 * HUGE_PAGE, np.uint8)
        begin = -memory.ctypes.data % HUGE_PAGE
        values = memory[begin : begin + 3 * HUGE_PAGE].view(np.float32)
        matrix, stream = SIDE * SIDE + GAP, STREAM + GAP
        streams = [values[i * stream :][:STREAM] for i in range(3)]
        matrices: List[Any] = [values[3 * stream + i * matrix :][: SIDE * SIDE].reshape(SIDE, SIDE) for i in range(3)]
        for array in (*streams, *matrices):
            array.flat = np.arange(7, dtype=np.float32) / 8
        self._one, self._other, self._sum = streams
        self._left, self._right, self._product = matrices
        self._multiply, self._add = np.matmul, np.add

    def _work(self) -> None:
        for _ in range(PRODUCTS):
            self._multiply(self._left, self._right, out=self._product)
        for _ in range(PASSES):
            self._add(self._one, self._other, out=self._sum)

    def time(self, repeats: int) -> List[int]:
        """Nanoseconds of each of `repeats` times; one that is not timed goes before, to warm caches and clock."""
        clock = time.perf_counter_ns
        times = []
        self._work()
        for _ in range(repeats):
            begin = clock()
            self._work()
            times.append(clock() - begin)
        return times
