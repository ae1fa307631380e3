"""How right a file is: top-1, top-5 and macro F1 from logits, by numpy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import TrainError
from edgeprof.records import Accuracy


def accuracy(labels: NDArray[Any], logits: NDArray[Any]) -> Accuracy:
    """Shares over N images.

    Args:
        labels: int [N], each in 0..classes-1.
        logits: float [N, classes]; of equal logits the class of the lower number counts as the higher.

    Returns:
        top1; top5 over min(5, classes); macro F1, the mean over the classes that occur in the labels or the
        predictions of 2 TP / (2 TP + FP + FN).

    Raises:
        TrainError: no images, shapes or labels that do not fit, or a logit that is NaN or infinite.
    """
    if logits.ndim != 2 or labels.shape != (len(logits),) or len(logits) == 0 or logits.shape[1] == 0:
        raise TrainError(f"labels {labels.shape} and logits {logits.shape} are not [N] and [N, classes]")
    bad = ~np.isfinite(logits).all(axis=1)
    if bad.any():
        raise TrainError(
            f"the outputs hold NaN or infinity for {int(bad.sum())} of {len(logits)} images",
            hint=f"the first is test image {int(np.argmax(bad))}",
        )
    classes = logits.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise TrainError(f"labels reach from {labels.min()} to {labels.max()}, but there are {classes} classes")
    order = np.argsort(-logits.astype(np.float64), axis=1, kind="stable")
    hits = order == labels[:, None]
    predicted = order[:, 0]
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    right, actual, claimed = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    present = (actual + claimed) > 0
    f1 = 2 * right[present] / (actual + claimed)[present]
    return Accuracy(
        images=len(labels),
        top1=float(hits[:, 0].mean()),
        top5=float(hits[:, : min(5, classes)].any(axis=1).mean()),
        macro_f1=float(f1.mean()),
    )
