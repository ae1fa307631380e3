"""Every fact that passes between stages, as frozen typed records.

Unknown fields are refused. Units stand in the names (`_ns`, `_ms`, `_bytes`). What is not known is None, never 0.
Building a record does nothing: no network, no environment, no guess.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from typing_extensions import dataclass_transform

from edgeprof.errors import RecordError

R = TypeVar("R", bound="Record")

Format = Literal["onnx", "openvino", "tflite"]
Precision = Literal["fp32", "fp16", "int8", "dynamic-int8"]
Stage = Literal["train", "export", "profile"]


class _KeywordOnly(msgspec.StructMeta):
    """msgspec applies kw_only to the fields of one class alone; records want it for all."""

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, Any], **options: Any) -> Any:
        return super().__new__(mcs, name, bases, space, **{"kw_only": True, **options})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Record(msgspec.Struct, metaclass=_KeywordOnly, frozen=True, forbid_unknown_fields=True):
    """Base of all records."""


# --- what the suite's files say ---------------------------------------------------------------------------------


class Data(Record):
    """Which images: a data set by name and, except for `digits`, the folder it lies in."""

    name: Literal["digits", "imagefolder", "cifar10", "cifar100"]
    root: str | None = None
    train_split: str = "train"
    test_split: str = "test"


class Preprocessing(Record):
    """How an image becomes the input tensor: resize, centre crop, scale to 0..1, normalise. Layout is the input's."""

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    crop_pct: float = 1.0
    color: Literal["RGB"] = "RGB"


class Recipe(Record):
    """The hyperparameters that all models of a training share."""

    epochs: int
    batch_size: int
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    schedule: str = "cosine"
    warmup_epochs: int = 1
    min_learning_rate: float = 1e-6
    label_smoothing: float = 0.1
    crop_scale: tuple[float, float] = (0.8, 1.0)
    crop_ratio: tuple[float, float] = (0.9, 1.1)
    horizontal_flip: float = 0.0
    auto_augment: str | None = None
    random_erasing: float = 0.0
    clip_grad: float | None = None


class Training(Record):
    """One file of `training/`: which models, how trained, on what data."""

    name: str
    description: str = ""
    models: tuple[str, ...]
    inits: tuple[str, ...] = ("scratch",)
    seeds: tuple[int, ...] = (0,)
    data: Data
    preprocessing: Preprocessing
    recipe: Recipe


class Exporter(Record):
    """One file of `exporters/`: a deployable form, format x precision."""

    name: str
    description: str = ""
    format: Format
    precision: Precision
    opset: int | None = None
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    max_abs_diff: float = 1e-3
    """Parity: the largest allowed difference from the checkpoint's logits, as a share of their spread (max - min)."""
    min_top1_agreement: float = 1.0
    """Parity: the smallest allowed share of test images on which file and checkpoint name the same class."""


class Device(Record):
    """One file of `devices/`: a board and how to reach it."""

    name: str
    description: str = ""
    transport: Literal["local", "ssh"]
    host: str | None = None
    port: int | None = None
    user: str | None = None
    key_file: str | None = None
    password_env: str | None = None
    python: str | None = None
    workdir: str | None = None
    provision: Literal["auto", "never"] = "auto"
    threads: tuple[int | Literal["all"], ...] = (1, "all")
    cores: tuple[int, ...] | None = None
    exporters: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()


# --- what the stages make ---------------------------------------------------------------------------------------


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
    threads: int | None = None
    """Threads it was trained with: another number may give other last bits, hence another `checkpoint_sha`."""
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
    made_by: MadeBy

    @property
    def identity(self) -> Identity:
        return Identity(
            model=self.model, training=self.training, init=self.init, seed=self.seed, exporter=self.exporter
        )


class Method(Record):
    """How a run measures. `rounds` fresh processes a cell; in each, warm-up and then a block of samples."""

    rounds: int = 5
    warmup_s: float = 0.1
    warmup_min: int = 5
    block_s: float = 0.4
    block_min: int = 20
    block_max: int = 5000
    timeout_s: float = 120.0
    order_seed: int = 0


class DeviceFacts(Record):
    """What was found on a device when a session began."""

    architecture: str
    os: str
    kernel: str
    cpu: str
    cores: int
    memory_bytes: int | None
    python: str
    board: str | None = None
    governor: str | None = None
    clock_mhz: tuple[float, float] | None = None
    """Lowest and highest clock the governor may choose."""
    runtimes: dict[str, str] = {}
    """Versions of the runtimes that the agent can import."""
    clock_resolution_ns: int | None = None
    harness_overhead_ns: int | None = None
    """Median cost of the timing loop around a model that does nothing."""


class Cell(Record):
    """One thing to measure: an artifact at a thread count. `job` names it within the run."""

    job: str
    identity: Identity
    artifact_sha: str
    format: Format
    precision: str
    threads: int


class Round(Record):
    """One fresh process of one cell: everything it measured, in time order, integers in nanoseconds."""

    KIND: ClassVar[str] = "round"

    run: str
    job: str
    round: int
    position: int
    """Place in the interleaved order of the session."""
    started_at: float
    """Unix time on the device."""
    load_ns: int
    """From the call to load the file until the runtime is ready to run."""
    first_ns: int
    """The first inference."""
    warmup_ns: tuple[int, ...]
    samples_ns: tuple[int, ...]
    """Input in host memory to output in host memory."""
    peak_rss_bytes: int | None
    """Largest resident set of the measuring process (VmHWM)."""
    model_rss_bytes: int | None
    """What loading and running the model added to it."""
    runs_on: str
    """Execution provider, plugin or delegate, as the runtime tells it."""
    precision_executed: str
    threads_used: int
    output_diff: float | None
    """Largest difference of an output of the timed run from the host's, as a share of the host outputs' spread."""
    involuntary_switches: int | None
    agent_sha: str


class Interval(Record):
    """A point estimate with its 95% interval; None where too little is known for an interval."""

    value: float
    low: float | None
    high: float | None


class Measurement(Record):
    """All rounds of one cell of one run."""

    run: str
    device: str
    cell: Cell
    rounds: tuple[Round, ...]
    facts: DeviceFacts
    method: Method
    trusted: bool
    reasons: tuple[str, ...]


class Summary(Record):
    """What the raw samples of one measurement say; derived, recomputed whenever it is shown."""

    median_ms: Interval
    p90_ms: Interval
    p99_ms: float | None
    p99_high_ms: float | None = None
    """The 99th percentile is below this with 99% confidence."""
    p99_reason: str | None = None
    """Why there is no 99th percentile."""
    load_ms: Interval
    first_ms: Interval
    samples: int
    rounds: int
    peak_rss_bytes: int | None


class Failure(Record):
    """A cell that did not come to a number: a result like the others."""

    KIND: ClassVar[str] = "failure"

    stage: Stage
    identity: Identity
    error: str
    error_class: str
    transient: bool
    hint: str | None = None
    parity: Parity | None = None


class Run(Record):
    """One `edgeprof run` or `edgeprof profile` on one device, taken up again until it is finished."""

    KIND: ClassVar[str] = "run"

    run: str
    device: str
    training: str | None
    plan_sha: str
    suite_sha: str | None
    started_at: str
    facts: DeviceFacts | None
    method: Method
    cells: tuple[Cell, ...] = ()
    failures: tuple[Failure, ...] = ()
    finished: bool = False


# Why a measurement is not to be trusted: a closed list, each with what to do about it.
Reason = Literal["too few samples", "outputs differ", "precision differs", "interval wide", "other load"]

ADVICE: dict[str, str] = {
    "too few samples": "measure longer, or in more rounds: the numbers have no interval that means anything",
    "outputs differ": "the device computes something else than the host: check the accuracy there before use",
    "precision differs": "the runtime executed in another precision than asked: compare it only with its like",
    "interval wide": "the rounds disagree: close other programs, fix the clock, and measure again",
    "other load": "other programs took the processor away during the measurement: stop them and measure again",
}


# --- what is derived ---------------------------------------------------------------------------------------------


class Candidate(Record):
    """One line of the ranking: a file at a thread count on a device. Never stored as the source."""

    model: str
    training: str | None
    init: str | None
    seed: int | None
    exporter: str
    format: str
    precision: str
    image_size: int | None
    params: int | None
    macs: int | None
    size_bytes: int
    artifact_sha: str
    job: str
    test_images: int | None
    top1: float | None
    top1_low: float | None
    top1_high: float | None
    top5: float | None
    macro_f1: float | None
    parity_max_abs_diff: float | None
    median_ms: float
    median_low_ms: float | None
    median_high_ms: float | None
    p90_ms: float
    p90_low_ms: float | None
    p90_high_ms: float | None
    p99_ms: float | None
    load_ms: float
    first_ms: float
    peak_rss_bytes: int | None
    threads: int
    runs_on: str
    precision_executed: str
    samples: int
    rounds: int
    rank: int
    rank_low: int
    rank_high: int
    pareto: bool
    trusted: bool
    reasons: tuple[str, ...]


class Ranking(Record):
    """What `ranking.json` holds."""

    schema: int = 1
    run: str
    device: str
    suite_sha: str | None
    training: str | None
    started_at: str
    by: str
    facts: DeviceFacts | None
    method: Method
    candidates: tuple[Candidate, ...]
    failures: tuple[Failure, ...]


class Rejected(Record):
    """A candidate that was not chosen, and why."""

    job: str
    model: str
    exporter: str
    threads: int
    reason: str


class Choice(Record):
    """What `edgeprof choose` answers."""

    schema: int = 1
    device: str
    run: str
    budget_ms: float
    percentile: int
    chosen: Candidate | None
    runner_up: Candidate | None
    nearest_miss: Candidate | None
    rejected: tuple[Rejected, ...]
    reason: str


# --- bytes --------------------------------------------------------------------------------------------------------


def to_json(record: Record, *, indent: int = 0) -> bytes:
    """The record as JSON, keys in the order of its fields, not ending in a newline."""
    data = msgspec.json.encode(record)
    return msgspec.json.format(data, indent=indent) if indent else data


def from_json(data: bytes | str, kind: type[R], *, where: str | None = None) -> R:
    """The record in `data`.

    Raises:
        RecordError: it is no such record.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise RecordError(
            f"this is no {kind.__name__} record: {error}", where=where, hint="it may be damaged or of another version"
        ) from error


def digest(*parts: Any) -> str:
    """sha256 (hex) of the canonical JSON of `parts` (records, strings, numbers, lists, dicts)."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
