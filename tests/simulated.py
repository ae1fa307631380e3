"""Sessions of measuring whose true value is known: what a stop rule is tried on.

A session is `rounds` fresh processes of `samples` inferences each. With unit base latency,

    log latency = process + fault of the process + NOISE * noise of the sample

where `process` is normal (sd PROCESS), and the noise of the sample is a standard normal AR(1) series. Every process is
the honest user's case of Kalibera and Jones: repeating within a process does not average the process away.

**True value of the median**: the median over processes of the process's median latency, each over endlessly many of its
inferences. It is what the estimate (the median of round medians) tends to with more and longer rounds, and what a user
gets who starts the program once: half of all starts are faster. It does not depend on the rule, the session, or the
number of rounds; slow drift alone has a twist, see `DRIFT`. All are exact up to root finding.

**True value of p90**: the 90th percentile of all inferences of all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, signal, special

Array = NDArray[np.float64]

ROUNDS = 40
SAMPLES = 200
PROCESS = 0.005
NOISE = 0.05
DRIFT = 0.02
"""Rise over ROUNDS rounds. No rule can know the level of an hour that it has not seen, so the truth of a drifting
session is the true median of the middle one of the rounds that were measured (the session's own), not a constant."""


@dataclass(frozen=True)
class Process:
    """How one kind of machine behaves."""

    name: str
    rho: float = 0.0
    """Autocorrelation of neighbouring samples."""
    slow_share: float = 0.0
    """Of processes that run slower by `slow_by`."""
    slow_by: float = 0.05
    drift: float = 0.0
    wander: float = 0.0
    """Autocorrelation of neighbouring processes, whose sd is then 1%."""
    spike_share: float = 0.0
    """Of samples that take `spike` times as long."""
    spike: float = 3.0
    disturbed: float = 0.0
    """Share of rounds that are slower by 5% to 30%, uniformly: a neighbour on the same host."""

    def level(self, generator: np.random.Generator, sessions: int, rounds: int) -> Array:
        """Log of the process's own speed, [sessions, rounds]."""
        level = PROCESS * generator.standard_normal((sessions, rounds))
        if self.wander:
            start = generator.standard_normal((sessions, 1))
            rest = np.sqrt(1 - self.wander**2) * generator.standard_normal((sessions, rounds - 1))
            level = 0.01 * signal.lfilter([1], [1, -self.wander], np.hstack([start, rest]), axis=1)
        level += np.log1p(self.slow_by) * (generator.random((sessions, rounds)) < self.slow_share)
        level += np.log1p(self.drift) * np.arange(rounds) / (ROUNDS - 1)
        hit = generator.random((sessions, rounds)) < self.disturbed
        return level + hit * np.log1p(generator.uniform(0.05, 0.3, (sessions, rounds)))

    def sessions(
        self, generator: np.random.Generator, sessions: int, rounds: int = ROUNDS, samples: int = SAMPLES
    ) -> tuple[Array, Array]:
        """Latencies [sessions, rounds, samples] and log levels [sessions, rounds]."""
        level = self.level(generator, sessions, rounds)
        noise = generator.standard_normal((sessions, rounds, samples))
        if self.rho:
            noise[..., 1:] *= np.sqrt(1 - self.rho**2)
            noise = signal.lfilter([1], [1, -self.rho], noise, axis=-1)
        latency = np.exp(level[..., np.newaxis] + NOISE * noise)
        if self.spike_share:
            latency[generator.random(latency.shape) < self.spike_share] *= self.spike
        return latency, level

    def drifted(self, rounds: NDArray[np.int64] | int) -> Array:
        """What drift has multiplied the true median of a session of so many rounds by: that of its middle round."""
        middle: Array = (np.asarray(rounds) - 1) / 2
        factor: Array = np.exp(np.log1p(self.drift) * middle / (ROUNDS - 1))
        return factor

    def true_mean(self) -> float:
        """Of all inferences of all processes, which is what a t-interval over samples speaks of; without drift."""
        spread = 0.01 if self.wander else PROCESS
        modes = (1 + self.slow_share * self.slow_by) * (1 + self.disturbed * 0.175)
        return float(np.exp((NOISE**2 + spread**2) / 2) * modes * (1 + self.spike_share * (self.spike - 1)))

    def true_center(self) -> float:
        """The geometric mean of the process medians, which is what a t-interval over their logs speaks of."""
        hits = np.log1p(np.linspace(0.05, 0.3, 251)).mean()
        return float(np.exp(self.within(0.5) + self.slow_share * np.log1p(self.slow_by) + self.disturbed * hits))

    def within(self, quantile: float) -> float:
        """The log quantile of one process at level 0, over endlessly many samples."""
        return _root(lambda x: self._below(np.array([x]))[0] - quantile)

    def truth(self) -> float:
        """The true median; of a drifting process, at level 0."""
        spread = 0.01 if self.wander else PROCESS

        def below(x: float) -> float:
            slow = np.log1p(self.slow_by)
            clean = (1 - self.slow_share) * special.ndtr(x / spread) + self.slow_share * special.ndtr(
                (x - slow) / spread
            )
            hits = np.log1p(np.linspace(0.05, 0.3, 251))
            return float((1 - self.disturbed) * clean + self.disturbed * special.ndtr((x - hits) / spread).mean())

        return float(np.exp(self.within(0.5) + _root(lambda x: below(x) - 0.5)))

    def true_p90(self, generator: np.random.Generator) -> float:
        """By a million levels: the exact distribution of a process, mixed over processes."""
        levels = self.level(generator, 20_000, 2)[:, 0]
        return float(np.exp(_root(lambda x: self._below(x - levels).mean() - 0.9)))

    def _below(self, x: Array) -> Array:
        """P(log latency of a process at level 0 <= x)."""
        clean: Array = special.ndtr(x / NOISE)
        spikes: Array = special.ndtr((x - np.log(self.spike)) / NOISE)
        return (1 - self.spike_share) * clean + self.spike_share * spikes


def _root(function: Callable[[float], float]) -> float:
    return float(optimize.brentq(function, -1.0, 2.0, xtol=1e-9))


ISSUE = (
    Process("independent"),
    Process("AR(1) 0.5", rho=0.5),
    Process("AR(1) 0.9", rho=0.9),
    Process("AR(1) 0.95", rho=0.95),
    Process("bimodal by process", slow_share=0.3),
    Process("slow drift", drift=DRIFT),
    Process("rare spikes", spike_share=0.01),
)
"""The processes of the promise: 93% or more of the nominal 95% intervals hold the true value."""

STRESS = (
    Process("bimodal, 1 in 10", slow_share=0.1),
    Process("bimodal, AR(1) 0.9", slow_share=0.3, rho=0.9),
    Process("disturbed rounds, 1 in 10", disturbed=0.1),
    Process("wandering, 0.5 from round to round", wander=0.5),
)
"""Beyond the promise: what else machines do. The last breaks the one assumption, that rounds are independent."""
