"""`edgeprof gate`: measure as the baseline was measured, judge, and measure again what is suspected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeprof.errors import UsageError
from edgeprof.pipeline.ask import Ask
from edgeprof.pipeline.baseline import baseline_of, with_calibration, worth_keeping
from edgeprof.pipeline.gate_again import Suspects, measure_again
from edgeprof.pipeline.read import Outcome, assemble, find_run
from edgeprof.pipeline.run import profile_files, run
from edgeprof.progress import Progress
from edgeprof.records import Device, Format, Run
from edgeprof.records.compared import Basis
from edgeprof.records.gate import Baseline, GateLimits, GateResult
from edgeprof.report.gate import changed, github, junit, ordered, permitted, shown, summary
from edgeprof.report.words import clean as one_line
from edgeprof.store import Store
from edgeprof.suite import Suite

if TYPE_CHECKING:
    from edgeprof.rank.gate import Facts

__all__ = [
    "GateAsk",
    "assemble",
    "changed",
    "check_fits",
    "gate",
    "github",
    "junit",
    "measure_for",
    "one_line",
    "ordered",
    "permitted",
    "shown",
    "stored_run",
    "summary",
    "updated",
]
LATEST = "latest"


@dataclass(frozen=True)
class GateAsk:
    """What is asked of a gate."""

    limits: GateLimits = field(default_factory=GateLimits)
    allow: frozenset[str] = frozenset()
    """Names of facts that may differ, see `rank.comparable.names`."""
    again: bool = True
    """Whether what is suspected is measured again."""
    limit_s: float = 600.0
    """Most time for that."""
    wait_s: float = 0.0
    """How long to wait for a device on which somebody else measures."""


def measure_for(
    suite: Suite,
    store: Store,
    device: Device,
    baseline: Baseline | None,
    *,
    files: Sequence[Path] = (),
    training: str | None = None,
    wait_s: float = 0.0,
    progress: Progress,
) -> Outcome:
    """A run as that of the baseline: of the same training, or of ready files, by the same method.

    Args:
        baseline: None: there is none yet.

    Raises:
        UsageError: the baseline is of ready files and none are given, or the other way round.
    """
    ask = Ask(wait_s=wait_s) if baseline is None else Ask(method=baseline.method, wait_s=wait_s)
    if baseline is not None:
        if baseline.training is None and not files:
            raise UsageError("the baseline is of ready files", hint="name them: edgeprof gate FILES --baseline ...")
        if baseline.training is not None and files:
            raise UsageError(
                f"the baseline is of the training {baseline.training!r}, not of ready files", hint="leave the files out"
            )
        if training not in (None, baseline.training):
            raise UsageError(
                f"the baseline is not of the training {training!r}",
                hint="leave --training out, or name another file for the baseline",
            )
        training = baseline.training
    if files:
        return profile_files(store, files, device, ask=ask, progress=progress)
    return run(suite, store, training=training, device=device.name, ask=ask, progress=progress)


def stored_run(store: Store, device: str, name: str) -> Run:
    """The finished run of that name, or the latest, of the device.

    Raises:
        UsageError: there is none, or it is of another device, or not finished.
    """
    this = find_run(store, device) if name == LATEST else find_run(store, None, name)
    if this.device != device:
        raise UsageError(
            f"run {this.run} is of the device {this.device!r}, not of {device!r}",
            hint=f"name that device: --device {this.device}, or another run: edgeprof show runs",
        )
    if this.pair:
        raise UsageError(
            f"run {this.run} holds a comparison of two, which is no ranking",
            hint="name a run of edgeprof run or profile: edgeprof show runs",
        )
    if not this.finished:
        raise UsageError(f"run {this.run} is not finished", hint="take it up: the same command again")
    return this


def check_fits(baseline: Baseline, this: Run) -> None:
    """Refuse to hold a run against a baseline of something else.

    Raises:
        UsageError: it is of another device or training.
    """
    if this.device != baseline.device:
        raise UsageError(
            f"the baseline is of the device {baseline.device!r}, the run of {this.device!r}",
            hint=f"name the baseline of {this.device}, or make one: --baseline FILE --device {this.device} --update",
        )
    if this.training != baseline.training:
        names = [f"the training {one!r}" if one else "ready files" for one in (baseline.training, this.training)]
        raise UsageError(
            f"the baseline is of {names[0]}, run {this.run} of {names[1]}",
            hint="gate a run of the same, or make a baseline of this one in another file: --baseline FILE --update",
        )


def gate(
    store: Store,
    outcome: Outcome,
    device: Device,
    baseline: Baseline,
    file: str,
    ask: GateAsk = GateAsk(),
    *,
    progress: Progress,
) -> GateResult:
    """Judge a run; where measuring again may change a verdict, that is done before it counts.

    Args:
        file: where the baseline lies, for the answer.

    Raises:
        UsageError: the baseline is of something else.
        EdgeprofError: the device was lost while measuring again.
    """
    from edgeprof.rank import gate as gates

    check_fits(baseline, outcome.run)
    if not outcome.ranking.candidates:
        current = _empty(baseline, outcome)
        facts = gates.Facts()
    else:
        current = baseline_of(store, outcome)
        facts = facts_between(baseline, current, ask.allow)
    failures = outcome.ranking.failures
    judged = gates.judge(baseline, current, ask.limits, facts, failures)
    again_run = None
    if ask.again and judged.open:
        suspects = Suspects(baseline=baseline, current=current, limits=ask.limits, facts=facts, failures=failures)
        again = measure_again(store, suspects, judged.open, outcome, device, ask.limit_s, ask.wait_s, progress)
        judged = gates.judge(baseline, current, ask.limits, facts, failures, again.found)
        again_run = again.run
    return gates.result(
        judged,
        baseline,
        ask.limits,
        file=file,
        run=outcome.run.run,
        facts=facts,
        failures=failures,
        again=again_run,
    )


def updated(store: Store, outcome: Outcome, old: Baseline | None) -> Baseline:
    """The baseline of a run; it keeps the calibration of the one before where the device is as it was.

    Raises:
        DeviceError, ExportError: the run measured nothing.
    """
    worth_keeping(outcome)
    new = baseline_of(store, outcome)
    if old is None or old.calibration is None or facts_between(old, new, frozenset()).differences:
        return new
    return with_calibration(new, old.calibration)


def facts_between(baseline: Baseline, current: Baseline, allow: frozenset[str]) -> Facts:
    """How the devices and methods of the two differ."""
    from edgeprof.rank import comparable
    from edgeprof.rank.gate import Facts

    both = {one.format for one in baseline.candidates} & {one.format for one in current.candidates}
    found = comparable.differences(_basis(baseline, both), _basis(current, both), allow)
    words = [(one, f"{one.name}: {one.one} then, {one.other} now") for one in found if one.spoils]
    return Facts(
        differences=tuple(said for one, said in words if not one.allowed),
        allowed=tuple(said for one, said in words if one.allowed),
        told=tuple(f"another suite: {one.one} then, {one.other} now" for one in found if one.name == "suite"),
    )


def _basis(baseline: Baseline, formats: set[Format]) -> Basis:
    return Basis(
        device=baseline.device,
        facts=baseline.facts,
        method=baseline.method,
        formats=tuple(sorted(one.format for one in baseline.candidates if one.format in formats)),
        training=baseline.training,
        suite_sha=baseline.suite_sha,
        agents=(),
    )


def _empty(baseline: Baseline, outcome: Outcome) -> Baseline:
    """A run without candidates has facts of its own, which matter to nobody."""
    return msgspec.structs.replace(baseline, run=outcome.run.run, candidates=())
