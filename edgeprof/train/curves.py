"""Curves of a training that TensorBoard reads: a folder of the store for each cell, under names that people know."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgeprof.errors import MissingPackageError
from edgeprof.records import Identity
from edgeprof.store import Store, writing
from edgeprof.train.state import Progressed

TAGS = ("loss/train", "top1/train", "learning_rate", "top1/test")
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")


def folder(store: Store, training: str) -> Path:
    """Where the curves of all cells of a training lie: what to give to `tensorboard --logdir`."""
    return store.root / "curves" / _name(training)


def cell_folder(store: Store, identity: Identity) -> Path:
    """Of one cell: `MODEL--INIT--seed-N` in the folder of its training."""
    name = f"{_name(identity.model)}--{_name(identity.init or 'scratch')}--seed-{identity.seed or 0}"
    return folder(store, identity.training or "training") / name


class Curves:
    """Writes the curves of one cell. A training that is taken up again has the points of what was kept, each once."""

    def __init__(self, store: Store, identity: Identity, progressed: Progressed) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise MissingPackageError("tensorboard", "train") from error
        self._root = store.root
        where = cell_folder(store, identity)
        with writing(self._root):
            where.mkdir(parents=True, exist_ok=True)
            for old in where.glob("events.out.tfevents.*"):
                old.unlink()
            self._writer: Any = SummaryWriter(str(where))
            for epoch in range(progressed.epoch):
                self._put(progressed, epoch)
            self._writer.flush()

    def add(self, progressed: Progressed) -> None:
        """The epoch that was finished last."""
        with writing(self._root):
            self._put(progressed, progressed.epoch - 1)
            self._writer.flush()

    def close(self) -> None:
        """Write the rest; whatever went wrong before is told elsewhere."""
        with suppress(OSError):
            self._writer.close()

    def _put(self, progressed: Progressed, epoch: int) -> None:
        rows = (progressed.losses, progressed.train_top1, progressed.learning_rates, progressed.test_top1)
        for tag, values in zip(TAGS, rows, strict=True):
            if epoch < len(values):  # a state that an older version kept has the losses alone
                self._writer.add_scalar(tag, values[epoch], epoch + 1)


def _name(text: str) -> str:
    """`text` as the name of a folder; where it cannot be one, it is told apart by the beginning of its sha256."""
    if _SAFE.fullmatch(text):
        return text
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip(".")[-60:]
    return f"{plain or '_'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
