"""Train and export: what exists is reused, what fails does not stop the others."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edgeprof.errors import EdgeprofError, UsageError
from edgeprof.pipeline.sources import prepare
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Device, DeviceFacts, Exporter, Failure, Identity, Stage, Trained, Training
from edgeprof.store import Store
from edgeprof.suite import Suite

if TYPE_CHECKING:
    from edgeprof.train import How


def train(
    suite: Suite, store: Store, training: Training, progress: Progress, how: How | None = None
) -> tuple[list[Trained], list[Failure]]:
    """All checkpoints of a training; those that exist are reused. A training that fails does not stop the others.

    What inits `training:NAME` begin from is trained first, as far as it is needed; its failures are told as well.

    Args:
        how: on what, and how many at once; None for the default.

    Raises:
        DataError, UsageError, MissingPackageError: nothing of it can be trained.
        SuiteError: an init `training:NAME` has no one source.
        RecordError: the store cannot be written (disk full).
    """
    from edgeprof import train as stage
    from edgeprof.zoo import images, models

    identities = stage.cells(training)
    data_sha = images.fingerprint(training.data)
    sources = prepare(suite, training, identities, lambda other: train(suite, store, other, progress, how), progress)
    left = {
        identity: stage.epochs_left(store, training, identity, data_sha, source)
        for identity, source in sources.found.items()
        if stage.stored(store, training, identity, data_sha, source) is None
    }
    ready = len(sources.found) - len(left)
    if ready:
        progress.note(f"train: reusing {ready} of {len(identities)} checkpoints")
    for identity in left:
        models.check_name(identity.model)
    failures = [*sources.failures, *(failure("train", i, error) for i, error in sources.missing.items())]
    epochs = sum(left.values())
    if epochs:
        curves = os.path.relpath(stage.curves_folder(store, training.name))
        progress.note(f"train: curves are in {curves}; to look at them: tensorboard --logdir {shlex.quote(curves)}")
        progress.start("train", epochs)
    cells = [stage.Cell(training, identity, source) for identity, source in sources.found.items()]
    found: dict[int, Trained | EdgeprofError] = {}
    # Closed at once when interrupted, not when the traceback is gone: that ends the workers.
    try:
        with closing(stage.train_all(store, cells, progress, how or stage.How())) as coming:
            for place, outcome in coming:
                found[place] = outcome
                if isinstance(outcome, EdgeprofError):
                    progress.note(f"train: {cells[place].identity.label()} failed; why is told at the end")
    except BaseException:  # interrupted, for example: then there is no other end
        for place, outcome in found.items():
            if isinstance(outcome, EdgeprofError):
                progress.note(f"train: {cells[place].identity.label()} failed: {outcome}")
        raise
    if epochs:
        progress.finish("train")
    trained: list[Trained] = []
    for place, outcome in sorted(found.items()):
        if isinstance(outcome, EdgeprofError):
            failures.append(failure("train", cells[place].identity, outcome))
        else:
            trained.append(outcome)
    return trained, failures


def exporters(
    suite: Suite, asked: Sequence[str] | None, device: Device | None, recipe: Training | None = None
) -> list[Exporter]:
    """The exporters asked for by name, else those of the recipe, else those of the device, else all of the suite.

    Raises:
        UsageError: one of them does not exist.
    """
    if isinstance(asked, str):  # from Python; its letters would be taken for names
        raise UsageError("exporters are a list, one exporter too", hint=f"[{asked!r}]")
    names = asked or (recipe and recipe.exporters) or (device and device.exporters) or suite.names("exporters")
    if not names:
        raise UsageError("the suite has no exporters", where=str(suite.root / "exporters"))
    return [suite.exporter(name) for name in dict.fromkeys(names)]


def fitting(wanted: Sequence[Exporter], device: DeviceFacts, named: bool, progress: Progress) -> list[Exporter]:
    """Those that are made for the device's architecture. What was asked for by name stays, with a word about it.

    Raises:
        UsageError: none is.
    """
    here = device.architecture
    strange = [one for one in wanted if one.architectures and here not in one.architectures]
    if not strange:
        return list(wanted)
    if named:
        for one in strange:
            better = [each.name for each in wanted if (each.format, each.precision) == (one.format, one.precision)]
            instead = [name for name in better if name not in {each.name for each in strange}]
            progress.note(
                f"{one.name} is made for {', '.join(one.architectures)}, and may be slow on {here}"
                + (f"; {instead[0]} is made for it" if instead else "")
            )
        return list(wanted)
    left = [one for one in wanted if one not in strange]
    if not left:
        raise UsageError(
            f"none of the exporters is made for {here}: {', '.join(one.name for one in strange)}",
            hint=f"name one to measure it all the same: --exporter {strange[0].name}",
        )
    names = ", ".join(f"{one.name} (for {', '.join(one.architectures)})" for one in strange)
    progress.note(f"left out on {here}: {names}")
    return left


def export(
    store: Store,
    trained: Sequence[Trained],
    wanted: Sequence[Exporter],
    progress: Progress,
    done: Callable[[Artifact], None] | None = None,
) -> tuple[list[Artifact], list[Failure]]:
    """Every checkpoint by every exporter; what exists is reused. `done` gets each file as it is ready."""
    from edgeprof.export import cells as stage

    pairs = [(checkpoint, exporter) for checkpoint in trained for exporter in wanted]
    ready = sum(1 for checkpoint, exporter in pairs if stage.cached(store, checkpoint, exporter) is not None)
    if ready:
        progress.note(f"export: reusing {ready} of {len(pairs)} files")
    if ready < len(pairs):
        progress.start("export", len(pairs) - ready)
    artifacts, failures = stage.export_all(store, pairs, progress, done=done)
    if ready < len(pairs):
        progress.finish("export")
    return artifacts, failures


def write_artifact(store: Store, artifact: Artifact, folder: Path) -> list[Path]:
    """Copy an artifact into a folder under a readable name, with a .json beside it."""
    from edgeprof.export import files

    return files.write_files(store, artifact, folder)


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
