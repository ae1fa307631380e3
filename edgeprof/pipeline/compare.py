"""Which of two is faster: two files, one file in two settings, or one file on two devices."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.errors import DeviceError, EdgeprofError, UsageError
from edgeprof.pipeline.run import change, new_run
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device, DeviceFacts, Failure, Method, Pair, PairResult, Run, digest
from edgeprof.store import Store
from edgeprof.target import Connection


class Subject(NamedTuple):
    """One side: a file (or the beginning of an exported one's sha256) on a device, whose `threads` are one number."""

    file: str
    device: Device


def compare(
    store: Store,
    first: Subject,
    second: Subject,
    *,
    zone: float,
    limit_s: float,
    method: Method | None = None,
    shapes: Sequence[str] = (),
    inputs: Path | None = None,
    wait_s: float = 0.0,
    progress: Progress,
) -> PairResult:
    """Measure both in turn until there is a verdict or the time is up.

    Raises:
        UsageError: a file is missing or cannot be used.
        EdgeprofError: a side failed; what was measured is kept.
    """
    method = method or Method()
    asked = measuring.shapes(shapes)
    given = None if inputs is None else measuring.read_inputs(inputs)
    one_device = _same_device(first.device, second.device)
    with contextlib.ExitStack() as stack:
        near = stack.enter_context(target.connect(first.device, store, progress))
        far = near if one_device else stack.enter_context(target.connect(second.device, store, progress))
        for connection in dict.fromkeys((near, far)):
            connection.hold("edgeprof compare", "", wait_s)
        artifacts = _artifacts(store, (first.file, second.file), first.device, near, asked, given, progress)
        formats = {one.format for one in artifacts}
        missing = near.provide(formats) | far.provide(formats)
        near_facts = measuring.facts(near)
        far_facts = near_facts if one_device else measuring.facts(far)
        cells = [
            _cell("a", artifacts[0], first.device, near_facts, missing),
            _cell("b", artifacts[1], second.device, far_facts, missing),
        ]
        plan = digest("pair", cells, (first.device, second.device), method, zone)
        pair, runs = _unfinished(store, plan, progress) or _new(
            store, first, second, cells, (near_facts, far_facts), plan, zone, method
        )
        for run, connection in zip(runs, (near, far), strict=False):
            connection.hold("edgeprof compare", run.run, wait_s)
        sessions = [
            measuring.Session(store, run, artifacts, device, connection, progress)
            for run, device, connection in zip(runs, (first.device, second.device), (near, far), strict=False)
        ]
        measuring.settle(
            measuring.Side(sessions[0], cells[0].job),
            measuring.Side(sessions[-1], cells[1].job),
            zone,
            limit_s,
            progress,
        )
        for run in runs:
            change(store, run, finished=True)
        failed = [failure for session in sessions for failure in session.failures]
        if failed:
            raise _failed(failed[0])
        return measuring.pair_result(pair, (sessions[0].rounds[cells[0].job], sessions[-1].rounds[cells[1].job]))


def _unfinished(store: Store, plan: str, progress: Progress) -> tuple[Pair, list[Run]] | None:
    """The newest comparison of the same plan that was interrupted, with its runs."""
    runs = {one.run: one for one in store.all(Run.KIND, Run) if one.pair and one.plan_sha == plan and not one.finished}
    for pair in reversed(store.all(Pair.KIND, Pair)):
        names = list(dict.fromkeys((pair.first_run, pair.second_run)))
        if all(name in runs for name in names):
            progress.note(f"taking up comparison {pair.pair} where it stopped")
            return pair, [runs[name] for name in names]
    return None


def _new(
    store: Store,
    first: Subject,
    second: Subject,
    cells: Sequence[Cell],
    facts: tuple[DeviceFacts, DeviceFacts],
    plan: str,
    zone: float,
    method: Method,
) -> tuple[Pair, list[Run]]:
    """A comparison that has measured nothing yet, with a run for each device."""
    runs = [new_run(store, first.device, method, plan, facts[0])]
    if not _same_device(first.device, second.device):
        runs.append(new_run(store, second.device, method, plan, facts[1]))
    pair = Pair(
        pair=runs[0].run,
        first=cells[0],
        second=cells[1],
        first_run=runs[0].run,
        second_run=runs[-1].run,
        first_facts=facts[0],
        second_facts=facts[1],
        zone=zone,
        method=method,
    )
    store.put(Pair.KIND, pair.pair, pair, run=pair.pair)
    mine = [tuple(cells)] if len(runs) == 1 else [(cells[0],), (cells[1],)]
    return pair, [change(store, run, cells=some, pair=pair.pair) for run, some in zip(runs, mine, strict=True)]


def _same_device(one: Device, other: Device) -> bool:
    """Whether two subjects lie on one device in settings that a single session can measure."""
    return msgspec.structs.replace(one, threads=()) == msgspec.structs.replace(other, threads=())


def _artifacts(
    store: Store,
    files: Sequence[str],
    device: Device,
    connection: Connection,
    shapes: dict[str, tuple[int, ...]],
    given: measuring.Arrays | None,
    progress: Progress,
) -> list[Artifact]:
    """Of each file; the ready ones are opened together, because shapes and inputs are for both."""
    exported = {file: _exported(store, file) for file in files}
    if None not in exported.values() and (shapes or given is not None):
        raise UsageError("--shape and --inputs are for ready files; exported ones have their own inputs")
    ready = {os.path.abspath(file): Path(file) for file, known in exported.items() if known is None}
    opened: dict[str, Artifact] = {}
    if ready:
        paths = measuring.present(list(ready.values()))
        missing = connection.provide(measuring.formats(paths))
        artifacts, failures = measuring.ready(
            store, paths, device, connection, progress, shapes=shapes, given=given, missing=missing
        )
        if failures:
            raise _failed(failures[0])
        opened = dict(zip(ready, artifacts, strict=True))
    return [exported[file] or opened[os.path.abspath(file)] for file in files]


def _exported(store: Store, file: str) -> Artifact | None:
    """The newest exported file whose sha256 begins so, unless there is a file of that name."""
    if len(file) < 6 or os.path.lexists(file):
        return None
    known = [one for one in store.all(Artifact.KIND, Artifact) if one.artifact_sha.startswith(file.lower())]
    return known[-1] if known else None


def _cell(
    name: str, artifact: Artifact, device: Device, facts: DeviceFacts, missing: dict[str, target.NoRuntime]
) -> Cell:
    cells, failures = measuring.cells([artifact], device, facts, missing)
    if failures:
        raise _failed(failures[0])
    # Both sides may be the same file in the same setting: a comparison with itself says what the method can tell.
    return msgspec.structs.replace(cells[0], job=f"{name}-{cells[0].job}")


def _failed(failure: Failure) -> EdgeprofError:
    kind = UsageError if failure.error_class in ("threads", measuring.UNUSABLE) else DeviceError
    return kind(failure.error, where=failure.identity.label(), hint=failure.hint)
