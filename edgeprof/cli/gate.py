"""`edgeprof gate`: whether a change made it worse, for a build to pass or fail by."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.completing import run_names
from edgeprof.cli.decide import PANEL
from edgeprof.cli.options import AsJson, TrainingName, Wait, device_words, seconds
from edgeprof.errors import EXIT_DEVICE, EXIT_OK, EXIT_USAGE, EdgeprofError

if TYPE_CHECKING:
    from edgeprof.api import Gated
    from edgeprof.api.asking import Gating
    from edgeprof.records.gate import Baseline, GateLimits, GateResult


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
        typer.Option(
            "--run",
            help="Judge this finished run (or `latest`) and measure nothing, but with --again.",
            autocompletion=run_names,
        ),
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
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Measure first, then write the baseline of what is there now; with --run, of that run."
        ),
    ] = False,
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
    from edgeprof.api.gated import Gated
    from edgeprof.cli import gate_lines
    from edgeprof.rank.gate_limits import parse_limits

    options: Options = context.obj
    limits: Gating = {"latency": latency, "top1": top1, "size": size, "memory": memory, "budget": budget}
    parsed, limit_s, wait_s = parse_limits(**limits), seconds(time, "--time"), seconds(wait, "--wait")
    suite = options.api()
    try:
        with console.progress() as progress:
            if update:
                new = suite.update_baseline(
                    baseline,
                    run,
                    device=device,
                    files=files or (),
                    training=training,
                    calibrate=calibrate,
                    limit_s=limit_s,
                    wait_s=wait_s,
                    progress=progress,
                    **limits,
                )
            elif calibrate:
                new = suite.calibrate_gate(
                    baseline, device=device, limit_s=limit_s, wait_s=wait_s, progress=progress, **limits
                )
            else:
                new = None
                found = suite.gate(
                    baseline,
                    run,
                    device=device,
                    files=files or (),
                    training=training,
                    allow=allow or (),
                    again=again,
                    limit_s=limit_s,
                    wait_s=wait_s,
                    progress=progress,
                    **limits,
                )
    except EdgeprofError as error:
        if error.exit_code != EXIT_USAGE:  # else there is no gate to tell of
            _publish(Gated(_lost(baseline, device, parsed, error)), junit, summary)
        raise
    if new is not None:
        _tell_written(baseline, new, as_json, new=update)
        return EXIT_OK
    if as_json:
        console.print_record(found.result)
    else:
        gate_lines.tell(found)
    _publish(found, junit, summary)
    return found.exit_code


def _tell_written(path: Path, baseline: Baseline, as_json: bool, *, new: bool) -> None:
    from edgeprof.cli import gate_lines

    doubtful = [one for one in baseline.candidates if not one.trusted]
    if as_json:
        console.print_json(
            {
                "schema": console.JSON_SCHEMA,
                "baseline": str(path),
                "run": baseline.run,
                "candidates": len(baseline.candidates),
                "not_trusted": len(doubtful),
                "calibration": baseline.calibration,
            }
        )
        return
    if new and doubtful:
        console.say(
            f"warning: {len(doubtful)} of {len(baseline.candidates)} candidates are not trusted: of their latency a"
            " gate can say little, but where the file is the same; measure on a quiet device before you commit this"
        )
    print(f"{console.shown_path(path)}: {len(baseline.candidates)} candidates of run {baseline.run}")
    for one in doubtful if new else ():
        console.say(f"not trusted: {one.label}: {'; '.join(one.reasons)}")
    if baseline.calibration is not None:
        gate_lines.tell_calibration(baseline.calibration)
    else:
        console.say(f"  hint: find out what the gate finds on this device: edgeprof gate -b {path} --calibrate")


def _lost(baseline: Path, device: str | None, limits: GateLimits, error: EdgeprofError) -> GateResult:
    """The answer where the device could not be had, or nothing could be made to measure."""
    from edgeprof.records.gate import GateResult

    where = f"{error.where}: " if error.where else ""
    return GateResult(
        device=device or "the device",
        baseline=str(baseline),
        run=None,
        verdict="infrastructure" if error.exit_code == EXIT_DEVICE else "cannot tell",
        exit_code=error.exit_code,
        reason=f"{where}{error.what}",
        limits=limits,
    )


def _publish(found: Gated, junit: Path | None, summary: Path | None) -> None:
    """To the files that were asked for, and to the continuous integration that it runs in."""
    if junit is not None:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.write_bytes(found.junit())
    there = summary or (Path(os.environ["GITHUB_STEP_SUMMARY"]) if os.environ.get("GITHUB_STEP_SUMMARY") else None)
    if there is not None:
        with there.open("a", encoding="utf-8") as file:
            file.write(found.summary() + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in found.annotations():
            console.say(line)  # read from stderr as well; stdout may be JSON
