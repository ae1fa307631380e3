"""`edgeprof show accuracy` and `show effect`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeprof.cli import console
from edgeprof.errors import UsageError

if TYPE_CHECKING:
    from edgeprof.store import Store

ACCURACY, EFFECT = "accuracy", "effect"


def check(what: str, names: Sequence[str], **given: str | None) -> None:
    """Refuse what means nothing together.

    Raises:
        UsageError: names or options that are not for `what`.
    """
    if names and what != ACCURACY:
        raise UsageError(f"{names[0]!r} beside {what!r} means nothing", hint="only `show accuracy` compares two: A B")
    if names and len(names) != 2:
        raise UsageError(
            f"a comparison is between two: {len(names)} given", hint="edgeprof show accuracy A B, or no name for all"
        )
    takes = {ACCURACY: {"training"}, EFFECT: {"training", "device", "run", "budget"}}.get(what, set())
    for name, value in given.items():
        if value is not None and name not in takes:
            where = "`show effect`" if name != "training" else "`show accuracy` and `show effect`"
            raise UsageError(f"--{name} is not for `show {what}`", hint=f"it is for {where}")


def accuracy(store: Store, names: Sequence[str], training: str | None, as_json: bool) -> None:
    """All checkpoints and files, or two of them on the same images."""
    from edgeprof.cli import accuracy_lines
    from edgeprof.pipeline.accuracy import pair, table

    if names:
        compared = pair(store, names[0], names[1], training)
        if as_json:
            console.print_record(compared)
        else:
            accuracy_lines.tell_pair(compared)
        return
    found = table(store, training)
    if as_json:
        console.print_record(found)
    else:
        accuracy_lines.tell_table(found)


def effect(
    store: Store, training: str | None, device: str | None, run: str | None, budget: str | None, as_json: bool
) -> None:
    """What the initialisation brings."""
    from edgeprof import pipeline, rank
    from edgeprof.cli import effect_lines

    budget_ms = None if budget is None else rank.parse_budget(budget)
    found = pipeline.effect_of(store, training, device, run, budget_ms)
    if as_json:
        console.print_record(found)
    else:
        effect_lines.tell_effect(found)
