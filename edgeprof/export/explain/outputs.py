"""Whether outputs are the wanted ones under another name: softmax too much or too little, classes in another order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeprof.export.explain.prepare import Floats


@dataclass(frozen=True)
class Relation:
    """`mend` makes wanted outputs of given ones, exactly enough that they can be compared."""

    name: str
    says: str
    change: str
    mended: Floats
    wanted: Floats
    """What `mended` is to be compared with."""


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    raised = np.exp((logits - logits.max(axis=-1, keepdims=True)).astype(np.float64))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float32)


def are_probabilities(outputs: Floats) -> bool:
    """Whether each row is nowhere negative and sums up to 1."""
    return bool((outputs >= -1e-6).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3))


def log_softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    return np.asarray(np.log(np.maximum(softmax(logits), 1e-30)), np.float32)


def sigmoid(logits: Floats) -> Floats:
    """Of each number."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60).astype(np.float64))), np.float32)


def relations(wanted: Floats, got: Floats) -> list[Relation]:
    """Every relation worth a look, the plainest first. Both [N, classes], finite."""
    probable = are_probabilities(wanted)
    more = "softmax twice" if probable else "softmax added"
    what = "the softmax of the checkpoint's outputs" + (", which are probabilities already" if probable else "")
    found = [
        Relation(more, f"its outputs are {what}", "leave the softmax out of the file", got, softmax(wanted)),
        _twice(wanted, got),
        Relation(
            "log-softmax added",
            "its outputs are the log-softmax of the checkpoint's",
            "leave the log-softmax out of the file",
            got,
            log_softmax(wanted),
        ),
        Relation(
            "sigmoid added",
            "its outputs are the sigmoid of the checkpoint's",
            "leave the sigmoid out of the file",
            got,
            sigmoid(wanted),
        ),
    ]
    if probable and not are_probabilities(got):
        found.insert(
            0,
            Relation(
                "softmax missing",
                "its outputs are logits where probabilities are expected",
                "add the softmax to the file, or take it after the file",
                softmax(got),
                wanted,
            ),
        )
    if (order := permutation(wanted, got)) is not None:
        found.append(
            Relation(
                "classes in another order",
                f"its outputs are the checkpoint's in the order {_shown(order)}",
                "give the file the checkpoint's order of classes (names sorted, as in its folder)",
                got[:, order],
                wanted,
            )
        )
    found.append(_scaled(wanted, got))
    return found


def permutation(wanted: Floats, got: Floats) -> list[int] | None:
    """For each class of `wanted` the column of `got` that goes with it most; None: no order, or the same one."""
    table = _columns(wanted).T @ _columns(got)
    order = [int(one) for one in table.argmax(axis=1)]
    plain = list(range(len(order)))
    return order if sorted(order) == plain and order != plain else None


def matching(relation: Relation, agree: Callable[[Floats, Floats], bool]) -> bool:
    """Whether the relation holds."""
    return bool(np.isfinite(relation.mended).all()) and agree(relation.wanted, relation.mended)


def _twice(wanted: Floats, got: Floats) -> Relation:
    return Relation(
        "softmax twice",
        "its outputs are the softmax of the softmax of the checkpoint's outputs",
        "take the softmax once: either in the file or after it",
        got,
        softmax(softmax(wanted)),
    )


def _scaled(wanted: Floats, got: Floats) -> Relation:
    """The one factor and the one shift of all numbers that fit best."""
    x, y = got.astype(np.float64).ravel(), wanted.astype(np.float64).ravel()
    factor = float(((x - x.mean()) * (y - y.mean())).sum() / max(((x - x.mean()) ** 2).sum(), 1e-30))
    shift = float(y.mean() - factor * x.mean())
    inverse = 1 / factor if factor else 0.0
    return Relation(
        "outputs scaled",
        f"its outputs are {inverse:.4g} times the checkpoint's, plus {-shift * inverse:.4g}",
        "leave the scaling out of the file",
        np.asarray(factor * got + shift, np.float32),
        wanted,
    )


def _columns(outputs: Floats) -> Floats:
    """Each class's outputs less their mean and each image's mean, of length 1."""
    plain = outputs.astype(np.float64)
    plain = plain - plain.mean(axis=1, keepdims=True)
    plain = plain - plain.mean(axis=0, keepdims=True)
    return np.asarray(plain / np.maximum(np.linalg.norm(plain, axis=0), 1e-30), np.float32)


def _shown(order: list[int]) -> str:
    shown = ", ".join(str(one) for one in order[:12])
    return shown + (", ..." if len(order) > 12 else "")
