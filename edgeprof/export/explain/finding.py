"""What an explanation says: causes in plain words, and the evidence for them."""

from __future__ import annotations

from typing import Literal

from edgeprof.records import Format, Parity, Record

Cause = Literal[
    "none",
    "preprocessing",
    "layout",
    "outputs",
    "batchnorm",
    "random",
    "numerics",
    "quantization",
    "unknown",
]


class Finding(Record):
    """One cause that was found, or something that helps without being the whole cause."""

    cause: Cause
    name: str
    """What it is in a few words: `channels in the order BGR`."""
    says: str
    """One sentence: what the file (or the user's program) does."""
    change: str
    """What to change."""
    restores: bool
    """Whether the outputs agree with the checkpoint's once it is mended."""
    relative_diff: float | None = None
    """Largest difference of the outputs with the cause mended, as a share of their spread."""
    top1: float | None = None
    """Share of the sample that is right with the cause mended."""


class LayerError(Record):
    """How far one layer of the file is from the same layer of the checkpoint."""

    layer: str
    """The module's name in the checkpoint."""
    tensor: str
    """Its name in the file."""
    kind: Literal["output", "weights"]
    sqnr_db: float
    """Power of the checkpoint's values over that of the difference, in dB; outputs carry what came before them, of
    weights each output channel counts the same."""
    relative_error: float
    """Root of the difference's power over that of the values."""
    scales: int | None = None
    """Of quantized weights: how many scales they have; 1 is per tensor."""
    channels: int | None = None
    """Of weights: how many output channels."""


class Explanation(Record):
    """Why one file does not do what its checkpoint does."""

    schema: int = 1
    subject: str
    """The file, or the cell that it is of."""
    format: Format
    checkpoint: str
    """Whose logits it is held against."""
    cause: Cause
    verdict: str
    change: str | None
    of: Literal["file", "program"] = "file"
    """Whether the file is explained, or what a user's program did with a file that is right."""
    images: int
    """Test images that it was tried on, spread over the classes."""
    top1: float
    """Of the checkpoint on these images."""
    file_top1: float | None
    """Of the file, or of the user's program, on these images as it is; None where outputs are not finite."""
    mended_top1: float | None
    """With the first cause mended."""
    parity: Parity | None
    """Of the file as it is."""
    findings: tuple[Finding, ...] = ()
    layers: tuple[LayerError, ...] = ()
    """The worst first; where numerics are the cause, in the order of execution from the last layer that agrees."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, and other things to know."""
