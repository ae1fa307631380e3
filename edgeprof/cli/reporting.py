"""`edgeprof report`: the files that people and programs read, of one run or of several devices side by side."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.decide import PANEL
from edgeprof.cli.options import AsJson, RunName, device_words


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
            autocompletion=device_words,
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
    options: Options = context.obj
    made = options.api().report(device, run=run, plots=plots, plot_format=plot_format.value)
    files, drawn = made.files, made.plots
    if "parquet" not in files:
        console.say("no ranking.parquet: pyarrow is not installed")
        console.say('  hint: pip install "edgeprof[frames]"')
    if as_json:
        written = {name: str(path) for name, path in files.items()}
        told = {"schema": console.JSON_SCHEMA, "run": made.runs[0], "runs": made.runs}
        console.print_json({**told, "files": written, "plots": [str(path) for path in drawn]})
    else:
        for path in [*files.values(), *drawn]:
            print(console.shown_path(path))
