"""What to measure next, and when a cell has been measured enough. Pure: decided anew from the rounds that are stored.

A run goes in cycles: in each, every cell that is not yet settled is measured once, in a random order of its own, so
that what the device goes through hits all alike (Bulej et al. 2020, arXiv 2001.05811). First all cells are measured
until they stop; then those that cannot be trusted are measured once more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edgeprof.measure.trust import verdict
from edgeprof.records import PASSING, Cell, DeviceFacts, Method, Round

CONFIDENCE = 0.95


class Place(NamedTuple):
    """A round to measure and its place in the interleaved order of the whole run."""

    job: str
    round: int
    attempt: int
    position: int


class Counted(NamedTuple):
    """The rounds of a cell that count, and how often it was measured."""

    rounds: tuple[Round, ...]
    attempts: int


def cycle(due: Mapping[str, int], rounds: Mapping[str, Sequence[Round]], method: Method) -> list[Place]:
    """The next cycle: the cells that are least far in the earliest attempt still open. Empty when none is due.

    Depends on what is stored alone, so an interrupted run goes on where it stopped, in the middle of a cycle too.

    Args:
        due: job -> attempt (`next_attempt`), of the cells that are not settled.
        rounds: job -> what is measured of it.
    """
    if not due:
        return []
    earliest = min(due.values())
    counts = {
        job: sum(one.attempt == earliest for one in rounds.get(job, ()))
        for job, attempt in due.items()
        if attempt == earliest
    }
    least = min(counts.values())
    jobs = sorted(job for job, count in counts.items() if count == least)
    random.Random(f"{method.order_seed}/{earliest}/{least}").shuffle(jobs)  # noqa: S311
    begin = 1 + max((one.position for each in rounds.values() for one in each), default=-1)
    return [
        Place(job, 1 + max((one.round for one in rounds.get(job, ())), default=-1), earliest, begin + number)
        for number, job in enumerate(jobs)
    ]


def next_attempt(method: Method, rounds: Sequence[Round], cell: Cell, facts: DeviceFacts) -> int | None:
    """The attempt to which the cell's next round belongs; None when it is measured enough."""
    from edgeprof.stats import sequence

    first = [one for one in rounds if one.attempt == 0]
    if not enough(method, first):
        return 0
    reasons = verdict(method, first, cell, facts)
    # Again only where that can help: what is untrusted for a lasting reason stays so.
    if not (method.again and reasons and PASSING.issuperset(reasons)):
        return None
    second = [one for one in rounds if one.attempt == 1]
    if _pooled(reasons):
        limit = 2 * method.max_rounds
        # Two levels of processes show in more processes, so as many again are measured at least.
        few = len(second) < method.min_rounds and len(first) + len(second) < sequence.HORIZON
        return 1 if few or not enough(method, [*first, *second], limit, 2 * method.cell_s) else None
    return None if enough(method, second) else 1


def left(method: Method, rounds: Sequence[Round], attempt: int) -> int:
    """About how many more rounds an attempt takes, at least 1: for the progress bar."""
    from edgeprof.stats import sequence
    from edgeprof.stats.stopping import Rule, assess

    mine = [one for one in rounds if one.attempt == attempt]
    count = len(mine)
    if count < max(method.min_rounds, 2):
        return max(method.min_rounds - count, 1)
    seconds = sum(one.process_ns for one in mine) / 1e9
    bounds = [method.max_rounds - count, (method.cell_s - seconds) / (seconds / count)]
    if method.max_rounds >= sequence.first(CONFIDENCE):
        more = assess([one.samples_ns for one in mine], Rule(precision=method.precision)).rounds_more
        bounds.append(method.max_rounds if more is None else more)
    return max(1, math.ceil(min(bounds)))


def counted(method: Method, rounds: Sequence[Round], cell: Cell, facts: DeviceFacts) -> Counted:
    """The rounds that make the measurement: those of the second attempt where there is one.

    Of both attempts where nothing but the width of the interval or two levels was wrong: what was measured then was
    right, only too little, and the interval holds at any number of rounds.
    """
    ordered = sorted(rounds, key=lambda one: one.round)
    first = tuple(one for one in ordered if one.attempt == 0)
    second = tuple(one for one in ordered if one.attempt == 1)
    if not second:
        return Counted(first, 1)
    if _pooled(verdict(method, first, cell, facts)):
        return Counted((*first, *second), 2)
    return Counted(second, 2)


def enough(method: Method, rounds: Sequence[Round], max_rounds: int | None = None, cell_s: float | None = None) -> bool:
    """Whether the interval is as narrow as asked, or rounds or time are used up."""
    # scipy takes half a second to import, which planning and connecting need not wait for.
    from edgeprof.stats import sequence
    from edgeprof.stats.stopping import Rule, assess

    count = len(rounds)
    most = min(method.max_rounds if max_rounds is None else max_rounds, sequence.HORIZON)
    if count < method.min_rounds:
        return False
    if count >= most or sum(one.process_ns for one in rounds) >= 1e9 * (method.cell_s if cell_s is None else cell_s):
        return True
    if most < sequence.first(CONFIDENCE):  # a fixed few rounds: there is nothing to look at on the way
        return False
    rule = Rule(precision=method.precision, min_rounds=min(method.min_rounds, most), max_rounds=most)
    return assess([one.samples_ns for one in rounds], rule).stop


def _pooled(reasons: Sequence[str]) -> bool:
    return set(reasons) <= {"interval wide", "bimodal"}
