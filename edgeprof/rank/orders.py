"""What candidates can be ordered by, each with its interval."""

from __future__ import annotations

from collections.abc import Callable

from edgeprof.rank.bounds import Quantity
from edgeprof.records import Candidate, Interval, Round
from edgeprof.stats.intervals import quantile_interval, wilson

ROUNDING = 1e-9
"""Latency intervals are widened by this share, so that rounding in the logarithms never parts two equal candidates."""


def _latency(candidate: Candidate, rounds: tuple[Round, ...], level: float) -> Quantity:
    interval = quantile_interval([one.samples_ns for one in rounds], 0.5, level)
    return _measured(candidate, candidate.median_ms, _scaled(interval))


def _scaled(interval: Interval) -> tuple[float | None, float | None]:
    if interval.low is None or interval.high is None:
        return None, None
    return interval.low * (1 - ROUNDING) / 1e6, interval.high * (1 + ROUNDING) / 1e6


def _measured(candidate: Candidate, value: float | None, bounds: tuple[float | None, float | None]) -> Quantity:
    return Quantity(value=value, low=bounds[0], high=bounds[1], trusted=candidate.trusted)


def _top1(candidate: Candidate, rounds: tuple[Round, ...], level: float) -> Quantity:
    if candidate.top1 is None or candidate.test_images is None:
        return Quantity.exact(None, candidate.trusted)
    share = wilson(candidate.top1 * candidate.test_images, candidate.test_images, level)
    low = None if share.high is None else -share.high
    high = None if share.low is None else -share.low
    return _measured(candidate, -candidate.top1, (low, high))


def _size(candidate: Candidate, rounds: tuple[Round, ...], level: float) -> Quantity:
    return Quantity.exact(candidate.size_bytes, candidate.trusted)


def _memory(candidate: Candidate, rounds: tuple[Round, ...], level: float) -> Quantity:
    """The largest peak is what is shown; the interval is that of the rounds' typical peak, stretched to hold it."""
    peaks = [one.peak_rss_bytes for one in rounds if one.peak_rss_bytes]
    value = candidate.peak_rss_bytes
    if not peaks or not value:
        return Quantity.exact(None, candidate.trusted)
    interval = quantile_interval([[peak] for peak in peaks], 0.5, level)
    if interval.low is None or interval.high is None:
        return _measured(candidate, value, (None, None))
    low, high = interval.low * (1 - ROUNDING), interval.high * (1 + ROUNDING)
    return _measured(candidate, value, (min(low, value), max(high, value)))


ORDERS: dict[str, Callable[[Candidate, tuple[Round, ...], float], Quantity]] = {
    "latency": _latency,
    "top1": _top1,
    "size": _size,
    "memory": _memory,
}
