"""`edgeprof compare`: which of two files is faster, or what changed between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import compare_runs, console
from edgeprof.cli.app import Options, app
from edgeprof.cli.compare_runs import allow_words, run_words
from edgeprof.cli.measure import PANEL
from edgeprof.cli.options import AsJson, Wait, bound, seconds, share
from edgeprof.errors import EXIT_OK, EXIT_UNTRUSTED, UsageError

if TYPE_CHECKING:
    from edgeprof.records import PairResult, PairSide


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof compare old.onnx new.onnx`, `edgeprof compare a.tflite --threads 1 --threads 4`,"
    " `edgeprof compare a.onnx --device pi --device jetson`, `edgeprof compare previous latest --allow kernel`",
)
@console.reported
def compare(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            help="Two files, or one to compare in two settings; also the sha256 of an exported file. Or two runs (by"
            " name, `latest`, `previous`): what changed from the first to the second.",
            autocompletion=run_words,
        ),
    ],
    device: Annotated[
        list[str] | None, typer.Option("--device", "-d", help="Where; twice to compare devices. Default: localhost.")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Threads; twice to compare thread counts. Default: 1.")
    ] = None,
    cores: Annotated[
        list[str] | None, typer.Option(help="Bind to cores: 0,1 or 2-3, big or little; twice to compare bindings.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Two that differ by less are the same.")] = "2%",
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Of two runs: compare them although they differ in this: kernel, governor, method,"
            " runtime:onnxruntime, ...; may be repeated.",
            autocompletion=allow_words,
        ),
    ] = None,
    time: Annotated[str, typer.Option(help="Most time to spend: 60s, 5m.")] = "60s",
    shape: Annotated[
        list[str] | None, typer.Option(help="Fix a dynamic input: name=1x3x224x224; may be repeated.")
    ] = None,
    inputs: Annotated[Path | None, typer.Option(help="An .npz with an array for every input, by name.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 7 if it stays undecided or a side is not to be trusted.")
    ] = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Which of two is faster: the ratio with its interval, and one word: faster, same or undecided.

    Of two runs: the change of each candidate's latency, top-1, size and memory, with intervals. Runs that differ in
    what moves latencies (kernel, governor, runtime, ...) are refused with exit code 2 unless that is allowed by name.
    """
    options: Options = context.obj
    if compare_runs.asked(options.api(), files):
        return compare_runs.run(context, files, device or [], zone, allow or [], strict, as_json)
    if allow:
        raise UsageError("--allow is for two runs", hint="edgeprof compare previous latest")
    names, counts = device or ["localhost"], threads or [1]
    bindings = [bound(one) for one in cores] if cores else []
    for what, given in (("files", files), ("--device", names), ("--threads", counts), ("--cores", bindings)):
        if len(given) > 2:
            raise UsageError(f"a comparison is between two: {len(given)} {what} were given")
    if max(len(files), len(names), len(counts), len(bindings)) < 2:
        raise UsageError("there is only one side", hint="name two files, or give --threads, --cores or --device twice")
    with console.progress() as progress:
        result = options.api().compare(
            files[0],
            files[1] if len(files) > 1 else None,
            devices=names,
            threads=counts,
            cores=bindings,
            zone=share(zone, "--zone"),
            limit_s=seconds(time, "--time"),
            shapes=shape or (),
            inputs=inputs,
            wait_s=seconds(wait, "--wait"),
            progress=progress,
        )
    if as_json:
        console.print_record(result)
    else:
        _tell(result)
    doubtful = result.verdict == "undecided" or result.first.reasons or result.second.reasons
    return EXIT_UNTRUSTED if strict and doubtful else EXIT_OK


def _tell(result: PairResult) -> None:
    names = _names(result)
    for name, side in zip(names, (result.first, result.second), strict=True):
        low, high = side.median_ms.low, side.median_ms.high
        span = "" if low is None or high is None else f" ({low:.3g} to {high:.3g})"
        print(f"{name}: median {side.median_ms.value:.4g} ms{span}, {side.runs_on}, {side.precision_executed}")
    ratio, zone = result.ratio, f"{100 * result.zone:g}%"
    span = "no interval yet" if ratio.low is None or ratio.high is None else f"95%: {ratio.low:.3f} to {ratio.high:.3f}"
    how = f"ratio {ratio.value:.3f} ({span}), {result.rounds} pairs of rounds"
    if result.verdict == "faster":
        fast, slow = names if result.faster == "first" else names[::-1]
        times = 1 / ratio.value if result.faster == "first" else ratio.value
        print(f"faster: {fast} is {times:.2f} times as fast as {slow}; {how}")
    elif result.verdict == "same":
        print(f"same: within {zone}; {how}")
    else:
        print(f"undecided: {how}; {_more(result.seconds_more)}")
    for name, side in zip(names, (result.first, result.second), strict=True):
        if side.reasons:
            console.say(f"not trusted: {name}: {'; '.join(side.reasons)}")


def _more(seconds_more: float | None) -> str:
    if seconds_more is None:
        return "they are too close, or the machine too restless, for a verdict in reach"
    about = f"{seconds_more / 60:.0f} min" if seconds_more >= 90 else f"{max(seconds_more, 1):.0f} s"
    return f"about {about} more would tell (--time)"


def _names(result: PairResult) -> tuple[str, str]:
    """Short names that differ in what is compared."""

    def parts(side: PairSide) -> list[str]:
        who = side.cell.identity
        return [
            who.model,
            who.exporter or "",
            who.device or "",
            f"{side.cell.threads} thread" + ("s" if side.cell.threads != 1 else ""),
        ]

    one, other = parts(result.first), parts(result.second)
    kept = [place for place in range(4) if place == 0 or one[place] != other[place]]
    first, second = (" / ".join(side[place] for place in kept) for side in (one, other))
    return (first, second) if first != second else (f"A ({first})", f"B ({second})")
