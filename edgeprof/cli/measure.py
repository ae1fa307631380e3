"""`edgeprof run` and `profile`: the measurement itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.options import (
    AllowFallback,
    AsJson,
    CellTime,
    Cores,
    DeviceName,
    ExporterNames,
    Fresh,
    PerOp,
    Precision,
    Quick,
    Rounds,
    Strict,
    TrainingName,
    Wait,
    bound,
    method,
    seconds,
)
from edgeprof.errors import EXIT_DEVICE, EXIT_EXPORT, EXIT_OK, EXIT_UNTRUSTED, UsageError

if TYPE_CHECKING:
    from edgeprof.pipeline import Outcome

PANEL = "Measure on a device"


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof run --device localhost`, `edgeprof run -d localhost -e onnx-fp32 --quick --json`",
)
@console.reported
def run(
    context: typer.Context,
    device: DeviceName = "localhost",
    training: TrainingName = None,
    exporter: ExporterNames = None,
    precision: Precision = None,
    cell_time: CellTime = None,
    rounds: Rounds = None,
    quick: Quick = False,
    per_op: PerOp = False,
    allow_fallback: AllowFallback = False,
    strict: Strict = False,
    fresh: Fresh = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """The main job: train, export, profile on the device, and rank. Takes up an unfinished run of the same plan."""
    from edgeprof import pipeline

    options: Options = context.obj
    suite = options.suite()
    suite.device(device)  # a misspelt name is told before anything is made
    how = method(quick=quick, rounds=rounds, precision=precision, cell_time=cell_time, allow_fallback=allow_fallback)
    store = options.store()
    with store.lock(f"edgeprof run --device {device}", seconds(wait, "--wait")), console.progress() as progress:
        outcome = pipeline.run(
            suite,
            store,
            training=training,
            device=device,
            asked=exporter,
            method=how,
            per_op=per_op,
            fresh=fresh,
            progress=progress,
        )
    return tell(outcome, as_json, strict)


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof profile model.onnx`, `edgeprof profile a.tflite b.xml --threads 2 --json`,"
    " `edgeprof profile any.onnx --shape x=1x3x224x224`, `edgeprof profile any.onnx --inputs real.npz`",
)
@console.reported
def profile(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help=".onnx, .xml (with its .bin) or .tflite. Default: what is exported for the training."),
    ] = None,
    device: DeviceName = "localhost",
    training: TrainingName = None,
    exporter: ExporterNames = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Threads; may be repeated. Default: the device file's.")
    ] = None,
    cores: Cores = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Fix an input whose dimensions are open: name=1x3x224x224; may be repeated."),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(help="An .npz with an array for every input, or several stacked to rotate. Default: made up."),
    ] = None,
    precision: Precision = None,
    cell_time: CellTime = None,
    rounds: Rounds = None,
    quick: Quick = False,
    per_op: PerOp = False,
    allow_fallback: AllowFallback = False,
    strict: Strict = False,
    fresh: Fresh = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Measure ready files (no suite is needed), or what a suite has exported; nothing is trained or exported."""
    import msgspec

    from edgeprof import pipeline

    options: Options = context.obj
    suite = options.suite()
    board = suite.device(device)
    if threads:
        board = msgspec.structs.replace(board, threads=tuple(threads))
    if cores is not None:
        board = msgspec.structs.replace(board, cores=bound(cores))
    if files and (training or exporter):
        raise UsageError("--training and --exporter choose among what is exported; leave them out beside files")
    if (shape or inputs) and not files:
        raise UsageError("--shape and --inputs are for files that are named on the command line")
    if shape and inputs:
        raise UsageError("--inputs gives the shapes as well", hint="leave --shape out")
    how = method(quick=quick, rounds=rounds, precision=precision, cell_time=cell_time, allow_fallback=allow_fallback)
    store = options.store()
    with store.lock(f"edgeprof profile --device {device}", seconds(wait, "--wait")), console.progress() as progress:
        if files:
            outcome = pipeline.profile_files(
                store,
                files,
                board,
                shapes=shape or [],
                inputs=inputs,
                method=how,
                per_op=per_op,
                fresh=fresh,
                progress=progress,
            )
        else:
            outcome = pipeline.profile_exported(
                suite, store, training, board, asked=exporter, method=how, per_op=per_op, fresh=fresh, progress=progress
            )
    return tell(outcome, as_json, strict)


def tell(outcome: Outcome, as_json: bool, strict: bool = False) -> int:
    """Print what a run came to; the exit code is that of the failures when nothing at all could be measured."""
    from edgeprof.cli import tables

    if as_json:
        console.print_record(outcome.ranking)
    else:
        tables.tell_ranking(outcome.ranking)
    console.say(f"report: {console.shown_path(outcome.files['html'])}")
    console.say(f"data:   {console.shown_path(outcome.files['json'])}")
    if outcome.ranking.candidates:
        trusted = all(one.trusted for one in outcome.ranking.candidates)
        return EXIT_OK if trusted or not strict else EXIT_UNTRUSTED
    stages = {failure.stage for failure in outcome.ranking.failures}
    return EXIT_DEVICE if stages <= {"profile"} else EXIT_EXPORT
