"""Checkpoints as safetensors: the same tensors always give the same bytes, and only tensors are read."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import MissingPackageError, TrainError
from edgeprof.records import Trained
from edgeprof.store import Store
from edgeprof.zoo import models, weights

if TYPE_CHECKING:
    from torch import nn

_HEADER_LIMIT = 100_000_000
# One key alone: safetensors writes several in random order.
_NOTE = "edgeprof"
_AGAIN = "train it again: edgeprof train --fresh"


def to_bytes(tensors: Mapping[str, Any], note: Any = None) -> bytes:
    """Tensors as safetensors; `note` (anything JSON can say) travels in the header."""
    try:
        from safetensors.torch import save
    except ModuleNotFoundError as error:
        raise MissingPackageError("safetensors", "train") from error
    # Tied weights share memory, which the format refuses.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata = None if note is None else {_NOTE: json.dumps(note, sort_keys=True)}
    return bytes(save(plain, metadata=metadata))


def from_bytes(data: bytes, where: str) -> dict[str, Any]:
    """The tensors in `data` by name, on the CPU.

    Raises:
        TrainError: it is truncated or no safetensors.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ModuleNotFoundError as error:
        raise MissingPackageError("safetensors", "train") from error
    try:
        return dict(load(data))
    except (SafetensorError, ValueError, KeyError) as error:
        raise TrainError(f"this is no whole safetensors file: {error}", where=where, hint=_AGAIN) from error


def note_of(path: Path) -> Any:
    """The note in a safetensors file, read from the header alone; None where there is no readable file or note."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length < _HEADER_LIMIT:
                return None
            header = json.loads(file.read(length))
        return json.loads(header["__metadata__"][_NOTE])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def restore(trained: Trained, store: Store) -> nn.Module:
    """The trained module in eval mode on the CPU.

    Raises:
        TrainError: its checkpoint is missing, damaged, or of another model.
    """
    module = models.create(trained.model, len(trained.classes))
    weights.load_into(
        module,
        tensors(trained, store),
        head=frozenset(),
        where=str(store.blob(trained.checkpoint_sha)),
        name=trained.identity.label(),
    )
    return module.eval()


def tensors(trained: Trained, store: Store) -> dict[str, Any]:
    """The tensors of a checkpoint by name, on the CPU.

    Raises:
        TrainError: it is missing or damaged.
    """
    path = store.blob(trained.checkpoint_sha)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TrainError(f"the checkpoint cannot be read: {error.strerror}", where=str(path), hint=_AGAIN) from error
    if hashlib.sha256(data).hexdigest() != trained.checkpoint_sha:
        raise TrainError(
            f"the checkpoint of {trained.model} is truncated or damaged: its sha256 is not its name",
            where=str(path),
            hint=f"remove this file and {_AGAIN}",
        )
    return from_bytes(data, str(path))


def predictions_to_bytes(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> bytes:
    """`.npz` with `labels` int64 [N] and `logits` float32 [N, classes]; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in (("labels", labels.astype(np.int64)), ("logits", logits.astype(np.float32))):
            # A fixed date: numpy's own savez depends on the version of zipfile for that.
            with archive.open(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def read_predictions(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """`labels` int64 [N] and `logits` float32 [N, classes] of a predictions file.

    Raises:
        TrainError: it is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive["labels"].astype(np.int64), archive["logits"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TrainError(f"the predictions cannot be read: {error}", where=str(path), hint=_AGAIN) from error
