"""What inits `training:NAME` begin from: trained first, as much of the other recipe as is needed and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edgeprof.errors import TrainError
from edgeprof.progress import Progress
from edgeprof.records import Failure, Identity, Trained, Training
from edgeprof.suite import Suite, source_seed

TrainAll = Callable[[Training], tuple[list[Trained], list[Failure]]]


@dataclass(frozen=True)
class Sources:
    """The checkpoints that the cells of a training begin from.

    Attributes:
        found: source of every cell that can be trained; None where the init needs none.
        missing: why the others cannot be.
        failures: of the other recipes' own cells.
    """

    found: dict[Identity, Trained | None] = field(default_factory=dict)
    missing: dict[Identity, TrainError] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def prepare(
    suite: Suite, training: Training, identities: list[Identity], train_all: TrainAll, progress: Progress
) -> Sources:
    """Train what the cells of a training begin from, or reuse it.

    Args:
        train_all: trains a recipe, with what it begins from in its turn.

    Raises:
        SuiteError: see `Suite.sources`.
    """
    sources = Sources()
    by_init: dict[str, dict[tuple[str, int | None], Trained]] = {}
    needed = suite.sources(training)
    for init, other in needed.items():
        count = len(other.models) * len(other.seeds)
        progress.note(f"train: {training.name} begins from {count} checkpoint{'s' * (count > 1)} of {other.name}")
        trained, failures = train_all(other)
        by_init[init] = {(one.model, one.seed): one for one in trained}
        sources.failures.extend(failures)
    for identity in identities:
        init = identity.init or "scratch"
        if init not in needed:
            sources.found[identity] = None
            continue
        other = needed[init]
        seed = source_seed(suite.training(other.name), identity.seed or 0)
        source = by_init[init].get((identity.model, seed))
        if source is None:
            sources.missing[identity] = TrainError(
                f"what it begins from, seed {seed} of the training {other.name}, could not be trained",
                where=identity.label(),
                hint=f"see its own error, or: edgeprof train --training {other.name}",
            )
        else:
            sources.found[identity] = source
    return sources
