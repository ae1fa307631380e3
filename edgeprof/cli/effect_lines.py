"""`edgeprof show effect` for people: tables that fit the terminal, then sentences."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from edgeprof.cli import console, tables
from edgeprof.records import Arm, BudgetChoice, Effect, ModelEffect, Shipped, Swap

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 100
"""Characters from which on a table has its columns for readers who want to know more."""


def tell_effect(effect: Effect) -> None:
    """What the initialisation brings, the order under each, the swaps, the budgets; what is missing on stderr."""
    out = console.out()
    wide = out.width >= WIDE
    for init, some in _by_init(effect.models):
        images = max(one.images for one in some)
        what = f"top-1 of the checkpoints of {effect.training}, {images} test images"
        _say(f"{init} minus {some[0].against}: {what}", out.width)
        out.print(_models(some, wide))
        _say(_interval(some), out.width)
    for arm in effect.arms:
        print()
        _say(f"order under {arm.init}", out.width)
        out.print(_order(arm, wide))
    if effect.models:
        print()
        _say(_swapped(effect), out.width)
        for swap in effect.swaps:
            _say(f"  {_swap(swap)}", out.width)
    if effect.budgets:
        print()
        _tell_budgets(effect, out.width)
    for line in effect.missing:
        console.say(f"missing: {line}")


def headline(effect: Effect) -> list[str]:
    """The effect in a sentence or a few, for a run in short."""
    said = []
    for init, some in _by_init(effect.models):
        parts = [
            f"{one.model} {points(one.difference)} ({_span(one.difference_low, one.difference_high)})" for one in some
        ]
        said.append(f"{init} minus {some[0].against}, points of top-1: {', '.join(parts)}")
    if effect.models:
        said.append(_swapped(effect).removesuffix(":").removesuffix(".") + ".")
    changed = [one for one in effect.budgets if one.changes]
    if effect.budgets:
        said.append(
            "The model chosen for a latency budget changes with the initialisation."
            if changed
            else "The model chosen for a latency budget does not change with the initialisation."
        )
    return said


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * value:+.1f}"


def _span(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{points(low)}..{points(high)}"


def _by_init(models: Sequence[ModelEffect]) -> Iterator[tuple[str, list[ModelEffect]]]:
    for init in dict.fromkeys(one.init for one in models):
        yield init, [one for one in models if one.init == init]


def _models(some: Sequence[ModelEffect], wide: bool) -> Table:
    """Differences are in percentage points."""
    shares = (some[0].init.partition(":")[0], some[0].against)
    columns = ["model", *shares, "difference", "95% interval", "seeds", "sd"]
    more = ["lowest..highest", "images alone", "p (worst)"] if wide else []
    table = tables.new_table(*columns, *more, right=[*columns[1:], *more], folded=("model",))
    for one in some:
        by_seed = [each.difference for each in one.seeds]
        row = [
            escape(one.model),
            tables.percent(one.top1),
            tables.percent(one.against_top1),
            points(one.difference),
            _span(one.difference_low, one.difference_high),
            str(len(one.seeds)),
            "-" if one.seeds_sd is None else f"{100 * one.seeds_sd:.1f}",
        ]
        row += [
            _span(min(by_seed), max(by_seed)),
            _span(one.images_low, one.images_high),
            f"{max(each.p for each in one.seeds):.2g}",
        ][: len(more)]
        table.add_row(*row)
    return table


def _interval(some: Sequence[ModelEffect]) -> str:
    if all(one.sources == "images" for one in some):
        return "One seed: the interval is over test images alone. What another seed would give is not known."
    text = "The interval holds for other test images and other seeds; sd: of the difference from seed to seed."
    few = min(len(one.seeds) for one in some)
    return text + (f" {few} seeds say little about that spread, hence wide intervals." if few < 5 else "")


def _order(arm: Arm, wide: bool) -> Table:
    seeds = "which seeds" if wide else "seeds"
    columns = ["place", "model", "top-1", "95% interval", seeds, "sd"]
    table = tables.new_table(*columns, right=("place", "top-1", "95% interval", seeds, "sd"), folded=("model",))
    for one in arm.models:
        low, high = tables.percent(one.top1_low), tables.percent(one.top1_high)
        table.add_row(
            str(one.place_low) if one.place_low == one.place_high else f"{one.place_low}-{one.place_high}",
            escape(one.model),
            tables.percent(one.top1),
            f"{low}..{high}",
            ", ".join(map(str, one.seeds)) if wide else str(len(one.seeds)),
            "-" if one.seeds_sd is None else f"{100 * one.seeds_sd:.1f}",
        )
    return table


def _swapped(effect: Effect) -> str:
    if not effect.swaps:
        return "No two models change their order with the initialisation."
    beyond = sum(one.beyond_noise for one in effect.swaps)
    if len(effect.swaps) == 1:
        return f"One pair of models swaps with the initialisation, {'beyond' if beyond else 'within'} noise:"
    return f"{len(effect.swaps)} pairs of models swap with the initialisation, {beyond or 'none'} of them beyond noise:"


def _swap(one: Swap) -> str:
    moved = one.interaction
    verdict = "beyond noise" if one.beyond_noise else "within noise"
    order = ", and each order is sure by itself" if one.sure else ""
    return (
        f"{one.first} is ahead under {one.init} ({points(one.under_init.value)}), {one.second} under {one.against}"
        f" ({points(-one.under_against.value)}); moved against each other by {points(moved.value)}"
        f" ({_span(moved.low, moved.high)}): {verdict}{order}"
    )


def _tell_budgets(effect: Effect, width: int) -> None:
    if effect.budget_ms is not None:
        for one in effect.budgets:
            verdict = "another model" if one.changes else "the same model"
            _say(f"for {effect.budget_ms:g} ms, {one.init} and {one.against} choose {verdict}:", width)
            _say(f"  {one.init}: {_shipped(one.chosen)}", width)
            _say(f"  {one.against}: {_shipped(one.against_chosen)}", width)
        return
    print(f"the model chosen for a latency budget, by run {effect.run}")
    for init in dict.fromkeys(one.init for one in effect.budgets):
        mine = [one for one in effect.budgets if one.init == init]
        names = (f"under {init}", f"under {mine[0].against}")
        table = tables.new_table("budget ms", *names, "", right=("budget ms",), folded=names)
        for one in mine:
            chosen = [escape(each.model) if each else "nothing" for each in (one.chosen, one.against_chosen)]
            table.add_row(budget(one), *chosen, "another" if one.changes else "same")
        console.out().print(table)


def budget(one: BudgetChoice) -> str:
    """A range of budgets in ms, rounded up, so that what is shown is enough."""
    start = rounded_up(one.from_ms)
    return f"{start:g} up" if one.below_ms is None else f"{start:g}..{rounded_up(one.below_ms):g}"


def rounded_up(ms: float) -> float:
    """Three significant digits, never below."""
    unit = 10.0 ** (math.floor(math.log10(ms)) - 2)
    return math.ceil(ms / unit - 1e-9) * unit


def _shipped(one: Shipped | None) -> str:
    if one is None:
        return "nothing meets it"
    at = f"{one.exporter}, {tables.threads(one.threads)}"
    return (
        f"{one.model} ({at}): top-1 {tables.percent(one.top1)}, p90 at most {tables.milliseconds(one.p90_high_ms)} ms"
    )


def _say(text: str, width: int) -> None:
    """On stdout, wrapped; names come from files, and nothing in them may steer the terminal."""
    plain = "".join(char if char.isprintable() else "\ufffd" for char in text)
    indent = " " * (len(plain) - len(plain.lstrip()) + 2)
    print(textwrap.fill(plain, max(40, width), subsequent_indent=indent if indent != "  " else ""))
