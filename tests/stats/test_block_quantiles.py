"""A round's quantile is numpy's to the last bit: reports are compared byte for byte."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.stats.intervals import block_quantiles


@given(st.lists(st.integers(1, 10**12) | st.floats(1e-3, 1e9), min_size=1, max_size=50), st.floats(0, 1))
def test_it_is_what_numpy_computes(block: list[float], quantile: float) -> None:
    assert block_quantiles([block], quantile) == [float(np.quantile(np.asarray(block, dtype=np.float64), quantile))]
