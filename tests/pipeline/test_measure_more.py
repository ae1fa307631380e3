"""`choose --measure-more` through the real agent: it measures what is in question, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import tiny_models
from rank_records import rounds_of

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.errors import DeviceError
from edgeprof.pipeline.decide import choose
from edgeprof.pipeline.more import measure_more
from edgeprof.pipeline.read import assemble
from edgeprof.progress import Silent
from edgeprof.records import Accuracy, Artifact, Device, Limits, Round, Run
from edgeprof.store import Store

HERE = Device(name="localhost", transport="local", threads=(1,))
METHOD = msgspec.structs.replace(tiny_models.QUICK, min_rounds=3, max_rounds=3, precision=0.5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / ".edgeprof")


def measured(store: Store, *top1: float) -> Run:
    """A finished run over real ONNX files that differ in their accuracy alone: 3 rounds each, of about 1 ms and a
    tenth of that, made up so that what is in question does not hang on how restless this machine is."""
    files = []
    for number, share in enumerate(top1):
        contents = {name: path.read_bytes() for name, path in tiny_models.files("onnx").items()}
        one = tiny_models.artifact(store, "onnx", contents, None, model=f"model-{number}")
        accuracy = Accuracy(images=450, top1=share, top5=1.0, macro_f1=share)
        one = msgspec.structs.replace(one, accuracy=accuracy)
        store.put(Artifact.KIND, f"artifact-{number}", one)
        files.append(one)
    with target.connect(HERE, store, Silent()) as connection:
        facts = measuring.facts(connection)
        cells, failures = measuring.cells(files, HERE, facts, connection.provide({"onnx"}))
    assert failures == []
    run = Run(
        run="r1",
        device="localhost",
        training=None,
        plan_sha="",
        suite_sha=None,
        started_at="2026-01-02T03:04:05Z",
        facts=facts,
        method=METHOD,
        cells=tuple(cells),
        finished=True,
    )
    store.put(Run.KIND, run.run, run, run=run.run)
    for number, cell in enumerate(cells):
        for each in rounds_of(cell.job, [[ms / 10**number] * 40 for ms in (0.97, 1.0, 1.04)]):
            store.put(Round.KIND, f"r1/{cell.job}/{each.round}", each, run="r1")
    return run


def counts(store: Store, run: Run) -> dict[str, int]:
    found: dict[str, int] = {}
    models = {cell.job: cell.identity.model for cell in run.cells}
    for one in store.all(Round.KIND, Round, run=run.run):
        found[models[one.job]] = found.get(models[one.job], 0) + 1
    return found


def test_only_the_candidates_in_question_get_more_rounds_and_the_report_is_made_anew(store: Store) -> None:
    run = measured(store, 0.99, 0.5)
    before = assemble(store, run)
    best = next(one for one in before.ranking.candidates if one.model == "model-0")
    page = before.files["json"].read_bytes()
    limits = Limits(budget_ms=1.0, percentile=50)
    first = choose(store, before, limits)
    assert first.undecided is not None
    assert first.undecided.jobs == (best.job,)
    found = measure_more(store, run, HERE, limits, limit_s=1.0, wait_s=0.0, progress=Silent())
    after = counts(store, run)
    assert after["model-1"] == 3
    assert after["model-0"] == 3 + found.rounds
    assert found.rounds >= 2
    assert found.outcome.files["json"].read_bytes() != page


def test_a_settled_choice_measures_nothing_and_needs_no_device(store: Store) -> None:
    run = measured(store, 0.9)
    gone = msgspec.structs.replace(HERE, transport="ssh", host="nowhere.invalid")
    found = measure_more(store, run, gone, Limits(budget_ms=1e-6), limit_s=60.0, wait_s=0.0, progress=Silent())
    assert found.rounds == 0
    assert counts(store, run) == {"model-0": 3}


def test_a_device_in_another_state_is_refused(store: Store) -> None:
    """Rounds under another kernel belong to another run."""
    run = measured(store, 0.9)
    assert run.facts is not None
    other = msgspec.structs.replace(run, facts=msgspec.structs.replace(run.facts, kernel="5.10-other"))
    store.put(Run.KIND, run.run, other, run=run.run)
    outcome = assemble(store, other, write=False)
    limits = Limits(budget_ms=1.0, percentile=50)
    assert choose(store, outcome, limits).undecided is not None
    with pytest.raises(DeviceError, match=r"kernel 5\.10-other then"):
        measure_more(store, other, HERE, limits, limit_s=5.0, wait_s=0.0, progress=Silent())
    assert counts(store, run) == {"model-0": 3}


def test_rounds_of_other_cores_are_no_rounds_of_the_run(store: Store) -> None:
    """Where the run was bound to a core the further rounds are too; where only the device file says so now, they are
    not of the run."""
    run = measured(store, 0.9)
    limits = Limits(budget_ms=1.0, percentile=50)
    bound = msgspec.structs.replace(HERE, cores=(0,))
    with pytest.raises(DeviceError, match="bound to any core then, cores 0 now"):
        measure_more(store, run, bound, limits, limit_s=5.0, wait_s=0.0, progress=Silent())
    assert counts(store, run) == {"model-0": 3}
    run = msgspec.structs.replace(run, bound_to=(0,))
    store.put(Run.KIND, run.run, run, run=run.run)
    assert measure_more(store, run, HERE, limits, limit_s=1.0, wait_s=0.0, progress=Silent()).rounds >= 2
