"""From the stored records to what people read; nothing here measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeprof import measure as measuring
from edgeprof.errors import UsageError, nearest
from edgeprof.pipeline import accuracy
from edgeprof.pipeline.effect import effect, training_with_arms, with_effect
from edgeprof.pipeline.verify import doubted, on_device
from edgeprof.records import Artifact, Effect, Failure, Measurement, Operators, Ranking, Round, Run
from edgeprof.store import Store

if TYPE_CHECKING:
    from edgeprof.report import Replayed


@dataclass(frozen=True)
class Outcome:
    """What a run came to: its ranking, the raw measurements behind it, and the files of its report by name."""

    run: Run
    ranking: Ranking
    measurements: tuple[Measurement, ...]
    files: dict[str, Path]


def store_root(work: Path) -> Path:
    """The store's folder under a working folder."""
    return work / ".edgeprof"


def runs_root(store: Store) -> Path:
    """Where the reports of runs lie: beside the store."""
    return store.root.parent / "reports" / "runs"


def assemble(store: Store, this: Run, by: str = "latency", *, write: bool = True) -> Outcome:
    """The ranking of a run, recomputed from its raw samples; with `write`, its report as well."""
    from edgeprof import rank, report

    artifacts = artifacts_of(store, this)
    there = on_device(store, this, artifacts)
    measurements = doubted(measuring.collect(store, this), there)
    failures = [*this.failures, *store.all(Failure.KIND, Failure, run=this.run)]
    operators = store.all(Operators.KIND, Operators, run=this.run)
    ranking = rank.ranking(
        this,
        measurements,
        artifacts,
        failures,
        by=by,
        operators=operators,
        on_device=there,
        energies=measuring.energies(store, this),
        scored=accuracy.scored(store, artifacts),
        right=accuracy.right(store, artifacts),
    )
    ranking = with_effect(store, ranking, artifacts)
    files = report.write_reports(ranking, measurements, runs_root(store) / this.run) if write else {}
    return Outcome(run=this, ranking=ranking, measurements=tuple(measurements), files=files)


def recompute(store: Store, this: Run) -> list[Replayed]:
    """Each file of the run's written report beside the same file made anew from the raw samples.

    Raises:
        RecordError: a file of the report is missing.
    """
    from edgeprof import report

    outcome = assemble(store, this, write=False)
    return report.replay(outcome.ranking, outcome.measurements, runs_root(store) / this.run)


def effect_of(
    store: Store,
    training: str | None = None,
    device: str | None = None,
    run: str | None = None,
    budget_ms: float | None = None,
) -> Effect:
    """The effect of the initialisation: of the checkpoints behind a run, or of all of a training, with the latencies of
    its newest run where there is one.

    Args:
        training: None: that of the run, else the newest that has several initialisations.
        device, run: which run, see `find_run`; both None: no particular one.

    Raises:
        UsageError: there is no such run, or nothing to compare.
    """
    if device is not None or run is not None:
        this = find_run(store, device, run)
        if this.training is None or training not in (None, this.training):
            raise UsageError(
                f"run {this.run} is of {f'the training {this.training!r}' if this.training else 'ready files'}",
                hint="leave --training out, or name another run: edgeprof show runs",
            )
        ranking = assemble(store, this, write=False).ranking
        return effect(store, this.training, ranking, artifacts_of(store, this), budget_ms)
    name = training or training_with_arms(store)
    runs = [one for one in store.all(Run.KIND, Run) if one.finished and not one.pair and one.training == name]
    measured = [one for one in runs if store.count(Round.KIND, one.run)]
    if name is None or not measured:
        found = effect(store, name, budget_ms=budget_ms)
        why = f"no latencies, so no budgets: edgeprof run --training {found.training} --device localhost"
        return msgspec.structs.replace(found, missing=(*found.missing, why))
    return effect(store, name, assemble(store, measured[-1], write=False).ranking, budget_ms=budget_ms)


def artifacts_of(store: Store, this: Run) -> list[Artifact]:
    """The artifacts that the run's cells name. The same bytes may stand under several identities; each is kept."""
    # In the order of the cells: that of a set would differ from process to process.
    wanted = dict.fromkeys(
        (cell.artifact_sha, msgspec.structs.replace(cell.identity, device=None, threads=None)) for cell in this.cells
    )
    known = {(one.artifact_sha, one.identity): one for one in store.all(Artifact.KIND, Artifact)}
    return [known[one] for one in wanted if one in known]


def find_run(store: Store, device: str | None = None, name: str | None = None) -> Run:
    """The run of that name, else the newest finished run (of the device) that measured something.

    Raises:
        UsageError: there is none, or it is of another device.
    """
    runs = store.all(Run.KIND, Run)
    if name is not None:
        for one in runs:
            if one.run == name:
                if device not in (None, one.device):  # never one board's numbers for another
                    raise UsageError(
                        f"run {name} is of the device {one.device!r}, not of {device!r}",
                        hint="leave out one of the two",
                    )
                return one
        raise UsageError(f"there is no run {name!r}", hint=nearest(name, [one.run for one in runs]) or None)
    finished = [one for one in reversed(runs) if one.finished and not one.pair and device in (None, one.device)]
    for one in finished:
        if store.count(Round.KIND, one.run):
            return one
    if finished:  # all of them failed altogether: show that
        return finished[0]
    on = f" on {device}" if device else ""
    raise UsageError(
        f"there is no finished run{on}",
        where=str(store.root),
        hint=f"make one: edgeprof run --device {device or 'NAME'}",
    )
