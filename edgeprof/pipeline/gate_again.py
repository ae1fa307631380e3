"""A suspected regression is measured again before it counts: in turn with the baseline's own file where the store has
it, else alone at a later moment."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.measure.pair import SHARED
from edgeprof.measure.schedule import Place
from edgeprof.measure.session import STAGE
from edgeprof.pipeline.baseline import numbers
from edgeprof.pipeline.read import Outcome, artifacts_of
from edgeprof.pipeline.run import change, new_run
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device, Failure, Method, Round, Run
from edgeprof.records.gate import Baseline, GateLimits
from edgeprof.store import Store
from edgeprof.target import Connection

if TYPE_CHECKING:
    from edgeprof.rank.gate import Again, Facts, Key

ALONE_ROUNDS = 15
"""Of a candidate whose baseline's file is not at hand; more say little, as the time of day they share is the error."""


@dataclass(frozen=True)
class Suspects:
    """What is judged anew after each cycle."""

    baseline: Baseline
    current: Baseline
    limits: GateLimits
    facts: Facts
    failures: Sequence[Failure]


@dataclass(frozen=True)
class MeasuredAgain:
    """Rounds of the suspects, and the run that holds them."""

    run: str
    found: dict[Key, Again]


@dataclass(frozen=True)
class Turn:
    """The jobs of one candidate."""

    now: str
    before: str | None
    """None: the baseline's file is not at hand, or is the same."""


def measure_again(
    store: Store,
    suspects: Suspects,
    keys: Sequence[Key],
    outcome: Outcome,
    device: Device,
    limit_s: float,
    wait_s: float,
    progress: Progress,
) -> MeasuredAgain:
    """Measure the candidates in turns until each is judged, or the time or the rounds are used up.

    Each round is stored as it ends. A candidate that fails now is the device's fault: it was measured a moment ago.

    Raises:
        DeviceError, LinkError: the device was lost.
    """
    from edgeprof.rank import gate as gates
    from edgeprof.stats import sequence

    cells, turns, artifacts = _cells(store, suspects, keys, outcome)
    progress.note(f"suspected: {len(turns)} candidates are measured again")
    began = time.monotonic()
    with target.connect(device, store, progress) as connection:
        session = open_session(store, device, connection, cells, artifacts, outcome.run.method, wait_s, progress)
        # At first about as many as a verdict takes at least.
        progress.start(STAGE, 2 * len(turns) * sequence.first(0.99))
        found: dict[Key, Again] = {}
        left = dict(turns)
        cycle = 0
        try:
            while left:
                session.carry_out(places(session, list(left.values()), cycle))
                cycle += 1
                late = time.monotonic() - began >= limit_s
                for name in left:
                    again = _again(suspects, session, turns[name], name, late)
                    if again is not None:
                        found[name] = again
                judged = gates.judge(
                    suspects.baseline, suspects.current, suspects.limits, suspects.facts, suspects.failures, found
                )
                left = {name: turn for name, turn in left.items() if name in judged.open}
                progress.expect(STAGE, 2 * len(left))
        finally:
            session.close()
            progress.finish(STAGE)
    change(store, session.run, finished=True)
    return MeasuredAgain(session.run.run, {name: replace(again, over=True) for name, again in found.items()})


def open_session(
    store: Store,
    device: Device,
    connection: Connection,
    cells: Sequence[Cell],
    artifacts: Sequence[Artifact],
    method: Method,
    wait_s: float,
    progress: Progress,
) -> measuring.Session:
    """A run of its own for these cells, which is no ranking, and what measures it."""
    connection.hold(f"edgeprof gate on {device.name}", "", wait_s)
    connection.provide({one.format for one in artifacts})
    this = new_run(store, device, method, "gate", measuring.facts(connection, full=False))
    connection.hold(f"edgeprof gate on {device.name}", this.run, wait_s)
    if device.state:  # set by the session, so that the facts are those of what is measured in
        connection.open_session(this.run)
    this = change(store, this, cells=tuple(cells), pair=this.run, facts=measuring.facts(connection))
    return measuring.Session(store, this, artifacts, device, connection, progress)


def places(session: measuring.Session, turns: Sequence[Turn], cycle: int) -> list[Place]:
    """A round of each side of each candidate, the candidates in random order. ABBA: who goes first changes, so that a
    drift between the two of a pair cancels over pairs."""
    position = 1 + max((one.position for each in session.rounds.values() for one in each), default=-1)
    shuffled = list(turns)
    random.Random(f"{session.run.method.order_seed}/gate/{cycle}").shuffle(shuffled)  # noqa: S311
    jobs: list[str] = []
    for turn in shuffled:
        both = [job for job in (turn.before, turn.now) if job is not None and job in session.cells]
        jobs += both if cycle % 2 == 0 else both[::-1]
    return [Place(job, len(session.rounds[job]), 0, position + number) for number, job in enumerate(jobs)]


def at_hand(store: Store, baseline: Baseline) -> dict[Key, Artifact]:
    """The baseline's own files that the store has, by candidate."""
    from edgeprof.rank.gate import key

    known: dict[str, list[Artifact]] = {}
    for one in store.all(Artifact.KIND, Artifact):
        known.setdefault(one.artifact_sha, []).append(one)
    found: dict[Key, Artifact] = {}
    for old in baseline.candidates:
        same = [one for one in known.get(old.artifact_sha, []) if _complete(store, one)]
        if same:
            identity = msgspec.structs.replace(old.identity, device=None, threads=None)
            found[key(old)] = next((one for one in same if one.identity == identity), same[-1])
    return found


def _complete(store: Store, artifact: Artifact) -> bool:
    shas = [one.sha256 for one in artifact.files] + [artifact.samples_sha] * (artifact.samples_sha is not None)
    return all(sha is not None and store.has_blob(sha) for sha in shas)


def _cells(
    store: Store, suspects: Suspects, keys: Sequence[Key], outcome: Outcome
) -> tuple[list[Cell], dict[Key, Turn], list[Artifact]]:
    from edgeprof.rank.gate import key

    old_files = at_hand(store, suspects.baseline)
    old = {key(one): one for one in suspects.baseline.candidates}
    now = {(cell.identity, cell.provider): cell for cell in outcome.run.cells}
    artifacts = list(artifacts_of(store, outcome.run))
    cells: list[Cell] = []
    turns: dict[Key, Turn] = {}
    for number, name in enumerate(keys):
        cell = now[name]
        mine = msgspec.structs.replace(cell, job=f"b{number}-{cell.job}")
        cells.append(mine)
        before = None
        file = old_files.get(name)
        if file is not None and file.artifact_sha != cell.artifact_sha:
            identity = msgspec.structs.replace(file.identity, device=cell.identity.device, threads=cell.threads)
            before = msgspec.structs.replace(
                cell,
                job=f"a{number}-{file.artifact_sha[:12]}-t{cell.threads}",
                identity=identity,
                artifact_sha=file.artifact_sha,
                format=file.format,
                precision=old[name].precision,
            )
            cells.append(before)
            artifacts.append(file)
        turns[name] = Turn(now=mine.job, before=before.job if before else None)
    return cells, turns, artifacts


def _again(suspects: Suspects, session: measuring.Session, turn: Turn, name: Key, late: bool) -> Again | None:
    """None: nothing was measured yet."""
    from edgeprof.rank.gate import Again, key
    from edgeprof.stats import sequence
    from edgeprof.stats.tails import pooled_quantile

    if turn.now not in session.cells:
        words = next((one.error for one in session.failures if one.identity == name[0]), "it failed")
        there = next(one for one in suspects.current.candidates if key(one) == name)
        return Again(now=there.rounds, p90_ms=there.p90_ms, failed=words)
    mine = session.rounds[turn.now]
    if not mine:
        return None
    # A baseline's file that fails now is as good as not at hand.
    both = turn.before is not None and turn.before in session.cells
    other = session.rounds[turn.before] if both and turn.before is not None else []
    over = late or len(mine) >= (sequence.HORIZON if both else ALONE_ROUNDS)
    return Again(
        now=numbers(mine),
        before=numbers(other) if both else None,
        p90_ms=pooled_quantile([[ns / 1e6 for ns in one.samples_ns] for one in mine if one.samples_ns], 0.9),
        reasons=_reasons(suspects, session.run, session.cells[turn.now], mine, name),
        over=over,
    )


def _reasons(suspects: Suspects, run: Run, cell: Cell, rounds: Sequence[Round], name: Key) -> tuple[str, ...]:
    """Not to trust it, but those that a ratio of neighbours does not feel and those that the baseline has too."""
    from edgeprof.rank.gate import key

    assert run.facts is not None
    known = next((one.reasons for one in suspects.baseline.candidates if key(one) == name), ())
    found = measuring.verdict(run.method, rounds, cell, run.facts)
    return tuple(one for one in found if one not in SHARED and one not in known)
