"""`edgeprof show history`: a model over all its runs, for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from edgeprof.cli import console, tables
from edgeprof.cli.compare_runs import percent_more, plain, span
from edgeprof.records.compared import History, Line, Past

if TYPE_CHECKING:
    from rich.table import Table

BARS = "▁▂▃▄▅▆▇█"
LEVELS = 0.02
"""Least step of the trend as a share: below it everything has one height, so that noise draws no mountains."""


def tell_history(found: History) -> None:
    """A table for each candidate; in what runs differ on stderr."""
    out = console.out()
    for line in found.lines:
        print(f"{_plain(line.identity.label())} on {_plain(found.device)}   median {trend(line.runs)}")
        out.print(table(line, out.width))
    marked = any(not one.comparable or one.differences for line in found.lines for one in line.runs)
    if marked:
        print("* in another state than the run before; ! so that it cannot be compared with it")
    if any(one.change and not one.change.runs for line in found.lines for one in line.runs):
        said = (
            "Where fewer than three comparable runs of the same file came before, the interval of a change is over the"
            " rounds of two runs alone, and what moves between runs is not in it."
        )
        print(textwrap.fill(said, max(40, out.width)))
    told: set[str] = set()
    for line in found.lines:
        for one in line.runs:
            for each in one.differences:
                mark = "!" if each.spoils else "*"
                said = f"{mark} run {one.run}: {each.name}: {each.one}, then {each.other}"
                if said not in told:
                    told.add(said)
                    console.say(said)


def table(line: Line, width: int) -> Table:
    """A row for each run, the oldest first."""
    wide = width >= 110
    numbers = ["median ms", "95% interval", *(["p90 ms"] if wide else []), "top-1", "MB", "change", "of it, 95%"]
    made = tables.new_table("date", "run", *numbers, "", right=numbers, folded=("",))
    for one in line.runs:
        moved = one.change
        made.add_row(
            date(one.started_at),
            one.run,
            tables.milliseconds(one.median_ms.value),
            tables.spread(one.median_ms.low, one.median_ms.high),
            *([tables.milliseconds(one.p90_ms.value)] if wide else []),
            tables.percent(one.top1.value if one.top1 else None),
            f"{one.size_bytes / 1e6:.2f}",
            percent_more(moved.ratio.value) if moved else "",
            span(moved.ratio) if moved else "",
            plain(marks(one)),
            style=None if one.trusted else "yellow",
        )
    return made


def marks(one: Past) -> str:
    """The verdict, and whether it stands on the same ground as the run before."""
    words: list[str] = [one.verdict] if one.verdict else []
    if not one.comparable:
        words = ["!", "not comparable: " + ", ".join(each.name for each in one.differences if each.spoils)]
    elif one.differences:
        words.append("*")
    if not one.trusted:
        words.append("untrusted")
    return " ".join(words)


def trend(runs: Sequence[Past]) -> str:
    """A bar for each run, the highest the slowest."""
    values = [math.log(one.median_ms.value) for one in runs]
    low, high = min(values), max(values)
    step = max((high - low) / (len(BARS) - 1), math.log1p(LEVELS))
    return "".join(BARS[min(len(BARS) - 1, round((value - low) / step))] for value in values)


def date(text: str) -> str:
    """The day and the minute; the text itself where it is no time."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
    except ValueError:
        return plain(text)


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
