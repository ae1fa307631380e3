"""Run an exported file by its own runtime over the whole test set, and hold it against its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.agent import runtimes
from edgeprof.errors import DataError, ExportError, MissingPackageError
from edgeprof.export.request import ParityError
from edgeprof.records import Accuracy, Exporter, Parity, Precision, Tensor, Trained
from edgeprof.zoo import checkpoint, images, metrics

LIMITS: dict[Precision, tuple[float | None, float | None]] = {
    "fp32": (1e-3, 1.0),
    "fp16": (2e-2, 0.97),
    "int8": (None, None),
    "dynamic-int8": (None, None),
}
"""What is allowed where an exporter says nothing: largest difference, smallest agreement; None: any. Half precision
has 11 bits, hence differs by some 1e-3 of the spread after many layers. What is lost in 8 bits depends on the model:
accuracy tells it."""
SAMPLES = 16
"""How many real images travel with an artifact, so that its outputs can be checked on a device."""
BATCH = 64
Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Labels int64 [N] and logits float32 [N, classes], in the order of the test set."""

    labels: Labels
    logits: Floats


@dataclass(frozen=True)
class Evaluation:
    """What an exported file does on the test set. `inputs` [K, ...] as the file takes them, `outputs` [K, classes]."""

    predictions: Predictions
    accuracy: Accuracy
    parity: Parity
    takes: tuple[Tensor, ...]
    gives: tuple[Tensor, ...]
    inputs: Floats
    outputs: Floats


def of_checkpoint(path: Path, trained: Trained) -> Predictions:
    """What the checkpoint itself said about the test images, from the blob of its record.

    Raises:
        TrainError: the blob is missing or damaged.
        ExportError: it does not fit the classes, or the checkpoint's own logits are not finite.
    """
    found = Predictions(*checkpoint.read_predictions(path))
    if found.labels.ndim != 1 or found.logits.shape != (len(found.labels), len(trained.classes)):
        raise ExportError("the checkpoint's predictions do not fit its classes", where=str(path))
    bad = _not_finite(found.logits)
    if bad:
        raise ExportError(
            f"the checkpoint itself gives NaN or infinity on {bad} of {len(found.labels)} test images",
            hint="train it again with a smaller learning rate",
        )
    return found


def evaluate(
    exporter: Exporter,
    trained: Trained,
    files: Mapping[str, Path],
    expected: Predictions,
    threads: int,
    tell: Callable[[int, int], None],
) -> Evaluation:
    """Run the file over the whole test set, one image at a time, on this machine, and hold it against its checkpoint.

    Args:
        files: conventional name -> path.
        expected: what the checkpoint said; its labels must be those of the test set.
        tell: called now and then with the images done and their number.

    Raises:
        ExportError: the runtime cannot open or run the file, its inputs and outputs are not the ones asked for, or it
            does not agree with its checkpoint (ParityError).
        DataError: the test images are not those that the checkpoint was evaluated on.
        MissingPackageError: the runtime is not installed.
    """
    model = _open(exporter, files, threads)
    side, total = trained.preprocessing.image_size, len(expected.labels)
    shape = (1, 3, side, side) if exporter.layout == "NCHW" else (1, side, side, 3)
    _check_ports(model, shape, len(trained.classes))
    chosen = spread(expected.labels, SAMPLES)
    logits = np.empty((total, len(trained.classes)), np.float32)
    inputs = np.empty((len(chosen), *shape[1:]), np.float32)
    slot = {int(image): place for place, image in enumerate(chosen)}
    done = 0
    for batch, labels in images.test_batches(trained.data, trained.preprocessing, BATCH):
        if done + len(labels) > total or not np.array_equal(labels, expected.labels[done : done + len(labels)]):
            raise _other_images()
        if exporter.layout == "NHWC":
            batch = batch.transpose(0, 2, 3, 1)
        for image in np.ascontiguousarray(batch, np.float32):
            logits[done] = _run(model, image[None])
            if done in slot:
                inputs[slot[done]] = image
            done += 1
        tell(done, total)
    if done != total:
        raise _other_images()
    parity = check(expected.logits, logits, exporter)
    takes = tuple(_tensor(one, exporter) for one in model.inputs)
    gives = tuple(_tensor(one, None) for one in model.outputs)
    return Evaluation(
        predictions=Predictions(expected.labels, logits),
        accuracy=metrics.accuracy(expected.labels, logits),
        parity=parity,
        takes=takes,
        gives=gives,
        inputs=inputs,
        outputs=logits[chosen],
    )


def compare(wanted: Floats, got: Floats) -> Parity:
    """How far the logits of a file are from its checkpoint's; both [N, classes], finite, N > 0.

    The spread (max - min) of the checkpoint's logits is taken as 1 where all are equal.
    """
    wanted, got = wanted.astype(np.float64), got.astype(np.float64)
    difference = float(np.abs(wanted - got).max())
    spread = float(wanted.max() - wanted.min()) or 1.0
    lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(got, axis=1)
    same = (wanted == got).all(axis=1)
    # A vector of zeros has no direction: the same as another of zeros, unlike all others.
    cosines = np.where(same, 1.0, (wanted * got).sum(axis=1) / np.where(lengths > 0, lengths, 1.0))
    return Parity(
        images=len(wanted),
        max_abs_diff=difference,
        relative_diff=difference / spread,
        cosine=float(np.clip(cosines.min(), -1.0, 1.0)),
        top1_agreement=float((wanted.argmax(axis=1) == got.argmax(axis=1)).mean()),
    )


def check(wanted: Floats, got: Floats, exporter: Exporter) -> Parity:
    """The parity of a file that passes what its exporter asks for.

    Raises:
        ParityError: it does not pass; with the numbers.
        ExportError: it gives NaN or infinity, for which no number can be told but how often.
    """
    bad = _not_finite(got)
    if bad:
        raise ExportError(f"the exported file gives NaN or infinity on {bad} of {len(got)} test images")
    parity = compare(wanted, got)
    most, least = LIMITS[exporter.precision]
    most = most if exporter.max_abs_diff is None else exporter.max_abs_diff
    least = least if exporter.min_top1_agreement is None else exporter.min_top1_agreement
    if (most is None or parity.relative_diff <= most) and (least is None or parity.top1_agreement >= least):
        return parity
    allowed = "" if most is None else f" (allowed {most:.2%})"
    needed = "" if least is None else f" (needed {least:.2%})"
    raise ParityError(
        f"the exported file does not agree with its checkpoint: logits differ by up to {parity.max_abs_diff:.3g}, "
        f"{parity.relative_diff:.2%} of their spread{allowed}; the same class on "
        f"{parity.top1_agreement:.2%} of {parity.images} test images{needed}",
        parity=parity,
    )


def spread(labels: Labels, count: int) -> NDArray[np.intp]:
    """`count` images (or all, if fewer) spread evenly over the classes, in the order of the test set."""
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        turn[of_class] = np.arange(len(of_class))
    return np.sort(np.lexsort((labels, turn))[:count])


def _open(exporter: Exporter, files: Mapping[str, Path], threads: int) -> runtimes.Model:
    try:
        paths = {name: str(path) for name, path in files.items()}
        model = runtimes.open_model(exporter.format, paths, threads, exporter.precision)
    except runtimes.MissingRuntimeError as error:
        raise MissingPackageError(error.package, "export") from error
    except runtimes.ModelError as error:
        raise ExportError(f"the runtime cannot open the exported file: {error}") from error
    if not runtimes.keeps(exporter.precision, model.precision):
        raise ExportError(
            f"the runtime executes in {model.precision}, asked for was {exporter.precision}",
            hint="its accuracy would be that of another precision",
        )
    return model


def _run(model: runtimes.Model, image: Floats) -> Floats:
    try:
        return np.asarray(model.run([image])[0], np.float32).reshape(-1)
    except Exception as error:  # each runtime has its own classes
        raise ExportError(f"the runtime cannot run the exported file: {runtimes.own_words(error)}") from error


def _check_ports(model: runtimes.Model, shape: Sequence[int], classes: int) -> None:
    takes = [(one.shape, one.dtype) for one in model.inputs]
    gives = [(one.shape, one.dtype) for one in model.outputs]
    if takes != [(tuple(shape), "float32")] or gives != [((1, classes), "float32")]:
        raise ExportError(
            f"the exported file takes {takes} and gives {gives}; "
            f"a classifier takes one float32 {tuple(shape)} and gives one float32 (1, {classes})"
        )


def _tensor(info: runtimes.TensorInfo, exporter: Exporter | None) -> Tensor:
    return Tensor(name=info.name, shape=info.shape, dtype=info.dtype, layout=exporter.layout if exporter else None)


def _not_finite(logits: Floats) -> int:
    return int((~np.isfinite(logits)).any(axis=1).sum())


def _other_images() -> DataError:
    return DataError(
        "the test images are not those that the checkpoint was evaluated on",
        hint="was the data set changed? train again",
    )
