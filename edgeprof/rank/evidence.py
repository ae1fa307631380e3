"""What the raw rounds and the test images say of each candidate, as draws: the source of every probability here.

A draw is one world that the data still allow: a latency for each candidate from its confidence distribution
(`stats.beliefs`), and an accuracy. Files that saw the same test images are drawn by one reweighting of these images
(the Bayesian bootstrap; Rubin 1981, doi 10.1214/aos/1176345338), so that two files that err on the same images stay as
close as they are; others from the Beta distribution with Jeffreys' prior. The draws are the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edgeprof.rank.energy import known_energy
from edgeprof.records import Candidate, Measurement, Round
from edgeprof.stats import beliefs

DRAWS = 2000
PERCENTILES = (50, 90, 99)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Behind the candidates of one ranking."""

    rounds: Mapping[str, tuple[Round, ...]]
    """By job: the rounds that count."""
    right: Mapping[str, NDArray[np.bool_]]
    """By artifact_sha: whether it is right on each test image, in one order for all that are here."""
    _beliefs: dict[tuple[str, int], beliefs.Belief | None] = field(default_factory=dict, repr=False, compare=False)

    def belief(self, job: str, percentile: int) -> beliefs.Belief | None:
        """Of a latency percentile in ns: 50 is the median of the processes' medians, the others are of all inferences.

        Returns: None for an unknown job, with fewer than 3 rounds, or where the clock gave 0.
        """
        key = (job, percentile)
        if key not in self._beliefs:
            blocks = [one.samples_ns for one in self.rounds.get(job, ())]
            self._beliefs[key] = beliefs.of_latency(blocks, percentile)
        return self._beliefs[key]


NOTHING = Evidence(rounds={}, right={})


def evidence(measurements: Sequence[Measurement], right: Mapping[str, NDArray[np.bool_]]) -> Evidence:
    """Of measurements and what is kept of the predictions."""
    return Evidence(
        rounds={one.cell.job: tuple(each for each in one.rounds if each.samples_ns) for one in measurements},
        right=right,
    )


def latencies_ms(
    candidates: Sequence[Candidate], known: Evidence, percentile: int, draws: int = DRAWS, seed: int = 0
) -> Array:
    """[candidates, draws]; NaN for a candidate of whose spread nothing is known, infinite where nothing bounds it."""
    found = np.full((len(candidates), draws), np.nan)
    for row, one in zip(found, candidates, strict=True):
        its = known.belief(one.job, percentile)
        if its is not None:
            row[:] = its.draws(_generator(seed, one.job).random(draws)) / 1e6
    return found


def energies_mj(candidates: Sequence[Candidate], draws: int = DRAWS, seed: int = 2) -> Array:
    """Of an inference [candidates, draws]; NaN for a candidate of whose spread nothing is known."""
    found = np.full((len(candidates), draws), np.nan)
    for row, one in zip(found, candidates, strict=True):
        its = known_energy(one)
        if its is not None:
            row[:] = its.draws(_generator(seed, one.job).random(draws))
    return found


def _generator(seed: int, name: str) -> np.random.Generator:
    """One for each name, so that the draws of a candidate depend neither on the others nor on their order."""
    return np.random.default_rng([seed, *name.encode()])


def accuracies(candidates: Sequence[Candidate], known: Evidence, draws: int = DRAWS, seed: int = 1) -> Array:
    """Top-1 [candidates, draws]; NaN where it is not known."""
    generator = np.random.default_rng(seed)
    found = np.full((len(candidates), draws), np.nan)
    shas = sorted({one.artifact_sha for one in candidates} & known.right.keys())
    drawn: dict[str, Array] = {}
    if shas:
        right = np.stack([known.right[sha] for sha in shas]).astype(np.float32)  # [files, images]
        shares = np.empty((draws, len(shas)))
        for start in range(0, draws, 250):  # the weights of 10 000 images and all draws would take 80 MB
            weights = generator.standard_exponential((min(250, draws - start), right.shape[1]), dtype=np.float32)
            shares[start : start + len(weights)] = (weights @ right.T) / weights.sum(axis=1, keepdims=True)
        drawn = {sha: shares[:, column] for column, sha in enumerate(shas)}
    for row, one in zip(found, candidates, strict=True):
        if one.artifact_sha in drawn:
            row[:] = drawn[one.artifact_sha]
        elif one.top1 is not None and one.test_images:
            hits = one.top1 * one.test_images
            own = _generator(seed, one.artifact_sha)
            row[:] = own.beta(hits + 0.5, one.test_images - hits + 0.5, draws)
    return found


def top1_at_least(one: Candidate, share: float) -> float | None:
    """How probable it is that its top-1 on endlessly many such images is at least `share`: the Beta distribution with
    Jeffreys' prior (`report.budget` and the page compute the same). None where the accuracy is not known."""
    if one.top1 is None or not one.test_images:
        return None
    hits = one.top1 * one.test_images
    return float(special.betaincc(hits + 0.5, one.test_images - hits + 0.5, share))
