"""What training and exporting make."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import ClassVar, Literal

from edgeprof.records.base import Record
from edgeprof.records.inputs import Data, Format, Preprocessing

AS_IN_FILE = "as in the file"
"""The precision of a file that a user brings: nothing was asked for, the file says it."""


class Accuracy(Record):
    """Shares in 0..1 over `images` test images; `top5` is over min(5, classes)."""

    images: int
    top1: float
    top5: float
    macro_f1: float


class Identity(Record):
    """What a cell is about; None where the stage has not come to it yet."""

    model: str
    training: str | None = None
    init: str | None = None
    seed: int | None = None
    exporter: str | None = None
    device: str | None = None
    threads: int | None = None

    def label(self) -> str:
        """One line for people."""
        parts = [self.model, self.init, None if self.seed is None else f"seed {self.seed}", self.exporter, self.device]
        if self.threads is not None:
            parts.append(f"{self.threads} thread" + ("s" if self.threads != 1 else ""))
        return " / ".join(p for p in parts if p)


class MadeBy(Record):
    """What made a record: our version, the packages' versions, the machine's architecture, and how long it took."""

    edgeprof: str
    packages: dict[str, str]
    machine: str
    seconds: float


class Weights(Record):
    """What an initialisation took its weights from."""

    source: str
    """The weights' own identifier (`timm/resnet18.a1_in1k`, `torchvision/ResNet18_Weights.IMAGENET1K_V1`), the name of
    a file, or of a training and its seed."""
    sha256: str
    """Of the file that held them."""
    taken: tuple[str, ...]
    """Names of the tensors that were taken."""
    left: tuple[str, ...]
    """Names of the tensors that stayed as they were made: a head of another size."""


class Trained(Record):
    """A checkpoint (safetensors blob `checkpoint_sha`) and what it scores on the test images."""

    KIND: ClassVar[str] = "trained"

    training: str
    model: str
    init: str
    seed: int
    recipe_sha: str
    data: Data
    data_sha: str
    checkpoint_sha: str
    classes: tuple[str, ...]
    accuracy: Accuracy
    predictions_sha: str
    """Blob: .npz with `labels` int64 [N] and `logits` float32 [N, classes], in test-set order."""
    params: int
    macs: int
    preprocessing: Preprocessing
    losses: tuple[float, ...]
    """Mean training loss of each epoch."""
    top1_by_epoch: tuple[float, ...] = ()
    """Top-1 on the test images after each epoch: for the curves alone, nothing is chosen by it."""
    weights: Weights | None = None
    """Where the weights came from; None for `scratch`."""
    threads: int | None = None
    """Threads it was trained with: another number may give other last bits, hence another `checkpoint_sha`."""
    hardware: str = "cpu"
    """What it was trained on; of a GPU its name."""
    mixed_precision: str = "no"
    """`no`, `bf16` or `fp16`."""
    processes: int = 1
    """Over how many processes each batch was shared."""
    made_by: MadeBy

    @property
    def identity(self) -> Identity:
        return Identity(model=self.model, training=self.training, init=self.init, seed=self.seed)


class FileRef(Record):
    """One file of an artifact: its conventional name and its blob."""

    name: str
    sha256: str
    size_bytes: int


def files_sha(files: Iterable[FileRef]) -> str:
    """The `artifact_sha` of these files: that of the file; of several, of the lines `sha256  name`, sorted by name."""
    ordered = sorted(files, key=lambda file: file.name)
    if len(ordered) == 1:
        return ordered[0].sha256
    return hashlib.sha256("".join(f"{file.sha256}  {file.name}\n" for file in ordered).encode()).hexdigest()


class Tensor(Record):
    """An input or output of a file. A dimension that is not fixed is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    layout: Literal["NCHW", "NHWC"] | None = None


class Parity(Record):
    """The exported file against its checkpoint, over `images` real test images."""

    images: int
    max_abs_diff: float
    relative_diff: float
    """`max_abs_diff` as a share of the spread (max - min) of the checkpoint's logits."""
    cosine: float
    """Smallest cosine similarity of the two logit vectors over the images."""
    top1_agreement: float


class Calibration(Record):
    """The training images that the ranges of a static int8 file were taken from."""

    images: int
    seed: int
    data_sha: str
    """Of the data set, whose training images they are."""
    images_sha: str
    """Over their numbers in the training set."""


class Artifact(Record):
    """An exported file, with the accuracy of that very file run by its own runtime."""

    KIND: ClassVar[str] = "artifact"

    training: str | None
    model: str
    init: str | None
    seed: int | None
    exporter: str
    format: Format
    precision: str
    checkpoint_sha: str | None
    artifact_sha: str
    """sha256 of the file; for several files, of the lines `sha256  name`, sorted by name."""
    files: tuple[FileRef, ...]
    size_bytes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    preprocessing: Preprocessing | None
    accuracy: Accuracy | None
    parity: Parity | None
    predictions_sha: str | None
    params: int | None
    macs: int | None
    samples_sha: str | None
    """Blob: .npz with `in0`.. [K, ...] real inputs as the file takes them and `out0`.. [K, ...] its host outputs."""
    reference_sha: str | None = None
    """Blob: the predictions of its checkpoint on the same images, for the paired drop."""
    calibration: Calibration | None = None
    """None where nothing was calibrated."""
    warnings: tuple[str, ...] = ()
    """What a user must know before shipping it, for example that it names one class for all images."""
    made_by: MadeBy

    @property
    def identity(self) -> Identity:
        return Identity(
            model=self.model, training=self.training, init=self.init, seed=self.seed, exporter=self.exporter
        )
