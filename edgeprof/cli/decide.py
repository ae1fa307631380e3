"""`edgeprof rank` and `show`: from what was measured to a decision. Nothing here measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.completing import device_names, exporter_words, run_names, training_words
from edgeprof.cli.options import AsJson, RunName, model_words
from edgeprof.errors import EXIT_OK, EXIT_RECORD, UsageError, nearest

if TYPE_CHECKING:
    from rich.table import Table

    from edgeprof.api import Suite

R = TypeVar("R")
PANEL = "Decide, from what was measured"

OptionalDevice = Annotated[
    str | None,
    typer.Option("--device", "-d", help="Only runs on this device. Default: any.", autocompletion=device_names),
]


def _orders() -> list[str]:
    """For completion on the command line."""
    from edgeprof.rank import ORDERS

    return list(ORDERS)


LATEST = "latest"


class Shown(StrEnum):
    """The lists and findings that `edgeprof show` has; everything else is a run."""

    runs = "runs"
    trained = "trained"
    artifacts = "artifacts"
    accuracy = "accuracy"
    effect = "effect"
    history = "history"
    proxies = "proxies"


@app.command(
    rich_help_panel=PANEL, epilog="Examples: `edgeprof rank`, `edgeprof rank --device localhost --by top1 --json`"
)
@console.reported
def rank(
    context: typer.Context,
    device: OptionalDevice = None,
    run: RunName = None,
    by: Annotated[
        str,
        typer.Option(
            help="What to order by: `latency`, `top1`, `size`, `memory`, `energy`, or a score of several with their"
            " weights: `latency=2,top1=1`.",
            autocompletion=_orders,
        ),
    ] = "latency",
    as_json: AsJson = False,
) -> None:
    """The ranking of a run, recomputed from its raw samples."""
    from edgeprof.cli import on_device_lines, tables, which_run

    options: Options = context.obj
    suite = options.api()
    found = suite.latest(device, by=by) if run is None else suite.load_run(run, device=device, by=by)
    if as_json:
        console.print_record(found.ranking)
    else:
        which_run.tell(suite, found.outcome.run, named=run is not None, accuracy="top1" in by)
        tables.tell_ranking(found.ranking)
        on_device_lines.tell_on_device(found.ranking)


def _shown_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """For completion on the command line: lists, and runs as soon as one is begun."""
    words = [word for word in (*Shown, LATEST) if word.startswith(incomplete)]
    return words or run_names(ctx, incomplete)


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof show runs`, `edgeprof show artifacts --json`, `edgeprof show latest`,"
    " `edgeprof show latest --recompute`, `edgeprof show accuracy`, `edgeprof show effect --budget 5ms`,"
    " `edgeprof show history --device pi --model resnet18`, `edgeprof show proxies --device pi --device localhost`",
)
@console.reported
def show(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="`runs`, `trained` or `artifacts`: all of them. `latest` or a run's name: that run in short."
            " `accuracy`: how right checkpoints and files are, with intervals and the drop of each file. `effect`: what"
            " the initialisation brings. `history`: a model over all runs of a device. `proxies`: how far MACs,"
            " parameters, size, the host or another board tell the order by latency.",
            autocompletion=_shown_words,
        ),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A B]",
            help="With `accuracy`, two to compare on the same images: the beginning of a sha256, or parts of a label,"
            " as in `resnet18/scratch/seed 0`.",
        ),
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(
            "--training", "-t", help="With `accuracy` or `effect`: of this training.", autocompletion=training_words
        ),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            "-d",
            help="With `effect`: with the latencies of the newest run there. With `history`: its runs. With `proxies`:"
            " may be repeated; default: all with a run.",
            autocompletion=device_names,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="With `effect` or `proxies`: of this run.", autocompletion=run_names),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="With `history`: which.", autocompletion=model_words)
    ] = None,
    exporter: Annotated[
        str | None,
        typer.Option(
            "--exporter",
            "-e",
            help="With `history`: in this form alone. Default: in all.",
            autocompletion=exporter_words,
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="With `effect`: what is chosen for this latency (5ms, 0.2s) under each.")
    ] = None,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute",
            help="Compute the run's report anew from the raw samples and compare it with the written one, byte for"
            " byte; exit 6 where it differs.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """What the store holds: runs, checkpoints, exported files, their accuracy; or one run in short."""
    from edgeprof.cli import findings, run_lines, tables
    from edgeprof.records import Artifact, Run, Trained

    options: Options = context.obj
    if recompute and what in list(Shown):
        raise UsageError(f"--recompute is for a run, not for {what}", hint="edgeprof show latest --recompute")
    findings.check(
        what,
        names or [],
        devices=device or [],
        training=training,
        run=run,
        budget=budget,
        model=model,
        exporter=exporter,
    )
    suite = options.api()
    if what == Shown.runs:
        _show(what, suite.records(Run), lambda some: tables.runs(some, suite.failure_counts()), as_json)
    elif what == Shown.trained:
        _show(what, suite.records(Trained), tables.trained, as_json)
    elif what == Shown.artifacts:
        _show(what, suite.records(Artifact), tables.artifacts, as_json)
    elif what == Shown.accuracy:
        findings.accuracy(suite, names or [], training, as_json)
    elif what == Shown.effect:
        findings.effect(suite, training, device[0] if device else None, run, budget, as_json)
    elif what == Shown.history:
        findings.history(suite, device or [], model, exporter, as_json)
    elif what == Shown.proxies:
        findings.proxies(suite, device or [], run, as_json)
    elif recompute:
        return _recompute(suite, _named(suite, what), as_json)
    else:
        found = suite.load_run(_named(suite, what))
        if as_json:
            console.print_record(found.ranking)
        else:
            run_lines.tell_run(found.outcome.run, found.ranking)
    return EXIT_OK


def _named(suite: Suite, what: str) -> str:
    """The run of that name, or the newest one that measured something."""
    from edgeprof.records import Run

    if what == LATEST:
        return suite.find_run().run
    runs = [one.run for one in suite.records(Run)]
    if what not in runs:
        known = [*Shown, LATEST, *reversed(runs)]
        raise UsageError(f"there is no run and no list {what!r}", hint=nearest(what, known))
    return what


def _recompute(suite: Suite, run: str, as_json: bool) -> int:
    """Tell of each file of the report whether it is what the raw samples give."""
    found = suite.recompute(run)
    same = all(one.identical for one in found)
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "run": run, "identical": same, "files": found})
    else:
        for one in found:
            said = "identical" if one.identical else f"differs at {one.difference}"
            print(f"{console.shown_path(Path(one.file))}: {said}")
    if not same:
        console.say("the report is not what the samples give: one of them was changed, or another edgeprof wrote it")
        console.say(f"  hint: write it anew: edgeprof report --run {run}")
        if any(not one.identical and run not in Path(one.file).parts for one in found):
            console.say("  hint: that of several devices: edgeprof report --device A --device B, or remove its folder")
    return EXIT_OK if same else EXIT_RECORD


def _show(what: str, records: Sequence[R], table: Callable[[Sequence[R]], Table], as_json: bool) -> None:
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, str(what): records})
    else:
        console.out().print(table(records))
