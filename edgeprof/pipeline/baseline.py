"""The file that a gate holds runs against: made of a run, read, and written so that a change of it can be reviewed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeprof import __version__
from edgeprof.errors import DeviceError, EdgeprofError, ExportError, RecordError, UsageError
from edgeprof.pipeline.accuracy import predictions
from edgeprof.pipeline.read import Outcome, artifacts_of
from edgeprof.records import Artifact, Candidate, DeviceFacts, Interval, Measurement, Round, from_json
from edgeprof.records.gate import BASELINE_SCHEMA, Baseline, BaselineCandidate, GateCalibration, KnownTop1, RoundNumbers
from edgeprof.store import Store

LARGEST_BYTES = 50_000_000
"""Of a file that is read as a baseline: one of 1000 candidates of 60 rounds has some 3 MB."""
PRIVATE = (
    "now",
    "disk_free_bytes",
    "python_path",
    "harness_overhead_ns",
    "clock_resolution_ns",
    "power_modes",
    "rails",
    "power",
    "power_missing",
)
"""Facts that change from hour to hour, tell of somebody's folders, or say nothing of a latency: not to be reviewed."""


def baseline_of(store: Store, outcome: Outcome) -> Baseline:
    """What a run measured, in the form of a baseline; without candidates where it measured none."""
    this, ranking = outcome.run, outcome.ranking
    facts = ranking.facts
    if facts is None:
        raise DeviceError(
            "nothing is known of the device that it was measured on", where=f"run {this.run}", hint="measure anew"
        )
    by_job = {one.cell.job: one for one in outcome.measurements}
    artifacts = {(one.artifact_sha, one.identity): one for one in artifacts_of(store, this)}
    found = [
        _candidate(store, one, by_job[one.job], _artifact(artifacts, by_job[one.job])) for one in ranking.candidates
    ]
    return Baseline(
        device=this.device,
        training=this.training,
        suite_sha=this.suite_sha,
        run=this.run,
        started_at=this.started_at,
        edgeprof=__version__,
        facts=_public(facts),
        method=this.method,
        candidates=tuple(sorted(found, key=lambda one: (one.label, one.provider or ""))),
    )


def worth_keeping(outcome: Outcome) -> None:
    """Refuse a baseline of nothing.

    Raises:
        DeviceError, ExportError: no candidate was measured.
    """
    if outcome.ranking.candidates:
        return
    failures = outcome.ranking.failures
    kind = ExportError if {one.stage for one in failures} & {"train", "export"} else DeviceError
    said = f": {failures[0].error}" if failures else ""
    raise kind(f"no candidate was measured{said}", where=f"run {outcome.run.run}", hint="a baseline needs one at least")


def _public(facts: DeviceFacts) -> DeviceFacts:
    default = {one.name: one.default for one in msgspec.structs.fields(DeviceFacts)}
    return msgspec.structs.replace(facts, **{name: default[name] for name in PRIVATE})


def _artifact(artifacts: dict[tuple[str, Any], Artifact], measurement: Measurement) -> Artifact | None:
    identity = msgspec.structs.replace(measurement.cell.identity, device=None, threads=None)
    return artifacts.get((measurement.cell.artifact_sha, identity))


def _candidate(store: Store, one: Candidate, measured: Measurement, artifact: Artifact | None) -> BaselineCandidate:
    cell = measured.cell
    provider = f" / {cell.provider}" if cell.provider else ""
    p99 = None if one.p99_ms is None else Interval(value=one.p99_ms, low=None, high=one.p99_high_ms)
    return BaselineCandidate(
        label=cell.identity.label() + provider,
        identity=cell.identity,
        provider=cell.provider,
        format=cell.format,
        precision=cell.precision,
        artifact_sha=cell.artifact_sha,
        size_bytes=one.size_bytes,
        top1=_top1(store, one, artifact),
        median_ms=Interval(value=one.median_ms, low=one.median_low_ms, high=one.median_high_ms),
        p90_ms=Interval(value=one.p90_ms, low=one.p90_low_ms, high=one.p90_high_ms),
        p99_ms=p99,
        trusted=measured.trusted,
        reasons=measured.reasons,
        rounds=numbers(measured.rounds),
    )


def numbers(rounds: Sequence[Round]) -> RoundNumbers:
    """What is kept of rounds that have samples, in the order of measuring."""
    used = sorted((one for one in rounds if one.samples_ns), key=lambda one: (one.attempt, one.round))

    def quantile(share: float) -> tuple[int, ...]:
        return tuple(max(1, round(float(np.quantile(one.samples_ns, share)))) for one in used)

    return RoundNumbers(
        samples=tuple(len(one.samples_ns) for one in used),
        p50_ns=quantile(0.5),
        p90_ns=quantile(0.9),
        p99_ns=quantile(0.99),
        canary_ns=tuple(round(float(np.median(one.canary_ns))) if one.canary_ns else 0 for one in used),
        peak_rss_bytes=tuple(one.peak_rss_bytes for one in used),
    )


def _top1(store: Store, one: Candidate, artifact: Artifact | None) -> KnownTop1 | None:
    from edgeprof.rank.gate_limit import packed

    if one.top1 is None or not one.test_images:
        return None
    if artifact is not None and artifact.predictions_sha is not None:
        with contextlib.suppress(EdgeprofError):  # damaged: then no image is known by itself
            kept = predictions(store, artifact)
            right = kept.right
            return KnownTop1(
                top1=float(right.mean()), images=len(right), labels_sha=kept.labels.hex(), right=packed(right)
            )
    return KnownTop1(top1=one.top1, images=one.test_images, labels_sha=None, right=None)


# --- the file


def read_baseline(path: Path) -> Baseline:
    """The baseline in a file.

    Raises:
        UsageError: there is no such file, or it is a folder.
        RecordError: it is damaged, or of another schema.
    """
    from edgeprof.rank.gate_limit import check_rounds, unpacked

    where = str(path)
    hint = "write it anew: edgeprof gate --update"
    if path.is_dir():
        raise UsageError("this is a folder, no baseline", where=where, hint=f"name a file: {path / 'baseline.json'}")
    if not path.is_file():
        raise UsageError(
            "there is no such baseline", where=where, hint=f"make one: edgeprof gate --baseline {path} --update"
        )
    if path.stat().st_size > LARGEST_BYTES:
        raise RecordError("this is no baseline: it is too large", where=where, hint=hint)
    data = path.read_bytes()
    try:
        found = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise RecordError(f"this is no baseline: {error}", where=where, hint=hint) from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != BASELINE_SCHEMA:
        what = "this is no baseline: it names no schema" if schema is None else f"the baseline is of schema {schema!r}"
        raise RecordError(f"{what}; this edgeprof reads {BASELINE_SCHEMA}"[:200], where=where, hint=hint)
    baseline = from_json(data, Baseline, where=where)
    names = [(one.identity, one.provider) for one in baseline.candidates]
    if not names:
        raise RecordError("the baseline has no candidates", where=where, hint=hint)
    if len(set(names)) < len(names):
        raise RecordError("the baseline has a candidate twice", where=where, hint=hint)
    for one in baseline.candidates:
        fault = check_rounds(one.rounds)
        if fault is None and one.top1 is not None:
            try:
                unpacked(one.top1)
            except RecordError as error:
                fault = error.what
        if fault is not None:
            raise RecordError(f"the baseline is damaged: {one.label}: {fault}", where=where, hint=hint)
    return baseline


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Whole or not at all; a line a fact, the numbers of rounds one line a list, so that a diff can be read.

    Raises:
        OSError: it cannot be written.
    """
    data = _pretty(json.loads(msgspec.json.encode(baseline)), "") + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def with_calibration(baseline: Baseline, calibration: GateCalibration | None) -> Baseline:
    """The same with another calibration."""
    return msgspec.structs.replace(baseline, calibration=calibration)


def _pretty(value: Any, indent: str) -> str:
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        lines = [f"{deeper}{json.dumps(name)}: {_pretty(each, deeper)}" for name, each in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        lines = [deeper + _pretty(each, deeper) for each in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
