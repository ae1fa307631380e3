"""Did a run get worse than a baseline? Pure: records in, verdicts out.

The error that nothing changed and a build fails all the same is held for the whole gate: every limit of every
candidate that chance has a part in gets an equal share of FALSE_FAILURE (Bonferroni), whatever hangs together among
them. What is exact (sizes, the same file) spends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from edgeprof.errors import EXIT_DEVICE, EXIT_GATE, EXIT_OK, EXIT_UNTRUSTED, UsageError
from edgeprof.rank import gate_limit
from edgeprof.records import Failure, Identity, Interval
from edgeprof.records.gate import (
    Baseline,
    BaselineCandidate,
    GateLimits,
    GateResult,
    GateVerdict,
    Judgement,
    RoundNumbers,
)

FALSE_FAILURE = 0.01
"""How often a whole gate may fail although nothing changed."""
EXIT_CODES: dict[GateVerdict, int] = {
    "pass": EXIT_OK,
    "fail": EXIT_GATE,
    "infrastructure": EXIT_DEVICE,
    "cannot tell": EXIT_UNTRUSTED,
}
"""In the order of how a build ends, last wins: see `verdict_of`."""
BROKEN = frozenset({"crash", "hang", "nan", "outputs_wrong", "unusable"})
"""What a file does to itself on a device that works."""
ALL = "all candidates"
Key = tuple[Identity, str | None]


@dataclass(frozen=True)
class Again:
    """What was measured again of a candidate."""

    now: RoundNumbers
    p90_ms: Interval
    """Of the same rounds."""
    before: RoundNumbers | None = None
    """Of the baseline's own file, the k-th round beside the k-th of `now`; None: it was not at hand."""
    reasons: tuple[str, ...] = ()
    """Not to trust it, of those that measuring in turn does not cancel."""
    over: bool = True
    """Nothing more will be measured."""
    failed: str | None = None
    """Why it could not be measured again; then `now` is what was measured before."""


@dataclass(frozen=True)
class Facts:
    """How the devices of two runs differ."""

    differences: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    """Differences that somebody accepted."""
    told: tuple[str, ...] = ()
    """Differences that spoil nothing, and that somebody should know of."""


@dataclass(frozen=True)
class Judged:
    """All judgements, and of whom measuring again could tell more."""

    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()
    open: tuple[Key, ...] = field(default=())
    untrusted: int = 0
    """Candidates whose latency passes on numbers that are not trusted."""


def key(one: BaselineCandidate) -> Key:
    """What a candidate is known by, in a baseline and in a run."""
    return one.identity, one.provider


def judge(
    baseline: Baseline,
    current: Baseline,
    limits: GateLimits,
    facts: Facts = Facts(),
    failures: Sequence[Failure] = (),
    again: Mapping[Key, Again] | None = None,
) -> Judged:
    """Hold every candidate of the baseline against every limit.

    Args:
        current: the run, in the form of a baseline.
        failures: of the run.
        again: what was measured again, by candidate.

    Raises:
        UsageError: the run has no candidate of the baseline and does not say why.
    """
    now = {key(one): one for one in current.candidates}
    before = {key(one): one for one in baseline.candidates}
    if not now.keys() & before.keys() and not failures:
        raise UsageError(
            "the run has none of the baseline's candidates",
            where=f"run {current.run}",
            hint="it is of another suite or training; write a baseline of this one: --update",
        )
    alpha = FALSE_FAILURE / max(1, len(before) * gate_limit.random_limits(limits))
    found: list[Judgement] = []
    open_keys: list[Key] = []
    untrusted = 0
    for name, old in before.items():
        if name not in now:
            found.append(_absent(old, failures))
            continue
        more = (again or {}).get(name)
        told = gate_limit.judgements(
            gate_limit.Case(
                before=old,
                now=now[name],
                again=more,
                limits=limits,
                alpha=alpha,
                not_comparable=facts.differences,
                allowed=facts.allowed,
                calibration=baseline.calibration,
            )
        )
        found += told
        untrusted += any(_passes_untrusted(one, old, now[name]) for one in told)
        if any(one.open for one in told) and not (more and more.over):
            open_keys.append(name)
    if limits.budget_ms is not None and not facts.differences:
        found += _budget_of_all(found)
    new = [one.label for name, one in now.items() if name not in before]
    notes = [*facts.told, *(f"not in the baseline, so not judged: {label}" for label in new)]
    if baseline.calibration is None and any(one.how in ("run", "again") and one.limit in LATENCY for one in found):
        notes.append("the baseline is not calibrated: how much this device differs from run to run is not known")
    return Judged(tuple(found), tuple(notes), tuple(open_keys), untrusted)


LATENCY = ("p50", "p90", "p99")


def _passes_untrusted(one: Judgement, before: BaselineCandidate, now: BaselineCandidate) -> bool:
    """Whether a latency passes and a number behind it is not trusted; what is measured in turn has its own trust."""
    if one.limit not in LATENCY or one.verdict != "pass" or one.how == "in turn":
        return False
    return not before.trusted or (not now.trusted and one.how != "again")


def result(
    judged: Judged,
    baseline: Baseline,
    limits: GateLimits,
    *,
    file: str,
    run: str | None,
    facts: Facts = Facts(),
    failures: Sequence[Failure] = (),
    again: str | None = None,
) -> GateResult:
    """The gate's answer, with its exit code."""
    verdict = verdict_of(judged.judgements)
    return GateResult(
        device=baseline.device,
        baseline=file,
        run=run,
        again=again,
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        reason=_sentence(verdict, judged.judgements, judged.untrusted),
        limits=limits,
        judgements=judged.judgements,
        differences=facts.differences,
        allowed=facts.allowed,
        notes=judged.notes,
        failures=tuple(failures),
        calibration=baseline.calibration,
    )


def verdict_of(judgements: Sequence[Judgement]) -> GateVerdict:
    """A regression that is sure counts first, then a device that failed, then what cannot be told."""
    found = {one.verdict for one in judgements}
    order: tuple[GateVerdict, ...] = ("fail", "infrastructure", "cannot tell")
    worst = next((one for one in order if one in found), None)
    if worst is not None:
        return worst
    return "pass" if judgements else "cannot tell"


def _sentence(verdict: GateVerdict, judgements: Sequence[Judgement], untrusted: int) -> str:
    if not judgements:
        return "there was nothing to judge"
    mine = [one for one in judgements if one.verdict == verdict]
    if verdict == "pass":
        over = sum(one.reason.startswith(gate_limit.OVER_BEFORE) for one in mine)
        known = f"; {over} over the budget are so in the baseline too" if over else ""
        candidates = f"{untrusted} candidate{'' if untrusted == 1 else 's'}"
        doubt = f"; latency of {candidates} was not trusted" if untrusted else ""
        return f"nothing got worse: {len(mine) - over} limits held{known}{doubt}"
    first = mine[0]
    rest = f"; and {len(mine) - 1} more" if len(mine) > 1 else ""
    return f"{first.candidate}: {first.limit}: {first.reason}{rest}"


def _absent(old: BaselineCandidate, failures: Sequence[Failure]) -> Judgement:
    failure = next((one for one in failures if _of(one.identity, old.identity)), None)
    if failure is None:
        verdict: GateVerdict = "cannot tell"
        reason = "it is in the baseline and not in this run"
    else:
        here = failure.stage in ("train", "export") and failure.error_class != "MissingPackageError"
        verdict = "fail" if here or (failure.error_class in BROKEN and not failure.transient) else "infrastructure"
        reason = f"{failure.stage} failed: {failure.error}"
    return Judgement(
        candidate=old.label,
        identity=old.identity,
        limit="there",
        baseline=None,
        current=None,
        change=None,
        allowed=None,
        verdict=verdict,
        reason=reason,
        how="exact",
    )


def _of(failed: Identity, old: Identity) -> bool:
    """Whether a failure speaks of a candidate; what a failed stage does not know is None, and a device that was not
    reached failed for all models."""
    if failed.exporter is None and failed.model not in (old.model,):
        return failed.device is not None and failed.device == old.device
    fields = ("model", "training", "init", "seed", "exporter", "threads")
    return all(getattr(failed, name) in (None, getattr(old, name)) for name in fields)


def _budget_of_all(found: Sequence[Judgement]) -> list[Judgement]:
    """Whether anything is left to ship."""
    mine = [one for one in found if one.limit == "budget"]
    if not mine or any(one.verdict == "pass" and not one.reason.startswith(gate_limit.OVER_BEFORE) for one in mine):
        return []
    unsure = any(one.verdict == "cannot tell" for one in mine)
    return [
        msgspec.structs.replace(
            mine[0],
            candidate=ALL,
            identity=None,
            baseline=None,
            current=None,
            change=None,
            verdict="cannot tell" if unsure else "fail",
            reason="it is not sure that any candidate keeps to the budget" if unsure else "none keeps to the budget",
            open=False,
        )
    ]
