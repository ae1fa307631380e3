"""`edgeprof compare RUN RUN`: what changed between two runs, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from edgeprof.cli import console, tables
from edgeprof.cli.options import share
from edgeprof.errors import EXIT_OK, EXIT_UNTRUSTED, EdgeprofError, UsageError, nearest
from edgeprof.records import Interval
from edgeprof.records.compared import CandidateChange, Difference, Moved, RunsCompared

if TYPE_CHECKING:
    from rich.table import Table

    from edgeprof.api import Suite
    from edgeprof.cli.app import Options
    from edgeprof.records import Run

OF_FILES = ("threads", "cores", "time", "shape", "inputs", "wait")
"""Options of `compare` that mean something for files alone."""
ROUND_MS = (
    "round ms: the geometric mean of the medians of a run's rounds, which the change is of. The median of all samples"
    " is in edgeprof rank."
)


def run_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """For completion on the command line: the newest runs of the store."""
    from edgeprof.api import Suite
    from edgeprof.api.finding import LATEST, PREVIOUS
    from edgeprof.records import Run

    given = ctx.find_root().params
    try:
        runs = Suite(given.get("suite"), work=given.get("work")).records(Run)
    except (EdgeprofError, OSError):
        return []
    words = [LATEST, PREVIOUS, *(one.run for one in reversed(runs) if one.finished and not one.pair)]
    return [word for word in words[:40] if word.startswith(incomplete)]


def allow_words(incomplete: str) -> list[str]:
    """For completion on the command line: in what runs may differ."""
    from edgeprof.rank.comparable import names

    return [name for name in names() if name.startswith(incomplete)]


def asked(suite: Suite, words: Sequence[str]) -> bool:
    """Whether runs are compared and not files.

    Both words must name runs. Where both are files as well, files they are: these need no name of the store, so no file
    can be shut out by a run.

    Raises:
        UsageError: one is neither a run nor a file.
    """
    from edgeprof.api.finding import LATEST, PREVIOUS

    if len(words) != 2 or all(Path(word).is_file() for word in words):
        return False
    plain = [word for word in words if not _looks_like_a_path(word)]
    runs = _stored(suite) if plain else None
    if runs is None:
        for word in plain:
            if word not in (LATEST, PREVIOUS) and not Path(word).exists():
                raise UsageError(
                    f"there is neither a run nor a file {word!r}", hint="no run was measured here: edgeprof run"
                )
        return any(word in (LATEST, PREVIOUS) and not Path(word).exists() for word in words)
    known = {LATEST, PREVIOUS, *(one.run for one in runs)}
    if all(word in known for word in words):
        return True
    finished = [one.run for one in reversed(suite.finished_runs())]
    near = [LATEST, PREVIOUS, *finished] if finished else []
    for word, other in (words, tuple(reversed(words))):
        if word in known and not Path(word).is_file():
            what = f"{word} is a run, and {other!r} is none"
            raise UsageError(
                what if Path(other).exists() else f"{what}, nor is there such a file", hint=_hint(other, near)
            )
    for word in plain:
        if not (Path(word).exists() or word in known or _is_exported(suite, word)):
            raise UsageError(f"there is neither a run nor a file {word!r}", hint=_hint(word, near))
    return False


def _hint(word: str, near: Sequence[str]) -> str:
    """The runs that may have been meant, and where all are."""
    return "; ".join(part for part in (nearest(word, near), "all runs: edgeprof show runs") if part)


def _looks_like_a_path(word: str) -> bool:
    return "/" in word or Path(word).suffix in (".onnx", ".xml", ".tflite")


def _is_exported(suite: Suite, word: str) -> bool:
    """Whether it is the beginning of an exported file's sha256."""
    from edgeprof.records import Artifact

    return len(word) >= 6 and any(one.artifact_sha.startswith(word.lower()) for one in suite.records(Artifact))


def _stored(suite: Suite) -> tuple[Run, ...] | None:
    """None where nothing was ever measured."""
    from edgeprof.records import Run

    try:
        return suite.records(Run)
    except UsageError:
        return None


def run(
    context: typer.Context,
    words: Sequence[str],
    devices: Sequence[str],
    zone: str,
    allow: Sequence[str],
    strict: bool,
    as_json: bool,
) -> int:
    """Compare two runs of the store."""
    for name in OF_FILES:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"--{name} is for files; two runs are compared as they were measured")
    if len(devices) > 1:
        raise UsageError("two runs are of the devices that they are of", hint="--device once says whose `latest`")
    options: Options = context.obj
    found = options.api().compare_runs(
        words[0], words[1], device=devices[0] if devices else None, zone=share(zone, "--zone"), allow=allow
    )
    if as_json:
        console.print_record(found)
    else:
        tell(found)
    doubtful = any(each.verdict == "cannot tell" for each in found.changes)
    return EXIT_UNTRUSTED if strict and doubtful else EXIT_OK


def tell(found: RunsCompared) -> None:
    """The changes on stdout; why something cannot be told, and what differs, on stderr."""
    out = console.out()
    print(f"from run {found.one} ({found.one_started_at}) to run {found.other} ({found.other_started_at})")
    out.print(table(found, out.width))
    for line in (ROUND_MS, *sentences(found)):
        print(textwrap.fill("".join(char if char.isprintable() else "\ufffd" for char in line), max(40, out.width)))
    for one in found.differences:
        console.say(difference(one))
    for change in found.changes:
        name = change.identity.label()
        if change.why:
            console.say(f"cannot tell: {name}: {change.why}")
        for note in change.notes:
            console.say(f"differs: {name}: {note}")
    for name, run_, some in (("only in", found.one, found.only_one), ("only in", found.other, found.only_other)):
        for each in some:
            console.say(f"{name} {run_}: {each.label()}")


def table(found: RunsCompared, width: int) -> Table:
    """A row for each candidate in both runs; without p90 and memory where the terminal is narrow."""
    wide = width >= 120
    several = len({(one.identity.init, one.identity.seed) for one in found.changes}) > 1
    numbers = ["round ms", "change", "95% interval", *(["p90", "memory"] if wide else []), "top-1", "size"]
    names = ["model", *(["init", "seed"] if several else []), "exporter", "thr"]
    made = tables.new_table(*names, *numbers, "", right=("thr", *numbers), folded=("model", "exporter"))
    for one in found.changes:
        its = one.identity
        variant = [plain(its.init or "-"), "-" if its.seed is None else str(its.seed)] if several else []
        median = f"{tables.milliseconds(one.median_ms.one)} > {tables.milliseconds(one.median_ms.other)}"
        more = [percent_more(one.p90_ms.ratio.value), _memory(one.memory_bytes)] if wide else []
        made.add_row(
            plain(its.model),
            *variant,
            plain(its.exporter or "-"),
            str(its.threads),
            median,
            percent_more(one.median_ms.ratio.value),
            span(one.median_ms.ratio),
            *more,
            _top1(one),
            percent_more(one.other_size_bytes / one.one_size_bytes) if one.one_size_bytes else "-",
            one.verdict,
            style={"slower": "red", "faster": "green", "cannot tell": "yellow"}.get(one.verdict),
        )
    return made


def sentences(found: RunsCompared) -> list[str]:
    """What the numbers mean."""
    counts = [sum(one.verdict == name for one in found.changes) for name in ("faster", "slower", "same", "cannot tell")]
    said = [
        f"{counts[0]} faster, {counts[1]} slower, {counts[2]} the same within {tables.share(found.zone)},"
        f" {counts[3]} cannot be told."
    ]
    runs = [one.median_ms.runs for one in found.changes]
    short = sum(not number for number in runs)
    if short:
        of = "The intervals are" if short == len(runs) else f"{short} of the intervals are"
        said.append(
            f"{of} over the rounds of these two runs alone: what moves between runs (another boot, warmth, neighbours)"
            " is not in them. Three comparable runs of the same file beside the second would tell it; to be sure now,"
            " measure two files in turn: edgeprof compare OLD NEW."
        )
    if short < len(runs):
        said.append(f"Where {max(runs)} runs of the same files tell how far runs spread, that is in the interval.")
    if found.canary is not None:
        said.append(_device(found.canary))
    top1 = [one for one in found.changes if one.top1_verdict in ("better", "worse")]
    if top1:
        said.append(
            "top-1 changed beyond chance: "
            + "; ".join(f"{one.identity.label()} {one.top1_verdict} by {_points(one)}" for one in top1)
        )
    return said


def _device(canary: Interval) -> str:
    """What the device itself changed by."""
    moved = f"took {percent_more(canary.value)} time ({span(canary)})"
    sure = canary.low is not None and canary.high is not None and not canary.low <= 1 <= canary.high
    more = ": the device itself changed its speed" if sure else ": no sign that the device itself changed its speed"
    return f"The fixed workload beside each block {moved}{more}."


def difference(one: Difference) -> str:
    """A line of what differs."""
    how = "allowed" if one.allowed else "not comparable" if one.spoils else "also differs"
    return f"{how}: {one.name}: {one.one}, then {one.other}"


def plain(text: str) -> str:
    """A name for a table: nothing in it steers the terminal, or is markup."""
    return escape("".join(char if char.isprintable() else "\ufffd" for char in text))


def percent_more(ratio: float) -> str:
    """A ratio as a change in percent, with its sign."""
    shown = f"{100 * (ratio - 1):+.1f}%"
    return "0%" if shown in ("+0.0%", "-0.0%") else shown


def span(one: Interval) -> str:
    """The interval of a ratio as changes in percent."""
    return "-" if one.low is None or one.high is None else f"{percent_more(one.low)}..{percent_more(one.high)}"


def _memory(one: Moved | None) -> str:
    return "-" if one is None else percent_more(one.ratio.value)


def _top1(one: CandidateChange) -> str:
    if one.same_file:
        return "same file" if one.one_top1 is not None else "-"
    return "-" if one.top1 is None else _points(one)


def _points(one: CandidateChange) -> str:
    assert one.top1 is not None
    return f"{100 * one.top1.difference.value:+.2f} pp"
