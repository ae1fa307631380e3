"""`edgeprof gate`: whether a change made it worse, for a build to pass or fail by."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.decide import PANEL
from edgeprof.cli.options import AsJson, TrainingName, Wait, device_words, seconds
from edgeprof.errors import EXIT_DEVICE, EXIT_OK, EXIT_USAGE, EdgeprofError, RecordError, UsageError

if TYPE_CHECKING:
    from edgeprof.pipeline.gate import GateAsk
    from edgeprof.records.gate import Baseline, GateResult


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof gate --baseline reports/baselines/pi.json --device pi --update` writes the baseline,"
    " `edgeprof gate --baseline reports/baselines/pi.json` holds what is there now against it,"
    " `edgeprof gate new.onnx --baseline b.json --latency p50:5%,p90:10% --junit gate.xml`,"
    " `edgeprof gate --baseline b.json --calibrate`. Exit codes: 0 pass, 1 worse, 5 device or link, 7 cannot tell.",
)
@console.reported
def gate(
    context: typer.Context,
    baseline: Annotated[
        Path, typer.Option("--baseline", "-b", help="The file to hold it against, as --update writes it.")
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Ready files, where the baseline is of ready files.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            metavar="NAME",
            help="A file of devices/. Default: the baseline's.",
            autocompletion=device_words,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Judge this finished run (or `latest`) and measure nothing, but with --again."),
    ] = None,
    training: TrainingName = None,
    latency: Annotated[
        str | None,
        typer.Option(help="Slow-downs that must not pass: p50:5%,p90:10%,p99:10%, or none. Default: p50:5%."),
    ] = None,
    top1: Annotated[
        str | None, typer.Option(help="Drop of top-1, in percentage points: 0.5pp (default), or none.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Growth of the file: 2% (default), or none.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Growth of the process's peak memory: 10% (default), or none.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="What p90 must keep to, absolute: 20ms, 800us, 0.2s.")] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="A fact that may differ from the baseline's: kernel, governor, runtime, ...; may be repeated."
        ),
    ] = None,
    again: Annotated[
        bool | None,
        typer.Option(
            "--again/--no-again",
            help="Whether what is suspected is measured again before it counts. Default: yes, with --run no.",
        ),
    ] = None,
    time: Annotated[str, typer.Option(help="Most time for measuring again, or for --calibrate: 90s, 10m.")] = "10m",
    update: Annotated[bool, typer.Option("--update", help="Write the baseline of what is there now.")] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure the baseline's own files in turn with themselves, and write into the baseline how often the"
            " gate cries wolf on this device and which slow-down it finds.",
        ),
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML there.")] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Append Markdown there. Default: $GITHUB_STEP_SUMMARY where it is set.")
    ] = None,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Whether a change made it worse: pass, fail, or cannot tell, against a baseline that lies in the repository.

    A limit is the worsening that must not pass: with p50:5% a slow-down by 5% fails, and what did not change fails in
    at most one gate of a hundred, over all candidates and limits together. What looks slower is measured again, in turn
    with the baseline's own file where the store has it, before it fails a build.
    """
    from edgeprof.cli import gate_lines
    from edgeprof.pipeline.gate import GateAsk
    from edgeprof.rank import comparable
    from edgeprof.rank.gate_limits import parse_limits

    options: Options = context.obj
    ask = GateAsk(
        limits=parse_limits(latency, top1, size, memory, budget),
        allow=comparable.allowed(allow or []),
        again=run is None if again is None else again,
        limit_s=seconds(time, "--time"),
        wait_s=seconds(wait, "--wait"),
    )
    if run is not None and (files or training):
        raise UsageError("--run judges a run that is there", hint="leave the files and --training out")
    given = Given(baseline, tuple(files or ()), device, run, training, update, calibrate)
    try:
        result = _result(options, given, ask, as_json)
    except EdgeprofError as error:
        if error.exit_code != EXIT_USAGE:  # else there is no gate to tell of
            _publish(_lost(given, ask, error), junit, summary)
        raise
    if result is None:
        return EXIT_OK
    if as_json:
        console.print_record(result)
    else:
        gate_lines.tell(result)
    _publish(result, junit, summary)
    return result.exit_code


@dataclass(frozen=True)
class Given:
    """What the command line names."""

    baseline: Path
    files: tuple[Path, ...]
    device: str | None
    run: str | None
    training: str | None
    update: bool
    calibrate: bool


def _result(options: Options, given: Given, ask: GateAsk, as_json: bool) -> GateResult | None:
    """The gate's answer; None where a baseline was written instead, and told."""
    from edgeprof.pipeline import gate as gates
    from edgeprof.pipeline.gate_calibrate import calibrate

    suite, old = options.suite(), _old(given)
    name = given.device or (old.device if old else "localhost")
    if old is not None and name != old.device:
        raise UsageError(
            f"the baseline is of the device {old.device!r}, not of {name!r}",
            where=str(given.baseline),
            hint="a device has a baseline of its own: name another file",
        )
    board = suite.device(name)
    measures = given.run is None or ask.again or given.calibrate
    store = options.store(read_only=not measures)
    lock = store.lock(f"edgeprof gate --device {name}", ask.wait_s) if measures else contextlib.nullcontext()
    with lock, console.progress() as progress:
        if given.calibrate and not given.update:
            assert old is not None
            calibrated = calibrate(
                store, old, board, ask.limits, limit_s=ask.limit_s, wait_s=ask.wait_s, progress=progress
            )
            _write(given.baseline, calibrated, as_json, new=False)
            return None
        if given.run is not None:
            this = gates.stored_run(store, name, given.run)
            if old is not None:
                gates.check_fits(old, this)
            outcome = gates.assemble(store, this, write=False)
        else:
            outcome = gates.measure_for(
                suite,
                store,
                board,
                old,
                files=given.files,
                training=given.training,
                wait_s=ask.wait_s,
                progress=progress,
            )
        if not given.update:
            assert old is not None
            return gates.gate(store, outcome, board, old, str(given.baseline), ask, progress=progress)
        new = gates.updated(store, outcome, old)
        if given.calibrate:
            new = calibrate(store, new, board, ask.limits, limit_s=ask.limit_s, wait_s=ask.wait_s, progress=progress)
    _write(given.baseline, new, as_json, new=True)
    return None


def _old(given: Given) -> Baseline | None:
    """The baseline that is there; None where a new one is to be written over what is none."""
    from edgeprof.pipeline.baseline import read_baseline

    if not given.update:
        return read_baseline(given.baseline)
    if not given.baseline.exists():
        return None
    try:
        return read_baseline(given.baseline)
    except RecordError as error:
        console.say(f"written anew: {error}")
        return None


def _write(path: Path, baseline: Baseline, as_json: bool, *, new: bool) -> None:
    from edgeprof.cli import gate_lines
    from edgeprof.pipeline.baseline import write_baseline

    write_baseline(path, baseline)
    if as_json:
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "baseline": str(path),
                "run": baseline.run,
                "candidates": len(baseline.candidates),
                "calibration": baseline.calibration,
            }
        )
        return
    print(f"{console.shown_path(path)}: {len(baseline.candidates)} candidates of run {baseline.run}")
    doubtful = [one for one in baseline.candidates if not one.trusted]
    for one in doubtful if new else ():
        console.say(f"not trusted: {one.label}: {'; '.join(one.reasons)}")
    if baseline.calibration is not None:
        gate_lines.tell_calibration(baseline.calibration)
    else:
        console.say(f"  hint: find out what the gate finds on this device: edgeprof gate -b {path} --calibrate")


def _lost(given: Given, ask: GateAsk, error: EdgeprofError) -> GateResult:
    """The answer where the device could not be had, or nothing could be made to measure."""
    from edgeprof.records.gate import GateResult

    where = f"{error.where}: " if error.where else ""
    return GateResult(
        device=given.device or "the device",
        baseline=str(given.baseline),
        run=None,
        verdict="infrastructure" if error.exit_code == EXIT_DEVICE else "cannot tell",
        exit_code=error.exit_code,
        reason=f"{where}{error.what}",
        limits=ask.limits,
    )


def _publish(result: GateResult, junit: Path | None, summary: Path | None) -> None:
    """To the files that were asked for, and to the continuous integration that it runs in."""
    from edgeprof.pipeline import gate as gates

    if junit is not None:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.write_bytes(gates.junit(result))
    there = summary or (Path(os.environ["GITHUB_STEP_SUMMARY"]) if os.environ.get("GITHUB_STEP_SUMMARY") else None)
    if there is not None:
        with there.open("a", encoding="utf-8") as file:
            file.write(gates.summary(result) + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in gates.github(result):
            console.say(line)  # read from stderr as well; stdout may be JSON
