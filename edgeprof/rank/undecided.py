"""What the data do not tell yet of a choice, and about how long it takes to tell.

A candidate that would be better than the choice, and of which neither is sure that it keeps to the budget nor that it
does not, leaves the choice open; so does one that may be the faster where throughput is asked for. Accuracy is settled
by the test images, which no measuring on a device changes, so it never leaves a choice open here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from edgeprof.rank import choice_words as words
from edgeprof.rank.evidence import Evidence, latencies_ms
from edgeprof.rank.latency import latency
from edgeprof.records import Candidate, Limits, Reason, Round, Undecided
from edgeprof.stats import sequence, tails

DOUBT = 0.025
"""One side of the 95% interval that decides whether a budget is met; `looks.DOUBT` where it is looked at repeatedly."""
ZONE = 0.02
"""Latencies that differ by less are the same for any use (as in `stats.pairs`)."""
MORE_HELPS: frozenset[Reason] = frozenset({"interval wide", "bimodal", "too few samples"})
"""Reasons not to trust a candidate that more rounds may take away."""


def question(
    candidates: Sequence[Candidate],
    limits: Limits,
    known: Evidence,
    chosen: Candidate | None,
    within: Mapping[str, float | None],
    hindered: Mapping[str, Collection[str]],
    several: bool,
    doubt: float = DOUBT,
) -> Undecided | None:
    """What to measure so that the choice is settled; None where it is, or where no rounds are known.

    Args:
        within: by job, the probability that it meets the budget.
        hindered: by job, the limits that it does not surely keep to.
        several: whether names must say initialisation and seed.
        doubt: what is less probable leaves nothing open.
    """
    if not known.rounds:
        return None
    may = [one for one in candidates if _may_keep(one, limits, known, within, hindered[one.job], doubt)]
    if limits.maximize == "throughput":
        rivals = _faster(may, chosen, known, doubt)
    else:
        rivals = [one for one in may if hindered[one.job] and (chosen is None or _more_accurate(one, chosen))]
        rivals.sort(key=lambda one: (-(one.top1 or 0.0), one.job))
    if not rivals:
        return None
    # The choice itself keeps to the budget surely; only how fast it is may have to be known better.
    measured = [*rivals, *([chosen] if chosen and limits.maximize == "throughput" else [])]
    needed = [_seconds(one, limits, known, chosen) for one in measured]
    seconds = None if None in needed else sum(one for one in needed if one is not None)
    return Undecided(
        jobs=tuple(one.job for one in measured),
        names=tuple(words.name(one, several) for one in measured),
        rivals=tuple(one.job for one in rivals),
        seconds_more=seconds,
        reason=_reason(rivals, chosen, seconds, several),
    )


def _may_keep(
    one: Candidate,
    limits: Limits,
    known: Evidence,
    within: Mapping[str, float | None],
    hindered: Collection[str],
    doubt: float,
) -> bool:
    """Whether only latency or trust stand in doubt, and measuring may take the doubt away."""
    if not set(hindered) <= {"latency", "trust"} or not known.rounds.get(one.job):
        return False
    if not one.trusted and not (one.reasons and set(one.reasons) <= MORE_HELPS):
        return False
    probability = within[one.job]
    if limits.budget_ms is None:
        return True
    if probability is None:  # too few rounds to tell: possible unless it is far away
        return latency(one, limits).value < 2 * limits.budget_ms
    return probability > doubt


def _more_accurate(one: Candidate, chosen: Candidate) -> bool:
    return one.top1 is not None and chosen.top1 is not None and one.top1 > chosen.top1


def _faster(may: Sequence[Candidate], chosen: Candidate | None, known: Evidence, doubt: float) -> list[Candidate]:
    """Those that may be faster than the choice by more than the zone."""
    others = [one for one in may if chosen is None or one.job != chosen.job]
    if chosen is None:
        return sorted(others, key=lambda one: (one.median_ms, one.job))
    drawn = latencies_ms([chosen, *others], known, 50)
    found = []
    for one, its in zip(others, drawn[1:], strict=True):
        if np.isnan(its[0]) or np.isnan(drawn[0][0]):
            continue
        if float(np.mean(its * (1 + ZONE) < drawn[0])) > doubt:
            found.append(one)
    return found


def _seconds(one: Candidate, limits: Limits, known: Evidence, chosen: Candidate | None) -> float | None:
    rounds = known.rounds[one.job]
    more = _rounds_more(one, rounds, limits, chosen)
    return None if more is None else more * sum(each.process_ns for each in rounds) / len(rounds) / 1e9


def _rounds_more(one: Candidate, rounds: Sequence[Round], limits: Limits, chosen: Candidate | None) -> int | None:
    """About how many more rounds tell on which side of the budget (of the choice) it lies: the interval's half width
    falls with the square root of the rounds. None beyond the horizon of the intervals."""
    have = len(rounds)
    left = sequence.HORIZON - have
    its = latency(one, limits)
    edge = limits.budget_ms
    if limits.maximize == "throughput" and chosen is not None and chosen.job != one.job:
        its, edge = latency(one, Limits(percentile=50)), chosen.median_ms
    soonest = max(1, sequence.first(0.95) - have)
    if its.high is None and its.name == "p99":
        effective = tails.effective_behind([each.samples_ns for each in rounds], 0.99)
        more = math.ceil(have * (tails.P99_MIN_EFFECTIVE / max(effective, 1.0) - 1))
        return max(more, 1) if more <= left else None
    if edge is None or its.high is None or its.low is None:
        return soonest if soonest <= left else None
    gap = abs(math.log(edge / its.value))
    half = math.log(its.high / its.value) if edge > its.value else math.log(its.value / its.low)
    if half <= gap:  # the budget is clear of the interval: trust alone is missing, which as many again may bring
        return min(have, left) or None
    total = have * (half / gap) ** 2 if gap else math.inf
    return max(soonest, math.ceil(total - have)) if total <= sequence.HORIZON else None


def _reason(rivals: Sequence[Candidate], chosen: Candidate | None, seconds: float | None, several: bool) -> str:
    first = words.name(rivals[0], several)
    others = f" ({len(rivals) - 1} more)" if len(rivals) > 1 else ""
    text = (
        f"Undecided between {words.name(chosen, several)} and {first}{others}: "
        if chosen
        else f"Undecided whether {first}{others} keeps to the limits: "
    )
    if seconds is None:
        return text + "too close to the limit to be told apart by measuring within reach."
    return text + f"about {duration(seconds)} more."


def duration(seconds: float) -> str:
    """ "20 more seconds" is told as "20 seconds", from two minutes on in minutes."""
    if seconds < 120:
        whole = max(1, round(seconds))
        return f"{whole} second" + ("s" if whole != 1 else "")
    return f"{round(seconds / 60)} minutes"
