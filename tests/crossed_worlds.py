"""Simulated trainings in which both the seeds and the images are drawn, for the coverage of effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from edgeprof.stats import crossed


@dataclass(frozen=True)
class World:
    """Two arms that have an image right where a latent value is above zero: what the arm's share asks for, plus how
    this seed turned out (one for each arm), how easy the image is (the same for both arms), how easy it is for this
    arm, and the rest, whose standard deviation is 1."""

    seeds: int
    images: int
    share: float = 0.9
    against: float = 0.8
    seeds_sd: float = 0.1
    images_sd: float = 1.0
    arms_sd: float = 0.5

    @property
    def effect(self) -> float:
        """What all seeds on all images would give."""
        return self.share - self.against

    def draw(self, rng: np.random.Generator) -> NDArray[np.int8]:
        """Differences of right answers [seeds, images]."""
        total = np.sqrt(self.seeds_sd**2 + self.images_sd**2 + self.arms_sd**2 + 1)
        easy = rng.normal(0, self.images_sd, self.images)
        arms = []
        for share in (self.share, self.against):
            latent = ndtri(share) * total + easy + rng.normal(0, self.arms_sd, self.images)
            seeds = rng.normal(0, self.seeds_sd, (self.seeds, 1))
            arms.append(latent + seeds + rng.normal(size=(self.seeds, self.images)) > 0)
        found: NDArray[np.int8] = arms[0].astype(np.int8) - arms[1].astype(np.int8)
        return found


def held(world: World, times: int, seed: int = 0) -> tuple[float, float]:
    """How often the interval over seeds and images holds the effect, and how often that over images alone."""
    rng = np.random.default_rng(seed)
    both = images = 0
    for _ in range(times):
        found = crossed.mean(world.draw(rng))
        for interval, kind in ((found.both, 0), (found.images, 1)):
            assert interval.low is not None
            assert interval.high is not None
            holds = interval.low <= world.effect <= interval.high
            both, images = both + (holds and kind == 0), images + (holds and kind == 1)
    return both / times, images / times
