"""What an initialisation brings against another, model by model. Derived, never stored as the source."""

from __future__ import annotations

from typing import Literal

from edgeprof.records.base import Record
from edgeprof.records.measured import Interval

Sources = Literal["images and seeds", "images"]
"""What an interval takes for samples; `images` where there is one seed, which cannot tell what another would give."""


class SeedEffect(Record):
    """The difference with one seed, paired on the test images."""

    seed: int
    difference: float
    difference_low: float | None
    difference_high: float | None
    """Tango's interval over the images."""
    p: float
    """Of McNemar's exact test."""


class ModelEffect(Record):
    """Top-1 of a model under an initialisation minus that under another; paired by seed and by image."""

    model: str
    init: str
    against: str
    images: int
    top1: float
    """Under `init`, mean over the seeds."""
    against_top1: float
    difference: float
    difference_low: float | None
    difference_high: float | None
    """95% over `sources`: what a claim rests on."""
    sources: Sources
    images_low: float | None
    images_high: float | None
    """95% over the images alone: of these very checkpoints."""
    seeds: tuple[SeedEffect, ...]
    seeds_sd: float | None
    """Standard deviation of the differences of the seeds; None with one seed."""


class Placed(Record):
    """A model among the others under one initialisation."""

    model: str
    top1: float
    top1_low: float | None
    top1_high: float | None
    """95% over `sources`."""
    sources: Sources
    images: int
    seeds: tuple[int, ...]
    seeds_sd: float | None
    place_low: int
    place_high: int
    """Places it may hold; 1 is the best."""


class Arm(Record):
    """The order of the models under one initialisation, the best first."""

    init: str
    models: tuple[Placed, ...]


class Swap(Record):
    """Two models of which each is ahead under one of the two initialisations."""

    first: str
    """Ahead under `init`."""
    second: str
    """Ahead under `against`."""
    init: str
    against: str
    under_init: Interval
    """Top-1 of the first minus that of the second."""
    under_against: Interval
    interaction: Interval
    """`under_init` minus `under_against`: how far the initialisation moves the two against each other."""
    beyond_noise: bool
    """The interval of the interaction excludes zero: the initialisation treats the two unlike."""
    sure: bool
    """The order itself is beyond noise under both initialisations."""


class Shipped(Record):
    """What is chosen for a budget, its seeds taken together."""

    model: str
    exporter: str
    threads: int
    top1: float
    """Mean over the seeds."""
    p90_high_ms: float
    """The highest of the seeds."""


class BudgetChoice(Record):
    """What is chosen for a latency budget under each of two initialisations; None where nothing meets it."""

    init: str
    against: str
    from_ms: float
    """The smallest budget of which this holds, or the one that was asked for."""
    below_ms: float | None
    """Up to this one, excluded; None: without end, or one budget was asked for."""
    chosen: Shipped | None
    """For `from_ms`; the exporter and the threads may change within the range, the model does not."""
    against_chosen: Shipped | None
    changes: bool
    """Another model, or none, is chosen."""
    trusted: bool = True
    """False where no latency of one initialisation is trusted, so that those of a restless device count too."""


class Effect(Record):
    """What `edgeprof show effect` answers."""

    schema: int = 1
    training: str | None
    run: str | None
    """Of the latencies; None without."""
    confidence: float = 0.95
    """Of each interval; of those of places and swaps for all pairs of models at once (Bonferroni)."""
    models: tuple[ModelEffect, ...]
    arms: tuple[Arm, ...]
    swaps: tuple[Swap, ...]
    budget_ms: float | None = None
    """The one asked for; then `budgets` holds what is chosen for it alone."""
    budgets: tuple[BudgetChoice, ...]
    missing: tuple[str, ...]
    """What could not be compared, and why."""
