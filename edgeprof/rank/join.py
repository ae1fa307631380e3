"""Joins measurements with the accuracy of the very file that was measured, by sha256, and ranks them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import RecordError, UsageError
from edgeprof.rank.bounds import confidence, places
from edgeprof.rank.energy import unmeasured, with_energy
from edgeprof.rank.evidence import Evidence
from edgeprof.rank.orders import Order, order_by
from edgeprof.rank.pareto import front, probabilities
from edgeprof.rank.proxies import in_short
from edgeprof.records import (
    AS_IN_FILE,
    Artifact,
    Candidate,
    DeviceFacts,
    Energy,
    Failure,
    Measurement,
    OnDevice,
    Operators,
    Ranking,
    Round,
    Run,
    Scored,
)
from edgeprof.stats.intervals import wilson
from edgeprof.stats.summary import summarize

_Joined = tuple[Candidate, tuple[Round, ...]]


def ranking(
    run: Run,
    measurements: Sequence[Measurement],
    artifacts: Sequence[Artifact],
    failures: Sequence[Failure],
    by: str = "latency",
    *,
    operators: Sequence[Operators] = (),
    on_device: Sequence[OnDevice] = (),
    energies: Sequence[Energy] = (),
    scored: Sequence[Scored] = (),
    right: Mapping[str, NDArray[np.bool_]] | None = None,
) -> Ranking:
    """The candidates of one run on one device, best first, with what failed.

    One candidate per measured cell (file x threads). The order is by `by`, see `orders.order_by`. What shares a rank
    cannot be told apart by the data, see `bounds.places`; within a rank the better point estimate comes first; what is
    not trusted comes last.

    Args:
        failures: what failed before or while measuring; those that `run` holds are added.
        operators: time by operator of some cells; that of the candidates is taken, in their order.
        on_device: what some files computed on test images there, likewise.
        energies: of an inference of each, or why there is none, likewise.
        scored: the files whose predictions are kept, with intervals and the drop against their checkpoints.
        right: by artifact_sha, whether a file is right on each test image, see `evidence.Evidence`.

    Raises:
        UsageError: `by` is no order, or nothing of it was measured.
        RecordError: a measurement is of another run or device, comes twice, or its artifact is missing.
    """
    order = order_by(by)
    by_sha: dict[str, list[Artifact]] = {}
    there = {one.job: one for one in on_device}
    energy = {one.job: one for one in energies}
    scores = {(one.sha, one.identity): one for one in scored}
    for artifact in artifacts:
        by_sha.setdefault(artifact.artifact_sha, []).append(artifact)
    joined: list[_Joined] = []
    failed = list(failures)
    failed += [one for one in run.failures if one not in failed]
    seen: set[str] = set()
    for measurement in measurements:
        _check(run, measurement, seen)
        rounds = tuple(one for one in measurement.rounds if one.samples_ns)
        fault = _fault(rounds)
        if fault is None:
            artifact = _artifact(measurement, by_sha)
            found = _candidate(measurement, rounds, artifact)
            found = _with_scores(found, scores.get((artifact.artifact_sha, artifact.identity)))
            found = with_energy(_with_device(found, there.get(found.job)), energy.get(found.job))
            joined.append((found, rounds))
        else:
            failed.append(_unusable(measurement, fault))
    candidates = _place(joined, order, right or {}, by, run.facts)
    by_operator = {one.job: one for one in operators}
    whole = Ranking(
        run=run.run,
        device=run.device,
        suite_sha=run.suite_sha,
        training=run.training,
        started_at=run.started_at,
        by=by,
        facts=run.facts or (measurements[0].facts if measurements else None),
        method=run.method,
        candidates=tuple(candidates),
        failures=tuple(failed),
        operators=tuple(by_operator[one.job] for one in candidates if one.job in by_operator),
        on_device=tuple(there[one.job] for one in candidates if one.job in there),
        energy=tuple(energy[one.job] for one in candidates if run.energy and one.job in energy),
    )
    return msgspec.structs.replace(whole, proxies=in_short(whole))


def _check(run: Run, measurement: Measurement, seen: set[str]) -> None:
    job, where = measurement.cell.job, f"run {run.run}, {measurement.cell.identity.label()}"
    if (measurement.run, measurement.device) != (run.run, run.device):
        raise RecordError(
            f"a measurement of run {measurement.run} on {measurement.device} does not belong to run {run.run} on"
            f" {run.device}",
            where=where,
            hint="rank the measurements of one run and one device",
        )
    if job in seen:
        raise RecordError("the same cell is there twice", where=where, hint="begin anew with --fresh")
    seen.add(job)


def _artifact(measurement: Measurement, by_sha: dict[str, list[Artifact]]) -> Artifact:
    """By sha256, never by name. Where two exports gave the same bytes, the one that the cell speaks of."""
    cell = measurement.cell
    same = by_sha.get(cell.artifact_sha, [])
    if not same:
        raise RecordError(
            f"the record of the measured file {cell.artifact_sha[:12]} is missing",
            where=f"run {measurement.run}, {cell.identity.label()}",
            hint="run the same command again: it exports what is missing",
        )
    asked = (cell.identity.model, cell.identity.exporter, cell.identity.init, cell.identity.seed)
    return next((one for one in same if (one.model, one.exporter, one.init, one.seed) == asked), same[0])


def _fault(rounds: Sequence[Round]) -> str | None:
    if not rounds:
        return "no round of it has a sample"
    if any(float(np.median(one.samples_ns)) <= 0 for one in rounds):
        return "the device's clock is too coarse for it: half of the samples of a round are 0 ns"
    return None


def _unusable(measurement: Measurement, fault: str) -> Failure:
    cell = measurement.cell
    return Failure(
        stage="profile",
        identity=cell.identity,
        error=fault,
        error_class="NoSamples",
        transient=False,
        hint="; ".join(measurement.reasons) or "measure again with --fresh",
    )


def _candidate(measurement: Measurement, rounds: tuple[Round, ...], artifact: Artifact) -> Candidate:
    """Without its place and its mark on the front, which depend on the others."""
    cell, summary, accuracy = measurement.cell, summarize(rounds), artifact.accuracy
    identity = cell.identity
    # The rounds that asked the runtime know; the others repeat what was asked of it.
    looked = [one for one in rounds if one.ran is not None] or rounds
    executed = _joined_words(one.precision_executed for one in looked)
    top1 = None
    if accuracy is not None and accuracy.images > 0:
        top1 = wilson(accuracy.top1 * accuracy.images, accuracy.images)
    return Candidate(
        model=identity.model,
        training=identity.training,
        init=identity.init,
        seed=identity.seed,
        exporter=identity.exporter or artifact.exporter,
        format=artifact.format,
        precision=executed if artifact.precision == AS_IN_FILE else artifact.precision,
        image_size=artifact.preprocessing.image_size if artifact.preprocessing else None,
        params=artifact.params,
        macs=artifact.macs,
        size_bytes=artifact.size_bytes,
        artifact_sha=artifact.artifact_sha,
        job=cell.job,
        test_images=accuracy.images if accuracy else None,
        top1=accuracy.top1 if accuracy and top1 else None,
        top1_low=top1.low if top1 else None,
        top1_high=top1.high if top1 else None,
        top5=accuracy.top5 if accuracy and top1 else None,
        macro_f1=accuracy.macro_f1 if accuracy and top1 else None,
        parity_max_abs_diff=artifact.parity.max_abs_diff if artifact.parity else None,
        median_ms=summary.median_ms.value,
        median_low_ms=summary.median_ms.low,
        median_high_ms=summary.median_ms.high,
        p90_ms=summary.p90_ms.value,
        p90_low_ms=summary.p90_ms.low,
        p90_high_ms=summary.p90_ms.high,
        p99_ms=summary.p99_ms,
        p99_high_ms=summary.p99_high_ms,
        p99_reason=summary.p99_reason,
        call_ms=summary.call_ms,
        load_ms=summary.load_ms.value,
        load_low_ms=summary.load_ms.low,
        load_high_ms=summary.load_ms.high,
        first_ms=summary.first_ms.value,
        first_low_ms=summary.first_ms.low,
        first_high_ms=summary.first_ms.high,
        peak_rss_bytes=summary.peak_rss_bytes,
        threads=cell.threads,
        runs_on=_joined_words(one.runs_on for one in rounds),
        precision_executed=executed,
        ran=next((one.ran for one in rounds if one.ran is not None), None),
        samples=summary.samples,
        rounds=summary.rounds,
        attempts=measurement.attempts,
        rank=1,
        rank_low=1,
        rank_high=1,
        pareto=False,
        trusted=measurement.trusted,
        reasons=measurement.reasons,
        warnings=artifact.warnings,
    )


def _with_scores(candidate: Candidate, scored: Scored | None) -> Candidate:
    """With the intervals that take its predictions, where they are kept."""
    if scored is None:
        return candidate
    drop = scored.drop
    return msgspec.structs.replace(
        candidate,
        top5_low=scored.top5.low,
        top5_high=scored.top5.high,
        macro_f1_low=scored.macro_f1.low,
        macro_f1_high=scored.macro_f1.high,
        top1_drop=drop.difference.value if drop else None,
        top1_drop_low=drop.difference.low if drop else None,
        top1_drop_high=drop.difference.high if drop else None,
        drop_p=drop.p if drop else None,
    )


def _with_device(candidate: Candidate, there: OnDevice | None) -> Candidate:
    """With what its file computed on test images on the device, where that was looked at."""
    if there is None:
        return candidate
    return msgspec.structs.replace(
        candidate,
        device_images=there.images,
        device_top1=there.top1,
        device_top1_low=there.top1_low,
        device_top1_high=there.top1_high,
        device_agreement=there.agreement,
        device_max_abs_diff=there.max_abs_diff,
        device_verdict=there.verdict,
    )


def _joined_words(words: Iterable[str]) -> str:
    """Rounds that ran on different providers must not look as if they all ran on the first."""
    return " / ".join(dict.fromkeys(words))


def _place(
    joined: Sequence[_Joined],
    order: Order,
    right: Mapping[str, NDArray[np.bool_]],
    by: str,
    facts: DeviceFacts | None,
) -> list[Candidate]:
    level = confidence(len(joined))
    quantities = [order(candidate, rounds, level) for candidate, rounds in joined]
    if quantities and all(one.value is None for one in quantities):  # an order of names would pass for an answer
        if "energy" in by and all(one.energy_mj is None for one, _ in joined):
            raise unmeasured(f"cannot rank by {by!r}", [one for one, _ in joined], facts=facts)
        raise UsageError(
            f"cannot rank by {by!r}: no candidate of this run has all of it",
            hint="ready files have no accuracy, and not every device tells memory; latency and size are always there",
        )
    candidates = [candidate for candidate, _ in joined]
    known = Evidence(rounds={candidate.job: rounds for candidate, rounds in joined}, right=right)
    marks = zip(places(quantities), front(candidates), probabilities(candidates, known), strict=True)
    rows = []
    least = min((one.value for one in quantities if one.value is not None), default=0.0)
    for candidate, quantity, (place, mark, probability) in zip(candidates, quantities, marks, strict=True):
        placed = msgspec.structs.replace(
            candidate,
            # A weighted order adds up logarithms.
            score=math.exp(quantity.value - least) if "=" in by and quantity.value is not None else None,
            rank=place.rank,
            rank_low=place.low,
            rank_high=place.high,
            pareto=mark,
            pareto_probability=probability,
        )
        value = float("inf") if quantity.value is None else quantity.value
        # The name and the job settle what nothing else does, so that the order never depends on the input's.
        key = (not placed.trusted, place.rank, value, placed.model, placed.exporter, placed.threads, placed.job)
        rows.append((key, placed))
    return [placed for _, placed in sorted(rows, key=lambda row: row[0])]
