"""How right files are on test images, with intervals. Derived from kept predictions, never stored as the source."""

from __future__ import annotations

from edgeprof.records.base import Record
from edgeprof.records.made import Identity
from edgeprof.records.measured import Interval


class OnSameImages(Record):
    """Two on the same test images."""

    images: int
    only_first: int
    """Images that the first alone has right."""
    only_second: int
    difference: Interval
    """Top-1 of the first minus that of the second, with Tango's 95% interval over the images."""
    p: float
    """Of McNemar's exact test that both are equally often right."""


class Scored(Record):
    """A checkpoint or an exported file over the test images; shares with their 95% intervals over the images."""

    identity: Identity
    """Of a checkpoint without an exporter."""
    sha: str
    """Of the checkpoint or the file."""
    images: int
    top1: Interval
    top5: Interval
    """Among the min(5, classes) first answers."""
    macro_f1: Interval
    drop: OnSameImages | None = None
    """Of a file: its checkpoint (first) against it; None where the checkpoint's predictions are not kept."""
    warnings: tuple[str, ...] = ()


class SeedSpread(Record):
    """The same model from several seeds: how far training itself spreads. Not the images' interval, and not in it."""

    model: str
    training: str | None
    init: str | None
    exporter: str | None
    """None for the checkpoints."""
    seeds: tuple[int, ...]
    mean: float
    """Of top-1."""
    sd: float
    lowest: float
    highest: float


class AccuracyTable(Record):
    """What `edgeprof show accuracy` answers."""

    schema: int = 1
    training: str | None
    """None: of all trainings."""
    checkpoints: tuple[Scored, ...]
    files: tuple[Scored, ...]
    seeds: tuple[SeedSpread, ...]
    missing: tuple[str, ...]
    """What is not in it, and why."""


class AccuracyPair(Record):
    """What `edgeprof show accuracy A B` answers."""

    schema: int = 1
    first: Scored
    second: Scored
    compared: OnSameImages
