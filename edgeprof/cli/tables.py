"""Records as terminal tables and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.style import StyleType
from rich.table import Table

from edgeprof.cli import console
from edgeprof.records import ADVICE, Artifact, Candidate, Cluster, Failure, Ranking, Rejected, Run, Trained
from edgeprof.records.advice import advice

if TYPE_CHECKING:
    from edgeprof.api.types import Estimate

WIDEST = 10_000
"""Characters in which every table fits whole."""


def plain(text: str) -> str:
    """On one line, without what could steer the terminal or make it read as something else."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


class PlainTable(Table):
    """A table whose cells cannot steer the terminal, whatever a store or a file is called."""

    def add_row(
        self,
        *cells: RenderableType | None,
        style: StyleType | None = None,
        end_section: bool = False,
    ) -> None:
        """As rich's own."""
        shown = (plain(one) if isinstance(one, str) else one for one in cells)
        super().add_row(*shown, style=style, end_section=end_section)


def new_table(*columns: str, right: Sequence[str] = (), folded: Sequence[str] = ("why",)) -> Table:
    """An empty table with these columns. Text of `folded` columns goes on in the next line where it is too wide."""
    table = PlainTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in right else "left"
        table.add_column(name, justify=justify, no_wrap=name not in folded, overflow="fold")
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


def share(value: float) -> str:
    """A share as people write it: 1%, 0.5%."""
    return f"{100 * value:.3g}%"


def megabytes(value: int | None) -> str:
    """Bytes as MB."""
    return "-" if value is None else f"{value / 1e6:.1f}"


def trained(records: Sequence[Trained]) -> Table:
    """Checkpoints and what they score."""
    right = ("top-1", "macro F1", "params M", "MACs M", "seconds")
    table = new_table("model", "init", "seed", "top-1", "macro F1", "params M", "MACs M", "seconds", right=right)
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


def estimate(found: Estimate) -> Table:
    """The grid of a training with the time of each cell."""
    right = ("seed", "epochs left", "images", "updates", "test images", "time")
    table = new_table("training", "model", "init", *right, right=right)
    for one in found.cells:
        table.add_row(
            escape(one.training),
            escape(one.model),
            escape(one.init),
            str(one.seed),
            str(one.epochs_left),
            str(one.images),
            str(one.updates),
            str(one.test_images),
            "failed" if one.seconds is None else duration(one.seconds) if one.seconds else "ready",
        )
    return table


def estimate_lines(found: Estimate, command: str) -> tuple[str, ...]:
    """What a grid would take in all and on what, how that was found, and the command that does it."""
    left = [one for one in found.cells if one.seconds != 0]
    if not left:
        return ("nothing to train: all of it is trained already",)
    on = "the processor" if found.hardware == "cpu" else found.hardware
    each = f"{found.processes} processes" if found.processes > 1 else threads(found.threads)
    precision = "" if found.mixed_precision == "no" else f" in {found.mixed_precision}"
    together = "one model after the other" if found.jobs == 1 else f"{found.jobs} models at a time"
    return (
        f"Training what is left would take about {duration(found.seconds)} on {on}{precision}: {together}, with {each}"
        " each.",
        "This is an estimate: of each model a few updates were timed and thrown away; nothing was trained or kept.",
        f"To train: {command}",
    )


def duration(seconds: float) -> str:
    """A time to wait, as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def artifacts(records: Sequence[Artifact]) -> Table:
    """Exported files, their accuracy and parity."""
    columns = ("model", "init", "seed", "exporter", "MB", "top-1", "max diff", "agreement", "sha256")
    table = new_table(*columns, right=("MB", "top-1", "max diff", "agreement"))
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
    natural = Console(width=WIDEST)
    for columns in (_COLUMNS, _COLUMNS - {"reason"}, _COLUMNS - {"reason", "sizes"}):
        table = _ranking(result, columns)
        if natural.measure(table).maximum <= width:
            return table
    return _ranking(result, set())


NO_PLACES = "Nothing is trusted, so there are no places."
NEAR_FRONT = 0.05
"""Candidates behind the front are marked where it is at least this probable that they stand on it."""
_COLUMNS = {"intervals", "sizes", "reason"}


def _ranking(result: Ranking, columns: set[str]) -> Table:
    several = len({(one.init, one.seed) for one in result.candidates}) > 1
    shown: dict[str, Callable[[Candidate], str]] = {
        "rank": _rank if "intervals" in columns else lambda one: str(one.rank)
    }
    if not placed(result):
        shown["rank"] = lambda one: "-"
    shown["model"] = lambda one: escape(one.model)
    if several:
        shown["init"] = lambda one: escape(one.init or "-")
        shown["seed"] = lambda one: "-" if one.seed is None else str(one.seed)
    shown["exporter"] = lambda one: escape(one.exporter)
    shown["thr"] = lambda one: str(one.threads)
    if "=" in result.by:
        shown["score"] = lambda one: "-" if one.score is None else f"{one.score:.3f}"
    if "memory" in result.by:
        shown["memory MB"] = lambda one: megabytes(one.peak_rss_bytes)
    shown["top-1"] = lambda one: percent(one.top1)
    shown["median ms"] = lambda one: milliseconds(one.median_ms)
    if "intervals" in columns:
        shown["95% interval"] = lambda one: spread(one.median_low_ms, one.median_high_ms)
        shown["p90 ms"] = lambda one: milliseconds(one.p90_ms)
    if "sizes" in columns:
        shown["first ms"] = lambda one: milliseconds(one.first_ms)
    if "sizes" in columns or "size" in result.by:
        shown["MB"] = lambda one: megabytes(one.size_bytes)
    if any(one.energy_mj is not None for one in result.candidates):
        shown["mJ"] = lambda one: milliseconds(one.energy_mj)
    shown[""] = lambda one: _mark(one, "reason" in columns)
    words = ("model", "init", "exporter", "")
    right = [name for name in shown if name not in words]
    table = new_table(*shown, right=right, folded=("model", "exporter"))
    for one in result.candidates:
        table.add_row(*(cell(one) for cell in shown.values()), style=None if one.trusted else "yellow")
    return table


def _mark(one: Candidate, reason: bool) -> str:
    if one.trusted:
        likely = one.pareto_probability
        if one.pareto:
            return "front" if likely is None else f"front {100 * likely:.0f}%"
        return f"front? {100 * likely:.0f}%" if likely is not None and likely >= NEAR_FRONT else ""
    if not reason or not one.reasons:
        return "untrusted"
    more = f" +{len(one.reasons) - 1}" if len(one.reasons) > 1 else ""
    return f"untrusted: {escape(one.reasons[0])}{more}"


def placed(result: Ranking) -> bool:
    """Whether there are places: where nothing is trusted, every one may belong anywhere."""
    return any(one.trusted for one in result.candidates)


def _rank(one: Candidate) -> str:
    return str(one.rank) if one.rank_low == one.rank_high else f"{one.rank} ({one.rank_low}-{one.rank_high})"


def tell_ranking(result: Ranking) -> None:
    """The ranking on stdout; failures and reasons for distrust on stderr."""
    variants = several(result.candidates)
    if result.candidates:
        out = console.out()
        out.print(ranking(result, out.width))
        places = "rank (low-high): places it may hold, 95% for all at once." if placed(result) else NO_PLACES
        print(f"{places} thr: threads.")
        if any(one.energy_mj is not None for one in result.candidates):
            print("mJ: energy of an inference, all that the device's power sensor counts.")
        if "=" in result.by:
            print("score: the weighted product of what was asked for, as a multiple of the best one's.")
        if placed(result):
            print("front: nothing is both faster and more accurate. untrusted: may belong anywhere, so listed last.")
    else:
        console.say(f"nothing was measured in run {result.run}")
    for one in result.candidates:
        if not one.trusted:
            twice = " (measured twice)" if one.attempts > 1 else ""
            console.say(f"not trusted: {who(one, variants)}{twice}: {'; '.join(one.reasons)}")
    for reason in sorted({reason for one in result.candidates for reason in one.reasons} & set(ADVICE)):
        console.say(f"  hint: {reason}: {advice(result.method)[reason]}")
    tell_failures(result.failures)


def who(one: Candidate, several: bool) -> str:
    """With initialisation and seed where there are several."""
    which = [one.init or "-", "seed -" if one.seed is None else f"seed {one.seed}"] if several else []
    return plain(" / ".join([one.model, *which, one.exporter, threads(one.threads)]))


def several(some: Iterable[Candidate | Rejected]) -> bool:
    """Whether initialisations or seeds differ, so that they must be told."""
    return len({(one.init, one.seed) for one in some}) > 1


def tell_failures(failures: Sequence[Failure]) -> None:
    """Failures on stderr, each with what to do."""
    for one in failures:
        label = one.identity.label()
        # An error of training names its cell itself.
        console.say(f"failed: {one.stage}: {label}: {one.error.removeprefix(f'{label}: ')}")
        if one.hint:
            console.say(f"  hint: {one.hint}")


def runs(records: Sequence[Run], failed: Mapping[str, int]) -> Table:
    """Runs, newest last; `failed` cells by run, beside those that never came so far."""
    right = ("cells", "failed", "precision")
    table = new_table("run", "device", "training", "cells", "failed", "precision", "state", right=right)
    for one in records:
        state = "unfinished" if not one.finished else "finished" if one.pair is None else "comparison"
        table.add_row(
            one.run,
            escape(one.device),
            escape(one.training or "-"),
            str(len(one.cells)),
            str(len(one.failures) + failed[one.run]),
            share(one.method.precision),
            state,
        )
    return table


def cluster(one: Cluster) -> str:
    """Cores of one kind in a few words: "4 x Cortex-A76 (cores 0 to 3), up to 2400 MHz"."""
    first, last = one.cores[0], one.cores[-1]
    run = last - first + 1 == len(one.cores) > 1
    cores = f"{first} to {last}" if run else ", ".join(map(str, one.cores))
    clock = "" if one.max_mhz is None else f", up to {one.max_mhz:g} MHz"
    return f"{len(one.cores)} x {one.cpu or 'core'} ({'core' if len(one.cores) == 1 else 'cores'} {cores}){clock}"
