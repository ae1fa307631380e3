"""What a training would take: its grid and that of what it begins from. Trains and stores nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeprof.progress import Progress
from edgeprof.records import Identity, Trained, Training
from edgeprof.store import Store
from edgeprof.suite import Suite, source_seed

if TYPE_CHECKING:
    from edgeprof.train import Estimate, How, Left


def estimate(suite: Suite, store: Store, training: Training, progress: Progress, how: How | None = None) -> Estimate:
    """The grid with its time, found by timing a few updates of each model.

    Raises:
        DataError, UsageError, MissingPackageError: nothing of it can be trained.
        SuiteError: an init `training:NAME` has no one source.
    """
    from edgeprof import train as stage
    from edgeprof.zoo import models

    grid = _grid(suite, store, training)
    timed = {(one.cell.training.name, one.cell.identity.model) for one in grid if one.epochs is not None}
    for name in {model for _, model in timed}:
        models.check_name(name)
    if timed:
        progress.start("time", len(timed))
    found = stage.estimate(store, grid, progress, how or stage.How())
    if timed:
        progress.finish("time")
    return found


def _grid(suite: Suite, store: Store, training: Training) -> list[Left]:
    """What is to be trained, in order: first what others begin from."""
    from edgeprof import train as stage
    from edgeprof.zoo import images

    grid: list[Left] = []
    data_sha = images.fingerprint(training.data)
    needed = suite.sources(training)
    for other in needed.values():
        grid += [one for one in _grid(suite, store, other) if one not in grid]
    for identity in stage.cells(training):
        init, source = identity.init or "scratch", None
        if init in needed:
            source = _source(suite, store, needed[init], identity)
            if source is None:  # not there yet, so nothing that begins from it can be
                grid.append(stage.Left(stage.Cell(training, identity), training.recipe.epochs))
                continue
        done = stage.stored(store, training, identity, data_sha, source) is not None
        left = None if done else stage.epochs_left(store, training, identity, data_sha, source)
        grid.append(stage.Left(stage.Cell(training, identity, source), left))
    return grid


def _source(suite: Suite, store: Store, other: Training, identity: Identity) -> Trained | None:
    """The checkpoint that a cell begins from, if it is trained and begins from nothing that is not."""
    from edgeprof import train as stage
    from edgeprof.zoo import images

    if any(init.startswith("training:") for init in other.inits):
        return None
    seed = source_seed(suite.training(other.name), identity.seed or 0)  # `other` is cut down
    which = Identity(training=other.name, model=identity.model, init=other.inits[0], seed=seed)
    return stage.stored(store, other, which, images.fingerprint(other.data))
