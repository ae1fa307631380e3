"""What a gate holds a run against, and what it says of it."""

from __future__ import annotations

from typing import Literal

from edgeprof.records.base import Record
from edgeprof.records.inputs import Format
from edgeprof.records.made import Identity
from edgeprof.records.measured import DeviceFacts, Failure, Interval, Method

BASELINE_SCHEMA = 1

GateVerdict = Literal["pass", "fail", "cannot tell", "infrastructure"]


class RoundNumbers(Record):
    """One number a round, in the order of measuring; all [rounds]."""

    samples: tuple[int, ...]
    p50_ns: tuple[int, ...]
    p90_ns: tuple[int, ...]
    p99_ns: tuple[int, ...]
    """Of so few samples as `samples` says; below `rank.gate.P99_SAMPLES` of them it is not judged."""
    canary_ns: tuple[int, ...]
    """Median of the small fixed workload beside the block: the device's own speed."""
    peak_rss_bytes: tuple[int | None, ...]


class KnownTop1(Record):
    """How right a file is on its test images."""

    top1: float
    images: int
    labels_sha: str | None
    """Of the right answers in their order: the same for the same test images. None without kept predictions."""
    right: str | None
    """One bit an image, the first in the highest bit of the first byte, in base64: 1 where the file is right."""


class BaselineCandidate(Record):
    """One candidate as it was measured."""

    label: str
    """For people, see `Identity.label`; what a candidate is known by is `identity` and `provider`."""
    identity: Identity
    provider: str | None
    format: Format
    precision: str
    artifact_sha: str
    size_bytes: int
    top1: KnownTop1 | None
    """None: not known, as for a ready file."""
    median_ms: Interval
    p90_ms: Interval
    p99_ms: Interval | None
    """The bound is above the percentile with 99% confidence."""
    trusted: bool
    reasons: tuple[str, ...]
    rounds: RoundNumbers


class PowerAt(Record):
    """How often a slow-down was caught."""

    change: float
    caught: float


class GateCalibration(Record):
    """What the gate finds on this device, from the baseline's own files measured in turn with themselves."""

    made_at: str
    sessions: int
    """Of which each begins anew; the baseline's own run counts as one."""
    pairs: int
    """Of rounds, over all candidates."""
    between_sd: float
    """Standard deviation of the log of a candidate's median from session to session."""
    between_df: int
    """Degrees of freedom of it: sessions - 1, as all candidates of a session share the device's mood."""
    pair_sd: float
    """Spread of the log ratio of the two rounds of a pair: half of the width of its middle 68%, which is the standard
    deviation where it is normal; median over the candidates."""
    limit: float
    """Of the median, that the figures below are for."""
    gates: int
    """Whole gates drawn again from the recorded pairs."""
    false_failures: int
    """Of these, with nothing changed."""
    false_alarm_high: float
    """Upper end of the 95% interval of their share, as if the draws were fresh measurements."""
    undecided: int
    """Of these, that could not tell."""
    power: tuple[PowerAt, ...]
    """Of single candidates that were made slower by so much."""
    smallest_change: float | None
    """The smallest slow-down tried that is caught in 95% or more, as are all larger ones; None: none of those tried."""


class Baseline(Record):
    """What `reports/baselines/NAME.json` holds."""

    schema: int = BASELINE_SCHEMA
    device: str
    training: str | None
    """None: ready files."""
    suite_sha: str | None
    """To know it by; a suite may change, which is what a gate is for."""
    run: str
    started_at: str
    edgeprof: str
    facts: DeviceFacts
    method: Method
    candidates: tuple[BaselineCandidate, ...]
    """By label."""
    calibration: GateCalibration | None = None


class LatencyLimit(Record):
    """The slow-down of a percentile that must not pass."""

    percentile: Literal[50, 90, 99]
    share: float


class GateLimits(Record):
    """What must not get worse, and by how much; None: anything goes."""

    latency: tuple[LatencyLimit, ...] = (LatencyLimit(percentile=50, share=0.05),)
    top1: float | None = 0.005
    """As a share: 0.005 are 0.5 percentage points."""
    size: float | None = 0.02
    memory: float | None = 0.10
    budget_ms: float | None = None
    """Absolute, of the 90th percentile."""
    asked: tuple[str, ...] = ()
    """Those that somebody asked for by name: what cannot be judged of these is never left out."""


class Judgement(Record):
    """One limit of one candidate."""

    candidate: str
    identity: Identity | None
    limit: str
    """`p50`, `p90`, `p99`, `top1`, `size`, `memory`, `budget`, or `there` for whether it was measured at all."""
    baseline: float | None
    current: float | None
    """Both in ms, bytes or a share."""
    change: Interval | None
    """As a share; of top-1 the drop in shares. The bounds hold for all judgements of the gate together with 99%."""
    allowed: float | None
    verdict: GateVerdict
    reason: str
    how: Literal["run", "in turn", "again", "exact"] = "run"
    """What was compared: the run with the baseline; rounds in turn with the baseline's own file; the run and further
    rounds with the baseline; or nothing random."""
    open: bool = False
    """Whether measuring again could change the verdict."""


class GateResult(Record):
    """What `edgeprof gate` answers."""

    schema: int = 1
    device: str
    baseline: str
    """The file."""
    run: str | None
    """What was judged; None where it came to none."""
    again: str | None = None
    """The run that holds the rounds which were measured again."""
    verdict: GateVerdict
    exit_code: int
    reason: str
    limits: GateLimits
    judgements: tuple[Judgement, ...] = ()
    differences: tuple[str, ...] = ()
    """Facts that differ from the baseline's and were not allowed."""
    allowed: tuple[str, ...] = ()
    """Facts that differ and were allowed."""
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    calibration: GateCalibration | None = None
