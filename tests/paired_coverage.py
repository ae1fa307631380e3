"""How often the interval of a paired difference holds the truth, without simulation."""

from __future__ import annotations

import math

from edgeprof.stats import accuracy


def coverage(images: int, first: float, second: float) -> float:
    """Exact: over all counts that can come out, weighted by how often they do."""
    logs = [math.lgamma(count + 1) for count in range(images + 1)]
    held = 0.0
    for one in range(images + 1):
        for other in range(images + 1 - one):
            rest = images - one - other
            weight = logs[images] - logs[one] - logs[other] - logs[rest]
            for count, share in ((one, first), (other, second), (rest, 1 - first - second)):
                weight += count * math.log(share) if share > 0 else -math.inf if count else 0.0
            if weight > -25:
                found = accuracy.paired_difference(one, other, images)
                assert found.low is not None
                assert found.high is not None
                holds = found.low - 1e-9 <= first - second <= found.high + 1e-9
                held += math.exp(weight) if holds else 0.0
    return held
