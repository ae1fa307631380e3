"""What there is to train, under which key it is kept, and how much of it is left. Loads no torch."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeprof.errors import TrainError
from edgeprof.records import Identity, Trained, Training, digest
from edgeprof.store import Store
from edgeprof.zoo import factory, initial, weights
from edgeprof.zoo.checkpoint import note_of

TRAIN_VERSION = 2
"""To be raised whenever the same recipe would give another checkpoint; every training is then done again."""


def cells(training: Training) -> list[Identity]:
    """Model x init x seed, in the order of the file."""
    return [
        Identity(training=training.name, model=model, init=init, seed=seed)
        for model in training.models
        for init in training.inits
        for seed in training.seeds
    ]


def key(training: Training, identity: Identity, data_sha: str, source: Trained | None = None) -> str:
    """sha256 (hex) of everything that decides the checkpoint, and of nothing else.

    The training's name, its other models and the places of files do not count; the contents of files do.

    Args:
        source: for an init `training:NAME`, the checkpoint to begin from.

    Raises:
        TrainError: the file of a `file:PATH` init is missing, or an init `training:NAME` has no source.
    """
    init = identity.init or "scratch"
    file_sha = weights.file_sha(init)
    if file_sha is not None:
        init = f"file:{file_sha}"
    elif init.startswith("training:"):
        if source is None:
            raise TrainError(f"there is no checkpoint of {init} to begin from", where=identity.label())
        init = f"training:{source.checkpoint_sha}"
    model = identity.model
    if factory.is_factory(model):
        model = f"{factory.PREFIX}{factory.source_sha(model)}:{model.rpartition(':')[2]}"
    return digest(
        TRAIN_VERSION,
        model,
        init,
        identity.seed,
        data_sha,
        training.preprocessing,
        training.recipe,
    )


def stored(
    store: Store, training: Training, identity: Identity, data_sha: str, source: Trained | None = None
) -> Trained | None:
    """The finished training of a cell, or None; as asked now, where names and places have changed since.

    Raises:
        RecordError: it is there, but of another schema or damaged.
    """
    found = store.get(Trained.KIND, key(training, identity, data_sha, source), Trained)
    if found is None or not store.has_blob(found.checkpoint_sha) or not store.has_blob(found.predictions_sha):
        return None
    init = identity.init or "scratch"
    return msgspec.structs.replace(
        found,
        training=training.name,
        init=init,
        data=training.data,
        weights=initial.renamed(found.weights, init, source),
    )


def state_file(store: Store, key: str) -> Path:
    """Where the state after the last finished epoch lies."""
    return store.root / "training" / key / "epoch.safetensors"


def epochs_left(
    store: Store, training: Training, identity: Identity, data_sha: str, source: Trained | None = None
) -> int:
    """How many epochs `train` has yet to do for a cell.

    Raises:
        RecordError: a record is of another schema or damaged.
        TrainError: the file of a `file:PATH` init is missing.
    """
    if stored(store, training, identity, data_sha, source) is not None:
        return 0
    note = note_of(state_file(store, key(training, identity, data_sha, source)))
    done = note.get("epoch") if isinstance(note, dict) else None
    return training.recipe.epochs - (min(done, training.recipe.epochs) if isinstance(done, int) else 0)
