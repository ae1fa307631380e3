"""What a device computes against what the host computes with the same file, image by image. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeprof.records import Changed, OnDevice
from edgeprof.records.verified import Agreement
from edgeprof.stats.intervals import wilson

NAMED = 20
"""Images with another class that are told one by one; the clearest first."""

NO_CLASS = -1
"""What the device names where it gives NaN or infinity."""

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


def agreement(job: str, which: Numbers, labels: Numbers, host: Floats, device: Floats, allowed: float) -> OnDevice:
    """The verdict on a file's logits on the device.

    `same`: every logit is equal. `rounding`: none differs by more than `allowed` of the spread, and a class changed
    only where the host itself preferred its class to the device's by no more than that. `differs`: all else; so does
    one NaN or infinity that the host does not have.

    Args:
        which: numbers of the images in the test set, [n], n > 0; `labels` [n] their classes.
        host, device: logits [n, classes].
        allowed: what the precision explains, as a share of the spread (max - min) of the host's finite logits.
    """
    wanted, got = host.astype(np.float64), device.astype(np.float64)
    finite = np.isfinite(wanted)
    spread = float(wanted[finite].max() - wanted[finite].min()) if finite.any() else 0.0
    spread = spread or 1.0
    equal = (host == device) | (np.isnan(host) & np.isnan(device))
    with np.errstate(invalid="ignore"):
        difference = np.where(equal, 0.0, np.abs(wanted - got))
    not_finite = (~np.isfinite(got) & ~equal).any(axis=1)
    largest = float(difference.max()) / spread if np.isfinite(difference).all() else None
    named, there = wanted.argmax(axis=1), got.argmax(axis=1)
    rows = np.arange(len(which))
    with np.errstate(invalid="ignore"):
        margins = (wanted[rows, named] - wanted[rows, there]) / spread
    # A file that gives NaN names no class, whatever argmax makes of it.
    there = np.where(not_finite, NO_CLASS, there)
    margins = np.where(np.isfinite(margins) & ~not_finite, margins, 1.0)
    changed = np.flatnonzero(named != there)
    clearest = changed[np.argsort(-margins[changed], kind="stable")]
    verdict: Agreement = "differs"
    if equal.all():
        verdict = "same"
    elif largest is not None and largest <= allowed and (margins[changed] <= allowed).all():
        verdict = "rounding"
    share = wilson(int((there == labels).sum()), len(which))
    return OnDevice(
        job=job,
        images=len(which),
        max_abs_diff=largest,
        allowed=allowed,
        agreement=float((named == there).mean()),
        top1=share.value,
        top1_low=share.low,
        top1_high=share.high,
        host_top1=float((named == labels).mean()),
        not_finite=int(not_finite.sum()),
        changed=tuple(
            Changed(
                image=int(which[row]),
                label=int(labels[row]),
                host=int(named[row]),
                device=int(there[row]),
                margin=float(margins[row]),
            )
            for row in clearest[:NAMED]
        ),
        changed_images=len(changed),
        verdict=verdict,
    )
