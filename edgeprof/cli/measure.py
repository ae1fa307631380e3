"""`edgeprof run` and `profile`: the measurement itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.options import (
    AccuracyOnDevice,
    AllowFallback,
    AsJson,
    CellTime,
    Cores,
    DeviceNames,
    ExporterNames,
    Fresh,
    PerOp,
    Precision,
    Quick,
    Rounds,
    Strict,
    TrainingName,
    VerifyOnDevice,
    Wait,
    bound,
    method,
    seconds,
    test_images,
)
from edgeprof.errors import EXIT_DEVICE, EXIT_EXPORT, EXIT_OK, EXIT_UNTRUSTED, UsageError

if TYPE_CHECKING:
    from edgeprof.pipeline import Outcome
    from edgeprof.pipeline.fleet import FleetOutcome
    from edgeprof.records import Failure
    from edgeprof.records.derived import Fleet

PANEL = "Measure on a device"
HERE = "localhost"


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof run --device localhost`, `edgeprof run -d localhost -e onnx-fp32 --quick --json`,"
    " `edgeprof run --device pi --device jetson`, `edgeprof run --device tag:arm64`",
)
@console.reported
def run(
    context: typer.Context,
    device: DeviceNames = None,
    training: TrainingName = None,
    exporter: ExporterNames = None,
    precision: Precision = None,
    cell_time: CellTime = None,
    rounds: Rounds = None,
    quick: Quick = False,
    per_op: PerOp = False,
    verify_on_device: VerifyOnDevice = None,
    accuracy_on_device: AccuracyOnDevice = False,
    allow_fallback: AllowFallback = False,
    strict: Strict = False,
    fresh: Fresh = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """The main job: train, export, profile on the device, and rank. Takes up an unfinished run of the same plan.

    Several devices are measured at once and shown side by side. One that cannot be reached, or is lost, is told and
    does not stop the others: the exit code is 0 as soon as one of them has a ranking, with --strict 5 if one has none.
    """
    from edgeprof import pipeline
    from edgeprof.pipeline import fleet

    options: Options = context.obj
    suite = options.suite()
    names = device or [HERE]
    boards = suite.devices(names)  # a misspelt name is told before anything is made
    how = method(quick=quick, rounds=rounds, precision=precision, cell_time=cell_time, allow_fallback=allow_fallback)
    wait_s = seconds(wait, "--wait")
    on_device = test_images(verify_on_device, accuracy_on_device)
    ask = pipeline.Ask(method=how, per_op=per_op, test_images=on_device, fresh=fresh, wait_s=wait_s)
    store = options.store()
    outcome: Outcome | FleetOutcome
    with store.lock(_what("run", names), wait_s), console.progress() as progress:
        if len(boards) > 1:
            outcome = fleet.run(suite, store, boards, training=training, asked=exporter, ask=ask, progress=progress)
        else:
            outcome = pipeline.run(
                suite, store, training=training, device=boards[0].name, asked=exporter, ask=ask, progress=progress
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
    device: DeviceNames = None,
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
    verify_on_device: VerifyOnDevice = None,
    accuracy_on_device: AccuracyOnDevice = False,
    allow_fallback: AllowFallback = False,
    strict: Strict = False,
    fresh: Fresh = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Measure ready files (no suite is needed), or what a suite has exported; nothing is trained or exported."""
    import msgspec

    from edgeprof import pipeline
    from edgeprof.pipeline import fleet

    options: Options = context.obj
    suite = options.suite()
    names = device or [HERE]
    boards = suite.devices(names)
    if threads:
        boards = [msgspec.structs.replace(board, threads=tuple(threads)) for board in boards]
    if cores is not None:
        boards = [msgspec.structs.replace(board, cores=bound(cores)) for board in boards]
    if files and (training or exporter):
        raise UsageError("--training and --exporter choose among what is exported; leave them out beside files")
    if (shape or inputs) and not files:
        raise UsageError("--shape and --inputs are for files that are named on the command line")
    if files and (verify_on_device or accuracy_on_device):
        raise UsageError(
            "--verify-on-device and --accuracy-on-device run the test images of a training; ready files have none",
            hint="leave the files out to profile what is exported, or compare their outputs with --inputs",
        )
    if shape and inputs:
        raise UsageError("--inputs gives the shapes as well", hint="leave --shape out")
    how = method(quick=quick, rounds=rounds, precision=precision, cell_time=cell_time, allow_fallback=allow_fallback)
    wait_s = seconds(wait, "--wait")
    on_device = test_images(verify_on_device, accuracy_on_device)
    ask = pipeline.Ask(method=how, per_op=per_op, test_images=on_device, fresh=fresh, wait_s=wait_s)
    store = options.store()
    outcome: Outcome | FleetOutcome
    with store.lock(_what("profile", names), wait_s), console.progress() as progress:
        if files and len(boards) > 1:
            outcome = fleet.profile_files(
                store, files, boards, shapes=shape or [], inputs=inputs, ask=ask, progress=progress
            )
        elif files:
            outcome = pipeline.profile_files(
                store, files, boards[0], shapes=shape or [], inputs=inputs, ask=ask, progress=progress
            )
        elif len(boards) > 1:
            outcome = fleet.profile_exported(suite, store, training, boards, asked=exporter, ask=ask, progress=progress)
        else:
            outcome = pipeline.profile_exported(
                suite, store, training, boards[0], asked=exporter, ask=ask, progress=progress
            )
    return tell(outcome, as_json, strict)


def tell(outcome: Outcome | FleetOutcome, as_json: bool, strict: bool = False) -> int:
    """Print what a run came to; the exit code is that of the failures when nothing at all could be measured."""
    from edgeprof.cli import fleet_lines, on_device_lines, tables
    from edgeprof.pipeline import Outcome

    if not isinstance(outcome, Outcome):
        fleet_lines.tell_fleet(outcome, as_json)
        return _fleet_code(outcome.answer, strict)
    if as_json:
        console.print_record(outcome.ranking)
    else:
        tables.tell_ranking(outcome.ranking)
        on_device_lines.tell_on_device(outcome.ranking)
    console.say(f"report: {console.shown_path(outcome.files['html'])}")
    console.say(f"data:   {console.shown_path(outcome.files['json'])}")
    if outcome.ranking.candidates:
        trusted = all(one.trusted for one in outcome.ranking.candidates)
        return EXIT_OK if trusted or not strict else EXIT_UNTRUSTED
    return _failed_code(outcome.ranking.failures)


def _fleet_code(answer: Fleet, strict: bool) -> int:
    """As of one device: a device without a ranking is a result beside others, and with --strict an error."""
    ranked = [one for one in answer.rankings if one.candidates]
    if not ranked:
        return _failed_code([*answer.failures, *(failure for one in answer.rankings for failure in one.failures)])
    if strict and len(ranked) < len(answer.rankings) + len(answer.failures):
        return EXIT_DEVICE
    trusted = all(candidate.trusted for one in ranked for candidate in one.candidates)
    return EXIT_OK if trusted or not strict else EXIT_UNTRUSTED


def _failed_code(failures: Sequence[Failure]) -> int:
    return EXIT_DEVICE if {failure.stage for failure in failures} <= {"profile", "connect"} else EXIT_EXPORT


def _what(command: str, names: Sequence[str]) -> str:
    """For whoever finds the store in use."""
    return " ".join([f"edgeprof {command}", *(f"--device {name}" for name in names)])
