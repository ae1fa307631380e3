"""`edgeprof choose`: what to ship under limits, on one device or on several."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof.cli import console
from edgeprof.cli.app import Options, app
from edgeprof.cli.decide import PANEL
from edgeprof.cli.options import AsJson, DeviceNames, RunName, Wait, seconds
from edgeprof.errors import EXIT_GATE, EXIT_OK, EXIT_UNTRUSTED, UsageError

if TYPE_CHECKING:
    from edgeprof.api import MeasuredMore, Suite
    from edgeprof.api.asking import Limiting


class Goal(StrEnum):
    """What is best among those that keep to the limits."""

    top1 = "top1"
    throughput = "throughput"


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples: `edgeprof choose --budget 5ms`, `edgeprof choose -d jetson --budget 20ms --percentile 99"
    " --max-size 10MB`, `edgeprof choose -d pi -d jetson --budget 30ms`, `edgeprof choose --budget 5ms --measure-more`",
)
@console.reported
def choose(
    context: typer.Context,
    budget: Annotated[
        str | None, typer.Option(help="The latency that must be met, with its unit: 5ms, 800us, 0.2s.")
    ] = None,
    percentile: Annotated[
        int, typer.Option(help="Of the latency, for the budget: 50, 90, or 99 where enough was measured.")
    ] = 90,
    min_top1: Annotated[str | None, typer.Option(help="The least top-1 accuracy: 0.9 or 90%.")] = None,
    max_size: Annotated[str | None, typer.Option(help="The largest file, with its unit: 10MB, 512kB.")] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="The most memory of the process that runs it, with its unit: 200MB.")
    ] = None,
    max_energy: Annotated[
        str | None,
        typer.Option(help="The most energy of an inference, with its unit: 50mJ, 0.2J, 800uJ; needs a run --energy."),
    ] = None,
    maximize: Annotated[Goal, typer.Option(help="What is best among those that keep to all limits.")] = Goal.top1,
    device: DeviceNames = None,
    run: RunName = None,
    measure_more: Annotated[
        bool,
        typer.Option(
            "--measure-more",
            help="Where the data leave the choice open, measure just the candidates in question until they do not.",
        ),
    ] = False,
    time: Annotated[
        str, typer.Option("--time", "--time-limit", help="Most time for --measure-more: 90s, 10m.")
    ] = "10m",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 7 where more measuring could still change the choice.")
    ] = False,
    wait: Wait = "0",
    as_json: AsJson = False,
) -> int:
    """What to ship: the best candidate that surely keeps to the limits; exit 1 if none does.

    Surely: the upper end of the latency's 95% interval is within the budget. The answer says how probable it is that
    the choice meets each limit and that it is the best, what was rejected by which limit, and where the data are too
    thin to decide, how much longer to measure. With several devices: one file that keeps to the limits on all of them.
    """
    from edgeprof.api.asking import limits as check_limits
    from edgeprof.cli import choice_lines, which_run

    options: Options = context.obj
    limits: Limiting = {
        "percentile": percentile,
        "min_top1": min_top1,
        "max_size": max_size,
        "max_memory": max_memory,
        "max_energy": max_energy,
        "maximize": maximize.value,
    }
    check_limits(budget, **limits)
    limit_s, wait_s = seconds(time, "--time"), seconds(wait, "--wait")
    suite = options.api()
    names = _devices(suite, device)
    if run is not None and len(names) > 1:
        raise UsageError("--run names one run, and there are several devices", hint="leave one of them out")
    lost = False
    if len(names) > 1:
        if measure_more:
            with console.progress() as progress:
                fleet = suite.fleet(names).measure_more(
                    budget, limit_s=limit_s, wait_s=wait_s, progress=progress, **limits
                )
            lost = _told_more(fleet.more)
        else:
            fleet = suite.fleet(names).latest()
        for_all = fleet.choose(budget, **limits)
        console.print_record(for_all) if as_json else choice_lines.tell_fleet(for_all)
        open_ones = [one for one in for_all.each if one.undecided is not None]
        found = bool(for_all.chosen)
    else:
        its = suite.find_run(names[0] if names else None, run=run)
        this = its.run
        if not as_json:
            wanted = min_top1 is not None or maximize is Goal.top1
            which_run.tell(suite, its, named=run is not None, accuracy=wanted)
        if measure_more:
            with console.progress() as progress:
                more = suite.measure_more(this, budget, limit_s=limit_s, wait_s=wait_s, progress=progress, **limits)
            lost = _told_more([more])
            choice = more.choose(budget, **limits)
        else:
            choice = suite.load_run(this).choose(budget, **limits)
        console.print_record(choice) if as_json else choice_lines.tell(choice, hint=not measure_more)
        open_ones = [choice] if choice.undecided is not None else []
        found = choice.chosen is not None
    if strict and (open_ones or lost):
        return EXIT_UNTRUSTED
    return EXIT_OK if found else EXIT_GATE


def _told_more(some: Sequence[MeasuredMore]) -> bool:
    """Whether a choice is settled only because a contender lost its trust; it is told."""
    from edgeprof.cli import choice_lines

    choice_lines.tell_more(some)
    return any(one.lost for one in some)


def _devices(suite: Suite, given: list[str] | None) -> list[str]:
    """By name, in the order given; words for several (`all`, `tag:arm64`) are resolved by the suite."""
    if not given or (len(given) == 1 and given[0] != "all" and ":" not in given[0]):
        return given or []
    return [one.name for one in suite.devices(given)]
