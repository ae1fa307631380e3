"""Events from the agent."""

from __future__ import annotations

from typing import Literal

from edgeprof.records import Counts, DeviceFacts, Operator, PowerWindow, Ran, Record, Telemetry

ErrorClass = Literal["crash", "hang", "error", "nan", "outputs_wrong", "missing_runtime", "fallback", "cores", "sensor"]


class HelloBack(Record, tag_field="event", tag="hello"):
    """The agent is there."""

    protocol: int
    agent_sha: str
    python: str


class Facts(Record, tag_field="event", tag="facts"):
    """What was found on the device."""

    facts: DeviceFacts


class TensorTold(Record, array_like=True):
    """An input or output of a file, as (name, shape, dtype); a dimension that is not fixed is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Inspected(Record, tag_field="event", tag="inspected"):
    """What a file takes and gives."""

    inputs: tuple[TensorTold, ...]
    outputs: tuple[TensorTold, ...]


class Started(Record, tag_field="event", tag="start"):
    """A round begins (again, if its process was killed by somebody else)."""

    job: str
    round: int
    attempt: int
    position: int


class Measured(Record, tag_field="event", tag="round"):
    """A round has ended well; the fields mean what they mean in `records.Round`."""

    job: str
    round: int
    attempt: int
    position: int
    started_at: float
    load_ns: int
    first_ns: int
    warmup_ns: tuple[int, ...]
    samples_ns: tuple[int, ...]
    call_ns: tuple[int, ...]
    process_ns: int
    canary_ns: tuple[int, ...]
    telemetry: Telemetry | None
    ran: Ran | None
    peak_rss_bytes: int | None
    model_rss_bytes: int | None
    runs_on: str
    precision_executed: str
    threads_used: int
    output_diff: float | None
    involuntary_switches: int | None


class Profiled(Record, tag_field="event", tag="operators"):
    """Time by operator; the fields mean what they mean in `records.Operators`."""

    job: str
    source: str
    inferences: int
    inference_ns: int
    operators: tuple[Operator, ...]


class Evaluated(Record, tag_field="event", tag="evaluated"):
    """What a cell says about a part of the test images; the fields mean what they mean in `records.Verified`."""

    job: str
    part: int
    images: int
    classes: int
    logits: str
    """float32 [images, classes], little-endian, in base64: every bit counts, and NaN is no JSON."""
    elapsed_ns: int
    runs_on: str
    precision_executed: str
    threads_used: int
    runtime: str


class EnergyTold(Record, tag_field="event", tag="energy"):
    """The power of one round; the fields mean what they mean in `records.Metered`."""

    job: str
    round: int
    started_at: float
    sensor: str
    covers: str
    counts: Counts
    wraps: int | None
    update_ns: int | None
    windows: tuple[PowerWindow, ...]
    runs_on: str
    precision_executed: str
    threads_used: int


class Failed(Record, tag_field="event", tag="failed"):
    """A round came to no numbers; the cell's other rounds are not tried."""

    job: str
    round: int
    attempt: int
    position: int
    error_class: ErrorClass
    message: str
    phase: str
    """What the process was doing."""
    stderr: tuple[str, ...]
    """The last lines it printed."""
    package: str | None
    """The package that is missing."""
    transient: bool


class Done(Record, tag_field="event", tag="done"):
    """All rounds of the plan are through."""


class Misunderstood(Record, tag_field="event", tag="error"):
    """The agent could make nothing of a call."""

    message: str


class Providers(Record, tag_field="event", tag="providers"):
    """What a format's runtime can run on."""

    format: str
    providers: tuple[str, ...]


# --- of a board, beside measuring


class Holder(Record):
    """Who holds a board."""

    owner: str
    what: str
    session: str
    fence: int
    expires_in_s: float
    alive: bool = True


class Refused(Record, tag_field="event", tag="refused"):
    """A call is not carried out."""

    kind: Literal["busy", "lease_lost", "disk_full", "read_only", "sudo", "unsupported", "damaged", "other"]
    message: str
    holder: Holder | None = None


class Taken(Record, tag_field="event", tag="taken"):
    """The board is ours; the number grows with every holder."""

    fence: int


class Released(Record, tag_field="event", tag="released"):
    """Nobody's any more."""


class SitesTold(Record, tag_field="event", tag="sites"):
    """Wheels that are unpacked: sha256 -> folder."""

    sites: dict[str, str]


class Unpacked(Record, tag_field="event", tag="unpacked"):
    """Where a wheel lies unpacked."""

    path: str


class SessionTold(Record, tag_field="event", tag="session"):
    """A session's state; `calls` is the number of its last call, 0 if there is none."""

    alive: bool
    calls: int


class Cleaned(Record, tag_field="event", tag="cleaned"):
    """What was removed."""

    files: int
    bytes: int


Event = (
    HelloBack
    | Facts
    | Providers
    | Inspected
    | Started
    | Measured
    | Profiled
    | Evaluated
    | EnergyTold
    | Failed
    | Done
    | Misunderstood
    | Refused
    | Taken
    | Released
    | SitesTold
    | Unpacked
    | SessionTold
    | Cleaned
)
