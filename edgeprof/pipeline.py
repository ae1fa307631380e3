"""The only module that knows the order of the stages: train, export, profile, join, report."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.errors import DataError, EdgeprofError, MissingPackageError, UsageError, nearest
from edgeprof.progress import Progress
from edgeprof.records import (
    Artifact,
    Device,
    DeviceFacts,
    Exporter,
    Failure,
    Identity,
    Measurement,
    Method,
    Ranking,
    Run,
    Stage,
    Trained,
    Training,
    digest,
)
from edgeprof.store import Store
from edgeprof.suite import Suite


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


# --- train


def train(
    store: Store, training: Training, progress: Progress, threads: int | None = None
) -> tuple[list[Trained], list[Failure]]:
    """All checkpoints of a training; those that exist are reused. A training that fails does not stop the others.

    Args:
        threads: for each training that begins now; None for the default.

    Raises:
        DataError, UsageError, MissingPackageError: nothing of it can be trained.
    """
    from edgeprof import train as stage
    from edgeprof.zoo import images, models

    identities = stage.cells(training)
    data_sha = images.fingerprint(training.data)
    left = {i: stage.epochs_left(store, training, i, data_sha) for i in identities}
    ready = sum(1 for epochs in left.values() if epochs == 0)
    if ready:
        progress.note(f"train: reusing {ready} of {len(identities)} checkpoints")
    for identity, epochs in left.items():
        if epochs:
            models.check_name(identity.model)
    trained: list[Trained] = []
    failures: list[Failure] = []
    if ready < len(identities):
        progress.start("train", sum(left.values()))
    for identity in identities:
        try:
            trained.append(stage.train(store, training, identity, progress, threads))
        except (DataError, UsageError, MissingPackageError):
            raise
        except EdgeprofError as error:
            failures.append(failure("train", identity, error))
            progress.note(f"train: {identity.label()} failed: {error}")
    if ready < len(identities):
        progress.finish("train")
    return trained, failures


# --- export


def exporters(suite: Suite, asked: Sequence[str] | None, device: Device | None) -> list[Exporter]:
    """The exporters asked for, else those of the device, else all of the suite.

    Raises:
        UsageError: one of them does not exist.
    """
    names = list(asked or (device.exporters if device and device.exporters else suite.names("exporters")))
    if not names:
        raise UsageError("the suite has no exporters", where=str(suite.root / "exporters"))
    return [suite.exporter(name) for name in dict.fromkeys(names)]


def export(
    store: Store, trained: Sequence[Trained], wanted: Sequence[Exporter], progress: Progress
) -> tuple[list[Artifact], list[Failure]]:
    """Every checkpoint by every exporter; what exists is reused."""
    from edgeprof.export import cells as stage

    pairs = [(checkpoint, exporter) for checkpoint in trained for exporter in wanted]
    ready = sum(1 for checkpoint, exporter in pairs if stage.cached(store, checkpoint, exporter) is not None)
    if ready:
        progress.note(f"export: reusing {ready} of {len(pairs)} files")
    if ready < len(pairs):
        progress.start("export", len(pairs) - ready)
    artifacts, failures = stage.export_all(store, pairs, progress)
    if ready < len(pairs):
        progress.finish("export")
    for one in failures:
        progress.note(f"export: {one.identity.label()} failed: {one.error}")
    return artifacts, failures


# --- the main job


def run(
    suite: Suite,
    store: Store,
    *,
    training: str | None = None,
    device: str,
    asked: Sequence[str] | None = None,
    method: Method | None = None,
    fresh: bool = False,
    progress: Progress,
) -> Outcome:
    """Train, export, profile on the device, join and report; an unfinished run of the same plan is taken up again.

    Args:
        training: name of a recipe; None for the suite's default.
        asked: names of exporters; None for the device's, else the suite's.
        fresh: begin a new run even if one is unfinished.
    """
    recipe = suite.training(training or suite.default_training())
    board = suite.device(device)
    wanted = exporters(suite, asked, board)
    method = method or Method()
    # Before hours of training: can the device be reached at all?
    found = facts(store, board)
    plan = digest("run", recipe, wanted, board, method)
    this = _take_up(store, board.name, plan, fresh, progress)
    if this is None:
        this = _new_run(store, board, method, plan, found, training=recipe.name, suite_sha=suite.sha())
    trained, failures = train(store, recipe, progress)
    artifacts, more = export(store, trained, wanted, progress)
    return _profile(store, this, artifacts, [*failures, *more], board, progress)


def profile(
    store: Store,
    artifacts: Sequence[Artifact],
    device: Device,
    *,
    failures: Sequence[Failure] = (),
    training: str | None = None,
    suite_sha: str | None = None,
    method: Method | None = None,
    fresh: bool = False,
    progress: Progress,
) -> Outcome:
    """Profile files that exist already: exported ones, or ready files that a user brings."""
    method = method or Method()
    found = facts(store, device)
    plan = digest("profile", sorted(artifact.artifact_sha for artifact in artifacts), device, method)
    this = _take_up(store, device.name, plan, fresh, progress)
    if this is None:
        this = _new_run(store, device, method, plan, found, training=training, suite_sha=suite_sha)
    return _profile(store, this, artifacts, failures, device, progress)


def facts(store: Store, device: Device) -> DeviceFacts:
    """What a device is, asked of its agent.

    Raises:
        LinkError, DeviceError: it cannot be reached or asked.
    """
    with target.connect(device, store) as connection:
        return measuring.facts(connection)


def _take_up(store: Store, device: str, plan: str, fresh: bool, progress: Progress) -> Run | None:
    """The newest unfinished run of the same plan on that device, unless a fresh one is asked for."""
    if fresh:
        return None
    for old in reversed(store.all(Run.KIND, Run)):
        if old.device == device and old.plan_sha == plan:
            if old.finished:
                return None
            progress.note(f"taking up run {old.run} where it stopped (--fresh begins anew)")
            return old
    return None


def _new_run(
    store: Store,
    device: Device,
    method: Method,
    plan: str,
    facts: DeviceFacts,
    *,
    training: str | None,
    suite_sha: str | None,
) -> Run:
    now = time.time()
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(2)}"
    new = Run(
        run=name,
        device=device.name,
        training=training,
        plan_sha=plan,
        suite_sha=suite_sha,
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        facts=facts,
        method=method,
    )
    store.put(Run.KIND, new.run, new, run=new.run)
    return new


def _profile(
    store: Store,
    this: Run,
    artifacts: Sequence[Artifact],
    failures: Sequence[Failure],
    device: Device,
    progress: Progress,
) -> Outcome:
    """Measure what is missing of a run, then join and report. The run is finished when its report is written."""
    assert this.facts is not None  # every new run has them
    cells, impossible = measuring.cells(artifacts, device, this.facts)
    this = _changed(store, this, cells=tuple(cells), failures=(*failures, *impossible))
    if cells:
        with target.connect(device, store) as connection:
            measuring.measure(store, this, artifacts, device, connection, progress)
    this = _changed(store, this, finished=True)
    return assemble(store, this)


def profile_exported(
    suite: Suite,
    store: Store,
    training: str | None,
    device: Device,
    *,
    asked: Sequence[str] | None = None,
    method: Method | None = None,
    fresh: bool = False,
    progress: Progress,
) -> Outcome:
    """Profile what is exported for a training, without making anything.

    Raises:
        UsageError: nothing is exported for it.
    """
    name = training or suite.default_training()
    suite.training(name)
    wanted = {exporter.name for exporter in exporters(suite, asked, device)}
    artifacts = [one for one in store.all(Artifact.KIND, Artifact) if one.training == name and one.exporter in wanted]
    if not artifacts:
        raise UsageError(
            f"nothing is exported for the training {name!r}", hint=f"first: edgeprof export --training {name}"
        )
    return profile(
        store,
        artifacts,
        device,
        training=name,
        suite_sha=suite.sha(),
        method=method,
        fresh=fresh,
        progress=progress,
    )


def profile_files(
    store: Store,
    paths: Sequence[Path],
    device: Device,
    *,
    shapes: Sequence[str] = (),
    method: Method | None = None,
    fresh: bool = False,
    progress: Progress,
) -> Outcome:
    """Profile ready files; one that cannot be opened is a Failure and the others go on.

    Raises:
        UsageError: a file is missing or of no known kind, or a shape is missing or does not fit.
    """
    asked = measuring.shapes(shapes)
    artifacts: list[Artifact] = []
    failures: list[Failure] = []
    with target.connect(device, store) as connection:
        for path in dict.fromkeys(paths):
            made = measuring.ready(store, path, asked, connection)
            if isinstance(made, Failure):
                failures.append(made)
            else:
                artifacts.append(made)
    return profile(store, artifacts, device, failures=failures, method=method, fresh=fresh, progress=progress)


def write_artifacts(store: Store, artifacts: Sequence[Artifact], folder: Path) -> list[Path]:
    """Copy artifacts into a folder under readable names, each with a .json beside it."""
    from edgeprof.export import files

    return [path for artifact in artifacts for path in files.write_files(store, artifact, folder)]


def _changed(store: Store, this: Run, **fields: object) -> Run:
    changed = msgspec.structs.replace(this, **fields)
    store.put(Run.KIND, changed.run, changed, run=changed.run)
    return changed


# --- from the records to what people read


def assemble(store: Store, this: Run, by: str = "latency", *, write: bool = True) -> Outcome:
    """The ranking of a run, recomputed from its raw samples; with `write`, its report as well."""
    from edgeprof import rank, report

    measurements = measuring.collect(store, this)
    artifacts = _artifacts_of(store, this)
    failures = [*this.failures, *store.all(Failure.KIND, Failure, run=this.run)]
    ranking = rank.ranking(this, measurements, artifacts, failures, by=by)
    files = report.write_reports(ranking, measurements, runs_root(store) / this.run) if write else {}
    return Outcome(run=this, ranking=ranking, measurements=tuple(measurements), files=files)


def _artifacts_of(store: Store, this: Run) -> list[Artifact]:
    """The artifacts that the run's cells name. The same bytes may stand under several identities; each is kept."""
    wanted = {
        (cell.artifact_sha, msgspec.structs.replace(cell.identity, device=None, threads=None)) for cell in this.cells
    }
    known = {(one.artifact_sha, one.identity): one for one in store.all(Artifact.KIND, Artifact)}
    return [known[one] for one in wanted if one in known]


def find_run(store: Store, device: str | None = None, name: str | None = None) -> Run:
    """The run of that name, else the newest finished run (of the device).

    Raises:
        UsageError: there is none.
    """
    runs = store.all(Run.KIND, Run)
    if name is not None:
        for one in runs:
            if one.run == name:
                return one
        raise UsageError(f"there is no run {name!r}", hint=nearest(name, [one.run for one in runs]) or None)
    for one in reversed(runs):
        if one.finished and device in (None, one.device):
            return one
    on = f" on {device}" if device else ""
    raise UsageError(
        f"there is no finished run{on}",
        where=str(store.root),
        hint=f"make one: edgeprof run --device {device or 'NAME'}",
    )


def failure(stage: Stage, identity: Identity, error: EdgeprofError) -> Failure:
    """An error as a result."""
    return Failure(
        stage=stage,
        identity=identity,
        error=str(error),
        error_class=type(error).__name__,
        transient=error.transient,
        hint=error.hint,
    )
