"""Two cells measured in turn until it is known which is faster: ABBA, a fresh process each time.

Rounds that run side by side share the machine's mood and their ratio does not, so a pair is settled long before either
latency is known as well (Bulej et al. 2020, arXiv 2001.05811).
"""

from __future__ import annotations

import time
from typing import NamedTuple

from edgeprof.measure.schedule import Place
from edgeprof.measure.session import STAGE, Session
from edgeprof.measure.trust import verdict
from edgeprof.progress import Progress
from edgeprof.records import Cell, Pair, PairResult, PairSide, Reason, Round
from edgeprof.stats import pairs, sequence
from edgeprof.stats.intervals import quantile_interval

SHARED: frozenset[Reason] = frozenset(
    {"interval wide", "bimodal", "trend", "other load", "canary drifted", "governor not fixed", "too few samples"}
)
"""Reasons to doubt a latency that a ratio of neighbours does not feel, or that its own interval tells."""


class Side(NamedTuple):
    """One of the two: a cell and the session that measures it. Both may share a session."""

    session: Session
    job: str


def settle(first: Side, second: Side, zone: float, limit_s: float, progress: Progress) -> None:
    """Measure pairs of rounds until `stats.pairs.compare` has a verdict, or the time or the rounds are used up.

    Rounds that are stored already count. Stops when a side fails.
    """
    began = time.monotonic()
    progress.start(STAGE, 2 * sequence.first(0.95))
    try:
        while True:
            one, other = first.session.rounds[first.job], second.session.rounds[second.job]
            done = min(len(one), len(other))
            left = sequence.HORIZON - done
            if done:
                found = pairs.compare([r.samples_ns for r in one], [r.samples_ns for r in other], zone)
                if found.verdict != "undecided":
                    return
                left = min(left, left if found.rounds_more is None else found.rounds_more)
                progress.expect(STAGE, 2 * max(left, 1))
            if left <= 0 or (done and time.monotonic() - began >= limit_s):
                return
            # ABBA: who goes first changes, so that a drift between the two of a pair cancels over pairs.
            for side in (first, second) if done % 2 == 0 else (second, first):
                if len(side.session.rounds[side.job]) > done:  # measured before an interruption
                    continue
                side.session.carry_out([Place(side.job, done, 0, _position(side.session))])
            if first.session.failures or second.session.failures:
                return
    finally:
        first.session.close()
        second.session.close()
        progress.finish(STAGE)


def pair_result(pair: Pair, rounds: tuple[list[Round], list[Round]]) -> PairResult:
    """What the rounds of both sides say; recomputed from them whenever it is shown."""
    one, other = ([each.samples_ns for each in side] for side in rounds)
    found = pairs.compare(one, other, pair.zone)
    spent = sum(each.process_ns for side in rounds for each in side) / 1e9 / found.rounds
    words = {"faster": "faster", "slower": "faster", "same": "same", "undecided": "undecided"}
    return PairResult(
        pair=pair.pair,
        first=_side(pair.first, pair, rounds[0]),
        second=_side(pair.second, pair, rounds[1]),
        verdict=words[found.verdict],
        faster={"faster": "first", "slower": "second"}.get(found.verdict),
        ratio=found.ratio,
        zone=pair.zone,
        rounds=found.rounds,
        seconds_more=None if found.rounds_more is None else found.rounds_more * spent,
    )


def _side(side: Cell, pair: Pair, rounds: list[Round]) -> PairSide:
    facts = pair.first_facts if side is pair.first else pair.second_facts
    median = quantile_interval([[ns / 1e6 for ns in one.samples_ns] for one in rounds], 0.5)
    return PairSide(
        cell=side,
        median_ms=median,
        runs_on=rounds[0].runs_on,
        precision_executed=rounds[0].precision_executed,
        reasons=tuple(reason for reason in verdict(pair.method, rounds, side, facts) if reason not in SHARED),
    )


def _position(session: Session) -> int:
    return 1 + max((one.position for each in session.rounds.values() for one in each), default=-1)
