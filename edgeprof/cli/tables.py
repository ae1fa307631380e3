"""Records as terminal tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from edgeprof.cli import console
from edgeprof.records import ADVICE, Artifact, Candidate, Choice, Failure, Ranking, Run, Trained

MIDDLE, WIDE = 106, 118
"""Characters of terminal width from which on the ranking shows its intervals, and its sizes."""


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", no_wrap=name not in ("why",))
    return table


def percent(value: float | None) -> str:
    """A share as people read it."""
    return "-" if value is None else f"{100 * value:.1f}%"


def milliseconds(value: float | None) -> str:
    """Three significant digits."""
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def spread(low: float | None, high: float | None) -> str:
    """An interval in milliseconds."""
    return "-" if low is None or high is None else f"{milliseconds(low)}..{milliseconds(high)}"


def threads(number: int) -> str:
    """ "1 thread", "2 threads"."""
    return f"{number} thread" + ("s" if number != 1 else "")


def megabytes(value: int | None) -> str:
    """Bytes as MB."""
    return "-" if value is None else f"{value / 1e6:.1f}"


def trained(records: Sequence[Trained]) -> Table:
    """Checkpoints and what they score."""
    right = ("top-1", "macro F1", "params M", "MACs M", "seconds")
    table = _table("model", "init", "seed", "top-1", "macro F1", "params M", "MACs M", "seconds", right=right)
    for one in records:
        table.add_row(
            escape(one.model),
            escape(one.init),
            str(one.seed),
            percent(one.accuracy.top1),
            f"{one.accuracy.macro_f1:.3f}",
            f"{one.params / 1e6:.2f}",
            f"{one.macs / 1e6:.1f}",
            f"{one.made_by.seconds:.0f}",
        )
    return table


def artifacts(records: Sequence[Artifact]) -> Table:
    """Exported files, their accuracy and parity."""
    columns = ("model", "init", "seed", "exporter", "MB", "top-1", "max diff", "agreement", "sha256")
    table = _table(*columns, right=("MB", "top-1", "max diff", "agreement"))
    for one in records:
        table.add_row(
            escape(one.model),
            escape(one.init or "-"),
            "-" if one.seed is None else str(one.seed),
            escape(one.exporter),
            megabytes(one.size_bytes),
            percent(one.accuracy.top1 if one.accuracy else None),
            f"{one.parity.max_abs_diff:.1e}" if one.parity else "-",
            percent(one.parity.top1_agreement if one.parity else None),
            one.artifact_sha[:12],
        )
    return table


def ranking(result: Ranking, width: int) -> Table:
    """The candidates in order, with as many columns as `width` characters hold; --json and the report have all.

    Columns that say the same in every row are left out.
    """
    several = len({(one.init, one.seed) for one in result.candidates}) > 1
    spare = width - (20 if several else 0)
    shown: dict[str, Callable[[Candidate], str]] = {"rank": _rank if spare >= MIDDLE else lambda one: str(one.rank)}
    shown["model"] = lambda one: escape(one.model)
    if several:
        shown["init"] = lambda one: escape(one.init or "-")
        shown["seed"] = lambda one: "-" if one.seed is None else str(one.seed)
    shown["exporter"] = lambda one: escape(one.exporter)
    shown["thr"] = lambda one: str(one.threads)
    shown["top-1"] = lambda one: percent(one.top1)
    shown["median ms"] = lambda one: milliseconds(one.median_ms)
    if spare >= MIDDLE:
        shown["95% interval"] = lambda one: spread(one.median_low_ms, one.median_high_ms)
        shown["p90 ms"] = lambda one: milliseconds(one.p90_ms)
    if spare >= WIDE:
        shown["first ms"] = lambda one: milliseconds(one.first_ms)
        shown["MB"] = lambda one: megabytes(one.size_bytes)
    shown[""] = lambda one: "untrusted" if not one.trusted else "front" if one.pareto else ""
    words = ("model", "init", "exporter", "")
    table = _table(*shown, right=[name for name in shown if name not in words])
    for one in result.candidates:
        table.add_row(*(cell(one) for cell in shown.values()), style=None if one.trusted else "yellow")
    return table


def _rank(one: Candidate) -> str:
    return str(one.rank) if one.rank_low == one.rank_high else f"{one.rank} ({one.rank_low}-{one.rank_high})"


def tell_ranking(result: Ranking) -> None:
    """The ranking on stdout; failures and reasons for distrust on stderr."""
    if result.candidates:
        out = console.out()
        out.print(ranking(result, out.width))
        print("rank (low-high): places it may hold, 95% for all at once. thr: threads.")
        print("front: nothing is both faster and more accurate. untrusted: may belong anywhere, so listed last.")
    else:
        console.say(f"nothing was measured in run {result.run}")
    for one in result.candidates:
        if not one.trusted:
            who = f"{one.model} / {one.exporter} / {threads(one.threads)}"
            console.say(f"not trusted: {who}: {'; '.join(one.reasons)}")
    for reason in sorted({reason for one in result.candidates for reason in one.reasons} & set(ADVICE)):
        console.say(f"  hint: {reason}: {ADVICE[reason]}")
    tell_failures(result.failures)


def tell_failures(failures: Sequence[Failure]) -> None:
    """Failures on stderr, each with what to do."""
    for one in failures:
        console.say(f"failed: {one.stage}: {one.identity.label()}: {one.error}")
        if one.hint:
            console.say(f"  hint: {one.hint}")


def tell_choice(choice: Choice) -> None:
    """A choice in sentences on stdout, with a table of what was rejected."""
    print(choice.reason)
    for label, one in (
        ("chosen", choice.chosen),
        ("runner-up", choice.runner_up),
        ("nearest miss", choice.nearest_miss),
    ):
        if one is not None:
            p90 = f"p90 {milliseconds(one.p90_ms)} ms (at most {milliseconds(one.p90_high_ms)})"
            who = f"{one.model} / {one.exporter} / {threads(one.threads)}"
            print(f"  {label + ':':<13} {who}: top-1 {percent(one.top1)}, {p90}")
    if choice.rejected:
        table = _table("rejected", "exporter", "threads", "why", right=("threads",))
        for miss in choice.rejected:
            table.add_row(escape(miss.model), escape(miss.exporter), str(miss.threads), escape(miss.reason))
        console.out().print(table)


def runs(records: Sequence[Run]) -> Table:
    """Runs, newest last."""
    table = _table(
        "run", "device", "training", "cells", "failed", "rounds", "state", right=("cells", "failed", "rounds")
    )
    for one in records:
        state = "finished" if one.finished else "unfinished"
        table.add_row(
            one.run,
            escape(one.device),
            escape(one.training or "-"),
            str(len(one.cells)),
            str(len(one.failures)),
            str(one.method.rounds),
            state,
        )
    return table
