"""Several devices side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgeprof.api import FleetResult
from edgeprof.cli import console, on_device_lines, tables
from edgeprof.records import ADVICE, Candidate, Failure, Ranking
from edgeprof.records.advice import advice_of_all
from edgeprof.records.derived import Fleet

WIDEST = 10_000


class Row(NamedTuple):
    """What is one candidate on all devices."""

    model: str
    init: str | None
    seed: int | None
    exporter: str
    threads: int


def tell_fleet(found: FleetResult, as_json: bool) -> None:
    """The rankings on stdout, side by side or as one record; failures, doubts and where the reports lie on stderr."""
    answer = found.answer
    if as_json:
        console.print_record(answer)
    else:
        _tell_tables(answer)
        for ranking in answer.rankings:
            on_device_lines.tell_on_device(ranking)
        for line in _doubts(answer):
            console.say(_plain(line))
        for failure in _failures(answer):
            console.say(_plain(f"failed: {failure.stage}: {failure.identity.label()}: {failure.error}"))
            if failure.hint:
                console.say(_plain(f"  hint: {failure.hint}"))
    for one in found.runs:
        console.say(f"report of {one.device}: {console.shown_path(one.outcome.files['html'])}")
        console.say(f"data of {one.device}:   {console.shown_path(one.outcome.files['json'])}")


def _tell_tables(answer: Fleet) -> None:
    """As many devices beside each other as fit."""
    ranked = [one for one in answer.rankings if one.candidates]
    if not ranked:
        console.say("nothing was measured on any device")
        return
    out = console.out()
    rows = order(ranked)
    for some in _fitting(rows, ranked, out.width):
        out.print(side_by_side(rows, some))
    print(
        "Median ms of each device, in brackets the places that it may hold there (95% for all at once). thr: threads."
    )
    print("!: not trusted. -: not measured there. Ordered by the mean of the places.")
    if not all(tables.placed(one) for one in ranked):
        print("(-): nothing is trusted there, so there are no places.")


def order(rankings: Sequence[Ranking]) -> list[Row]:
    """All candidates by the mean of their places; where one was not measured, it counts as behind the last."""
    places = [{row(one): one.rank for one in ranking.candidates} for ranking in rankings]
    medians = [{row(one): one.median_ms for one in ranking.candidates} for ranking in rankings]
    rows = dict.fromkeys(row for found in places for row in found)

    def key(one: Row) -> tuple[float, list[float]]:
        total = sum(found.get(one, len(found) + 1) for found in places)
        return total / len(places), [found.get(one, float("inf")) for found in medians]

    return sorted(rows, key=key)


def row(one: Candidate) -> Row:
    """The row of a candidate."""
    return Row(one.model, one.init, one.seed, one.exporter, one.threads)


def side_by_side(rows: Sequence[Row], rankings: Sequence[Ranking]) -> Table:
    """A line for each candidate, a column for each device."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    several = len({(one.init, one.seed) for one in rows}) > 1
    for name in ("model", *(("init", "seed") if several else ()), "exporter", "thr"):
        wide = name in ("model", "exporter")
        right = name in ("seed", "thr")
        table.add_column(name, no_wrap=not wide, overflow="fold", justify="right" if right else "left")
    cells = []
    for ranking in rankings:
        table.add_column(escape(ranking.device), no_wrap=True, justify="right")
        placed = tables.placed(ranking)
        cells.append({row(one): _cell(one, placed) for one in ranking.candidates})
    for one in rows:
        which = (escape(one.init or "-"), "-" if one.seed is None else str(one.seed)) if several else ()
        shown = (found.get(one, "-") for found in cells)
        table.add_row(escape(one.model), *which, escape(one.exporter), str(one.threads), *shown)
    return table


def _cell(one: Candidate, placed: bool) -> str:
    places = str(one.rank) if one.rank_low == one.rank_high else f"{one.rank_low}-{one.rank_high}"
    places = places if placed else "-"
    told = f"{tables.milliseconds(one.median_ms)} ({places})"
    return f"{told} " if one.trusted else f"[yellow]{told}![/yellow]"


def _fitting(rows: Sequence[Row], rankings: Sequence[Ranking], width: int) -> Iterator[Sequence[Ranking]]:
    """The devices in groups whose tables fit; a device that fits nowhere has one of its own."""
    natural = Console(width=WIDEST)
    left = list(rankings)
    while left:
        count = len(left)
        while count > 1 and natural.measure(side_by_side(rows, left[:count])).maximum > width:
            count -= 1
        yield left[:count]
        left = left[count:]


def _doubts(answer: Fleet) -> Iterator[str]:
    """Which numbers not to trust, and why; advice once."""
    reasons: dict[str, None] = {}
    for ranking in answer.rankings:
        for one in ranking.candidates:
            if not one.trusted:
                reasons |= dict.fromkeys(one.reasons)
                who = " / ".join((one.model, one.exporter, ranking.device, tables.threads(one.threads)))
                yield f"not trusted: {who}: {'; '.join(one.reasons)}"
    told = advice_of_all(one.method for one in answer.rankings)
    for reason in sorted(set(reasons) & set(ADVICE)):
        yield f"  hint: {reason}: {told[reason]}"


def _failures(answer: Fleet) -> list[Failure]:
    """Those of whole devices first; what failed before any device had a part in it once."""
    found = list(answer.failures)
    for one in (failure for ranking in answer.rankings for failure in ranking.failures):
        if one not in found:
            found.append(one)
    return found


def _plain(text: str) -> str:
    """Names and errors come from files, devices and converters: nothing in them may steer the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
