"""How long updates and test images of a cell take, found by doing a few; nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from edgeprof.records import Identity, Record, Training
from edgeprof.train.batches import derived_seed, epoch_batches, seed_all, updates_per_epoch
from edgeprof.train.evaluate import Tests
from edgeprof.train.faults import foreign_errors
from edgeprof.train.how import THREADS, How
from edgeprof.train.machine import Machine, hardware, settled
from edgeprof.train.run import image_workers
from edgeprof.train.step import Updates
from edgeprof.zoo import images, models

UPDATES = 12
SECONDS = 4.0
"""Updates are timed until either is reached, after one that is not counted."""


class Timing(Record):
    """What it takes with preparing the images."""

    update_s: float
    """Of the whole batch, whatever shares it."""
    test_image_s: float


def timing(training: Training, identity: Identity, how: How, *, group: bool = False) -> Timing:
    """Time a few updates of a cell as it would be trained, from random weights.

    Raises:
        UsageError, DataError, TrainError: as training would.
    """
    models.check_name(identity.model)
    recipe = training.recipe
    with foreign_errors(training, identity), settled():
        on = hardware(how)
        machine = Machine(on, how.threads or THREADS, group=group)
        dataset = images.open_split(training.data, "train")
        workers = image_workers(how, on, dataset)
        seed_all(derived_seed("weights", identity.seed or 0))
        module = machine.place(models.create(identity.model, len(dataset.classes)))
        try:
            update_s = 0.0
            if recipe.epochs > 0:
                updates = Updates(machine, module, recipe, updates_per_epoch(len(dataset), recipe.batch_size), 0)
                few = _Few(
                    epoch_batches(
                        dataset, training, 0, 0, workers=workers, rank=machine.rank, processes=machine.processes
                    ),
                    # All of a group must come to the same end.
                    seconds=None if machine.processes > 1 else SECONDS,
                )
                updates.epoch(0, few, min(recipe.batch_size, len(dataset)))
                update_s = few.each_s()
            each_s = Tests(machine, training, workers).image_s(module)
            return Timing(update_s=update_s, test_image_s=each_s / machine.processes)
        finally:
            machine.release()


class _Few:
    """The first of some batches, and when each was asked for."""

    def __init__(self, batches: Iterable[tuple[Any, Any]], seconds: float | None) -> None:
        self._batches, self._seconds = batches, seconds
        self._asked: list[float] = []

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for batch in self._batches:
            if not self._asked:
                self._asked.append(time.perf_counter())
            yield batch
            self._asked.append(time.perf_counter())
            long = self._seconds is not None and self._asked[-1] - self._asked[0] > self._seconds
            if long or len(self._asked) > UPDATES + 1:
                return

    def each_s(self) -> float:
        """Seconds from one to the next; without the first, where there are others."""
        first = 1 if len(self._asked) > 2 else 0
        return (self._asked[-1] - self._asked[first]) / (len(self._asked) - 1 - first)
