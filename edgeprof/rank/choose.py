"""Which candidate to ship under limits, how sure that is, and why not the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgeprof.errors import UsageError
from edgeprof.rank import choice_words as words
from edgeprof.rank import undecided
from edgeprof.rank.energy import known_energy, unmeasured
from edgeprof.rank.evidence import (
    NOTHING,
    PERCENTILES,
    Evidence,
    accuracies,
    energies_mj,
    latencies_ms,
    top1_at_least,
)
from edgeprof.rank.latency import Latency, latency
from edgeprof.rank.limits import ENERGY_EXAMPLE, EXAMPLE
from edgeprof.records import Candidate, Choice, Limits, Odds, Ranking, Rejected


class Refusal(NamedTuple):
    """One limit that a candidate does not surely keep to."""

    limit: str
    reason: str


def choose(
    ranking: Ranking,
    limits: Limits | float,
    percentile: int | None = None,
    known: Evidence = NOTHING,
    doubt: float = undecided.DOUBT,
) -> Choice:
    """The best trusted candidate that surely keeps to the limits.

    To meet the budget, the upper bound of the latency percentile must be within it (of the two-sided 95% interval; at
    p99 the 99% bound), and so must that of the energy; the other limits are kept by what was measured: top-1, the
    file's size, the largest resident set. The best is the most accurate, ties settled by the lower upper bound, then by
    the smaller file; with `maximize` throughput the one of the lowest median. Everything else is told why it was not
    taken. Where nothing is, the nearest miss is what would be chosen if it could be trusted, if only that is wanting.

    Args:
        limits: or a budget in ms alone.
        percentile: of a budget given alone.
        known: what the probabilities are computed from; without it they are None and nothing is undecided.
        doubt: what is less probable leaves nothing open.

    Raises:
        UsageError: no limit at all, one that means nothing, a percentile that is not computed, or a limit on energy
            where none was measured.
    """
    asked = limits if isinstance(limits, Limits) else Limits(budget_ms=limits, percentile=percentile or 90)
    check(asked)
    candidates = ranking.candidates
    if asked.max_energy_mj is not None and candidates and all(one.energy_mj is None for one in candidates):
        where = f"run {ranking.run} on {ranking.device}"
        raise unmeasured("a limit on energy cannot be kept to", candidates, where, ranking.facts)
    refusals = {one.job: refused(one, asked) for one in candidates}
    fit = sorted((one for one in candidates if not refusals[one.job]), key=lambda one: merit(one, asked))
    chosen = fit[0] if fit else None
    runner_up = fit[1] if len(fit) > 1 else None
    taken = {one.job for one in fit[:2]}
    within = {one.job: _within(one, asked, known) for one in candidates}
    rejected = tuple(
        Rejected(
            job=one.job,
            model=one.model,
            exporter=one.exporter,
            init=one.init,
            seed=one.seed,
            threads=one.threads,
            reason="; ".join(each.reason for each in refusals[one.job]) or words.outdone(one, fit[0], asked),
            limits=tuple(dict.fromkeys(each.limit for each in refusals[one.job])),
            budget_probability=within[one.job],
        )
        for one in candidates
        if one.job not in taken
    )
    odds = _odds(candidates, asked, known, within)
    several = len({(one.init, one.seed) for one in candidates}) > 1
    miss = None if chosen else _nearest(candidates, refusals, asked)
    hindered = {job: {each.limit for each in some} for job, some in refusals.items()}
    why = {job: "; ".join(each.reason for each in some) for job, some in refusals.items()}
    return Choice(
        device=ranking.device,
        run=ranking.run,
        budget_ms=asked.budget_ms,
        percentile=asked.percentile,
        limits=asked,
        chosen=chosen,
        chosen_odds=odds.get(chosen.job) if chosen else None,
        runner_up=runner_up,
        runner_up_odds=odds.get(runner_up.job) if runner_up else None,
        nearest_miss=miss,
        rejected=rejected,
        undecided=undecided.question(candidates, asked, known, chosen, within, hindered, several, doubt),
        reason=words.chosen_because(chosen, runner_up, asked, several)
        if chosen
        else words.none_because(ranking, miss, why, hindered, several, asked),
    )


def check(limits: Limits) -> None:
    """Raises UsageError for limits that mean nothing."""
    budget, percentile = limits.budget_ms, limits.percentile
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise UsageError(f"the budget {budget!r} ms must be finite and more than zero", hint=EXAMPLE)
    if percentile not in PERCENTILES:
        raise UsageError(
            f"no budget on p{percentile}: it has no interval", hint="use --percentile 50, 90 (the default) or 99"
        )
    energy = limits.max_energy_mj
    if energy is not None and not (math.isfinite(energy) and energy > 0):
        raise UsageError(f"the most energy {energy!r} mJ must be finite and more than zero", hint=ENERGY_EXAMPLE)
    others = (limits.min_top1, limits.max_size_bytes, limits.max_memory_bytes, energy)
    if budget is None and limits.maximize == "top1" and others == (None,) * 4:
        raise UsageError("there is nothing to choose by", hint="name a limit, for example --budget 5ms")


def refused(one: Candidate, limits: Limits) -> list[Refusal]:
    """Why it is not taken; empty where it keeps to the limits."""
    found = []
    if not one.trusted:
        found.append(Refusal("trust", "not trusted: " + ("; ".join(one.reasons) or "no reason given")))
    if limits.budget_ms is not None:
        found += [Refusal("latency", reason) for reason in words.over_budget(one, latency(one, limits), limits)]
    if one.top1 is None:
        if limits.maximize == "top1" or limits.min_top1 is not None:
            found.append(Refusal("top1", "accuracy unknown"))
    elif limits.min_top1 is not None and one.top1 < limits.min_top1:
        found.append(Refusal("top1", f"top-1 of {words.percent(one.top1)} is under {words.percent(limits.min_top1)}"))
    if limits.max_size_bytes is not None and one.size_bytes > limits.max_size_bytes:
        over = f"{words.megabytes(one.size_bytes)} is over {words.megabytes(limits.max_size_bytes)}"
        found.append(Refusal("size", f"its file of {over}"))
    if limits.max_memory_bytes is not None:
        if one.peak_rss_bytes is None:
            found.append(Refusal("memory", "memory was not measured on this device"))
        elif one.peak_rss_bytes > limits.max_memory_bytes:
            over = f"{words.megabytes(one.peak_rss_bytes)} is over {words.megabytes(limits.max_memory_bytes)}"
            found.append(Refusal("memory", f"its memory of {over}"))
    if limits.max_energy_mj is not None:
        found += [Refusal("energy", reason) for reason in words.over_energy(one, limits.max_energy_mj)]
    return found


def merit(one: Candidate, limits: Limits) -> tuple[float, float, int, str]:
    """Of those that keep to the limits, the one with the smallest is taken."""
    bound = latency(one, limits).high
    bound = math.inf if bound is None else bound
    if limits.maximize == "throughput":
        return (one.median_ms, 0.0 if one.top1 is None else -one.top1, one.size_bytes, one.job)
    assert one.top1 is not None
    return (-one.top1, bound, one.size_bytes, one.job)


def preference(candidate: Candidate) -> tuple[float, float, int, str]:
    """`merit` under a budget on p90."""
    return merit(candidate, Limits())


def only_trust(refusals: Sequence[Refusal]) -> bool:
    """Whether it would keep to the limits if it could be trusted."""
    return bool(refusals) and all(each.limit == "trust" for each in refusals)


def _nearest(
    candidates: Sequence[Candidate], refusals: Mapping[str, Sequence[Refusal]], limits: Limits
) -> Candidate | None:
    """What would be chosen if it could be trusted; where nothing would, what is kept out by the least."""
    would = [one for one in candidates if only_trust(refusals[one.job])]
    if would:
        return min(would, key=lambda one: merit(one, limits))
    return min(candidates, key=lambda one: _distance(one, refusals[one.job], limits), default=None)


def _distance(one: Candidate, refusals: Sequence[Refusal], limits: Limits) -> tuple[object, ...]:
    """Nearest first: what only one measured limit keeps out comes before what lacks trust, interval or accuracy."""
    its: Latency = latency(one, limits)
    kinds = {each.limit for each in refusals}
    return (
        not one.trusted,
        limits.budget_ms is not None and its.high is None,
        one.top1 is None,
        len(kinds),
        its.value if its.high is None else its.high,
        one.job,
    )


def _within(one: Candidate, limits: Limits, known: Evidence) -> float | None:
    """The probability that it meets the budget."""
    if limits.budget_ms is None:
        return None
    its = known.belief(one.job, limits.percentile)
    return None if its is None else its.probability_within(limits.budget_ms * 1e6)


def _within_energy(one: Candidate, limits: Limits) -> float | None:
    """The probability that it keeps to the limit on energy."""
    its = known_energy(one)
    return None if its is None or limits.max_energy_mj is None else its.probability_within(limits.max_energy_mj)


def _odds(
    candidates: Sequence[Candidate], limits: Limits, known: Evidence, within: Mapping[str, float | None]
) -> dict[str, Odds]:
    """Of the trusted candidates of whose spread something is known."""
    shown = [one for one in candidates if one.trusted and one.job in known.rounds and _sized(one, limits)]
    if not shown:
        return {}
    speed = latencies_ms(shown, known, 50)
    tail = speed if limits.percentile == 50 else latencies_ms(shown, known, limits.percentile)
    right = accuracies(shown, known)
    keeps = ~np.isnan(speed)
    if limits.budget_ms is not None:
        keeps &= tail <= limits.budget_ms
    if limits.min_top1 is not None:
        keeps &= right >= limits.min_top1
    if limits.max_energy_mj is not None:
        keeps &= energies_mj(shown) <= limits.max_energy_mj
    goal = -speed if limits.maximize == "throughput" else right
    goal = np.where(keeps & ~np.isnan(goal), goal, -np.inf)
    top = goal.max(axis=0)
    # Equals (one file in several thread counts) are settled as `merit` does: by the latency.
    # A latency that nothing bounds (few samples, no budget) is the slowest, and still leads where it is alone.
    bounded = np.minimum(tail, np.finfo(np.float64).max)
    leaders = np.where((goal == top) & np.isfinite(top), bounded, np.inf)
    first = np.where(np.isfinite(top), leaders.argmin(axis=0), -1)
    return {
        one.job: Odds(
            budget=within[one.job],
            min_top1=None if limits.min_top1 is None else top1_at_least(one, limits.min_top1),
            max_energy=_within_energy(one, limits),
            best=None if np.isnan(speed[row][0]) else float(np.mean(first == row)),
        )
        for row, one in enumerate(shown)
    }


def _sized(one: Candidate, limits: Limits) -> bool:
    """Whether it keeps to the limits that are known exactly."""
    if limits.max_size_bytes is not None and one.size_bytes > limits.max_size_bytes:
        return False
    return limits.max_memory_bytes is None or (
        one.peak_rss_bytes is not None and one.peak_rss_bytes <= limits.max_memory_bytes
    )
