"""A choice for people, on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from edgeprof.cli import console
from edgeprof.cli.tables import megabytes, milliseconds, new_table, percent, plain, several, who
from edgeprof.rank import choice_words as words
from edgeprof.rank.latency import latency, shown_latency
from edgeprof.records import Candidate, Choice, FleetChoice, Limits, Odds, OnDevices, Undecided

if TYPE_CHECKING:
    from edgeprof.api import MeasuredMore


def tell(choice: Choice, *, hint: bool = True) -> None:
    """In sentences, with the odds and a table of what was rejected.

    Args:
        hint: whether to name `--measure-more` where it helps.
    """
    print(plain(choice.reason))
    picked = [one for one in (choice.chosen, choice.runner_up, choice.nearest_miss) if one is not None]
    variants = several([*picked, *choice.rejected])
    if choice.nearest_miss is not None:  # the reason names it
        label = "nearest miss" if choice.nearest_miss.trusted else "not trusted"
        print(f"  {label + ':':<13} {_numbers(choice.nearest_miss, choice.limits)}")
    for label, one, odds in (
        ("chosen", choice.chosen, choice.chosen_odds),
        ("runner-up", choice.runner_up, choice.runner_up_odds),
    ):
        if one is not None:
            print(f"  {label + ':':<13} {who(one, variants)}: {_numbers(one, choice.limits)}")
            if odds is not None:
                print(f"  {'':<13} {_odds(odds, choice.limits)}")
    turned = words.turned(choice.chosen_odds, choice.runner_up_odds, choice.limits)
    if turned:
        print(f"  {turned}")
    if choice.undecided is not None:
        _tell_undecided(choice.undecided, hint)
    # Why the nearest miss was not taken is told above.
    others = [one for one in choice.rejected if choice.nearest_miss is None or one.job != choice.nearest_miss.job]
    if others:
        which = ("init", "seed") if variants else ()
        table = new_table(
            "rejected", *which, "exporter", "threads", "why", right=("seed", "threads"), folded=("init", "why")
        )
        for miss in others:
            variant = (escape(miss.init or "-"), "-" if miss.seed is None else str(miss.seed)) if variants else ()
            table.add_row(escape(miss.model), *variant, escape(miss.exporter), str(miss.threads), escape(miss.reason))
        console.out().print(table)


def tell_more(settled: Sequence[MeasuredMore]) -> None:
    """What measuring more could not do, on stderr."""
    if not any(one.rounds for one in settled):
        console.say("nothing more was measured: no choice is open that more rounds would settle")
        if any(not each.trusted for one in settled for each in one.outcome.ranking.candidates):
            console.say("  hint: what is not trusted is not measured more: measure anew, with --fresh")
    for one in settled:
        variants = several(one.outcome.ranking.candidates)
        for each in one.lost:
            console.say(f"not settled, only out of the race: {who(each, variants)} is not trusted any more")
            console.say(f"  hint: {'; '.join(each.reasons)}: measure anew when the device is quiet, with --fresh")


def tell_fleet(found: FleetChoice) -> None:
    """One file for several devices, and what would be chosen on each alone."""
    print(plain(found.reason))
    for label, some in (("chosen", found.chosen), ("runner-up", found.runner_up)):
        for one in some:
            _tell_placed(label, one, found.limits)
    for miss in found.misses if found.chosen else found.misses[1:]:  # the reason tells the first
        print(plain(f"  missed: {miss}"))
    print("On each alone:")
    for choice in found.each:
        best = "none" if choice.chosen is None else who(choice.chosen, several([choice.chosen, *choice.rejected]))
        print(plain(f"  {choice.device}: {best}"))
        if choice.undecided is not None:
            print(plain(f"    {choice.undecided.reason}"))


def _tell_placed(label: str, one: OnDevices, limits: Limits) -> None:
    odds = "" if one.odds is None else f"; {_odds(one.odds, limits)}"
    print(plain(f"  {label} on {one.device}: {who(one.candidate, False)}: {_numbers(one.candidate, limits)}{odds}"))


def _tell_undecided(found: Undecided, hint: bool) -> None:
    print(plain(found.reason))
    if hint and found.seconds_more is not None:
        print("  hint: add --measure-more, which measures just these")


def _numbers(one: Candidate, limits: Limits) -> str:
    its = shown_latency(one, limits)
    without = its.name == "p99" and one.p99_ms is None
    if without:
        its = latency(one, Limits(percentile=90))
    parts = [
        f"top-1 {percent(one.top1)}",
        f"{'too few samples for p99, ' if without else ''}{its.name} {milliseconds(its.value)} ms"
        f" (at most {milliseconds(its.high)})",
    ]
    if limits.max_size_bytes is not None:
        parts.append(f"{megabytes(one.size_bytes)} MB file")
    if limits.max_memory_bytes is not None:
        parts.append(f"{megabytes(one.peak_rss_bytes)} MB of memory")
    if limits.max_energy_mj is not None:
        shown = f"{milliseconds(one.energy_mj)} mJ an inference"
        parts.append(f"{shown} (at most {milliseconds(one.energy_high_mj)})")
    return ", ".join(parts)


def _odds(odds: Odds, limits: Limits) -> str:
    parts: Sequence[tuple[str, float | None]] = (
        ("meets the budget", odds.budget),
        (f"top-1 of {percent(limits.min_top1)} or more", odds.min_top1),
        ("keeps to the energy", odds.max_energy),
        ("is the best", odds.best),
    )
    told = [f"{name}: {_probability(value)}" for name, value in parts if value is not None]
    return "probability that it " + ", ".join(told)


def _probability(value: float) -> str:
    """Never 0 or 100%: what was drawn so often does not tell that."""
    if value > 0.995:
        return "over 99%"
    if value < 0.005:
        return "under 1%"
    return f"{100 * value:.0f}%"
