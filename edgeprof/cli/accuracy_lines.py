"""`edgeprof show accuracy` for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.markup import escape

from edgeprof.cli import console, tables
from edgeprof.records import AccuracyPair, AccuracyTable, Identity, Interval, Scored, SeedSpread

if TYPE_CHECKING:
    from rich.table import Table


def tell_table(found: AccuracyTable) -> None:
    """Checkpoints, files with their drops, spread over seeds; warnings and what is missing on stderr."""
    out = console.out()
    if not (found.checkpoints or found.files):
        print("no predictions could be read")
    for line in _lines(found, out.width) if found.checkpoints or found.files else ():
        print(line)
    shown = [one for one in found.seeds if one.exporter is None] or found.seeds
    if shown:
        print("\nspread over seeds, top-1" + (" of the checkpoints" if shown[0].exporter is None else ""))
        out.print(_seeds(shown))
    images = sorted({one.images for one in (*found.checkpoints, *found.files)})
    if images:
        counted = " or ".join(map(str, images))
        _say(f"Intervals are 95% over {counted} test images; what another seed would give is not in them.", out.width)
    if any(one.drop for one in found.files):
        drop = "drop: points of top-1 that a file lost against its checkpoint, on the same images"
        _say(f"{drop}; p: McNemar's exact test.", out.width)
    for one in found.files:
        for warning in one.warnings:
            console.say(f"warning: {one.identity.label()}: {warning}")
    for line in found.missing:
        console.say(f"missing: {line}")


def tell_pair(found: AccuracyPair) -> None:
    """Two on the same images, in sentences."""
    for name, one in (("first", found.first), ("second", found.second)):
        print(
            f"{name + ':':<8}{_plain(one.identity.label())}: top-1 {tables.percent(one.top1.value)} ({_span(one.top1)})"
        )
    pair = found.compared
    print(
        f"difference of top-1: {_points(pair.difference.value)} points (95%: {_points_span(pair.difference)}),"
        f" {pair.images} images"
    )
    print(f"right by the first alone: {pair.only_first}, by the second alone: {pair.only_second}")
    verdict = "told apart" if pair.p < 0.05 else "not told apart"
    print(f"McNemar's exact test: p = {pair.p:.2g}, {verdict} at 5%")


def _lines(found: AccuracyTable, width: int) -> Iterator[str]:
    """A block for each checkpoint: it, and the files made of it, each on a line."""
    blocks: dict[Identity, list[Scored]] = {}
    for one in (*found.checkpoints, *found.files):
        blocks.setdefault(msgspec.structs.replace(one.identity, exporter=None), []).append(one)
    several = len({one.training for one in blocks}) > 1
    names = max(len(_what(one)) for some in blocks.values() for one in some)
    columns = {"": names, "top-1": 6, "95%": 11, "top-5": 6, "macro F1": 8, "its 95%": 11}
    columns |= {"drop": 6, "of it, 95%": 12, "p": 7} if found.files else {}
    columns |= {"sha256": 8}
    for name in ("its 95%", "p", "top-5", "sha256"):  # what goes first where the terminal is narrow
        if sum(columns.values()) + len(columns) - 1 > width:
            columns.pop(name, None)
    yield _row(columns, {name: name for name in columns})
    for identity, some in blocks.items():
        yield _plain(identity.label() + (f" ({identity.training})" if several else ""))
        for one in some:
            yield _row(columns, _cells(one))


def _what(one: Scored) -> str:
    return f"  {_plain(one.identity.exporter or 'checkpoint')}{' (!)' if one.warnings else ''}"


def _row(columns: Mapping[str, int], cells: Mapping[str, str]) -> str:
    """The first to the left, the numbers to the right."""
    shown = [cells[name].rjust(width) if name else cells[name].ljust(width) for name, width in columns.items()]
    return " ".join(shown).rstrip()


def _cells(one: Scored) -> dict[str, str]:
    return {
        "": _what(one),
        "top-1": tables.percent(one.top1.value),
        "95%": _span(one.top1),
        "top-5": tables.percent(one.top5.value),
        "macro F1": tables.percent(one.macro_f1.value),
        "its 95%": _span(one.macro_f1),
        "drop": _points(one.drop.difference.value) if one.drop else "",
        "of it, 95%": _points_span(one.drop.difference) if one.drop else "",
        "p": f"{one.drop.p:.2g}" if one.drop else "",
        "sha256": one.sha[:8],
    }


def _seeds(some: Sequence[SeedSpread]) -> Table:
    exporter = any(one.exporter for one in some)
    columns = ["model", "init", *(["of"] if exporter else []), "seeds", "mean", "sd", "lowest..highest"]
    table = tables.new_table(*columns, right=("seeds", "mean", "sd", "lowest..highest"), folded=("model", "init", "of"))
    for one in some:
        of = [escape(one.exporter or "checkpoint")] if exporter else []
        span = f"{tables.percent(one.lowest)}..{tables.percent(one.highest)}"
        seeds = str(len(one.seeds))
        table.add_row(
            escape(one.model),
            escape(one.init or "-"),
            *of,
            seeds,
            tables.percent(one.mean),
            f"{100 * one.sd:.2f}",
            span,
        )
    return table


def _span(one: Interval) -> str:
    return "-" if one.low is None or one.high is None else f"{100 * one.low:.1f}..{100 * one.high:.1f}"


def _points(value: float) -> str:
    return f"{100 * value:+.2f}" if value else "0"


def _points_span(one: Interval) -> str:
    return "-" if one.low is None or one.high is None else f"{100 * one.low:+.1f}..{100 * one.high:+.1f}"


def _say(text: str, width: int) -> None:
    print(textwrap.fill(text, max(40, width)))


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
