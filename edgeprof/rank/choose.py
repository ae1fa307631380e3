"""Which candidate to ship under a latency budget, and why not the others."""

from __future__ import annotations

import math
import re

from edgeprof.errors import UsageError
from edgeprof.records import Candidate, Choice, Ranking, Rejected

MS_PER_UNIT = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3}
_BUDGET = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:nan|infinity|inf))\s*(.*)", re.I)
EXAMPLE = "write a number and a unit, for example 5ms, 0.02s or 500us"


def parse_budget(text: str) -> float:
    """Milliseconds from "5ms", "20 ms", "0.02s" or "500us".

    Raises:
        UsageError: no number, no unit or an unknown one, or not a finite time above zero.
    """
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"the budget {text!r} is no time", hint=EXAMPLE)
    number, unit = match[1], match[2].strip()
    if not unit:
        raise UsageError(f"the budget {text!r} has no unit", hint=EXAMPLE)
    scale = MS_PER_UNIT.get(unit) or MS_PER_UNIT.get(unit.lower())
    if scale is None:
        raise UsageError(f"the budget {text!r} has the unknown unit {unit!r}", hint=EXAMPLE)
    budget = float(number) * scale
    if not (math.isfinite(budget) and budget > 0):
        raise UsageError(f"the budget {text!r} must be finite and more than zero", hint=EXAMPLE)
    return budget


def choose(ranking: Ranking, budget_ms: float, percentile: int = 90) -> Choice:
    """The most accurate trusted candidate whose latency percentile meets the budget.

    To meet it, the upper bound of the percentile's 95% interval must be within the budget. Equal top-1 is settled by
    the lower upper bound, then by the smaller file. Everything else is told why it was not taken.

    Raises:
        UsageError: the budget is not a finite time above zero, or the percentile has no interval.
    """
    if not (math.isfinite(budget_ms) and budget_ms > 0):
        raise UsageError(f"the budget {budget_ms!r} ms must be finite and more than zero", hint=EXAMPLE)
    if percentile != 90:
        raise UsageError(f"no budget on p{percentile}: only p90 has an interval", hint="use --percentile 90")
    refusals = {one.job: _refusals(one, budget_ms) for one in ranking.candidates}
    fit = sorted((one for one in ranking.candidates if not refusals[one.job]), key=preference)
    chosen = fit[0] if fit else None
    runner_up = fit[1] if len(fit) > 1 else None
    taken = {one.job for one in fit[:2]}
    rejected = tuple(
        Rejected(
            job=one.job,
            model=one.model,
            exporter=one.exporter,
            init=one.init,
            seed=one.seed,
            threads=one.threads,
            reason="; ".join(refusals[one.job]) or _outdone(one, fit[0]),
        )
        for one in ranking.candidates
        if one.job not in taken
    )
    several = len({(one.init, one.seed) for one in ranking.candidates}) > 1
    miss = None if chosen else min(ranking.candidates, key=_distance, default=None)
    return Choice(
        device=ranking.device,
        run=ranking.run,
        budget_ms=budget_ms,
        percentile=percentile,
        chosen=chosen,
        runner_up=runner_up,
        nearest_miss=miss,
        rejected=rejected,
        reason=_chosen_because(chosen, runner_up, budget_ms, several)
        if chosen
        else _none_because(ranking, miss, refusals, several),
    )


def _refusals(candidate: Candidate, budget_ms: float) -> list[str]:
    reasons = []
    if not candidate.trusted:
        reasons.append("not trusted: " + ("; ".join(candidate.reasons) or "no reason given"))
    if candidate.p90_high_ms is None:
        rounds = f"{candidate.rounds} round" + ("s" if candidate.rounds != 1 else "")
        reasons.append(f"p90 has no upper bound: {candidate.samples} samples in {rounds} say too little about it")
        if candidate.p90_ms > budget_ms:
            reasons.append(f"p90 of {_ms(candidate.p90_ms)} is over {_budget(budget_ms)}")
    elif candidate.p90_high_ms > budget_ms:
        reasons.append(f"p90 up to {_ms(candidate.p90_high_ms, over=budget_ms)} is over {_budget(budget_ms)}")
    if candidate.top1 is None:
        reasons.append("accuracy unknown")
    return reasons


def preference(candidate: Candidate) -> tuple[float, float, int, str]:
    """Of those that meet the budget, the one with the smallest is taken."""
    assert candidate.top1 is not None
    assert candidate.p90_high_ms is not None
    return (-candidate.top1, candidate.p90_high_ms, candidate.size_bytes, candidate.job)


def _distance(candidate: Candidate) -> tuple[bool, bool, bool, float, str]:
    """Nearest first: what only latency keeps from being taken comes before what lacks trust, interval or accuracy."""
    bound = candidate.p90_ms if candidate.p90_high_ms is None else candidate.p90_high_ms
    return (not candidate.trusted, candidate.p90_high_ms is None, candidate.top1 is None, bound, candidate.job)


def _outdone(candidate: Candidate, chosen: Candidate) -> str:
    if candidate.top1 == chosen.top1:
        if candidate.p90_high_ms == chosen.p90_high_ms:
            return "meets the budget; same top-1 and latency, but the file is not smaller"
        return f"meets the budget; same top-1, but slower: p90 up to {_ms(candidate.p90_high_ms)}"
    return f"meets the budget, but its top-1 of {_percent(candidate.top1)} is below {_percent(chosen.top1)}"


def _chosen_because(chosen: Candidate, runner_up: Candidate | None, budget_ms: float, several: bool) -> str:
    text = (
        f"{_name(chosen, several)} is the most accurate candidate whose p90, at the upper end of its interval, meets"
        f" {_budget(budget_ms)}: top-1 {_percent(chosen.top1)}"
        f" ({_percent(chosen.top1_low)} to {_percent(chosen.top1_high)}),"
        f" p90 {_ms(chosen.p90_ms)}, at most {_ms(chosen.p90_high_ms)}."
    )
    if runner_up is None:
        return text + " No other candidate meets it."
    if runner_up.artifact_sha == chosen.artifact_sha:
        return text + f" The runner-up is the same file with {_threads(runner_up)}."
    apart = runner_up.top1_high is not None and chosen.top1_low is not None and runner_up.top1_high < chosen.top1_low
    text += f" The runner-up is {_name(runner_up, several)} with {_percent(runner_up.top1)}"
    if runner_up.top1 == chosen.top1:
        return text + ": equally accurate, but slower or larger."
    return text + ("." if apart else "; on this many test images the two are not told apart in accuracy.")


def _none_because(ranking: Ranking, miss: Candidate | None, refusals: dict[str, list[str]], several: bool) -> str:
    if miss is None:
        failed = len(ranking.failures)
        return "Nothing was measured" + (f": {failed} cell{'s' * (failed != 1)} failed." if failed else ".")
    nearest = f"Nearest: {_name(miss, several)}: {'; '.join(refusals[miss.job])}."
    if all(one.top1 is None for one in ranking.candidates):
        return f"No candidate can be chosen by accuracy: it is not known for any file. {nearest}"
    return f"No candidate meets the budget at the upper end of its interval. {nearest}"


def _threads(candidate: Candidate) -> str:
    return f"{candidate.threads} thread" + ("s" if candidate.threads != 1 else "")


def _name(candidate: Candidate, several: bool) -> str:
    """With initialisation and seed where the ranking has several."""
    which = [candidate.init, None if candidate.seed is None else f"seed {candidate.seed}"] if several else []
    variant = f" ({', '.join(part for part in which if part)})" if any(which) else ""
    return f"{candidate.model}{variant} as {candidate.exporter} with {_threads(candidate)}"


def _budget(budget_ms: float) -> str:
    return f"{budget_ms:.12g} ms"


def _ms(value: float | None, over: float | None = None) -> str:
    """Three significant digits, or as many as it takes to show that it is over the budget."""
    if value is None:
        return "unknown"
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    shown = f"{value:.{decimals}f}"
    while over is not None and float(shown) <= over < value and decimals < 18:
        decimals += 1
        shown = f"{value:.{decimals}f}"
    return f"{shown} ms"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f}%"
