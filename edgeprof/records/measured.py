"""What is measured on a device, and what failed."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from edgeprof.records.base import Record
from edgeprof.records.inputs import Format
from edgeprof.records.made import Identity, Parity

Stage = Literal["train", "export", "profile"]

# Why a measurement is not to be trusted: a closed list, each with what to do about it.
Reason = Literal["too few samples", "outputs differ", "precision differs", "interval wide", "other load"]

ADVICE: dict[str, str] = {
    "too few samples": "measure longer, or in more rounds: the numbers have no interval that means anything",
    "outputs differ": "the device computes something else than the host: check the accuracy there before use",
    "precision differs": "the runtime executed in another precision than asked: compare it only with its like",
    "interval wide": "the rounds disagree: close other programs, fix the clock, and measure again",
    "other load": "other programs took the processor away during the measurement: stop them and measure again",
}


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
    runtimes: dict[str, str] = msgspec.field(default_factory=dict)
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
