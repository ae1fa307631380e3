"""Two runs, or all runs of a model, beside each other. Derived, never stored."""

from __future__ import annotations

from typing import Literal

from edgeprof.records.base import Record
from edgeprof.records.inputs import Format
from edgeprof.records.made import Identity
from edgeprof.records.measured import DeviceFacts, Interval, Method
from edgeprof.records.scored import OnSameImages

ChangeVerdict = Literal["faster", "slower", "same", "cannot tell"]


class Basis(Record):
    """What the numbers of a run rest on: those of two runs may be compared where this is alike."""

    device: str
    facts: DeviceFacts | None
    """None where it failed before it was asked."""
    method: Method
    formats: tuple[Format, ...] = ()
    """Of the files that were measured: the runtimes of others do not matter. (): not known, so all do."""
    training: str | None = None
    suite_sha: str | None = None
    bound_to: tuple[int, ...] | Literal["big", "little"] | None = None
    """Cores to which processes were bound; None: any, or not known."""
    agents: tuple[str, ...] = ()
    """sha256 of each agent that measured; (): not known."""


class Difference(Record):
    """Something in which two runs differ beside the files."""

    name: str
    """`kernel`, `governor`, `runtime:onnxruntime`, ...: see `rank.comparable`."""
    one: str
    other: str
    spoils: bool
    """Whether latencies are not comparable for it; else it is only told."""
    allowed: bool = False
    """It would spoil, and was accepted knowingly (`--allow NAME`)."""


class Moved(Record):
    """A quantity in two runs."""

    one: float
    other: float
    ratio: Interval
    """The other over the one, of geometric means over the rounds: 1.05 is 5% more."""
    runs: int = 0
    """Runs that tell how far runs spread; 0: the interval is of the rounds of these two runs alone."""


class CandidateChange(Record):
    """A candidate that both runs measured: the same model, training, init, seed, exporter and threads."""

    identity: Identity
    one_job: str
    other_job: str
    same_file: bool
    verdict: ChangeVerdict
    """Of the other run's median latency."""
    why: str | None
    """Why it cannot be told."""
    median_ms: Moved
    p90_ms: Moved
    """Typical p90 of a process, that is the geometric mean over the rounds; not that of all inferences pooled."""
    one_size_bytes: int
    other_size_bytes: int
    memory_bytes: Moved | None
    """The largest resident set of a process."""
    one_top1: float | None
    other_top1: float | None
    top1: OnSameImages | None = None
    """The other run's file (first) against the one's on the same test images; None where their predictions are not both
    kept, or it is the same file."""
    top1_verdict: Literal["better", "worse", "cannot tell"] | None = None
    """None where it is the same file, or nothing is known."""
    notes: tuple[str, ...] = ()
    """What else is not alike: where it ran, the precision executed."""


class RunsCompared(Record):
    """What `edgeprof compare RUN RUN` answers."""

    schema: int = 1
    one: str
    one_started_at: str
    other: str
    other_started_at: str
    zone: float
    """Share by which two latencies may differ and still be called the same."""
    differences: tuple[Difference, ...]
    canary: Interval | None
    """Time of the fixed workload beside each block, the other run's over the one's: what the device changed by."""
    changes: tuple[CandidateChange, ...]
    """In the order of the one run's cells."""
    only_one: tuple[Identity, ...]
    only_other: tuple[Identity, ...]


class Past(Record):
    """A candidate in one run."""

    run: str
    started_at: str
    job: str
    artifact_sha: str
    median_ms: Interval
    p90_ms: Interval
    top1: Interval | None
    size_bytes: int
    peak_rss_bytes: int | None
    trusted: bool
    reasons: tuple[str, ...]
    differences: tuple[Difference, ...] = ()
    """In what the run differs from the one before."""
    comparable: bool = True
    """With the run before: nothing that spoils a comparison differs."""
    change: Moved | None = None
    """Of the median against the run before; None for the first, and where they are not comparable."""
    verdict: ChangeVerdict | None = None


class Line(Record):
    """A candidate over all its runs, the oldest first."""

    identity: Identity
    runs: tuple[Past, ...]


class History(Record):
    """What `edgeprof show history` answers."""

    schema: int = 1
    device: str
    model: str
    zone: float
    lines: tuple[Line, ...]
