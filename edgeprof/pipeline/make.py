"""Train and export: what exists is reused, what fails does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeprof.errors import DataError, EdgeprofError, MissingPackageError, RecordError, UsageError
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Device, Exporter, Failure, Identity, Stage, Trained, Training
from edgeprof.store import Store
from edgeprof.suite import Suite


def train(
    store: Store, training: Training, progress: Progress, threads: int | None = None
) -> tuple[list[Trained], list[Failure]]:
    """All checkpoints of a training; those that exist are reused. A training that fails does not stop the others.

    Args:
        threads: for each training that begins now; None for the default.

    Raises:
        DataError, UsageError, MissingPackageError: nothing of it can be trained.
        RecordError: the store cannot be written (disk full).
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
        except (DataError, UsageError, MissingPackageError, RecordError):
            raise
        except EdgeprofError as error:
            failures.append(failure("train", identity, error))
            progress.note(f"train: {identity.label()} failed: {error}")
    if ready < len(identities):
        progress.finish("train")
    return trained, failures


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


def write_artifacts(store: Store, artifacts: Sequence[Artifact], folder: Path) -> list[Path]:
    """Copy artifacts into a folder under readable names, each with a .json beside it."""
    from edgeprof.export import files

    return [path for artifact in artifacts for path in files.write_files(store, artifact, folder)]


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
