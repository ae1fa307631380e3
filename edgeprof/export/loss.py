"""What a user must know of a file that runs, and yet names fewer images rightly than its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprof.export.verify import Predictions

ONE_CLASS = 0.95
"""A file that names one class for so many of the images has collapsed."""
LOSS = 0.01
"""A loss of top-1 that is surely larger, by its 95% interval, is told."""


def warnings(expected: Predictions, got: Predictions, classes: Sequence[str]) -> tuple[str, ...]:
    """In words, of predictions on the same images: that the file has collapsed, or that it lost much; mostly nothing.

    Args:
        expected: of the checkpoint.
        classes: names of the logits.
    """
    # scipy takes half a second to import.
    from edgeprof.stats.accuracy import paired

    labels = expected.labels
    was, now = expected.logits.argmax(axis=1), got.logits.argmax(axis=1)
    drop = paired(was == labels, now == labels).difference
    before, after = float((was == labels).mean()), float((now == labels).mean())
    lost = f"top-1 {before:.1%} before, {after:.1%} now"
    share, favourite = _commonest(now)
    if share >= ONE_CLASS and _commonest(was)[0] < ONE_CLASS and _commonest(labels)[0] < ONE_CLASS:
        named = f"it names {classes[favourite]!r} for {share:.0%} of the test images"
        return (f"collapsed: {named}; {lost}, {100 * drop.value:.1f} points lost",)
    if drop.low is not None and drop.high is not None and drop.low > LOSS:
        interval = f"95% interval {100 * drop.low:.1f} to {100 * drop.high:.1f}"
        return (f"large loss: {lost}, {100 * drop.value:.1f} points lost ({interval})",)
    return ()


def _commonest(named: NDArray[np.int64]) -> tuple[float, int]:
    counts = np.bincount(named)
    return float(counts.max() / len(named)), int(counts.argmax())
