"""The energy of an inference, in a pass of its own after everything is measured: reading a sensor slows a model down.

Each round is a fresh process that idles beside the loaded file and runs it, with the power sensor read by another
process; the rounds of all cells are interleaved, and each is stored as it ends.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from edgeprof.agent.power import NONE_FOUND
from edgeprof.errors import DeviceError
from edgeprof.measure.session import GRACE_S, failure_key, failure_of, plans
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device, Energy, Failure, Metered, Round, Run
from edgeprof.stats.energy import of_cell
from edgeprof.store import Store
from edgeprof.target import AgentChannel, Connection, greet
from edgeprof.target.protocol import CellPlan, EnergyTold, Failed, Meter

STAGE = "energy"
ROUNDS = 5
"""Fresh processes of each cell."""
WINDOW_S = 1.0
"""Of each of the three windows of a round; the agent makes it longer where the sensor is slow."""
SETTLE_S = 0.2
SLOWEST_S = 150.0
"""What the windows of a slow sensor may take beyond a round's own deadline."""
NOT_ASKED = "energy was not asked for: run with --energy"
BROKEN_OFF = "the pass that measures energy was broken off before its turn"


def energy(
    store: Store, run: Run, artifacts: Sequence[Artifact], device: Device, connection: Connection, progress: Progress
) -> list[Failure]:
    """Meter what was measured and not metered yet; without a sensor nothing, and it is told.

    Returns: what could not be metered; stored as well. The cell's latency stands all the same.

    Raises:
        LinkError, DeviceError: the agent was lost, or the files cannot be brought to the device; the rounds that ended
            are kept.
    """
    assert run.facts is not None
    if run.facts.power is None:
        progress.note(f"{STAGE}: not measured: {_no_sensor(run)}")
        return []
    rounds = metered(store, run)
    cells = dict(_due(store, run, rounds))
    order = _order(run, cells, rounds)
    failures: list[Failure] = []
    if not order:
        return failures
    progress.start(STAGE, len(order))
    channel: AgentChannel | None = None
    try:
        files = plans(cells, store, run, artifacts, device, connection)
        channel = connection.start_agent()
        greet(channel, connection.agent_sha)
        for number, job in order:
            if job not in cells:
                continue
            told = _ask(channel, run, job, number, files[job])
            if isinstance(told, EnergyTold):
                record = Metered(run=run.run, agent_sha=connection.agent_sha, **msgspec.structs.asdict(told))
                store.put(Metered.KIND, f"{run.run}/{job}/{number}", record, run=run.run)
                progress.advance(STAGE, 1, cells[job].identity.label())
                continue
            failure = _failure(told, cells.pop(job), device, started=job in metered(store, run))
            store.put(Failure.KIND, energy_key(run, job), failure, run=run.run)
            failures.append(failure)
            progress.note(f"{STAGE}: {failure.identity.label()}: {failure.error}")
            if told.error_class == "sensor":  # the others would fare no better
                break
    finally:
        if channel is not None:
            channel.close()
        progress.finish(STAGE)
    return failures


def _due(store: Store, run: Run, rounds: Mapping[str, Sequence[Metered]]) -> Iterator[tuple[str, Cell]]:
    """What was measured, is not metered, and has not failed for good."""
    known = {one.job for one in store.all(Round.KIND, Round, run=run.run)}
    for cell in run.cells:
        failure = store.get(Failure.KIND, energy_key(run, cell.job), Failure)
        if failure is not None and failure.transient:
            store.delete(Failure.KIND, energy_key(run, cell.job))
            failure = None
        lost = failure or store.get(Failure.KIND, failure_key(run, cell.job), Failure)
        if cell.job in known and lost is None and len(rounds[cell.job]) < ROUNDS:
            yield cell.job, cell


def _order(run: Run, cells: Mapping[str, Cell], rounds: Mapping[str, Sequence[Metered]]) -> list[tuple[int, str]]:
    """(round, job): all cells in each round, in random order, so that heat hits all alike."""
    found: list[tuple[int, str]] = []
    for number in range(ROUNDS):
        due = [job for job in cells if all(one.round != number for one in rounds[job])]
        random.Random(f"{run.method.order_seed}/energy/{number}").shuffle(due)  # noqa: S311
        found += [(number, job) for job in due]
    return found


def _ask(channel: AgentChannel, run: Run, job: str, number: int, plan: CellPlan) -> EnergyTold | Failed:
    timeout_s = run.method.timeout_s + SLOWEST_S
    call = Meter(
        job=job,
        cell=plan,
        round=number,
        window_s=WINDOW_S,
        settle_s=SETTLE_S,
        timeout_s=timeout_s,
        allow_fallback=run.method.allow_fallback,
    )
    channel.send(call)
    told = channel.receive(timeout_s + GRACE_S)
    if isinstance(told, EnergyTold | Failed):
        return told
    raise DeviceError(f"the agent said {type(told).__name__} when the power was due")


def _failure(told: Failed, cell: Cell, device: Device, *, started: bool) -> Failure:
    failure = failure_of(told, cell, device)
    what = "its energy was not measured to the end" if started else "no energy"
    # A sensor that is gone may be back another time.
    gone = told.error_class == "sensor"
    hint = f"edgeprof device probe {device.name} tells what sensor there is" if gone else failure.hint
    transient = failure.transient or gone
    return msgspec.structs.replace(failure, error=f"{what}: {failure.error}", transient=transient, hint=hint)


def metered(store: Store, run: Run) -> dict[str, list[Metered]]:
    """What is metered of a run, by job."""
    found: dict[str, list[Metered]] = defaultdict(list)
    for one in store.all(Metered.KIND, Metered, run=run.run):
        found[one.job].append(one)
    return found


def energies(store: Store, run: Run) -> list[Energy]:
    """The energy of each cell of a run, computed anew from what was read, or why there is none."""
    rounds = metered(store, run)
    return [of_cell(cell.job, rounds[cell.job], _why_none(store, run, cell.job)) for cell in run.cells]


def _why_none(store: Store, run: Run, job: str) -> str:
    """Why nothing is metered of it."""
    if not run.energy:
        return NOT_ASKED
    if run.facts is not None and run.facts.power is None:
        return _no_sensor(run)
    failure = store.get(Failure.KIND, energy_key(run, job), Failure)
    return BROKEN_OFF if failure is None else failure.error.removeprefix("no energy: ")


def _no_sensor(run: Run) -> str:
    missing = run.facts.power_missing if run.facts is not None else None
    return missing or NONE_FOUND


def energy_key(run: Run, job: str) -> str:
    """Of the record that a cell could not be metered."""
    return f"{failure_key(run, job)}/energy"
