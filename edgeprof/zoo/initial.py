"""What a training begins from, as a value: `scratch`, `pretrained`, `file:PATH` or `training:NAME`.

The arms of one seed differ in the tensors that are taken, and in nothing else: the module is made first and in the same
way, so that a head that is not taken has the same random values under every arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from edgeprof.errors import TrainError
from edgeprof.records import Trained, Weights
from edgeprof.store import Store
from edgeprof.zoo import checkpoint, factory, models, weights

if TYPE_CHECKING:
    from torch import nn

TRAINING = "training:"


def create(
    store: Store,
    name: str,
    classes: Sequence[str],
    init: str = "scratch",
    *,
    image_size: int,
    source: Trained | None = None,
    replace_head: bool = True,
) -> tuple[nn.Module, Weights | None]:
    """The module to train, in train mode on the CPU, and what its weights were taken from (None for `scratch`).

    Args:
        classes: of the data, in order.
        source: for `training:NAME`, the checkpoint to begin from. Its head is taken only if it has the same classes.
        replace_head: whether a head of other classes is replaced by one that is not trained yet; else it is an error.

    Raises:
        UsageError: no such model or init.
        TrainError: the weights cannot be had, or do not fit; a factory fails, or gives no logits of these classes.
    """
    taken: Weights | None
    if init.startswith(TRAINING):
        module, taken = _from_training(store, name, classes, init, source, replace_head)
    else:
        module, taken = models.begin(name, len(classes), init, replace_head=replace_head)
    if factory.is_factory(name):
        models.check_logits(module, name, image_size, len(classes))
    return module, taken


def renamed(taken: Weights | None, init: str, source: Trained | None) -> Weights | None:
    """The same weights under the name that file or training has now; a name does not decide a checkpoint."""
    if taken is None or init == "pretrained":
        return taken
    if source is not None:
        return msgspec.structs.replace(taken, source=_source_name(source))
    return msgspec.structs.replace(taken, source=weights.file_name(init))


def _from_training(
    store: Store, name: str, classes: Sequence[str], init: str, source: Trained | None, replace_head: bool
) -> tuple[nn.Module, Weights]:
    if source is None:
        raise TrainError(f"there is no checkpoint of {init} to begin from")
    same = tuple(classes) == source.classes
    if not same and not replace_head:
        raise TrainError(
            f"{init} knows the classes {_listed(source.classes)}, but the data has {_listed(classes)}",
            hint="with recipe.epochs = 0 nothing is trained: give it data of the same classes",
        )
    module = models.create(name, len(classes))
    head = frozenset() if same else models.head_names(name, len(classes))
    tensors = checkpoint.tensors(source, store)
    taken, left = weights.load_into(
        module,
        # Of other classes although of the same number, it would only seem to fit.
        {key: value for key, value in tensors.items() if key not in head},
        head=head,
        where=init,
        name=name,
    )
    return module, Weights(source=_source_name(source), sha256=source.checkpoint_sha, taken=taken, left=left)


def _source_name(source: Trained) -> str:
    return f"{TRAINING}{source.training} / {source.init} / seed {source.seed}"


def _listed(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return ", ".join(classes[:5]) + more
