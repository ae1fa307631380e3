"""What the Python API gives back: records, and the same as data frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgeprof.api import asking
from edgeprof.api.asking import Limiting
from edgeprof.api.place import reading, writing
from edgeprof.errors import UsageError, nearest

if TYPE_CHECKING:
    from edgeprof.api.more import MeasuredMore
    from edgeprof.frames import DataFrame
    from edgeprof.pipeline import Outcome
    from edgeprof.pipeline.fleet import FleetOutcome
    from edgeprof.records import (
        Choice,
        DeviceFacts,
        Failure,
        Fleet,
        FleetChoice,
        Measurement,
        Ranking,
    )
    from edgeprof.records.compared import RunsCompared
    from edgeprof.records.gate import Baseline


@dataclass(frozen=True, repr=False)
class RunResult:
    """One run on one device: its ranking, and everything that can be computed of its raw samples.

    Nothing here measures; what is read from the store is read when it is asked for.
    """

    outcome: Outcome
    root: Path
    """The store's folder."""

    def __repr__(self) -> str:
        """Short, for notebooks: what it holds is large."""
        candidates, failures = len(self.ranking.candidates), len(self.failed)
        return f"<run {self.name} on {self.device}: {candidates} candidates, {failures} failures>"

    @property
    def name(self) -> str:
        """The run's, as `Suite.load_run` takes it."""
        return self.outcome.run.run

    @property
    def device(self) -> str:
        """Where it was measured, by name."""
        return self.outcome.run.device

    @property
    def facts(self) -> DeviceFacts | None:
        """What the device was when it was measured."""
        return self.outcome.run.facts

    @property
    def ranking(self) -> Ranking:
        """What `edgeprof rank --json` prints, as a record."""
        return self.outcome.ranking

    @property
    def failed(self) -> tuple[Failure, ...]:
        """What did not come to a number."""
        return self.ranking.failures

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The raw samples behind the ranking, with what was read of the device beside them."""
        # Of several devices at once they are not kept in memory.
        if self.outcome.measurements or not self.ranking.candidates:
            return self.outcome.measurements
        return self._again().measurements

    def frame(self) -> DataFrame:
        """The candidates in the ranking's order, a row each; columns as the keys of `ranking.json`."""
        from edgeprof import frames

        return frames.candidates(self.ranking)

    def samples(self) -> DataFrame:
        """Every latency sample that counts, in time order: job, model, exporter, threads, round, attempt, index,
        latency_ms. Joins with `frame()` by `job`."""
        from edgeprof import frames

        return frames.samples(self.measurements)

    def failures(self) -> DataFrame:
        """`failed`, a row each."""
        from edgeprof import frames

        return frames.failures(self.failed)

    def rank(self, by: str = "latency") -> RunResult:
        """The same run in another order, recomputed from its raw samples.

        Args:
            by: as for `edgeprof rank --by`: `latency`, `top1`, `size`, `memory`, ...

        Raises:
            UsageError: there is no such order.
        """
        return dataclasses.replace(self, outcome=self._again(by))

    def choose(self, budget: str | None = None, **limits: Unpack[Limiting]) -> Choice:
        """The best candidate that surely keeps to the limits, with its odds; `chosen` is None where none does.

        Args:
            budget: the latency that must be met, with its unit: "5ms", "800us", "0.2s".
            limits: see `edgeprof.api.asking.Limiting`.

        Raises:
            UsageError: there is no limit, or one that means nothing.
        """
        from edgeprof.pipeline import decide

        asked = asking.limits(budget, **limits)
        with reading(self.root) as store:
            return decide.choose(store, self.outcome_with_samples, asked)

    def changes_since(self, earlier: RunResult, *, allow: Sequence[str] = (), zone: float = 0.02) -> RunsCompared:
        """What changed from an earlier run to this one, candidate by candidate: `frames.table(found.changes)`.

        Args:
            allow: in what the runs may differ, as for `edgeprof compare --allow`.
            zone: two latencies that differ by less are the same, as a share.

        Raises:
            UsageError: they are not comparable, or have no candidate in common.
        """
        from edgeprof.pipeline import runs
        from edgeprof.rank import comparable

        with reading(self.root) as store:
            return runs.compare_runs(
                store, earlier.outcome.run, self.outcome.run, zone=zone, allow=comparable.allowed(allow)
            )

    def write_baseline(self, path: str | PathLike[str]) -> Baseline:
        """Write what was measured as a baseline for `Suite.gate`; one that is there keeps its calibration if it fits.

        Raises:
            DeviceError, ExportError: nothing was measured.
            RecordError: what is there is no baseline.
            UsageError: it cannot be written there.
        """
        from edgeprof.pipeline import baseline, gate

        file = Path(path)
        with reading(self.root) as store:
            old = baseline.read_baseline(file) if file.exists() else None
            new = gate.updated(store, self.outcome_with_samples, old)
            baseline.write_baseline(file, new)
        return new

    def report(self) -> dict[str, Path]:
        """Write the report anew: "html", "json", "csv", "markdown", ... -> file.

        Raises:
            UsageError: the folder cannot be written.
        """
        from edgeprof import pipeline

        with writing(self.root) as store:
            return pipeline.assemble(store, self.outcome.run).files

    @property
    def outcome_with_samples(self) -> Outcome:
        """`outcome` with the measurements, whatever is in memory."""
        return dataclasses.replace(self.outcome, measurements=self.measurements)

    def _again(self, by: str | None = None) -> Outcome:
        from edgeprof import pipeline

        with reading(self.root) as store:
            return pipeline.assemble(store, self.outcome.run, by or self.ranking.by, write=False)


@dataclass(frozen=True, repr=False)
class FleetResult:
    """Several devices, measured at once: those that have a ranking, and those that failed."""

    outcome: FleetOutcome
    root: Path
    """The store's folder."""
    more: tuple[MeasuredMore, ...] = ()
    """By `Fleet.measure_more`: what it came to on each device."""

    def __repr__(self) -> str:
        """Short, for notebooks."""
        return f"<{len(self)} devices with a ranking, {len(self.failed)} without: {[*self]}>"

    @property
    def runs(self) -> tuple[RunResult, ...]:
        """Of the devices that have a ranking, in the order asked for."""
        return tuple(RunResult(one, self.root) for one in self.outcome.outcomes)

    @property
    def answer(self) -> Fleet:
        """What `edgeprof run --json` prints of several devices, as a record."""
        return self.outcome.answer

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Of whole devices: not reached, or lost before their ranking."""
        return self.outcome.failures

    def __iter__(self) -> Iterator[RunResult]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, device: str) -> RunResult:
        """Raises UsageError: that device has no ranking here."""
        found = {one.device: one for one in self.runs}
        if device not in found:
            raise UsageError(f"there is no ranking of {device!r}", hint=nearest(device, found) or None)
        return found[device]

    def frame(self) -> DataFrame:
        """The candidates of all devices, one device after the other; see `RunResult.frame`."""
        from edgeprof import frames

        return frames.fleet(self.outcome.answer)

    def failures(self) -> DataFrame:
        """Of whole devices and of single candidates, a row each."""
        from edgeprof import frames

        return frames.failures([*self.failed, *(failure for one in self.runs for failure in one.failed)])

    def choose(self, budget: str | None = None, **limits: Unpack[Limiting]) -> FleetChoice:
        """The best file that keeps to the limits on every device that has a ranking; see `RunResult.choose`.

        Raises:
            UsageError: no device has a ranking, there is no limit, or one that means nothing.
        """
        from edgeprof.pipeline import decide

        if not self.runs:
            raise UsageError("no device has a ranking to choose from")
        asked = asking.limits(budget, **limits)
        outcomes = [one.outcome_with_samples for one in self.runs]
        with reading(self.root) as store:
            return decide.choose_for_all(store, outcomes, asked)
