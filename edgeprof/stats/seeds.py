"""How far training spreads from seed to seed, kept apart from what the images leave open."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from edgeprof.records import Identity, SeedSpread


def spreads(scores: Iterable[tuple[Identity, float]]) -> list[SeedSpread]:
    """Mean, standard deviation and range of a score over the seeds of each model, initialisation and exporter that has
    several; in the order of their first seeds. The same seed counts once, the first time."""
    found: dict[Identity, dict[int, float]] = {}
    for identity, score in scores:
        if identity.seed is not None:
            whole = msgspec.structs.replace(identity, seed=None, device=None, threads=None)
            found.setdefault(whole, {}).setdefault(identity.seed, score)
    return [
        SeedSpread(
            model=one.model,
            training=one.training,
            init=one.init,
            exporter=one.exporter,
            seeds=tuple(sorted(by_seed)),
            mean=float(np.mean(list(by_seed.values()))),
            sd=float(np.std(list(by_seed.values()), ddof=1)),
            lowest=min(by_seed.values()),
            highest=max(by_seed.values()),
        )
        for one, by_seed in found.items()
        if len(by_seed) > 1
    ]
