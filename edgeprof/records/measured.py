"""What is measured on a device, and what failed."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from edgeprof.records.base import Record
from edgeprof.records.inputs import Format
from edgeprof.records.made import Identity, Parity

Stage = Literal["train", "export", "connect", "profile"]

# Why a measurement is not to be trusted: a closed list, each with what to do about it.
Reason = Literal[
    "too few samples",
    "interval wide",
    "bimodal",
    "trend",
    "throttled",
    "under-voltage",
    "hot at start",
    "other load",
    "clock step",
    "governor not fixed",
    "provider fell back",
    "precision differs",
    "outputs differ",
    "test images differ",
    "canary drifted",
]

TestImages = int | Literal["all"] | None
"""How many test images to run on a device; None: none."""

Severity = Literal["spoils", "may spoil", "note"]

ADVICE: dict[str, str] = {
    "too few samples": "measure longer, or in more rounds: the numbers have no interval that means anything",
    "interval wide": "the rounds disagree more than the precision asked for allows: close other programs, fix the"
    " clock, give it more time (--cell-time 60s), or ask for less (--precision 5%)",
    "bimodal": "the latency has two levels, so one number tells little: pin it to cores (cores = [...] in the device"
    " file), fix the clock, and look at the samples in the report",
    "trend": "the latency moved while it was measured: let the device reach a steady temperature, then measure again",
    "throttled": "the device lowered its clock while measuring: cool it, or choose a lower fixed clock or power mode",
    "under-voltage": "the supply voltage fell: use the board's own power supply and a short cable",
    "hot at start": "the device was near its throttling temperature before the block began: let it cool, or add a fan",
    "other load": "other programs took the processor away during the measurement: stop them and measure again",
    "clock step": "the device's clock was set while measuring: let time synchronisation finish, then measure again",
    "governor not fixed": "the clock may change at any time: on the device, set the governor to performance"
    " (sudo cpupower frequency-set -g performance)",
    "provider fell back": "part of the graph ran elsewhere than asked: compare it only with its like",
    "precision differs": "the runtime executed in another precision than asked: compare it only with its like",
    "outputs differ": "the device computes something else than the host: check the accuracy there before use",
    "test images differ": "on test images the device computes something else than the host, beyond rounding: go by the"
    " accuracy measured there (--accuracy-on-device), or try another version of the runtime, or another exporter",
    "canary drifted": "a fixed workload beside each block changed its speed, so the device itself did: measure again"
    " on a quiet, cool device",
}

LASTING: frozenset[str] = frozenset(
    {"governor not fixed", "provider fell back", "precision differs", "outputs differ", "test images differ"}
)
"""Reasons that are properties of the file or the device: measuring again does not change them."""
PASSING: frozenset[str] = frozenset(ADVICE) - LASTING
"""Reasons that may be gone when the cell is measured again."""


class Method(Record):
    """How a run measures a cell: fresh processes (rounds), in each a warm-up and then a block of samples in time order,
    until the 95% interval of the median is as narrow as asked, or rounds or time are used up."""

    precision: float = 0.01
    """Asked for: largest half width of the median's interval, as a share of the median."""
    min_rounds: int = 9
    """Seven have a distribution-free interval; nine, two levels of which 3 in 10 processes take the other."""
    max_rounds: int = 30
    cell_s: float = 5.0
    """Time for all processes of a cell together; when it is used up, no further round begins (but `min_rounds`)."""
    again: bool = True
    """Whether a cell that is not trusted for a reason that may pass is measured once more."""
    warmup_s: float = 0.1
    warmup_min: int = 5
    block_s: float = 0.15
    block_min: int = 20
    block_max: int = 5000
    timeout_s: float = 120.0
    order_seed: int = 0
    allow_fallback: bool = False
    """Whether a graph that does not run where it was asked to is measured all the same (and not trusted)."""


class Cluster(Record):
    """Cores of one kind."""

    cores: tuple[int, ...]
    cpu: str | None
    max_mhz: float | None
    """The highest clock of the hardware."""
    capacity: int | None
    """The kernel's measure of a core's speed, 1024 for the fastest."""
    governor: str | None = None
    """Those of all its cores, with commas, where they differ."""
    clock_mhz: tuple[float, float] | None = None
    """Lowest and highest clock the governor may choose."""


class PowerMode(Record):
    """A mode of a Jetson's nvpmodel: how many cores there are, and how fast they may go."""

    id: int
    name: str


class PowerSensor(Record):
    """What tells the power that a device takes."""

    name: str
    covers: str
    """What is in its figure, and what is not."""


class Reading(Record):
    """The state of the device at one moment; None where it does not tell."""

    clock_mhz: float | None = None
    """The slowest of the cores in use."""
    temperature_c: float | None = None
    """Of the hottest thermal zone."""
    throttled_flags: int | None = None
    """A Raspberry Pi's `get_throttled` bits: 0 to 3 are now, 16 to 19 since it was started."""
    throttle_count: int | None = None
    """Sum of the kernel's counters of thermal and over-current throttling."""
    under_voltage: bool | None = None
    """The alarm of the supply's sensor."""


class Busy(Record):
    """A program that takes the processor."""

    name: str
    pid: int
    cores: float
    """Processors that it keeps busy."""
    user: str | None = None
    """Whose it is."""
    program: str | None = None
    """The file name of its program and of the script or module that it interprets: `python3 train.py`."""


class Now(Record):
    """What went on on a device at the moment it was asked; None where it does not tell."""

    unix_time: float
    """Its own clock's."""
    uptime_s: float | None = None
    reading: Reading
    load_average: float | None = None
    """Over one minute: programs that run or would."""
    busy: tuple[Busy, ...] = ()
    """The programs that take most, the largest share first."""
    busy_cores: float | None = None
    """Processors that all programs kept busy, but the agent; counted in ticks, mostly of 10 ms, over 0.3 s."""
    stolen_cores: float | None = None
    """Processors that the hypervisor gave to others."""
    desktop: tuple[str, ...] = ()
    """Display servers and managers that run."""
    memory_available_bytes: int | None = None
    swap_used_bytes: int | None = None
    """On disks."""
    zram_used_bytes: int | None = None
    """Swapped out to compressed memory."""
    sudo: bool | None = None
    """Whether what the device file asks for can be set without a password; None where it was not tried."""


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
    clusters: tuple[Cluster, ...] = ()
    """The usable cores by kind, the slowest kind first."""
    throttles_at_c: float | None = None
    """The lowest temperature at which a thermal zone begins to slow the processor (its passive trip point)."""
    soc: str | None = None
    """Vendor and chip as the device tree names them, such as "brcm,bcm2711"."""
    libc: str | None = None
    """C library and version, such as "glibc 2.36"."""
    userland: str | None = None
    """Architecture of its Python, by which wheels are chosen: not `architecture` where a 64-bit kernel runs 32 bits."""
    python_path: str | None = None
    numpy: str | None = None
    isolated_cores: tuple[int, ...] = ()
    """Cores that the kernel keeps free of other programs."""
    governors: tuple[str, ...] = ()
    """Those that could be set."""
    l4t: str | None = None
    """Release of Jetson Linux, such as "36.4.3"."""
    jetpack: str | None = None
    power_mode: PowerMode | None = None
    """Of a Jetson."""
    power_modes: tuple[PowerMode, ...] = ()
    rails: tuple[str, ...] = ()
    """Supply rails whose power can be read."""
    power: PowerSensor | None = None
    """What energy is measured by (`--energy`)."""
    power_missing: str | None = None
    """Why there is no such sensor."""
    container: str | None = None
    virtual_machine: str | None = None
    disk_free_bytes: int | None = None
    """Where edgeprof keeps its files there."""
    providers: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Format -> what its runtime can run on, where it was asked."""
    now: Now | None = None
    """Where it was asked."""


class Cell(Record):
    """One thing to measure: an artifact at a thread count. `job` names it within the run."""

    job: str
    identity: Identity
    artifact_sha: str
    format: Format
    precision: str
    """Asked for; `AS_IN_FILE` of a file that a user brings."""
    threads: int
    provider: str | None = None
    """Where it was asked to run, see `Device.providers`."""


class Telemetry(Record):
    """What the device did beside the timed block."""

    begin: Reading
    end: Reading
    steal_ns: int | None = None
    """Taken from the cores in use by the hypervisor, summed over the cores."""
    wait_ns: int | None = None
    """Time that the measuring threads were ready to run but had no core, summed over the threads."""
    other_ns: int | None = None
    """Processor time of all other programs on the cores in use, summed over the cores."""
    elapsed_ns: int = 0
    """From the first reading to the second."""
    clock_step_ns: int = 0
    """How far the wall clock moved against the monotonic one meanwhile."""


class Ran(Record):
    """What executed a file, read from the runtime; None where it does not tell."""

    provider: str
    """Execution provider, plugin or delegate that was asked for and took part."""
    nodes: int | None
    """Nodes of the graph as it was executed (after the runtime's own fusions)."""
    on_provider: int | None
    """Of these, the nodes that `provider` executed."""
    partitions: int | None
    """Separate parts of the graph on `provider`."""
    precisions: dict[str, int] | None
    """Precision executed -> nodes that compute in it."""
    source: str
    """How it was found, for example "profile of one inference"."""


class Round(Record):
    """One fresh process of one cell: everything it measured, in time order, integers in nanoseconds."""

    KIND: ClassVar[str] = "round"

    run: str
    job: str
    round: int
    attempt: int = 0
    """0; 1 for the rounds of a second measurement of a cell that was not trusted."""
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
    call_ns: tuple[int, ...]
    """Of each sample, the time of the runtime's own call alone: without handing over inputs and fetching outputs."""
    process_ns: int
    """The whole process, from its start to its result."""
    canary_ns: tuple[int, ...]
    """The same small fixed workload, timed several times, half before the block and half after it."""
    telemetry: Telemetry | None
    ran: Ran | None
    """Found in a cell's first round alone, after its block."""
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
    """The measurement of one cell of one run."""

    run: str
    device: str
    cell: Cell
    rounds: tuple[Round, ...]
    """Those that count: of the second attempt where there is one, of both where only the interval was too wide."""
    attempts: int
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
    call_ms: float | None
    """Median over the rounds of the runtime's own call."""
    load_ms: Interval
    first_ms: Interval
    samples: int
    rounds: int
    peak_rss_bytes: int | None


class Operator(Record):
    """One node of the graph as it was executed."""

    name: str
    """The runtime's name for it, often that of the layer."""
    kind: str
    """Type of operator, such as Conv."""
    runs_on: str | None
    precision: str | None
    median_ns: int
    """Over the profiled inferences; of all calls of the node in one inference together."""


class Operators(Record):
    """Time by operator, from a pass of its own: profiling slows a model down and never touches the latency samples."""

    KIND: ClassVar[str] = "operators"

    run: str
    job: str
    source: str
    """What profiled it."""
    inferences: int
    inference_ns: int
    """Median of a whole inference while it was profiled."""
    operators: tuple[Operator, ...]
    """In the order of execution."""


class Finding(Record):
    """Something on a device that speaks against measuring there as it is."""

    severity: Severity
    what: str
    """In a plain sentence."""
    mend: str | None = None
    """What to type for it, on the device unless it names another place."""
    reason: Reason | None = None
    """Why a measurement would not be trusted for it."""


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
    pair: str | None = None
    """The comparison (`Pair`) whose rounds it holds: it is no ranking."""
    test_images: TestImages = None
    """How many of them were asked to be run on the device as well."""
    energy: bool = False
    """Whether the energy was asked for as well."""
    bound_to: tuple[int, ...] | Literal["big", "little"] | None = None
    """The cores to which its processes were bound, as asked for; None: any."""
    finished: bool = False


class Pair(Record):
    """One `edgeprof compare`: two cells measured in turn, the k-th round of one beside the k-th of the other.

    Their rounds lie under the runs named here; both in one run where they were measured on one device.
    """

    KIND: ClassVar[str] = "pair"

    pair: str
    first: Cell
    second: Cell
    first_run: str
    second_run: str
    first_facts: DeviceFacts
    second_facts: DeviceFacts
    zone: float
    """Share by which two latencies may differ and still be called the same."""
    method: Method
