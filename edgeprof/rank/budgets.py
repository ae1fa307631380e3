"""Whether another model is chosen for a latency budget under another initialisation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from edgeprof.rank.choose import choose, preference
from edgeprof.records import PASSING, BudgetChoice, Candidate, Ranking, Shipped

NARROW = 1.02


def budgets(ranking: Ranking, init: str, against: str, budget_ms: float | None = None) -> list[BudgetChoice]:
    """What is chosen for a budget under each of two initialisations.

    The seeds of a file are taken together, so that no choice rests on a lucky seed: their mean top-1, and the highest
    upper bound of p90. What is not trusted is left out, unless that leaves an initialisation without any: then what
    only a restless device speaks against (`PASSING`) counts too, under both, and is marked.

    Args:
        budget_ms: the one budget; None: ranges of budgets, in each of which the models chosen are the same, from the
            first budget that anything meets. Ranges narrower than `NARROW` are left out: where the same model is fast
            enough a little earlier under one of the two, that is the measurement's noise.
    """
    trusted = True
    ours, theirs = (_arm(ranking, one) for one in (init, against))
    if not (ours.candidates and theirs.candidates):
        trusted = False
        restless = _trusting(ranking)
        ours, theirs = (_arm(restless, one) for one in (init, against))
    if not (ours.candidates and theirs.candidates):
        return []
    found = _ranges(ours, theirs, init, against, budget_ms)
    return [msgspec.structs.replace(one, trusted=trusted) for one in found]


def _trusting(ranking: Ranking) -> Ranking:
    """As if all were trusted that only a restless device speaks against."""
    return msgspec.structs.replace(
        ranking,
        candidates=tuple(
            msgspec.structs.replace(one, trusted=one.trusted or (bool(one.reasons) and set(one.reasons) <= PASSING))
            for one in ranking.candidates
        ),
    )


def _ranges(ours: Ranking, theirs: Ranking, init: str, against: str, budget_ms: float | None) -> list[BudgetChoice]:
    if budget_ms is not None:
        return [_choice(init, against, budget_ms, choose(ours, budget_ms).chosen, choose(theirs, budget_ms).chosen)]
    steps = sorted({one.p90_high_ms for arm in (ours, theirs) for one in arm.candidates if one.p90_high_ms is not None})
    chosen = zip(steps, _chosen(ours.candidates, steps), _chosen(theirs.candidates, steps), strict=True)
    found: list[BudgetChoice] = []
    for step, one, other in chosen:
        new = _choice(init, against, step, one, other)
        if not found or _models(new) != _models(found[-1]):
            if found:
                found[-1] = msgspec.structs.replace(found[-1], below_ms=step)
            found.append(new)
    return [one for one in found if one.below_ms is None or one.below_ms > one.from_ms * NARROW]


def _arm(ranking: Ranking, init: str) -> Ranking:
    """The candidates of an initialisation, one for all seeds."""
    groups: dict[tuple[str, str, int], list[Candidate]] = {}
    for one in ranking.candidates:
        if one.init == init and one.trusted and one.top1 is not None and one.p90_high_ms is not None:
            groups.setdefault((one.model, one.exporter, one.threads), []).append(one)
    return msgspec.structs.replace(ranking, candidates=tuple(_together(same) for same in groups.values()))


def _together(same: Sequence[Candidate]) -> Candidate:
    first = min(same, key=lambda one: (one.seed or 0, one.job))
    return msgspec.structs.replace(
        first,
        top1=float(np.mean([one.top1 for one in same if one.top1 is not None])),
        p90_ms=max(one.p90_ms for one in same),
        p90_high_ms=max(one.p90_high_ms for one in same if one.p90_high_ms is not None),
    )


def _chosen(candidates: Sequence[Candidate], steps: Sequence[float]) -> list[Candidate | None]:
    """What `choose` takes at each of the rising budgets, in one pass."""
    waiting = sorted((one.p90_high_ms or 0.0, preference(one), one) for one in candidates)
    best: Candidate | None = None
    found = []
    at = 0
    for step in steps:
        while at < len(waiting) and waiting[at][0] <= step:
            one = waiting[at][2]
            best = one if best is None or preference(one) < preference(best) else best
            at += 1
        found.append(best)
    return found


def _choice(init: str, against: str, budget_ms: float, one: Candidate | None, other: Candidate | None) -> BudgetChoice:
    return BudgetChoice(
        init=init,
        against=against,
        from_ms=budget_ms,
        below_ms=None,
        chosen=_shipped(one),
        against_chosen=_shipped(other),
        changes=(one.model if one else None) != (other.model if other else None),
    )


def _shipped(one: Candidate | None) -> Shipped | None:
    if one is None or one.top1 is None or one.p90_high_ms is None:
        return None
    return Shipped(
        model=one.model, exporter=one.exporter, threads=one.threads, top1=one.top1, p90_high_ms=one.p90_high_ms
    )


def _models(one: BudgetChoice) -> tuple[str | None, str | None]:
    return (one.chosen.model if one.chosen else None, one.against_chosen.model if one.against_chosen else None)
