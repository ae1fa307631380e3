"""The report of several devices: the newest run of each, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgeprof.errors import UsageError
from edgeprof.pipeline import read
from edgeprof.pipeline.read import Outcome, assemble, runs_root
from edgeprof.records import Fleet, Round, Run
from edgeprof.store import Store

if TYPE_CHECKING:
    from edgeprof.report import Curves, PlotFormat, Replayed, Spread

FOLDER = "devices"
"""Beside that of the runs."""


@dataclass(frozen=True)
class SideBySide:
    """Several devices, and the files of their common report by name."""

    runs: tuple[Run, ...]
    fleet: Fleet
    files: dict[str, Path]


def measured_devices(store: Store) -> list[str]:
    """The devices that have a finished run that measured something, by name."""
    return sorted(
        {
            one.device
            for one in store.all(Run.KIND, Run)
            if one.finished and not one.pair and store.count(Round.KIND, one.run)
        }
    )


def side_by_side(store: Store, runs: Sequence[Run]) -> SideBySide:
    """Write the common report of these runs, one of each device, from their raw samples.

    It lies in a folder named by the newest run and the number of devices, so that the same runs are written to the same
    place.

    Raises:
        UsageError: two runs are of one device.
        EdgeprofError: it cannot be written.
    """
    from edgeprof import report

    devices = [one.device for one in runs]
    if len(set(devices)) != len(devices):
        raise UsageError("a device is named twice", hint="name each device once")
    made = _made(store, runs)
    name = f"{max(one.run for one in runs)}-{len(runs)}-devices"
    files = report.write_fleet(made.fleet, made.spreads, _root(store) / name, made.curves)
    return SideBySide(runs=tuple(runs), fleet=made.fleet, files=files)


def recompute(store: Store, this: Run) -> list[Replayed]:
    """Each file of the run's written report, and of every report of several devices that it stands in, beside the same
    file made anew from the raw samples.

    Raises:
        RecordError: a file of a report is missing or cannot be read.
    """
    from edgeprof import report

    runs = {one.run: one for one in store.all(Run.KIND, Run)}
    found = read.recompute(store, this)
    for folder in sorted(_root(store).glob("*")):
        names = report.runs_of(folder)
        if this.run not in names and not folder.name.startswith(f"{this.run}-"):
            continue
        missing = [name for name in names if name not in runs]
        if missing or not names:
            said = f"the run {missing[0]}, which the store has not" if missing else "its runs: it names none"
            file = str(folder / report.FILES["json"])
            found.append(report.Replayed(file=file, identical=False, difference=said))
            continue
        made = _made(store, [runs[name] for name in names])
        found += report.replay_fleet(made.fleet, made.spreads, made.curves, folder)
    return found


class _Made(NamedTuple):
    """What a report of several devices is rendered from."""

    fleet: Fleet
    spreads: list[dict[str, Spread]]
    curves: list[dict[str, Curves]]


def _made(store: Store, runs: Sequence[Run]) -> _Made:
    from edgeprof import report
    from edgeprof.rank.proxies import between, device_swaps

    rankings, spreads, curves = [], [], []
    for this in runs:  # one after the other: the samples of all at once may not fit into memory
        outcome = assemble(store, this, write=False)
        rankings.append(outcome.ranking)
        found = report.by_job(outcome.measurements)
        spreads.append({job: report.spread(one) for job, one in found.items()})
        curves.append(report.curves(outcome.measurements))
    fleet = Fleet(rankings=tuple(rankings), failures=(), between=between(rankings), swaps=device_swaps(rankings))
    return _Made(fleet, spreads, curves)


def _root(store: Store) -> Path:
    return runs_root(store).parent / FOLDER


def write_plots(outcomes: Sequence[Outcome], folder: Path, kind: PlotFormat) -> list[Path]:
    """The drawings of each run as files: in the folder, of several runs each in a folder of its name.

    Raises:
        UsageError: the folder cannot be written.
        RecordError: the disk is full or fails.
    """
    from edgeprof import report

    written = []
    for one in outcomes:
        into = folder / one.run.run if len(outcomes) > 1 else folder
        written += report.write_plots(one.ranking, one.measurements, into, kind)
    return written
