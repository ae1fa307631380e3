"""`edgeprof show accuracy`, `show effect`, `show history` and `show proxies`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeprof.cli import console
from edgeprof.errors import UsageError

if TYPE_CHECKING:
    from edgeprof.api import Suite

ACCURACY, EFFECT, HISTORY, PROXIES = "accuracy", "effect", "history", "proxies"
TAKES: dict[str, tuple[str, ...]] = {
    ACCURACY: ("training",),
    EFFECT: ("training", "device", "run", "budget"),
    HISTORY: ("device", "model", "exporter"),
    PROXIES: ("device", "run"),
}
"""The options that each takes."""


def check(what: str, names: Sequence[str], *, devices: Sequence[str], **given: str | None) -> None:
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
    for name, value in {"device": devices or None, **given}.items():
        if value is not None and name not in TAKES.get(what, ()):
            where = " and ".join(f"`show {one}`" for one, takes in TAKES.items() if name in takes)
            raise UsageError(f"--{name} is not for `show {what}`", hint=f"it is for {where}")
    if len(devices) > 1 and what != PROXIES:
        raise UsageError(f"`show {what}` is of one device", hint=f"leave {devices[1]} out")


def accuracy(suite: Suite, names: Sequence[str], training: str | None, as_json: bool) -> None:
    """All checkpoints and files, or two of them on the same images."""
    from edgeprof.cli import accuracy_lines

    if names:
        compared = suite.compare_accuracy(names[0], names[1], training=training)
        if as_json:
            console.print_record(compared)
        else:
            accuracy_lines.tell_pair(compared)
        return
    found = suite.accuracy_table(training)
    if as_json:
        console.print_record(found)
    else:
        accuracy_lines.tell_table(found)


def effect(
    suite: Suite, training: str | None, device: str | None, run: str | None, budget: str | None, as_json: bool
) -> None:
    """What the initialisation brings."""
    from edgeprof.cli import effect_lines

    found = suite.effect(training, device=device, run=run, budget=budget)
    if as_json:
        console.print_record(found)
    else:
        effect_lines.tell_effect(found)


def history(suite: Suite, devices: Sequence[str], model: str | None, exporter: str | None, as_json: bool) -> None:
    """A model over all runs of a device."""
    from edgeprof.cli import history_lines

    if not devices or model is None:
        raise UsageError(
            "a history is of one model on one device", hint="edgeprof show history --device NAME --model NAME"
        )
    found = suite.history_record(devices[0], model, exporter=exporter)
    if as_json:
        console.print_record(found)
    else:
        history_lines.tell_history(found)


def proxies(suite: Suite, devices: Sequence[str], run: str | None, as_json: bool) -> None:
    """How far cheap numbers tell the order by latency."""
    from edgeprof.cli import proxy_lines

    found = suite.proxies(devices, run=run)
    if as_json:
        console.print_record(found)
    else:
        proxy_lines.tell_proxies(found)
