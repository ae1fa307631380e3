"""What candidates compute on the device beside the host: in one line where all is well, by name where it is not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from edgeprof.cli import console, tables
from edgeprof.records import OnDevice, Ranking

NARROWEST = 40
LISTED = 8
"""Of those that differ by rounding alone; `edgeprof show` has all. What differs beyond it is always named."""


def tell_on_device(ranking: Ranking) -> None:
    """On stdout; nothing where it was not asked for."""
    width = max(NARROWEST, console.out().width)
    for line in lines(ranking):
        # Names come from files and devices: nothing in them may steer the terminal.
        plain = "".join(char if char.isprintable() else "\ufffd" for char in line)
        print(textwrap.fill(plain, width, subsequent_indent="    "))


def lines(ranking: Ranking, *, named: bool = True) -> Iterator[str]:
    """The worst first.

    Args:
        named: with the candidates that are not quite the same, else their number alone.
    """
    there = {one.job: one for one in ranking.on_device}
    several = len({(one.init, one.seed) for one in ranking.candidates}) > 1
    for verdict, one_says, some_say in (
        ("differs", "computes SOMETHING ELSE than here", "compute SOMETHING ELSE than here"),
        ("rounding", "gives the outputs of here but for rounding", "give the outputs of here but for rounding"),
        ("same", "gives the same outputs as here", "give the same outputs as here"),
    ):
        found = [one for one in ranking.candidates if one.job in there and there[one.job].verdict == verdict]
        if not found:
            continue
        count = f"{len(found)} candidate{'s' if len(found) != 1 else ''}"
        says = one_says if len(found) == 1 else some_say
        yield f"on {ranking.device}: {count} {says} on {_images([there[one.job] for one in found])}"
        if not named or verdict == "same":
            continue
        listed = found if verdict == "differs" else found[:LISTED]
        for one in listed:
            told = difference(there[one.job]) if verdict == "rounding" else in_short(there[one.job])
            yield f"  {tables.who(one, several)}: {told}"
        if len(listed) < len(found):
            yield f"  and {len(found) - len(listed)} more: edgeprof show {ranking.run}"


def in_short(found: OnDevice) -> str:
    """How far a candidate is off, and what that costs it."""
    percent = tables.percent
    there = f"top-1 there {percent(found.top1)} ({percent(found.top1_low)}..{percent(found.top1_high)})"
    bad = f", NaN or infinity for {_images([found], found.not_finite)}" if found.not_finite else ""
    return f"{there}, here {percent(found.host_top1)}, {difference(found)}{bad}"


def of_candidate(found: OnDevice) -> str:
    """All of it in one line."""
    verdict = {
        "same": "the same outputs as here",
        "rounding": "the outputs of here but for rounding",
        "differs": "SOMETHING ELSE than here",
    }[found.verdict]
    return f"on the device {verdict} on {_images([found])}: {in_short(found)}"


def difference(found: OnDevice) -> str:
    """The largest one, and how often the class is another."""
    same = found.images - found.changed_images
    largest = "largest difference "
    if found.max_abs_diff is None:
        largest += "not finite"
    else:
        largest += f"{100 * found.max_abs_diff:.2g}% of the spread (rounding: up to {100 * found.allowed:.2g}%)"
    return f"the same class on {same} of {found.images}, {largest}"


def _images(some: Sequence[OnDevice], count: int | None = None) -> str:
    counts = sorted({one.images for one in some}) if count is None else [count]
    text = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    what = "image" if count is not None else "test image"
    return f"{text} {what}{'s' if counts != [1] else ''}"
