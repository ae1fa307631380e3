"""From the raw rounds of one measurement to the numbers that are shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.records import Interval, Round, Summary
from edgeprof.stats import tails
from edgeprof.stats.intervals import block_quantiles, interval_of_median, quantile_interval

NS_PER_MS = 1e6


def summarize(rounds: Sequence[Round]) -> Summary:
    """The summary of at least one round that has samples."""
    blocks = [np.asarray(one.samples_ns, dtype=np.float64) / NS_PER_MS for one in rounds]
    tail = tails.p99(blocks)
    peaks = [one.peak_rss_bytes for one in rounds if one.peak_rss_bytes is not None]
    return Summary(
        median_ms=quantile_interval(blocks, 0.5),
        p90_ms=tails.pooled_quantile(blocks, 0.9),
        p99_ms=tail.value,
        p99_high_ms=tail.high,
        p99_reason=tail.reason,
        call_ms=_call_ms(rounds),
        load_ms=_once_a_round([one.load_ns for one in rounds]),
        first_ms=_once_a_round([one.first_ns for one in rounds]),
        samples=sum(block.size for block in blocks),
        rounds=len(rounds),
        peak_rss_bytes=max(peaks) if peaks else None,
    )


def _call_ms(rounds: Sequence[Round]) -> float | None:
    """The median over the rounds of a round's median, as for the latency; None where no round has it."""
    blocks = [one.call_ns for one in rounds if one.call_ns]
    return float(np.median(block_quantiles(blocks, 0.5))) / NS_PER_MS if blocks else None


def _once_a_round(values_ns: Sequence[int]) -> Interval:
    return interval_of_median([max(value, 1) / NS_PER_MS for value in values_ns])
