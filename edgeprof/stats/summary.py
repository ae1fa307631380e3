"""From the raw rounds of one measurement to the numbers that are shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.records import Interval, Round, Summary
from edgeprof.stats.intervals import quantile_interval

NS_PER_MS = 1e6
P99_MIN_SAMPLES = 459
"""Fewest samples that bound the 99th percentile with 99% confidence and none over it (MLPerf's early stopping)."""


def summarize(rounds: Sequence[Round]) -> Summary:
    """The summary of at least one round that has samples."""
    blocks = [np.asarray(one.samples_ns, dtype=np.float64) / NS_PER_MS for one in rounds]
    pooled = np.concatenate(blocks)
    peaks = [one.peak_rss_bytes for one in rounds if one.peak_rss_bytes is not None]
    return Summary(
        median_ms=quantile_interval(blocks, 0.5),
        p90_ms=quantile_interval(blocks, 0.9),
        p99_ms=float(np.quantile(pooled, 0.99)) if pooled.size >= P99_MIN_SAMPLES else None,
        load_ms=_once_a_round([one.load_ns for one in rounds]),
        first_ms=_once_a_round([one.first_ns for one in rounds]),
        samples=int(pooled.size),
        rounds=len(rounds),
        peak_rss_bytes=max(peaks) if peaks else None,
    )


def _once_a_round(values_ns: Sequence[int]) -> Interval:
    return quantile_interval([[max(value, 1) / NS_PER_MS] for value in values_ns], 0.5)
