"""What a grid of trainings would take, after timing a few updates of each model; trains and stores nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeprof.errors import EdgeprofError
from edgeprof.progress import Progress
from edgeprof.records import Data, Record
from edgeprof.store import Store
from edgeprof.train.batches import updates_per_epoch
from edgeprof.train.how import THREADS, How
from edgeprof.train.jobs import OF_ALL, Cell, fingerprints, request, seats, served, settled_how
from edgeprof.train.machine import hardware
from edgeprof.train.timing import Timing
from edgeprof.train.worker import News
from edgeprof.zoo import images


class Expected(Record):
    """One cell of the grid."""

    training: str
    model: str
    init: str
    seed: int
    epochs_left: int
    images: int
    """Training images."""
    updates: int
    """In each epoch."""
    test_images: int
    seconds: float | None
    """0 for one that is trained already; None where a few updates of it failed."""
    error: str | None = None


class Estimate(Record):
    """A grid and its time."""

    hardware: str
    mixed_precision: str
    jobs: int
    processes: int
    threads: int
    cells: tuple[Expected, ...]
    seconds: float
    """From the beginning to the end of all cells that can be trained, so many jobs at a time."""


@dataclass(frozen=True)
class Left:
    """A cell and how many of its epochs are to be trained; None: it is trained already."""

    cell: Cell
    epochs: int | None


def estimate(store: Store, grid: Sequence[Left], progress: Progress, how: How) -> Estimate:
    """Time a few updates of each model of the grid that is not trained, in as many processes at once as would train.

    Args:
        progress: gets `advance("time", 1, model)` for each.

    Raises:
        UsageError, DataError, MissingPackageError: nothing of it can be trained.
    """
    on = hardware(how)
    left = [one for one in grid if one.epochs is not None]
    how = settled_how(how, on, max(1, len(left)))
    shas = fingerprints(one.cell for one in left)
    timed: dict[tuple[str, str], Timing | EdgeprofError] = {}
    with seats(store, how, on) as places:
        for one in left:
            which = (one.cell.training.name, one.cell.identity.model)
            if which in timed:
                continue
            # In every seat at once: trainings that run side by side slow each other down.
            asked = [(number, request(store, one.cell, shas, how, timed=True)) for number in range(len(places))]
            timed[which] = _mean([answer for _, answer in served(places, asked, progress)])
            progress.advance("time", 1, detail=one.cell.identity.model)
    sizes: dict[Data, tuple[int, int]] = {}
    for data in dict.fromkeys(one.cell.training.data for one in grid):
        sizes[data] = len(images.open_split(data, "train")), len(images.open_split(data, "test"))
    cells = tuple(_expected(one, sizes[one.cell.training.data], timed) for one in grid)
    return Estimate(
        hardware=on.name,
        mixed_precision=on.mixed_precision,
        jobs=how.jobs or 1,
        processes=how.processes or 1,
        threads=how.threads or THREADS,
        cells=cells,
        seconds=together([cell.seconds or 0.0 for cell in cells], how.jobs or 1),
    )


def together(seconds: Sequence[float], jobs: int) -> float:
    """When all are done that are begun in this order, each as soon as one of `jobs` is free."""
    free = [0.0] * jobs
    for one in seconds:
        free.sort()
        free[0] += one
    return max(free)


def _mean(answers: list[News | EdgeprofError]) -> Timing | EdgeprofError:
    found: list[Timing] = []
    for answer in answers:
        if isinstance(answer, OF_ALL):
            raise answer
        if isinstance(answer, EdgeprofError):
            return answer
        assert answer.timing is not None
        found.append(answer.timing)
    return Timing(
        update_s=sum(one.update_s for one in found) / len(found),
        test_image_s=sum(one.test_image_s for one in found) / len(found),
    )


def _expected(one: Left, sizes: tuple[int, int], timed: dict[tuple[str, str], Timing | EdgeprofError]) -> Expected:
    training, identity = one.cell.training, one.cell.identity
    train_images, test_images = sizes
    updates = updates_per_epoch(train_images, training.recipe.batch_size) if training.recipe.epochs else 0
    seconds, error = 0.0 if one.epochs is None else None, None
    found = timed.get((training.name, identity.model))
    if one.epochs is not None and isinstance(found, Timing):
        # The test images are looked at after each epoch; where none is left, once.
        seconds = one.epochs * updates * found.update_s + max(1, one.epochs) * test_images * found.test_image_s
    elif one.epochs is not None:
        error = str(found)
    return Expected(
        training=training.name,
        model=identity.model,
        init=identity.init or "scratch",
        seed=identity.seed or 0,
        epochs_left=one.epochs or 0,
        images=train_images,
        updates=updates,
        test_images=test_images,
        seconds=seconds,
        error=error,
    )
