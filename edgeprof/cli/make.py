"""`edgeprof train` and `export`: what can be made without a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.options import AsJson, ExporterNames, TrainingName, Wait, seconds
from edgeprof.errors import EXIT_EXPORT, EXIT_OK

PANEL = "Make without a device"


@app.command(rich_help_panel=PANEL, epilog="Examples: `edgeprof train`, `edgeprof train --training demo --json`")
@console.reported
def train(
    context: typer.Context,
    training: TrainingName = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads for a training that begins now. Default: 1, the same bytes on any machine."),
    ] = None,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Train the models of a recipe; what is trained already is reused, what was interrupted goes on."""
    from edgeprof import pipeline
    from edgeprof.cli import tables

    options: Options = context.obj
    suite = options.suite()
    recipe = suite.training(training or suite.default_training())
    store = options.store()
    with (
        store.lock(f"edgeprof train --training {recipe.name}", seconds(wait, "--wait")),
        console.progress() as progress,
    ):
        trained, failures = pipeline.train(store, recipe, progress, threads)
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "trained": trained, "failures": failures})
    else:
        console.out().print(tables.trained(trained))
        tables.tell_failures(failures)
    return EXIT_EXPORT if failures else EXIT_OK


@app.command(rich_help_panel=PANEL, epilog="Examples: `edgeprof export`, `edgeprof export -e onnx-fp32 --out files/`")
@console.reported
def export(
    context: typer.Context,
    training: TrainingName = None,
    exporter: ExporterNames = None,
    out: Annotated[Path | None, typer.Option(help="Also write the files here, with readable names.")] = None,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Export the checkpoints of a recipe (training what is missing) and check each file against its checkpoint."""
    from edgeprof import pipeline
    from edgeprof.cli import tables

    options: Options = context.obj
    suite = options.suite()
    recipe = suite.training(training or suite.default_training())
    wanted = pipeline.exporters(suite, exporter, None)
    store = options.store()
    with (
        store.lock(f"edgeprof export --training {recipe.name}", seconds(wait, "--wait")),
        console.progress() as progress,
    ):
        trained, failures = pipeline.train(store, recipe, progress)
        artifacts, more = pipeline.export(store, trained, wanted, progress)
        failures = [*failures, *more]
    written = pipeline.write_artifacts(store, artifacts, out) if out else []
    if as_json:
        files = [str(path) for path in written]
        console.print_json(
            {"schema": console.JSON_SCHEMA, "artifacts": artifacts, "failures": failures, "files": files}
        )
    else:
        console.out().print(tables.artifacts(artifacts))
        for path in written:
            print(console.shown_path(path))
        tables.tell_failures(failures)
    return EXIT_EXPORT if failures else EXIT_OK
