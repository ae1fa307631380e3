"""`edgeprof train`."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.options import AsJson, TrainingName, Wait, seconds
from edgeprof.errors import EXIT_EXPORT, EXIT_OK

if TYPE_CHECKING:
    from edgeprof.api.asking import Means
    from edgeprof.api.types import Estimate

PANEL = "Make without a device"


class Accelerator(StrEnum):
    """Values of `--accelerator`."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class MixedPrecision(StrEnum):
    """Values of `--mixed-precision`."""

    auto = "auto"
    no = "no"
    bf16 = "bf16"
    fp16 = "fp16"


GUESSING = 1.5
"""Times the share of images that guessing gets right: below that a training has brought next to nothing."""


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof train`, `edgeprof train -t demo --json`, `edgeprof train -t standard --dry-run`",
)
@console.reported
def train(
    context: typer.Context,
    training: TrainingName = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads for a training that begins now. Default: 1, the same bytes on any machine."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Trainings at once. Default: 2 where there are two cores and no GPU, else 1."),
    ] = None,
    accelerator: Annotated[
        Accelerator, typer.Option(help="What to train on. `auto`: a GPU where there is one, all of them at once.")
    ] = Accelerator.auto,
    mixed_precision: Annotated[
        MixedPrecision,
        typer.Option(help="`auto`: on a GPU bf16 where it has it, else fp16; on a processor none."),
    ] = MixedPrecision.auto,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that prepare images, of each training. Default: by cores and data."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the grid and its time, after timing a few updates of each model.")
    ] = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """Train the models of a recipe; what is trained already is reused, what was interrupted goes on."""
    from edgeprof.cli import tables

    options: Options = context.obj
    suite = options.api()
    means: Means = {
        "threads": threads,
        "jobs": jobs,
        "accelerator": accelerator.value,
        "mixed_precision": mixed_precision.value,
        "workers": workers,
    }
    wait_s = seconds(wait, "--wait")
    if dry_run:
        with console.progress() as progress:
            found = suite.estimate(training, wait_s=wait_s, progress=progress, **means)
        return _tell_estimate(found, _command(context, training or found.cells[-1].training), as_json)
    with console.progress() as progress:
        result = suite.train(training, wait_s=wait_s, progress=progress, **means)
    trained, failures = result.trained, result.failed
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "trained": trained, "failures": failures})
    else:
        if trained:
            console.out().print(tables.trained(trained))
        for one in trained:
            if one.accuracy.top1 < GUESSING / len(one.classes):
                label = one.identity.label()
                console.say(f"warning: {label} is hardly better than guessing ({tables.percent(one.accuracy.top1)})")
        tables.tell_failures(failures)
    return EXIT_EXPORT if failures else EXIT_OK


def _command(context: typer.Context, training: str) -> str:
    """The same without `--dry-run`."""
    said = []
    for name in ("threads", "jobs", "accelerator", "mixed_precision", "workers"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            said += [f"--{name.replace('_', '-')}", str(context.params[name])]
    return shlex.join(["edgeprof", "train", "--training", training, *said])


def _tell_estimate(found: Estimate, command: str, as_json: bool) -> int:
    from edgeprof.cli import tables

    failed = [one for one in found.cells if one.error is not None]
    if as_json:
        console.print_json({"schema": console.JSON_SCHEMA, "dry_run": found})
    else:
        console.out().print(tables.estimate(found))
        for line in tables.estimate_lines(found, command):
            print(line)
        for one in failed:
            console.say(f"failed: {one.error}")
    return EXIT_EXPORT if failed else EXIT_OK
