"""`edgeprof export --explain`: where a file loses accuracy, in words first and then in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options
from edgeprof.errors import EXIT_EXPORT, EXIT_OK, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from edgeprof.api import Exported
    from edgeprof.api.types import Explanation, LayerError
    from edgeprof.records import Failure

ROWS = 10
"""Layers that are shown; --json has all."""


class Expected(StrEnum):
    """What a file is to give."""

    logits = "logits"
    probabilities = "probabilities"


File = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]", help="With --explain: a ready file (.onnx, .xml, .tflite) instead of what is exported."
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Say where files lose accuracy: preparation, outputs, layers, quantization.")
]
Model = Annotated[str | None, typer.Option(help="With FILE: the checkpoint's model, where several would fit.")]
Init = Annotated[str | None, typer.Option(help="With FILE: the checkpoint's init.")]
Seed = Annotated[int | None, typer.Option(help="With FILE: the checkpoint's seed.")]
Expect = Annotated[
    Expected | None, typer.Option(help="With FILE: what it is to give. Default: what its checkpoint gives.")
]
Seen = Annotated[
    Path | None,
    typer.Option(
        metavar="NPZ",
        help="With FILE: what your own program gave to it (in0) and got from it (out0) for the first test images.",
    ),
]


def check(file: Path | None, explain: bool, others: Sequence[object]) -> None:
    """Make sure that the options go together.

    Raises:
        UsageError: they do not.
    """
    if file is not None and not explain:
        raise UsageError(f"export takes no file: {file}", hint="to explain a file: edgeprof export --explain FILE")
    if file is None and any(one is not None for one in others):
        raise UsageError("--model, --init, --seed, --expect and --seen are for a file that is explained")


def explain_file(
    options: Options,
    file: Path,
    training: str | None,
    model: str | None,
    init: str | None,
    seed: int | None,
    expect: Expected | None,
    seen: Path | None,
    wait_s: float,
    as_json: bool,
) -> int:
    """Explain a ready file."""
    with console.progress() as progress:
        found = options.api().explain_file(
            file,
            training=training,
            model=model,
            init=init,
            seed=seed,
            expect=None if expect is None else expect.value,
            seen=seen,
            wait_s=wait_s,
            progress=progress,
        )
    return _tell([found], [], as_json)


def explain_exported(options: Options, made: Exported, wait_s: float, as_json: bool) -> int:
    """Explain what was exported with a loss, also what failed parity."""
    with console.progress() as progress:
        found = options.api().explain(made, wait_s=wait_s, progress=progress)
    files = len(made.artifacts)
    if not as_json and not found.explanations and files:
        them = f"{files} files are as accurate as their checkpoints"
        print(f"no loss found: {'the file is as accurate as its checkpoint' if files == 1 else them}")
    return _tell(found.explanations, found.failed, as_json)


def _tell(found: Sequence[Explanation], failures: Sequence[Failure], as_json: bool) -> int:
    from edgeprof.cli import tables

    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "explanations": found, "failures": failures})
    else:
        for number, one in enumerate(found):
            if number:
                print()
            _print(one)
        tables.tell_failures(failures)
    unknown = any(one.cause == "unknown" for one in found)
    return EXIT_EXPORT if failures or unknown else EXIT_OK


def _print(one: Explanation) -> None:
    from rich.markup import escape

    from edgeprof.cli.tables import percent

    out = console.out()

    def line(text: str) -> None:
        out.print(text, soft_wrap=True)

    line(f"[bold]{escape(one.subject)}[/bold]: {escape(one.verdict)}")
    if one.change:
        line(f"what to change: {escape(one.change)}")
    whose = "your program" if one.of == "program" else "this file"
    mended = f", with this mended {percent(one.mended_top1)}" if one.mended_top1 is not None else ""
    theirs = f"{whose} {percent(one.file_top1)}, its checkpoint {percent(one.top1)}"
    line(f"top-1 of {one.images} test images: {theirs}{mended}")
    if one.parity is not None:
        line(
            f"outputs differ by up to {one.parity.relative_diff:.2%} of their spread, "
            f"the same class on {percent(one.parity.top1_agreement)}"
        )
    for note in one.notes:
        line(f"note: {escape(note)}")
    for helps in one.findings:
        if not helps.restores and helps.cause in ("preprocessing", "layout"):
            line(f"helps, but is not all: {escape(helps.name)} (top-1 {percent(helps.top1)})")
    if one.layers:
        out.print(_layers(one.layers))


def _layers(layers: Sequence[LayerError]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("layer", "what", "SQNR dB", "error", "scales", "tensor in the file"):
        table.add_column(name, justify="right" if name in ("SQNR dB", "error", "scales") else "left")
    kinds = list(dict.fromkeys(one.kind for one in layers))
    for kind in kinds:
        for one in [it for it in layers if it.kind == kind][:ROWS]:
            scales = "-" if one.scales is None else "per tensor" if one.scales == 1 else str(one.scales)
            table.add_row(
                escape(one.layer),
                one.kind,
                f"{one.sqnr_db:.1f}",
                f"{one.relative_error:.2g}",
                scales,
                escape(one.tensor),
            )
    return table
