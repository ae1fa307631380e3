"""What a gate finds on a device, from files measured in turn with themselves. Pure.

The same decision that a gate takes is taken on ratios of a file to itself: whatever fails is a false alarm, and with a
slow-down put into them, whatever does not fail is missed. The pairs are few against the gates drawn from them, so the
figures say what these sessions were like and no more. Draws keep neighbours together: a gate reads a candidate's pairs
from a random place on, in the order of measuring, each way round by chance (a file and itself may change places).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprof.rank.gate import FALSE_FAILURE
from edgeprof.rank.gate_limit import random_limits
from edgeprof.records.gate import GateCalibration, GateLimits, PowerAt
from edgeprof.stats import regression, sequence
from edgeprof.stats.intervals import wilson

GATES = 1000
DRAWS = 400
"""For each slow-down: 95% of 400 are known to some 2 points."""
CHANGES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.15, 0.20, 0.30, 0.50)
ENOUGH = 0.95


def calibration(
    logs: Sequence[Sequence[float]],
    levels: Sequence[Sequence[float]],
    limits: GateLimits,
    *,
    made_at: str,
    seed: int = 0,
) -> GateCalibration:
    """The figures of one sitting.

    Args:
        logs: [candidates][pairs] in the order of measuring: log(one round / the other).
        levels: [candidates][sessions]: the log of the median latency.
    """
    limit = next((one.share for one in limits.latency if one.percentile == 50), 0.05)
    alpha = FALSE_FAILURE / max(1, len(logs) * random_limits(limits))
    generator = np.random.default_rng(seed)
    arrays = [np.asarray(one, dtype=np.float64) for one in logs]
    false = undecided = 0
    for _ in range(GATES):
        told = {regression.in_turn(_drawn(generator, one), limit, alpha, over=True).verdict for one in arrays}
        false += "fail" in told
        undecided += "fail" not in told and "undecided" in told
    power = [PowerAt(change=change, caught=_caught(generator, arrays, change, limit, alpha)) for change in CHANGES]
    enough = [one.change for place, one in enumerate(power) if all(each.caught >= ENOUGH for each in power[place:])]
    sessions = min(len(one) for one in levels)
    return GateCalibration(
        made_at=made_at,
        sessions=sessions,
        pairs=sum(one.size for one in arrays),
        between_sd=regression.pooled_between(levels),
        between_df=sessions - 1,
        # Few pairs that another program hit would make a standard deviation of their own.
        pair_sd=float(np.median([np.subtract(*np.quantile(one, (0.8413, 0.1587))) / 2 for one in arrays])),
        limit=limit,
        gates=GATES,
        false_failures=false,
        false_alarm_high=float(wilson(false, GATES).high or 0.0),
        undecided=undecided,
        power=tuple(power),
        smallest_change=enough[0] if enough else None,
    )


def _drawn(generator: np.random.Generator, logs: NDArray[np.float64]) -> list[float]:
    turned = np.roll(logs, -int(generator.integers(logs.size))) * generator.choice((-1.0, 1.0))
    drawn: list[float] = np.resize(turned, sequence.HORIZON).tolist()
    return drawn


def _caught(
    generator: np.random.Generator, arrays: Sequence[NDArray[np.float64]], change: float, limit: float, alpha: float
) -> float:
    caught = 0
    for draw in range(DRAWS):
        logs = np.asarray(_drawn(generator, arrays[draw % len(arrays)])) + np.log1p(change)
        caught += regression.in_turn(logs.tolist(), limit, alpha, over=True).verdict == "fail"
    return caught / DRAWS
