"""`edgeprof export`: what can be made without a device; see also `training`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli import explain as explaining
from edgeprof.cli.app import Options, app
from edgeprof.cli.options import AsJson, ExporterNames, TrainingName, Wait, seconds
from edgeprof.errors import EXIT_EXPORT, EXIT_OK

PANEL = "Make without a device"


@app.command(rich_help_panel=PANEL, epilog="Examples: `edgeprof export`, `edgeprof export -e onnx-fp32 --out files/`")
@console.reported
def export(
    context: typer.Context,
    file: explaining.File = None,
    training: TrainingName = None,
    exporter: ExporterNames = None,
    out: Annotated[Path | None, typer.Option(help="Also write the files here, with readable names.")] = None,
    explain: explaining.Explain = False,
    model: explaining.Model = None,
    init: explaining.Init = None,
    seed: explaining.Seed = None,
    expect: explaining.Expect = None,
    seen: explaining.Seen = None,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Export the checkpoints of a recipe (training what is missing) and check each file against its checkpoint."""
    from edgeprof.cli import tables

    options: Options = context.obj
    explaining.check(file, explain, (model, init, seed, expect, seen))
    wait_s = seconds(wait, "--wait")
    if file is not None:
        return explaining.explain_file(options, file, training, model, init, seed, expect, seen, wait_s, as_json)
    with console.progress() as progress:
        made = options.api().export(training, exporters=exporter, out=out, wait_s=wait_s, progress=progress)
    artifacts, failures, written = made.artifacts, made.failed, made.files
    if explain:
        return explaining.explain_exported(options, made, wait_s, as_json)
    if as_json:
        files = [str(path) for path in written]
        console.print_json(
            {"schema": console.JSON_SCHEMA, "artifacts": artifacts, "failures": failures, "files": files}
        )
    else:
        if artifacts:
            console.out().print(tables.artifacts(artifacts))
        for path in written:
            print(console.shown_path(path))
        tables.tell_failures(failures)
    return EXIT_EXPORT if failures else EXIT_OK
