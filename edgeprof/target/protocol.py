"""What host and agent say to each other, typed: one JSON object a line, calls to the agent, events from it.

The agent (`edgeprof.agent`) has no msgspec and builds the same objects by hand; tests hold the two together. A
`Measure` call is a whole plan and every event names its job and round, so a plan can also be carried out by an agent
that runs detached and spools its events, and an event that is read twice counts once.
"""

from __future__ import annotations

from typing import Literal

from edgeprof.records import DeviceFacts, Method, Operator, Ran, Record, Telemetry

PROTOCOL = 2

ErrorClass = Literal["crash", "hang", "error", "nan", "outputs_wrong", "missing_runtime", "fallback", "cores"]

# --- calls


class Hello(Record, tag_field="call", tag="hello"):
    """Who are you?"""


class AskFacts(Record, tag_field="call", tag="facts"):
    """What is this device?"""


class CellPlan(Record):
    """All that the agent needs to measure a cell."""

    format: str
    precision: str
    threads: int
    cores: tuple[int, ...] | None
    """Cores to bind the process to; None: any."""
    provider: str | None
    """Where the graph is to run, see `records.Device.providers`; None: on the processor."""
    files: dict[str, str]
    """Conventional name -> path on the device."""
    samples: str | None
    """Path on the device of the .npz with inputs and expected outputs; None: invented inputs, unchecked outputs."""
    wrong_above: float | None
    """The round fails when an output differs by more than this share of the expected outputs' spread."""


class Step(Record):
    """One round of one cell, in its place in the order."""

    job: str
    round: int
    position: int
    look: bool
    """Whether to ask the runtime afterwards what ran (`records.Ran`)."""


class Measure(Record, tag_field="call", tag="measure"):
    """Measure these rounds in this order."""

    method: Method
    cells: dict[str, CellPlan]
    rounds: tuple[Step, ...]


class Profile(Record, tag_field="call", tag="operators"):
    """Where does the time go? A pass of its own over one cell."""

    job: str
    cell: CellPlan
    inferences: int
    timeout_s: float
    allow_fallback: bool = False


class Inspect(Record, tag_field="call", tag="inspect"):
    """What does this file take and give?"""

    format: str
    precision: str
    files: dict[str, str]
    timeout_s: float


Call = Hello | AskFacts | Inspect | Measure | Profile

# --- events


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
    position: int


class Measured(Record, tag_field="event", tag="round"):
    """A round has ended well; the fields mean what they mean in `records.Round`."""

    job: str
    round: int
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


class Failed(Record, tag_field="event", tag="failed"):
    """A round came to no numbers; the cell's other rounds are not tried."""

    job: str
    round: int
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


Event = HelloBack | Facts | Inspected | Started | Measured | Profiled | Failed | Done | Misunderstood
