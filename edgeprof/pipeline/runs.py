"""Runs of the store beside each other: two of them, or all of a model on a device. Nothing here measures."""

from __future__ import annotations

from collections.abc import Sequence

from edgeprof import measure as measuring
from edgeprof.errors import EdgeprofError, UsageError, nearest
from edgeprof.pipeline import accuracy
from edgeprof.pipeline.read import artifacts_of, find_run
from edgeprof.rank import changes, comparable
from edgeprof.rank.changes import Answered, Held, Side
from edgeprof.rank.history import history
from edgeprof.records import Artifact, Measurement, Round, Run
from edgeprof.records.compared import History, RunsCompared
from edgeprof.store import Store

LATEST, PREVIOUS = "latest", "previous"
MOST_RUNS = 30
"""The newest runs that tell how far runs spread."""


def named(store: Store, one: str, other: str, device: str | None = None) -> tuple[Run, Run]:
    """The two runs of these names.

    Args:
        device: of `latest`; None: of any.

    Raises:
        UsageError: there is no such run, no previous one, or both are the same.
    """
    if one == other:
        raise UsageError(f"{one} beside itself tells nothing", hint="name two runs: edgeprof show runs")
    words = {word: _one(store, word, device) for word in (one, other) if word != PREVIOUS}
    for word, its in ((one, other), (other, one)):
        if word == PREVIOUS:
            words[word] = _before(store, words[its])
    found = words[one], words[other]
    if found[0].run == found[1].run:
        raise UsageError(f"{one} and {other} are the same run", hint="name two runs: edgeprof show runs")
    return found


def _one(store: Store, word: str, device: str | None) -> Run:
    found = find_run(store, device) if word == LATEST else find_run(store, None, word)
    if found.pair is not None:
        raise UsageError(
            f"run {found.run} is a comparison, not a ranking", hint="runs that can be compared: edgeprof show runs"
        )
    if not found.finished:
        raise UsageError(f"run {found.run} is not finished", hint="run the same command again: it goes on")
    return found


def _before(store: Store, this: Run) -> Run:
    """The run on its device that was finished last before `this`: the order of `latest` and of `show runs`."""
    runs = finished(store, this.device)
    place = next((number for number, one in enumerate(runs) if one.run == this.run), 0)
    earlier = runs[:place]
    if not earlier:
        raise UsageError(
            f"there is no finished run before {this.run} on {this.device}",
            hint=f"measure again: edgeprof run --fresh --device {this.device}",
        )
    return earlier[-1]


def finished(store: Store, device: str | None = None) -> list[Run]:
    """Finished runs (of a device) that measured something, in the order in which they were finished.

    One that was interrupted and taken up later may have begun before others that were finished before it.
    """
    runs = [one for one in store.all(Run.KIND, Run) if one.finished and not one.pair and device in (None, one.device)]
    return [one for one in runs if store.count(Round.KIND, one.run)]


def compare_runs(
    store: Store, one: Run, other: Run, *, zone: float, allow: frozenset[str] = frozenset()
) -> RunsCompared:
    """The change of each candidate from one run to the other.

    Args:
        allow: in what the runs may differ, see `rank.comparable.names`.

    Raises:
        UsageError: they are not comparable, or have no candidate in common.
    """
    here, there = (held(store, run) for run in (one, other))
    for run, its in ((one, here), (other, there)):
        if not its.sides:
            raise UsageError(f"run {run.run} measured nothing", hint="edgeprof show runs lists all")
    pairs, *_ = changes.match(here.sides, there.sides)
    formats = sorted({side.artifact.format for pair in pairs for side in pair})
    bases = [comparable.basis(its.run, _rounds(its.sides), formats) for its in (here, there)]
    differences = comparable.differences(bases[0], bases[1], allow)
    earlier = min(one, other, key=lambda run: run.started_at)
    comparable.check(differences, f"runs {one.run} and {other.run}", comparable.measured_alike(differences, earlier))
    if not pairs:
        raise UsageError(
            f"runs {one.run} and {other.run} have no candidate in common",
            hint="candidates are the same where model, training, init, seed, exporter and threads are",
        )
    names = {side.artifact.artifact_sha for pair in pairs for side in pair}
    others = _others(store, (one, other), names)
    return changes.compare(here, there, differences, zone, others)


def _rounds(sides: Sequence[Side]) -> list[Round]:
    return [each for side in sides for each in side.rounds]


def _others(store: Store, but: Sequence[Run], files: set[str]) -> list[Held]:
    """The newest other runs on these devices that have one of the files."""
    names, devices = {one.run for one in but}, {one.device for one in but}
    runs = [
        one
        for one in finished(store)
        if one.run not in names and one.device in devices and files & {cell.artifact_sha for cell in one.cells}
    ]
    return [held(store, one, accuracies=False) for one in runs[-MOST_RUNS:]]


def held(store: Store, run: Run, *, accuracies: bool = True) -> Held:
    """A run with its candidates, collected from its raw rounds."""
    artifacts: dict[str, list[Artifact]] = {}
    for artifact in artifacts_of(store, run):
        artifacts.setdefault(artifact.artifact_sha, []).append(artifact)
    sides = []
    for measurement in measuring.collect(store, run):
        same = artifacts.get(measurement.cell.artifact_sha, [])
        if same:
            artifact = next((each for each in same if _is_of(each, measurement)), same[0])
            side = Side(measurement, artifact, _answered(store, artifact) if accuracies else None)
            if side.rounds:
                sides.append(side)
    return Held(run, sides)


def _is_of(artifact: Artifact, measurement: Measurement) -> bool:
    """The same bytes may stand under several identities."""
    its = measurement.cell.identity
    return (artifact.model, artifact.exporter, artifact.init, artifact.seed) == (
        its.model,
        its.exporter,
        its.init,
        its.seed,
    )


def _answered(store: Store, artifact: Artifact) -> Answered | None:
    try:
        kept = accuracy.predictions(store, artifact)
    except EdgeprofError:
        return None
    return Answered(kept.right, (kept.labels, accuracy.images_of(store, artifact)))


def past(store: Store, device: str, model: str, *, exporter: str | None = None, zone: float) -> History:
    """A model over all finished runs on a device.

    Raises:
        UsageError: none of them measured it.
    """
    runs = finished(store, device)
    if not runs:
        known = {one.device for one in finished(store)}
        raise UsageError(f"there is no finished run on {device}", hint=nearest(device, known) or None)
    models = {cell.identity.model for one in runs for cell in one.cells}
    if model not in models:
        raise UsageError(f"no run on {device} measured {model!r}", hint=nearest(model, models) or None)
    mine = [one for one in runs if model in {cell.identity.model for cell in one.cells}]
    found = history(device, model, [held(store, one, accuracies=False) for one in mine], zone)
    if exporter is None:
        return found
    lines = tuple(one for one in found.lines if one.identity.exporter == exporter)
    if not lines:
        exporters = {one.identity.exporter for one in found.lines if one.identity.exporter}
        raise UsageError(
            f"no run on {device} measured {model} as {exporter!r}", hint=nearest(exporter, exporters) or None
        )
    return History(device=device, model=model, zone=zone, lines=lines)
