"""What a choice was asked for, and what it answers; derived, never stored."""

from __future__ import annotations

from typing import Literal

from edgeprof.records.base import Record
from edgeprof.records.derived import Candidate

Maximize = Literal["top1", "throughput"]


class Limits(Record):
    """What a candidate must keep to, and what is best among those that do. None: no such limit."""

    budget_ms: float | None = None
    percentile: int = 90
    """Of the latency, for the budget: 50 (of the processes' medians), 90 or 99 (of all inferences)."""
    min_top1: float | None = None
    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None
    max_energy_mj: float | None = None
    """Of an inference: the upper end of its interval must keep to it, as that of the latency to the budget."""
    maximize: Maximize = "top1"
    """`throughput` is that of one inference after the other: the lowest median latency."""


class Odds(Record):
    """Probabilities of one candidate, from the spread of its rounds and the number of its test images."""

    budget: float | None
    """That its latency percentile is within the budget; None without a budget."""
    min_top1: float | None
    """That its top-1 on endlessly many such images is at least the limit."""
    max_energy: float | None = None
    """That the energy of an inference is within its limit; None without one, or where its spread is not known."""
    best: float | None
    """That of all trusted candidates it is the best that keeps to every limit; None where too few rounds know its
    latency."""


class Rejected(Record):
    """A candidate that was not chosen, and why."""

    job: str
    model: str
    exporter: str
    init: str | None = None
    seed: int | None = None
    threads: int
    reason: str
    limits: tuple[str, ...] = ()
    """Which kept it out: `trust`, `latency`, `top1`, `size`, `memory`, `energy`; empty where it only was outdone."""
    budget_probability: float | None = None
    """That it meets the budget, where there is one and its rounds are known."""


class Undecided(Record):
    """What measuring longer could still change."""

    jobs: tuple[str, ...]
    """The candidates to measure."""
    names: tuple[str, ...]
    rivals: tuple[str, ...]
    """The jobs that may be better than the choice, best first; `jobs` may hold the choice as well."""
    seconds_more: float | None
    """About how long that takes; None where no measuring within reach would tell."""
    reason: str


class Choice(Record):
    """What `edgeprof choose` answers."""

    schema: int = 1
    device: str
    run: str
    budget_ms: float | None
    percentile: int
    limits: Limits = Limits()
    chosen: Candidate | None
    chosen_odds: Odds | None = None
    runner_up: Candidate | None
    runner_up_odds: Odds | None = None
    nearest_miss: Candidate | None
    rejected: tuple[Rejected, ...]
    undecided: Undecided | None = None
    """None: more measuring would not change the choice, at 95%."""
    reason: str


class OnDevices(Record):
    """One file on one of several devices, in the number of threads that suits it best there."""

    device: str
    run: str
    candidate: Candidate
    odds: Odds | None = None


class FleetChoice(Record):
    """What `edgeprof choose` answers for several devices: one file that keeps to the limits on all of them."""

    schema: int = 1
    devices: tuple[str, ...]
    limits: Limits
    chosen: tuple[OnDevices, ...]
    """One a device, in their order; empty: no file keeps to the limits everywhere."""
    runner_up: tuple[OnDevices, ...]
    each: tuple[Choice, ...]
    """What would be chosen for each device alone."""
    misses: tuple[str, ...]
    """Why the files that come nearest fail, the nearest first."""
    reason: str
