"""What is derived from the records, never stored as the source."""

from __future__ import annotations

from edgeprof.records.base import Record
from edgeprof.records.measured import DeviceFacts, Failure, Method


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
