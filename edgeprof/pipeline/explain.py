"""`edgeprof export --explain`: which files are worth it, and against which checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgeprof.errors import EdgeprofError, UsageError
from edgeprof.export.explain import Explanation, LayerError
from edgeprof.measure.files import FORMATS, present, shown
from edgeprof.measure.onnx_parts import external_files
from edgeprof.pipeline.make import failure
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Exporter, Failure, Identity, Trained
from edgeprof.store import Store

__all__ = ["Explanation", "LayerError", "checkpoint_for", "explain_exported", "explain_file"]

STAGE = "explain"
BOUND = 1e-3
"""As exporters' own `max_abs_diff`: what a file in float32 may differ by where its exporter names no bound."""


def losing(trained: Trained, artifact: Artifact) -> bool:
    """Whether a file names fewer images rightly than its checkpoint, or (in float32) gives other numbers."""
    if artifact.accuracy is not None and artifact.accuracy.top1 < trained.accuracy.top1:
        return True
    worst = artifact.parity.relative_diff if artifact.parity else 0.0
    return artifact.precision == "fp32" and worst > BOUND


def explain_exported(
    store: Store,
    trained: Sequence[Trained],
    wanted: Sequence[Exporter],
    artifacts: Sequence[Artifact],
    failures: Sequence[Failure],
    progress: Progress,
) -> tuple[list[Explanation], list[Failure]]:
    """Every file that lost something, and those that failed parity, whose files are made again.

    Args:
        failures: of the export; those without a parity have no file and stay as they are.
    """
    cells = [(one, exporter) for one in trained for exporter in wanted]
    made = {artifact.identity: artifact for artifact in artifacts}
    failed = {one.identity for one in failures if one.parity is not None}
    todo = [
        (one, exporter)
        for one, exporter in cells
        if _identity(one, exporter) in failed
        or (_identity(one, exporter) in made and losing(one, made[_identity(one, exporter)]))
    ]
    explanations: list[Explanation] = []
    more: list[Failure] = []
    if not todo:
        return explanations, more
    progress.start(STAGE, len(todo))
    for one, exporter in todo:
        identity = _identity(one, exporter)
        try:
            with _files(store, one, exporter, made.get(identity)) as files:
                explanations.append(_explained(store, one, exporter.format, files, identity.label()))
        except EdgeprofError as error:
            more.append(failure("export", identity, error))
        progress.advance(STAGE, 1, identity.label())
    progress.finish(STAGE)
    return explanations, more


def explain_file(
    store: Store,
    path: Path,
    trained: Trained,
    progress: Progress,
    *,
    probabilities: bool = False,
    seen: Path | None = None,
) -> Explanation:
    """A ready file against a checkpoint; see `edgeprof.export.explain.explain.explain`.

    Raises:
        UsageError: there is no such file, or its name promises no format.
        ExportError: it cannot be opened or run, or is no classifier of such images.
        DataError, TrainError, MissingPackageError: the images, the checkpoint or the runtime cannot be had.
    """
    present([path])
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise UsageError(
            "this is no file that can be explained", where=shown(path), hint=f"known: {', '.join(sorted(FORMATS))}"
        )
    files = {f"model{path.suffix.lower()}": path}
    if format == "openvino":
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise UsageError("its weights are missing", where=shown(weights), hint="they lie beside the .xml")
        files["model.bin"] = weights
    elif format == "onnx":
        files |= external_files(path, path.read_bytes())
    progress.start(STAGE, 1)
    try:
        return _explained(store, trained, format, files, shown(path), probabilities=probabilities, seen=seen)
    finally:
        progress.finish(STAGE)


def checkpoint_for(
    store: Store, path: Path, training: str | None, model: str | None, init: str | None, seed: int | None
) -> Trained:
    """The checkpoint of the store that a file is held against: the one that its own .json names, or the one asked for.

    Raises:
        UsageError: none fits, or several do.
    """
    every = store.all(Trained.KIND, Trained)
    own = _named_beside(path)
    if own is not None and not (model or training) and any(one.checkpoint_sha == own for one in every):
        return next(one for one in every if one.checkpoint_sha == own)
    # Of what was trained again, by another recipe of that name or another edgeprof, the newest: no option tells them.
    known = list({one.identity: one for one in every}.values())
    fits = [
        one
        for one in known
        if training in (None, one.training)
        and model in (None, one.model)
        and init in (None, one.init)
        and seed in (None, one.seed)
    ]
    if len(fits) == 1:
        return fits[0]
    labels = sorted({f"{one.training}: {one.identity.label()}" for one in (fits or known)})
    some = "; ".join(labels[:6]) + (f" and {len(labels) - 6} more" if len(labels) > 6 else "")
    if not fits:
        raise UsageError(
            "the store has no such checkpoint",
            where=str(store.root),
            hint=f"it has: {some}" if labels else "make one: edgeprof train",
        )
    raise UsageError(f"{len(fits)} checkpoints fit: {some}", hint="say which: --training, --model, --init, --seed")


def _named_beside(path: Path) -> str | None:
    """The checkpoint that the .json beside an exported file names."""
    try:
        told = msgspec.json.decode(path.with_suffix(".json").read_bytes())
        found = told["checkpoint_sha"]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


@contextmanager
def _files(store: Store, trained: Trained, exporter: Exporter, artifact: Artifact | None) -> Iterator[dict[str, Path]]:
    from edgeprof.export.explain.process import made_again

    if artifact is not None:
        yield {one.name: store.blob(one.sha256) for one in artifact.files}
        return
    with made_again(store, trained, exporter) as files:
        yield files


def _explained(
    store: Store,
    trained: Trained,
    format: str,
    files: dict[str, Path],
    subject: str,
    *,
    probabilities: bool = False,
    seen: Path | None = None,
) -> Explanation:
    from edgeprof.export.explain.process import explained
    from edgeprof.export.explain.question import Question

    question = Question(
        trained=trained,
        format=format,  # type: ignore[arg-type]
        files={name: str(path.resolve()) for name, path in files.items()},
        store=str(store.root.resolve()),
        subject=subject,
        probabilities=probabilities,
        seen=str(seen.resolve()) if seen else None,
    )
    return explained(store, question)


def _identity(trained: Trained, exporter: Exporter) -> Identity:
    return msgspec.structs.replace(trained.identity, exporter=exporter.name)
