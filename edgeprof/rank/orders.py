"""What candidates can be ordered by, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgeprof.errors import UsageError, nearest
from edgeprof.rank.bounds import Quantity
from edgeprof.rank.energy import known_energy
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


def _energy(candidate: Candidate, rounds: tuple[Round, ...], level: float) -> Quantity:
    its = known_energy(candidate)
    if its is None:
        return _measured(candidate, candidate.energy_mj, (None, None))
    interval = its.interval(level)
    assert interval.low is not None
    assert interval.high is not None
    return _measured(candidate, interval.value, (interval.low * (1 - ROUNDING), interval.high * (1 + ROUNDING)))


Order = Callable[[Candidate, tuple[Round, ...], float], Quantity]
ORDERS: dict[str, Order] = {
    "latency": _latency,
    "top1": _top1,
    "size": _size,
    "memory": _memory,
    "energy": _energy,
}


def order_by(by: str) -> Order:
    """The order of a name: "latency" (median), "top1", "size", "memory" (largest resident set) or "energy" (of an
    inference, all that the sensor counts); or that of a weighted score, "latency=2,top1=1".

    The score is the weighted product model (Bridgman 1922): the sum of weight x log of each quantity, a cost such as
    latency with its sign, top-1 against it, so that with equal weights 1% more accuracy outweighs 1% more latency and
    units do not matter.

    Raises:
        UsageError: no order of that name, or a weight that is no number above zero.
    """
    if "=" in by:
        return _score(_weights(by))
    if by not in ORDERS:
        raise UsageError(f"cannot rank by {by!r}", hint=nearest(by, [*ORDERS, "latency=2,top1=1"]))
    return ORDERS[by]


def _weights(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (each.strip() for each in part.partition("="))
        if name not in ORDERS:
            raise UsageError(f"no score by {name!r}", where=text, hint=nearest(name, ORDERS))
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not (math.isfinite(weight) and weight > 0) or name in found:
            raise UsageError(
                f"the weight of {name} must be one number above zero, not {number!r}",
                where=text,
                hint="for example latency=2,top1=1",
            )
        found[name] = weight
    return found


def _score(weights: dict[str, float]) -> Order:
    def score(candidate: Candidate, rounds: tuple[Round, ...], level: float) -> Quantity:
        # All parts must hold at once for the sum of their bounds to hold: Bonferroni.
        each = 1 - (1 - level) / len(weights)
        value, low, high = 0.0, 0.0, 0.0
        bounded = True
        for name, weight in weights.items():
            part = ORDERS[name](candidate, rounds, each)
            if part.value is None or not part.value:
                return Quantity.exact(None, candidate.trusted)
            value += weight * _log(part.value)
            if part.low is None or part.high is None or not part.low or not part.high:
                bounded = False
            else:
                low, high = low + weight * _log(part.low), high + weight * _log(part.high)
        bounds = (min(low, value), max(high, value)) if bounded else (None, None)
        return _measured(candidate, value, bounds)

    return score


def _log(cost: float) -> float:
    """Of a cost; of a gain, which stands as a negative cost, the negative log."""
    return math.log(cost) if cost > 0 else -math.log(-cost)
