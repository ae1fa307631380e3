"""What files say about test images on a device: off the wire, into the store, and out of it again."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import DeviceError, RecordError
from edgeprof.records import Run, Verified
from edgeprof.store import Store
from edgeprof.target.protocol import Evaluated


def logits_of(event: Evaluated, images: int, device: str) -> NDArray[np.float32]:
    """The logits that an event tells, [images, classes].

    Raises:
        DeviceError: they are not as many as it says.
    """
    try:
        data = base64.b64decode(event.logits, validate=True)
        if event.images == images:
            return np.frombuffer(data, "<f4").astype(np.float32).reshape(images, event.classes)
    except (binascii.Error, ValueError):
        pass
    raise DeviceError(f"the agent told outputs of {event.images} images that are none", where=device)


def collected(store: Store, run: Run) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """What the files said on the device: job -> numbers of the images, [n], and their logits, [n, classes].

    Raises:
        RecordError: a blob is missing or damaged.
    """
    found: dict[str, list[Verified]] = defaultdict(list)
    for one in store.all(Verified.KIND, Verified, run=run.run):
        found[one.job].append(one)
    together = {}
    for job, parts in found.items():
        parts.sort(key=lambda one: one.part)
        which = np.array([number for one in parts for number in one.which], np.int64)
        together[job] = which, np.concatenate([_read(store.blob(one.logits_sha), len(one.which)) for one in parts])
    return together


def _read(path: Path, images: int) -> NDArray[np.float32]:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RecordError(f"the device's outputs cannot be read: {error}", where=str(path)) from error
    if found.dtype != np.float32 or found.ndim != 2 or len(found) != images:
        raise RecordError("these are not the device's outputs", where=str(path))
    return np.asarray(found, np.float32)
