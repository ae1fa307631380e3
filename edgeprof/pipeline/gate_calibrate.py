"""`edgeprof gate --calibrate`: the baseline's own files measured in turn with themselves, in several sessions."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edgeprof import target
from edgeprof.errors import UntrustedError, UsageError
from edgeprof.measure.session import STAGE
from edgeprof.pipeline.baseline import numbers, with_calibration
from edgeprof.pipeline.gate_again import Turn, at_hand, open_session, places
from edgeprof.pipeline.run import change
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device
from edgeprof.records.gate import Baseline, GateLimits
from edgeprof.store import Store

if TYPE_CHECKING:
    from edgeprof.rank.gate import Key

SESSIONS = 6
"""Most; each of CYCLES pairs of every file, so that 54 are had: about as many as a gate may look at."""
CYCLES = 9
FEWEST = 3
"""Sessions, the baseline's own run among them, of which a spread can be told at all."""


def calibrate(
    store: Store,
    baseline: Baseline,
    device: Device,
    limits: GateLimits,
    *,
    limit_s: float,
    wait_s: float,
    progress: Progress,
) -> Baseline:
    """The baseline with what its gate finds on this device.

    Each session is a run of its own, with a new agent; between two of them the device rests as long as connecting
    takes. So the spread from session to session is that of one sitting, and of the moment of the baseline's run.

    Raises:
        UsageError: none of the baseline's files are in the store.
        UntrustedError: the time was too short for two sessions.
        DeviceError: the device was lost.
    """
    from edgeprof.rank.gate import key
    from edgeprof.rank.gate_calibrate import calibration

    files = at_hand(store, baseline)
    if not files:
        raise UsageError(
            "none of the baseline's files are in this store, so they cannot be measured",
            where=str(store.root),
            hint="calibrate where the baseline was made (the same --work), or write it anew: --update --calibrate",
        )
    mine = [one for one in baseline.candidates if key(one) in files]
    if len(mine) < len(baseline.candidates):
        progress.note(f"{len(baseline.candidates) - len(mine)} files of the baseline are not here: calibrated without")
    logs: list[list[float]] = [[] for _ in mine]
    levels = [[float(np.median(np.log(one.rounds.p50_ns)))] for one in mine]
    cells, turns, artifacts = _cells(baseline, files)
    began = time.monotonic()
    progress.start(STAGE, SESSIONS * CYCLES * 2 * len(turns))
    try:
        for session in range(SESSIONS):
            # The first two come to their end whatever the time, but that each takes as long as the last is foreseen.
            spent = time.monotonic() - began
            if session >= FEWEST - 1 and spent + spent / session > limit_s:
                break
            _measure(store, baseline, device, cells, artifacts, turns, logs, levels, wait_s, progress)
    finally:
        progress.finish(STAGE)
    kept = [place for place, one in enumerate(levels) if len(one) >= FEWEST and len(logs[place]) > 1]
    if not kept:
        raise UntrustedError("too little was measured to calibrate", hint="give it more time: --time 30m")
    made_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found = calibration([logs[place] for place in kept], [levels[place] for place in kept], limits, made_at=made_at)
    return with_calibration(baseline, found)


def _measure(
    store: Store,
    baseline: Baseline,
    device: Device,
    cells: list[Cell],
    artifacts: list[Artifact],
    turns: list[Turn],
    logs: list[list[float]],
    levels: list[list[float]],
    wait_s: float,
    progress: Progress,
) -> None:
    """One session; adds to `logs` and `levels`."""
    with target.connect(device, store, progress) as connection:
        session = open_session(store, device, connection, cells, artifacts, baseline.method, wait_s, progress)
        try:
            for cycle in range(CYCLES):
                session.carry_out(places(session, turns, cycle))
        finally:
            session.close()
    change(store, session.run, finished=True)
    for number, turn in enumerate(turns):
        assert turn.before is not None
        if turn.now not in session.cells or turn.before not in session.cells:
            continue  # it failed, and is told already
        now, before = (numbers(session.rounds[job]).p50_ns for job in (turn.now, turn.before))
        logs[number] += [math.log(one / other) for one, other in zip(now, before, strict=False)]
        levels[number].append(float(np.median(np.log(now))))


def _cells(baseline: Baseline, files: Mapping[Key, Artifact]) -> tuple[list[Cell], list[Turn], list[Artifact]]:
    from edgeprof.rank.gate import key

    cells: list[Cell] = []
    turns: list[Turn] = []
    for number, one in enumerate(each for each in baseline.candidates if key(each) in files):
        artifact = files[key(one)]
        threads = one.identity.threads or 1
        identity = msgspec.structs.replace(artifact.identity, device=one.identity.device, threads=threads)
        jobs = [f"{side}{number}-{one.artifact_sha[:12]}-t{threads}" for side in "ba"]
        cells += [
            Cell(
                job=job,
                identity=identity,
                artifact_sha=one.artifact_sha,
                format=one.format,
                precision=one.precision,
                threads=threads,
                provider=one.provider,
            )
            for job in jobs
        ]
        turns.append(Turn(now=jobs[0], before=jobs[1]))
    return cells, turns, list(files.values())
