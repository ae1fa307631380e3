"""`edgeprof report`: the files that people and programs read, of one run or of several devices side by side."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.decide import PANEL, find
from edgeprof.cli.options import AsJson, RunName
from edgeprof.errors import UsageError

if TYPE_CHECKING:
    from edgeprof.store import Store

ALL = "all"


class PlotKind(StrEnum):
    """What plots can be written as."""

    svg = "svg"
    png = "png"


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof report`, `edgeprof report --device localhost --plots figures --plot-format png`,"
    " `edgeprof report --device pi --device jetson`, `edgeprof report --device all`",
)
@console.reported
def report(
    context: typer.Context,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            "-d",
            help="Only runs on this device. Several, or `all` that have a run: the newest run of each, side by side in"
            " one report. Default: the newest run on any.",
        ),
    ] = None,
    run: RunName = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write the drawings as files into this folder, for papers and slides."),
    ] = None,
    plot_format: Annotated[PlotKind, typer.Option(help="Of --plots.")] = PlotKind.svg,
    as_json: AsJson = False,
) -> None:
    """Write a report anew from the raw samples: HTML, JSON, CSV, Parquet and Markdown; of one run or side by side."""
    from edgeprof import pipeline
    from edgeprof.pipeline.side_by_side import side_by_side, write_plots

    options: Options = context.obj
    store = options.store()
    names = _devices(options, store, device)
    several = names is not None and (len(names) > 1 or device != names)
    if run is not None and several:
        raise UsageError("--run names one run, and there are several devices", hint="leave one of them out")
    runs = [find(options, store, name, run) for name in names or []] or [find(options, store, None, run)]
    if several:
        files = side_by_side(store, runs).files
        outcomes = [pipeline.assemble(store, one, write=False) for one in runs] if plots else []
    else:
        outcomes = [pipeline.assemble(store, one) for one in runs]
        files = outcomes[0].files
    drawn = write_plots(outcomes, plots, plot_format.value) if plots else []
    if "parquet" not in files:
        console.say("no ranking.parquet: pyarrow is not installed")
        console.say('  hint: pip install "edgeprof[frames]"')
    if as_json:
        written = {name: str(path) for name, path in files.items()}
        told = {"schema": console.JSON_SCHEMA, "run": runs[0].run, "runs": [one.run for one in runs]}
        console.print_json({**told, "files": written, "plots": [str(path) for path in drawn]})
    else:
        for path in [*files.values(), *drawn]:
            print(console.shown_path(path))


def _devices(options: Options, store: Store, given: list[str] | None) -> list[str] | None:
    """By name; None: any. `all` are those that have a run; other words for several are resolved by the suite."""
    from edgeprof.pipeline.side_by_side import measured_devices

    if not given:
        return None
    if ALL in given:
        found = measured_devices(store)
        if not found:
            raise UsageError(
                "there is no finished run with a measurement on any device", hint="make one: edgeprof run --device NAME"
            )
        return found
    if any(":" in one for one in given):
        return [one.name for one in options.suite().devices(given)]
    return list(dict.fromkeys(given))
