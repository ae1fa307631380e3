"""Several runs of one study in one store, as measuring would leave them: each slower or on another kernel, at will."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import report_records

from edgeprof.records import Artifact, Measurement, Round, Run
from edgeprof.store import Store

MODELS = {
    "mobilenetv3_small_100": ((2.9, 3.3, 2.2), 438, 6.2, 1.53, 4.9),
    "resnet18": ((19.5, 17.2, 21.8), 442, 44.7, 11.18, 148.0),
}


class Kind(NamedTuple):
    """One run: by how much each model is slower than in the study, and what else differs."""

    slower: Mapping[str, float] = {}
    facts: Mapping[str, Any] = {}
    device: str = "raspberry-pi"
    seed: int = 0
    files: Mapping[str, str] = {}
    """Model -> what is put before its files' names: another file."""
    models: Mapping[str, Any] = MODELS
    fields: Mapping[str, Any] = {}
    """Of the run."""


def write(root: Path, kinds: Sequence[Kind]) -> list[str]:
    """Writes the runs into a store under `root`, an hour apart; their names."""
    store = Store(root / ".edgeprof")
    store._db.execute("BEGIN")  # one transaction: thousands of rounds, each made durable, would take a minute
    names = []
    for number, kind in enumerate(kinds):
        run, artifacts, rounds = made(number, kind)
        names.append(run.run)
        store.put(Run.KIND, run.run, run, run=run.run)
        for artifact in artifacts:
            store.put(Artifact.KIND, f"{artifact.artifact_sha}-{artifact.identity.label()}", artifact)
        for one in rounds:
            store.put(Round.KIND, f"{run.run}/{one.job}/{one.attempt}/{one.round}", one, run=run.run)
    store._db.execute("COMMIT")
    store.close()
    return names


def made(number: int, kind: Kind) -> tuple[Run, list[Artifact], list[Round]]:
    """A run, its files, and its rounds: 9 that spread by 0.5%."""
    run, artifacts, measurements, _ = report_records.records(kind.device, dict(kind.models))
    began = datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC) + datetime.timedelta(hours=number)
    name = f"{began:%Y%m%d-%H%M%S}-{number:08x}"
    shas = {one.artifact_sha: kind.files.get(one.model, "") + one.artifact_sha for one in artifacts}
    run = msgspec.structs.replace(
        run,
        run=name,
        started_at=f"{began:%Y-%m-%dT%H:%M:%SZ}",
        facts=msgspec.structs.replace(report_records.FACTS, **kind.facts),
        cells=tuple(
            msgspec.structs.replace(one.cell, artifact_sha=shas[one.cell.artifact_sha]) for one in measurements
        ),
        failures=(),
        **kind.fields,
    )
    artifacts = [msgspec.structs.replace(one, artifact_sha=shas[one.artifact_sha]) for one in artifacts]
    generator = np.random.default_rng([kind.seed, number])
    return run, artifacts, [one for each in measurements for one in _rounds(name, each, kind, generator)]


def _rounds(name: str, one: Measurement, kind: Kind, generator: np.random.Generator) -> list[Round]:
    first = one.rounds[0]
    level = float(np.median([np.median(each.samples_ns) for each in one.rounds]))
    level *= kind.slower.get(one.cell.identity.model, 1.0)
    found = []
    for number in range(9):
        samples = level * np.exp(generator.normal(0, 0.005)) * (1 + np.abs(generator.normal(0, 0.01, 60)))
        found.append(
            msgspec.structs.replace(
                first,
                run=name,
                round=number,
                position=number,
                started_at=first.started_at + number,
                samples_ns=tuple(int(value) for value in samples),
                call_ns=tuple(int(0.96 * value) for value in samples),
                ran=first.ran if number == 0 else None,
            )
        )
    return found
