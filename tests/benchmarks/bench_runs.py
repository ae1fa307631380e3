"""How often the intervals of a change between runs, and of a rank correlation, hold what they say. Simulated.

    .venv/bin/python tests/benchmarks/bench_runs.py [TRIALS]

Two runs of a file that did not change: rounds spread by 2% (or as told) about the level of their run, which drifts. A
rank correlation: pairs of normal numbers, of which Kendall's tau is 2/pi asin(rho); beside it a bootstrap over the
things, which is the usual way and is not taken.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from edgeprof.stats import sequence
from edgeprof.stats.changes import change
from edgeprof.stats.orders import agreement, tau_b

Runs = list[list[float]]
ROUNDS = 9
MOST = 30


def main(trials: int) -> None:
    """Print both tables."""
    generator = np.random.default_rng(1)
    print("| rounds spread | runs drift | runs known | holds |\n|---|---|---|---|")
    for spread in (0.005, 0.01, 0.015, 0.02, 0.03):
        hits = sum(_holds(_stopped(generator, spread), _stopped(generator, spread), []) for _ in range(trials))
        print(f"| {100 * spread:g}%, as many as to 1% | 0 | 0 | {hits / trials:.3f} |")
    for drift in (0.0, 0.005, 0.01, 0.02, 0.05):
        for known in (0, 3, 5, 10):
            print(f"| 2% | {100 * drift:g}% | {known} | {_drifting(generator, drift, known, trials) / trials:.3f} |")
    print("\n| things | tau | holds | bootstrap holds |\n|---|---|---|---|")
    for things in (4, 5, 6, 9, 15, 25):
        for true in (0.0, 0.5, 0.8, 0.95):
            ours, usual = _correlated(generator, things, true, max(100, trials // 5))
            print(f"| {things} | {true:g} | {ours:.3f} | {usual:.3f} |")


def _holds(one: list[float], other: list[float], history: Runs) -> bool:
    found = change(one, other, [history]).ratio
    return found.low is not None and found.high is not None and found.low <= 1 <= found.high


def _stopped(generator: np.random.Generator, spread: float) -> list[float]:
    """A run that ends when its median is known to 1%, as a measurement does."""
    logs = generator.normal(0, spread, ROUNDS).tolist()
    while len(logs) < MOST:
        bounds = sequence.median_bounds(logs, 0.95)
        if bounds is not None and (math.exp(bounds[1]) - math.exp(bounds[0])) / 2 <= 0.01:
            break
        logs.append(float(generator.normal(0, spread)))
    return [math.exp(one) for one in logs]


def _drifting(generator: np.random.Generator, drift: float, known: int, trials: int) -> int:
    def run() -> list[float]:
        level = generator.normal(0, drift)
        return [math.exp(one) for one in level + generator.normal(0, 0.02, ROUNDS)]

    hits = 0
    for _ in range(trials):
        history = [run() for _ in range(known)]
        hits += _holds(history[0] if history else run(), run(), history)
    return hits


def _correlated(generator: np.random.Generator, things: int, true: float, trials: int) -> tuple[float, float]:
    rho = math.sin(math.pi * true / 2)
    ours = usual = 0
    for _ in range(trials):
        one, noise = generator.normal(size=(2, things))
        other = rho * one + math.sqrt(1 - rho**2) * noise
        found = agreement(one.tolist(), other.tolist())
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        ours += found.low <= true <= found.high
        drawn = [tau_b(one[some], other[some]) for some in generator.integers(0, things, (200, things))]
        low, high = np.quantile([value for value in drawn if value is not None], [0.025, 0.975])
        usual += low <= true <= high
    return ours / trials, usual / trials


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
