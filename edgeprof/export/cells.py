"""The cells of an export: which exist, and making those that do not, in worker processes.

Importing this, and finding what is cached, loads neither torch nor any converter.
"""

from __future__ import annotations

import functools
import os
import platform
import select
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

import edgeprof
from edgeprof.errors import DataError, EdgeprofError, ExportError, TrainError
from edgeprof.export import formats
from edgeprof.export.process import Worker
from edgeprof.export.request import PREDICTIONS, SAMPLES, Made, ParityError, Request
from edgeprof.progress import Progress
from edgeprof.records import (
    Artifact,
    Exporter,
    Failure,
    FileRef,
    Format,
    MadeBy,
    Precision,
    Trained,
    digest,
    files_sha,
)
from edgeprof.store import Store, writing

EXPORT_VERSION = 3
"""Raised when the same inputs would give another file or other numbers."""
DEADLINE_S = 20 * 60.0
"""How long a worker may be silent: for a whole conversion, or between two batches of its evaluation."""
WORKERS = 2
_WAIT_S = 1.0
_FOLDER = "export-"

Pair = tuple[Trained, Exporter]
Results = tuple[list[Artifact], list[Failure]]


def key(trained: Trained, exporter: Exporter) -> str:
    """What an artifact is a function of: checkpoint, images, exporter (not its name), packages, our own version.

    Raises:
        MissingPackageError: a package that the format needs is not installed.
    """
    options = msgspec.structs.asdict(exporter)
    # None of these shapes a file.
    del options["name"], options["description"], options["architectures"]
    packages = _packages(exporter.format, exporter.precision)
    subject = (trained.model, trained.checkpoint_sha, trained.classes, trained.preprocessing, trained.data_sha)
    return digest("artifact", EXPORT_VERSION, *subject, options, packages)


def cached(store: Store, trained: Trained, exporter: Exporter) -> Artifact | None:
    """The artifact if it was made before and all its files are there."""
    shared = key(trained, exporter)
    for place in (_own_key(shared, trained, exporter), shared):
        found = store.get(Artifact.KIND, place, Artifact)
        if found is not None and _whole(store, found):
            return _named(found, trained, exporter)
    return None


def export(
    store: Store, trained: Trained, exporter: Exporter, progress: Progress, *, deadline_s: float = DEADLINE_S
) -> Artifact:
    """One artifact: the stored one, or made now.

    Raises:
        ExportError: it cannot be converted or run, or does not agree with its checkpoint (ParityError).
        TrainError, DataError: its checkpoint or its test images cannot be had.
        MissingPackageError, RecordError, UsageError: as `export_all`.
    """
    with closing(_outcomes(store, [(trained, exporter)], progress, 1, deadline_s)) as outcomes:
        _, outcome = next(outcomes)
    if isinstance(outcome, EdgeprofError):
        raise outcome
    return outcome


def export_all(
    store: Store,
    pairs: Sequence[Pair],
    progress: Progress,
    *,
    workers: int = WORKERS,
    deadline_s: float = DEADLINE_S,
    done: Callable[[Artifact], None] | None = None,
) -> Results:
    """Every cell, in the order of `pairs`; those that exist are taken from the store and not counted as progress.

    A cell that fails becomes a Failure and the others go on. At most `workers` run at once, fewer on fewer cores. When
    interrupted, the workers are killed and all that was finished is kept.

    Args:
        done: called with each file as it is ready; what it raises ends the export as an interruption does.

    Raises:
        MissingPackageError: a package is not installed; nothing was begun.
        RecordError, UsageError: the store is full or cannot be written; what was finished is kept.
    """
    # Closed at once when interrupted, not when the traceback is gone: that ends the workers.
    with closing(_outcomes(store, pairs, progress, workers, deadline_s)) as coming:
        outcomes = {}
        for place, outcome in coming:
            outcomes[place] = outcome
            if done is not None and isinstance(outcome, Artifact):
                done(outcome)
    artifacts, failures = [], []
    for place in sorted(outcomes):
        outcome = outcomes[place]
        if isinstance(outcome, Artifact):
            artifacts.append(outcome)
        else:
            failures.append(_failure(*pairs[place], outcome))
    return artifacts, failures


def _outcomes(
    store: Store, pairs: Sequence[Pair], progress: Progress, workers: int, deadline_s: float
) -> Generator[tuple[int, Artifact | EdgeprofError]]:
    """(place in `pairs`, artifact or why there is none), as they come."""
    left = []
    for place, (trained, exporter) in enumerate(pairs):
        found = cached(store, trained, exporter)
        if found is None:
            left.append(place)
        else:
            _keep(store, found, trained, exporter)
            yield place, found
    if not left:
        return
    _sweep(store)
    cores = len(os.sched_getaffinity(0))
    workers = max(1, min(workers, cores, len(left)))
    running: dict[Worker, int] = {}
    try:
        while left or running:
            while left and len(running) < workers:
                place = left.pop(0)
                try:
                    running[_start(store, *pairs[place], max(1, cores // workers))] = place
                except ExportError as error:
                    progress.advance("export", 1, detail=_label(*pairs[place]))
                    yield place, error
            if not running:
                break
            ready = select.select(list(running), [], [], _WAIT_S)[0]
            for worker, place in list(running.items()):
                if (worker in ready and worker.read()) or worker.silent_for() > deadline_s:
                    outcome = _finished(store, *pairs[place], worker, deadline_s)
                    del running[worker]
                    progress.advance("export", 1, detail=_label(*pairs[place]))
                    yield place, outcome
    finally:
        for worker in running:
            worker.stop()
            shutil.rmtree(worker.folder, ignore_errors=True)


def _start(store: Store, trained: Trained, exporter: Exporter, threads: int) -> Worker:
    formats.check(exporter)
    logs = store.root / "logs"
    with writing(store.root):
        logs.mkdir(exist_ok=True)
        out = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=store.scratch)
    # Whole, because the worker may be started with another current folder in mind than the store's path.
    root = str(store.root.resolve())
    request = Request(trained=trained, exporter=exporter, store=root, out=str(Path(out).resolve()), threads=threads)
    return Worker(request, logs / f"export-{key(trained, exporter)[:16]}.log")


def _finished(
    store: Store, trained: Trained, exporter: Exporter, worker: Worker, deadline_s: float
) -> Artifact | EdgeprofError:
    """What came of a worker that ended or was silent for too long. Faults that are not the cell's own are raised."""
    try:
        if worker.silent_for() > deadline_s:
            raise ExportError(f"the conversion gave no sign of life for {deadline_s:.0f} s and was ended")
        artifact = _store(store, trained, exporter, worker.result(), worker)
    except (ExportError, TrainError, DataError) as error:
        if isinstance(error, ParityError):
            named = f"--training {trained.training} --exporter {exporter.name}"
            error.hint = error.hint or f"where it goes wrong: edgeprof export {named} --explain"
        elif error.hint is None:
            error.hint = f"another format may have what this one lacks; all that was printed: {worker.log}"
        return error
    finally:
        worker.stop()
        shutil.rmtree(worker.folder, ignore_errors=True)
    worker.log.unlink(missing_ok=True)
    return artifact


def _store(store: Store, trained: Trained, exporter: Exporter, made: Made, worker: Worker) -> Artifact:
    """Keep the files, then the record: whoever finds the record finds all it names."""
    with writing(store.root):
        files = tuple(
            FileRef(
                name=name,
                sha256=store.add_file(worker.folder / name),
                size_bytes=(worker.folder / name).stat().st_size,
            )
            for name in made.files
        )
        predictions, samples = (store.add_file(worker.folder / name) for name in (PREDICTIONS, SAMPLES))
    artifact = Artifact(
        training=trained.training,
        model=trained.model,
        init=trained.init,
        seed=trained.seed,
        exporter=exporter.name,
        format=exporter.format,
        precision=exporter.precision,
        checkpoint_sha=trained.checkpoint_sha,
        artifact_sha=files_sha(files),
        files=files,
        size_bytes=sum(file.size_bytes for file in files),
        inputs=made.inputs,
        outputs=made.outputs,
        preprocessing=trained.preprocessing,
        accuracy=made.accuracy,
        parity=made.parity,
        predictions_sha=predictions,
        params=trained.params,
        macs=trained.macs,
        samples_sha=samples,
        reference_sha=trained.predictions_sha,
        calibration=made.calibration,
        warnings=made.warnings,
        made_by=MadeBy(
            edgeprof=edgeprof.__version__,
            packages=_packages(exporter.format, exporter.precision),
            machine=platform.machine(),
            seconds=round(time.monotonic() - worker.started, 3),
        ),
    )
    store.put(Artifact.KIND, key(trained, exporter), artifact)
    return artifact


def _keep(store: Store, artifact: Artifact, trained: Trained, exporter: Exporter) -> None:
    """Let a reused artifact stand under this identity too, so that a run can find what it measured by it."""
    shared = key(trained, exporter)
    known = store.get(Artifact.KIND, shared, Artifact)
    own = _own_key(shared, trained, exporter)
    if known != artifact and store.get(Artifact.KIND, own, Artifact) != artifact:
        store.put(Artifact.KIND, own, artifact)


def _own_key(shared: str, trained: Trained, exporter: Exporter) -> str:
    return digest(shared, trained.identity, exporter.name)


def _named(artifact: Artifact, trained: Trained, exporter: Exporter) -> Artifact:
    """The artifact under this identity: the same bytes may come of two recipes, or two exporters of other names."""
    identity = trained.identity
    return msgspec.structs.replace(
        artifact,
        training=identity.training,
        model=identity.model,
        init=identity.init,
        seed=identity.seed,
        exporter=exporter.name,
    )


def _whole(store: Store, artifact: Artifact) -> bool:
    blobs = [file.sha256 for file in artifact.files]
    others = (artifact.predictions_sha, artifact.samples_sha, artifact.reference_sha)
    blobs += [sha for sha in others if sha is not None]
    return all(store.has_blob(sha) for sha in blobs)


def _failure(trained: Trained, exporter: Exporter, error: EdgeprofError) -> Failure:
    return Failure(
        stage="export",
        identity=msgspec.structs.replace(trained.identity, exporter=exporter.name),
        error=str(error),
        error_class=type(error).__name__,
        transient=error.transient,
        hint=error.hint,
        parity=error.parity if isinstance(error, ParityError) else None,
    )


def _label(trained: Trained, exporter: Exporter) -> str:
    return msgspec.structs.replace(trained.identity, exporter=exporter.name).label()


@functools.cache
def _packages(format: Format, precision: Precision) -> dict[str, str]:
    return formats.packages(format, precision)


def _sweep(store: Store) -> None:
    """Remove the folders of exports whose process was killed."""
    for folder in store.scratch.glob(f"{_FOLDER}*-*"):
        owner = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)
