"""A choice in sentences."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping, Sequence

from edgeprof.rank.latency import Latency, latency, shown_latency
from edgeprof.records import Candidate, Limits, Odds, Ranking

IF_TRUSTED = "Would be chosen if it could be trusted"
DEFAULT_TRAINING = "demo"
"""What `edgeprof run` takes where none is named."""


def over_budget(one: Candidate, its: Latency, limits: Limits) -> list[str]:
    """Why it does not surely meet the budget; empty where it does."""
    assert limits.budget_ms is not None
    if its.high is None:
        if its.name == "p99" and one.p99_ms is None:
            reasons = [f"no 99th percentile: {one.p99_reason or 'too few samples'}"]
        else:
            rounds = f"{one.rounds} round" + ("s" if one.rounds != 1 else "")
            reasons = [f"{its.name} has no upper bound: {one.samples} samples in {rounds} say too little about it"]
        if its.value > limits.budget_ms:
            name, least = (
                ("p90", ", which p99 is at least,") if its.name == "p99" and one.p99_ms is None else (its.name, "")
            )
            reasons.append(f"{name} of {ms(its.value)}{least} is over {budget(limits)}")
        return reasons
    if its.high > limits.budget_ms:
        return [f"{its.name} up to {ms(its.high, over=limits.budget_ms)} is over {budget(limits)}"]
    return []


def over_energy(one: Candidate, most_mj: float) -> list[str]:
    """Why it does not surely keep to the limit on energy; empty where it does."""
    if one.energy_mj is None:
        return [f"energy not measured: {one.energy_reason or 'not asked for'}"]
    if one.energy_high_mj is None:
        rounds = f"{one.energy_rounds} round" + ("s" if one.energy_rounds != 1 else "")
        over = [f"its energy of {mj(one.energy_mj)} is over {mj(most_mj)}"] if one.energy_mj > most_mj else []
        return [f"its energy has no upper bound: {rounds} say too little about it", *over]
    if one.energy_high_mj > most_mj:
        return [f"its energy up to {mj(one.energy_high_mj, over=most_mj)} an inference is over {mj(most_mj)}"]
    return []


def outdone(one: Candidate, chosen: Candidate, limits: Limits) -> str:
    """Why a candidate that keeps to the limits was not taken."""
    keeps = "meets the budget" if limits.budget_ms is not None else "keeps to the limits"
    mine, best = latency(one, limits), latency(chosen, limits)
    if limits.maximize == "throughput":
        return f"{keeps}, but its median of {ms(one.median_ms)} is not below {ms(chosen.median_ms)}"
    if one.top1 == chosen.top1:
        if mine.high == best.high:
            return f"{keeps}; same top-1 and latency, but the file is not smaller"
        return f"{keeps}; same top-1, but slower: {mine.name} up to {ms(mine.high)}"
    return f"{keeps}, but its top-1 of {percent(one.top1)} is below {percent(chosen.top1)}"


def chosen_because(chosen: Candidate, runner_up: Candidate | None, limits: Limits, several: bool) -> str:
    """What was chosen, and how the runner-up differs."""
    its = shown_latency(chosen, limits)
    best = "fastest" if limits.maximize == "throughput" else "most accurate"
    kept = (
        []
        if limits.budget_ms is None
        else [f"whose {its.name}, at the upper end of its interval, meets {budget(limits)}"]
    )
    if limits.min_top1 is not None:
        kept.append(f"with a top-1 of at least {percent(limits.min_top1)}")
    if limits.max_size_bytes is not None:
        kept.append(f"whose file has at most {megabytes(limits.max_size_bytes)}")
    if limits.max_memory_bytes is not None:
        kept.append(f"that takes at most {megabytes(limits.max_memory_bytes)} of memory")
    if limits.max_energy_mj is not None:
        kept.append(f"that takes at most {mj(limits.max_energy_mj)} an inference")
    text = f"{name(chosen, several)} is the {best} candidate" + (f" {' and '.join(kept)}" if kept else "") + ": "
    if chosen.top1 is not None:
        text += f"top-1 {percent(chosen.top1)} ({percent(chosen.top1_low)} to {percent(chosen.top1_high)}), "
    text += f"{its.name} {ms(its.value)}, at most {ms(its.high)}."
    if runner_up is None:
        return text + (
            " No other candidate meets it." if limits.budget_ms is not None else " No other candidate keeps to it."
        )
    if runner_up.artifact_sha == chosen.artifact_sha:
        return text + f" The runner-up is the same file with {threads(runner_up)}."
    if limits.maximize == "throughput":
        return text + f" The runner-up is {name(runner_up, several)} with a median of {ms(runner_up.median_ms)}."
    apart = runner_up.top1_high is not None and chosen.top1_low is not None and runner_up.top1_high < chosen.top1_low
    text += f" The runner-up is {name(runner_up, several)} with {percent(runner_up.top1)}"
    if runner_up.top1 == chosen.top1:
        return text + ": equally accurate, but slower or larger."
    return text + ("." if apart else "; on this many test images the two are not told apart in accuracy.")


def turned(chosen: Odds | None, runner_up: Odds | None, limits: Limits) -> str:
    """Why the runner-up may be the more probable best; "" where it is not."""
    if chosen is None or runner_up is None or chosen.best is None or runner_up.best is None:
        return ""
    if runner_up.best <= chosen.best:
        return ""
    measured = "median" if limits.maximize == "throughput" else "top-1"
    return (
        f"The choice goes by the measured {measured}. The probability of being the best also counts how uncertain each"
        " is and whether it keeps to the limits, and one file at several numbers of threads shares it: so here the"
        " runner-up's is higher."
    )


def none_because(
    ranking: Ranking,
    miss: Candidate | None,
    refusals: Mapping[str, str],
    hindered: Mapping[str, Collection[str]],
    several: bool,
    limits: Limits,
) -> str:
    """Why nothing was chosen, with the nearest miss.

    Args:
        refusals: by job, in words.
        hindered: by job, the limits that it does not surely keep to.
    """
    if miss is None:
        failed = len(ranking.failures)
        return "Nothing was measured" + (f": {failed} cell{'s' * (failed != 1)} failed." if failed else ".")
    nearest = f"Nearest: {name(miss, several)}: {refusals[miss.job]}."
    if limits.maximize == "top1" and all(one.top1 is None for one in ranking.candidates):
        other = "--maximize throughput takes the fastest"
        return f"No candidate can be chosen by accuracy: it is not known for any file; {other}. {nearest}"
    others = (limits.min_top1, limits.max_size_bytes, limits.max_memory_bytes, limits.max_energy_mj)
    one_budget = limits.budget_ms is not None and others == (None,) * 4
    kept = "meets the budget at the upper end of its interval" if one_budget else "keeps to all limits"
    doubtful = sum(set(some) == {"trust"} for some in hindered.values())
    if doubtful:
        return (
            f"No candidate that can be trusted {kept}; {doubtful} would, but cannot be trusted."
            f" {IF_TRUSTED}: {name(miss, several)} ({refusals[miss.job]})."
            f" To measure again: {again([ranking.device], ranking.training)}"
        )
    return f"No candidate {kept}. {nearest}"


def again(devices: Sequence[str], training: str | None) -> str:
    """The command that measures again what a ranking holds, as a shell reads it."""
    words = ["edgeprof run"] if training else ["edgeprof profile FILE..."]
    words.append("--fresh")
    if training not in (None, DEFAULT_TRAINING):
        words.append(_option("--training", training or ""))
    return " ".join([*words, *(_option("--device", one) for one in devices)])


def _option(option: str, value: str) -> str:
    """One that begins like an option stays a value."""
    return f"{option}{'=' if value.startswith('-') else ' '}{shlex.quote(value)}"


def threads(candidate: Candidate) -> str:
    """ "2 threads"."""
    return f"{candidate.threads} thread" + ("s" if candidate.threads != 1 else "")


def name(candidate: Candidate, several: bool) -> str:
    """With initialisation and seed where the ranking has several."""
    which = [candidate.init, None if candidate.seed is None else f"seed {candidate.seed}"] if several else []
    variant = f" ({', '.join(part for part in which if part)})" if any(which) else ""
    return f"{candidate.model}{variant} as {candidate.exporter} with {threads(candidate)}"


def budget(limits: Limits) -> str:
    """ "5 ms"."""
    return f"{limits.budget_ms:.12g} ms"


def ms(value: float | None, over: float | None = None) -> str:
    """Three significant digits, or as many as it takes to show that it is over the budget."""
    return "unknown" if value is None else f"{_digits(value, over)} ms"


def mj(value: float, over: float | None = None) -> str:
    """Millijoule in the same way."""
    return f"{_digits(value, over)} mJ"


def _digits(value: float, over: float | None) -> str:
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    shown = f"{value:.{decimals}f}"
    while over is not None and float(shown) <= over < value and decimals < 18:
        decimals += 1
        shown = f"{value:.{decimals}f}"
    return shown


def percent(share: float | None) -> str:
    """ "91.2%"."""
    return "unknown" if share is None else f"{100 * share:.1f}%"


def megabytes(size: int) -> str:
    """ "4.20 MB", or in kB below one."""
    return f"{size / 1e6:.3g} MB" if size >= 10**6 else f"{size / 1e3:.3g} kB"
