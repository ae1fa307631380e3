"""Which checkpoints an effect of the initialisation is told of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgeprof.errors import EdgeprofError, UsageError
from edgeprof.pipeline.accuracy import predictions
from edgeprof.records import Artifact, Effect, Identity, Ranking, Trained
from edgeprof.store import Store


def effect(
    store: Store,
    training: str | None = None,
    ranking: Ranking | None = None,
    artifacts: Sequence[Artifact] | None = None,
    budget_ms: float | None = None,
) -> Effect:
    """What the initialisation brings, of the checkpoints of a training.

    Args:
        training: None: the newest that has several initialisations.
        ranking: latencies of a run of that training.
        artifacts: only the checkpoints of these files; None: all of the training.

    Raises:
        UsageError: there is no checkpoint to compare.
    """
    from edgeprof import rank

    found = _checkpoints(store, artifacts)
    name = training or _with_arms(found)
    found = {identity: one for identity, one in found.items() if identity.training == name}
    if not found:
        raise UsageError(
            f"there is no checkpoint of the training {name!r}" if name else "no training has several initialisations",
            where=str(store.root),
            hint=f"first: edgeprof train --training {name}"
            if name
            else 'name them in its file: inits = ["pretrained", "scratch"]; or: edgeprof train --training transfer',
        )
    missing: list[str] = []
    seen = []
    labels: bytes | None = None
    newest = next(reversed(found.values()))
    for identity, one in found.items():
        label = msgspec.structs.replace(identity, training=None).label()
        if (one.recipe_sha, one.data_sha) != (newest.recipe_sha, newest.data_sha):
            missing.append(f"{label}: trained by another recipe, or on other data, under that name: train it again")
            continue
        try:
            kept = predictions(store, one)
        except EdgeprofError as error:
            missing.append(f"{label}: {error}")
            continue
        labels = labels or kept.labels
        if kept.labels != labels:
            missing.append(f"{label}: tested on other images: train it again")
            continue
        init, seed = identity.init or "", identity.seed or 0
        seen.append(rank.Checkpoint(model=one.model, init=init, seed=seed, right=kept.right))
    return rank.effect(seen, training=name, ranking=ranking, budget_ms=budget_ms, missing=missing)


def with_effect(store: Store, ranking: Ranking, artifacts: Sequence[Artifact]) -> Ranking:
    """The ranking with the effect of the initialisation on the checkpoints of its files, where there are several."""
    if ranking.training is None or len({one.init for one in artifacts if one.checkpoint_sha}) < 2:
        return ranking
    try:
        found = effect(store, ranking.training, ranking, artifacts)
    except UsageError:  # the checkpoints are not in this store
        return ranking
    return msgspec.structs.replace(ranking, effect=found) if found.arms else ranking


def _checkpoints(store: Store, artifacts: Sequence[Artifact] | None) -> dict[Identity, Trained]:
    """By their own name, and by that of the files made of them: a checkpoint serves every training that asks for the
    same, and bears the name of the first."""
    trained = store.all(Trained.KIND, Trained)
    found = {} if artifacts is not None else {one.identity: one for one in trained}
    by_sha = {one.checkpoint_sha: one for one in trained}
    for file in store.all(Artifact.KIND, Artifact) if artifacts is None else artifacts:
        one = by_sha.get(file.checkpoint_sha or "")
        identity = msgspec.structs.replace(file.identity, exporter=None)
        if one is not None and identity not in found:
            found[identity] = one
    return found


def training_with_arms(store: Store) -> str | None:
    """The newest training of which there are checkpoints of several initialisations."""
    return _with_arms(_checkpoints(store, None))


def _with_arms(found: dict[Identity, Trained]) -> str | None:
    inits: dict[str, set[str]] = {}
    for identity in found:
        inits.setdefault(identity.training or "", set()).add(identity.init or "")
    several = [name for name, some in inits.items() if len(some) > 1]
    return several[-1] if several else None
