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
    Energy,
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
    measuring,
)
from edgeprof.errors import EXIT_DEVICE, EXIT_EXPORT, EXIT_OK, EXIT_UNTRUSTED

if TYPE_CHECKING:
    from edgeprof.api import FleetResult, RunResult
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
    energy: Energy = False,
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
    options: Options = context.obj
    suite = options.api()
    boards = [one.name for one in suite.devices(device or [HERE])]  # a misspelt name is told before anything is made
    how = measuring(
        quick=quick,
        rounds=rounds,
        precision=precision,
        cell_time=cell_time,
        allow_fallback=allow_fallback,
        per_op=per_op,
        energy=energy,
        verify_on_device=verify_on_device,
        accuracy_on_device=accuracy_on_device,
        fresh=fresh,
        wait=wait,
    )
    result: RunResult | FleetResult
    with console.progress() as progress:
        if len(boards) > 1:
            result = suite.fleet(boards).run(training=training, exporters=exporter, progress=progress, **how)
        else:
            result = suite.run(boards[0], training=training, exporters=exporter, progress=progress, **how)
    return tell(result, as_json, strict)


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
    energy: Energy = False,
    verify_on_device: VerifyOnDevice = None,
    accuracy_on_device: AccuracyOnDevice = False,
    allow_fallback: AllowFallback = False,
    strict: Strict = False,
    fresh: Fresh = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Measure ready files (no suite is needed), or what a suite has exported; nothing is trained or exported."""
    options: Options = context.obj
    suite = options.api()
    boards = [one.name for one in suite.devices(device or [HERE])]
    how = measuring(
        quick=quick,
        rounds=rounds,
        precision=precision,
        cell_time=cell_time,
        allow_fallback=allow_fallback,
        per_op=per_op,
        energy=energy,
        verify_on_device=verify_on_device,
        accuracy_on_device=accuracy_on_device,
        fresh=fresh,
        wait=wait,
    )
    binding = None if cores is None else bound(cores)
    result: RunResult | FleetResult
    with console.progress() as progress:
        if len(boards) > 1:
            result = suite.fleet(boards).profile(
                files or None,
                training=training,
                exporters=exporter,
                threads=threads,
                cores=binding,
                shapes=shape or (),
                inputs=inputs,
                progress=progress,
                **how,
            )
        else:
            result = suite.profile(
                files or None,
                boards[0],
                training=training,
                exporters=exporter,
                threads=threads,
                cores=binding,
                shapes=shape or (),
                inputs=inputs,
                progress=progress,
                **how,
            )
    return tell(result, as_json, strict)


def tell(result: RunResult | FleetResult, as_json: bool, strict: bool = False) -> int:
    """Print what a run came to; the exit code is that of the failures when nothing at all could be measured."""
    from edgeprof.api import FleetResult
    from edgeprof.cli import fleet_lines, on_device_lines, tables

    if isinstance(result, FleetResult):
        fleet_lines.tell_fleet(result, as_json)
        return _fleet_code(result.answer, strict)
    ranking, files = result.ranking, result.outcome.files
    if as_json:
        console.print_record(ranking)
    else:
        tables.tell_ranking(ranking)
        on_device_lines.tell_on_device(ranking)
    console.say(f"report: {console.shown_path(files['html'])}")
    console.say(f"data:   {console.shown_path(files['json'])}")
    if ranking.candidates:
        trusted = all(one.trusted for one in ranking.candidates)
        return EXIT_OK if trusted or not strict else EXIT_UNTRUSTED
    return _failed_code(ranking.failures)


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
