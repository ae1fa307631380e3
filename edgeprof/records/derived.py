"""What is derived from the records, never stored as the source."""

from __future__ import annotations

from edgeprof.records.base import Record
from edgeprof.records.effect import Effect
from edgeprof.records.measured import Cell, DeviceFacts, Failure, Interval, Method, Operators, Ran
from edgeprof.records.power import Energy
from edgeprof.records.proxies import DeviceProxies, DeviceSwap, RankAgreement
from edgeprof.records.verified import OnDevice


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
    top5_low: float | None = None
    top5_high: float | None = None
    macro_f1_low: float | None = None
    macro_f1_high: float | None = None
    top1_drop: float | None = None
    """Top-1 of its checkpoint minus that of the file on the same images: positive where the file lost."""
    top1_drop_low: float | None = None
    top1_drop_high: float | None = None
    drop_p: float | None = None
    """Of McNemar's exact test that file and checkpoint are equally often right."""
    device_images: int | None = None
    """Test images that were run on the device (`--verify-on-device`, `--accuracy-on-device`)."""
    device_top1: float | None = None
    device_top1_low: float | None = None
    device_top1_high: float | None = None
    device_agreement: float | None = None
    """Share of these images on which device and host name the same class."""
    device_max_abs_diff: float | None = None
    """Largest difference of the logits from the host's, as a share of their spread."""
    device_verdict: str | None = None
    """`same`, `rounding` or `differs`; None where it was not looked at."""
    warnings: tuple[str, ...] = ()
    """What the export had to say of the file."""
    median_ms: float
    median_low_ms: float | None
    median_high_ms: float | None
    p90_ms: float
    p90_low_ms: float | None
    p90_high_ms: float | None
    p99_ms: float | None
    p99_high_ms: float | None
    p99_reason: str | None
    """Why there is no 99th percentile."""
    call_ms: float | None
    """Median of the runtime's own call alone."""
    load_ms: float
    load_low_ms: float | None
    load_high_ms: float | None
    first_ms: float
    first_low_ms: float | None
    first_high_ms: float | None
    peak_rss_bytes: int | None
    energy_mj: float | None = None
    """Of one inference, all that the device's sensor counts (`--energy`), in millijoule."""
    energy_low_mj: float | None = None
    energy_high_mj: float | None = None
    energy_above_idle_mj: float | None = None
    """Without what the idle device takes in the same time."""
    energy_above_idle_low_mj: float | None = None
    energy_above_idle_high_mj: float | None = None
    power_w: float | None = None
    """Of the device while it ran, and idle, by its sensor."""
    idle_power_w: float | None = None
    energy_rounds: int | None = None
    energy_reason: str | None = None
    """Why there is no energy."""
    threads: int
    runs_on: str
    precision_executed: str
    ran: Ran | None
    samples: int
    rounds: int
    attempts: int
    """2 when it was measured again because the first measurement could not be trusted."""
    score: float | None = None
    """What a weighted order puts it by, as a multiple of the smallest one; None in every other order."""
    rank: int
    rank_low: int
    rank_high: int
    pareto: bool
    pareto_probability: float | None = None
    """That no other trusted one is both faster and more accurate; None where its accuracy or spread is not known."""
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
    operators: tuple[Operators, ...] = ()
    """Time by operator, of the candidates for which it was asked (`--per-op`)."""
    on_device: tuple[OnDevice, ...] = ()
    """Test images there against the host, of the candidates for which it was asked (`--verify-on-device`)."""
    energy: tuple[Energy, ...] = ()
    """Of the candidates that were metered, or should have been (`--energy`)."""
    effect: Effect | None = None
    """What the initialisation brings, where the run has several."""
    proxies: DeviceProxies | None = None
    """How far MACs, parameters and file size tell the order by latency, where there are models enough."""


class Fleet(Record):
    """What a run on several devices answers."""

    schema: int = 1
    rankings: tuple[Ranking, ...]
    """One for each device that was measured, in the order asked for; with the failures of its candidates."""
    failures: tuple[Failure, ...]
    """Of whole devices: not reached, or lost before their ranking."""
    between: tuple[RankAgreement, ...] = ()
    """How far each pair of devices puts the models in the same order, as in `Proxies.between`."""
    swaps: tuple[DeviceSwap, ...] = ()
    """As in `Proxies.swaps`."""


class PairSide(Record):
    """One side of a comparison."""

    cell: Cell
    median_ms: Interval
    runs_on: str
    precision_executed: str
    reasons: tuple[str, ...]
    """Why it is not to be trusted, of the reasons that measuring in turn does not cancel."""


class PairResult(Record):
    """What `edgeprof compare` answers."""

    schema: int = 1
    pair: str
    first: PairSide
    second: PairSide
    verdict: str
    """`faster` (which: see `faster`), `same` (within `zone`), or `undecided`."""
    faster: str | None
    """`first` or `second`."""
    ratio: Interval
    """Latency of the first over that of the second: median over the pairs of rounds, with its 95% interval."""
    zone: float
    rounds: int
    """Of each side."""
    seconds_more: float | None
    """About how much longer a verdict takes; 0 when there is one, None when it is out of reach."""
