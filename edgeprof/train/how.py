"""On what and by how many processes a training is done: what the machine decides, and no recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Accelerator = Literal["auto", "cpu", "cuda"]
MixedPrecision = Literal["auto", "no", "bf16", "fp16"]
THREADS = 1
"""Small images on small networks gain little from a second thread, and lose much when another program takes its core;
one thread also gives the same checkpoint on machines with any number of cores."""


@dataclass(frozen=True)
class How:
    """The means of a training. The default gives the same bytes on every machine without a GPU.

    Attributes:
        threads: of a training on the CPU that begins now; None: `THREADS`. One that is taken up again keeps its own.
        jobs: how many trainings of a grid at once, each in a process of its own; None: two where there are two cores
            and no GPU, else one. The checkpoints are the same for any number.
        accelerator: `auto` is a GPU where torch has one.
        mixed_precision: `auto` is on a GPU bf16 where it has it, else fp16; on a CPU none.
        processes: over how many each batch is shared; None: one for each GPU, on a CPU one.
        workers: processes that prepare images for each training; None: by cores, and none for images held in memory.
            The batches are the same for any number.
    """

    threads: int | None = None
    jobs: int | None = None
    accelerator: Accelerator = "auto"
    mixed_precision: MixedPrecision = "auto"
    processes: int | None = None
    workers: int | None = None
