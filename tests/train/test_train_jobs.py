"""Grids in processes of their own, several processes for one training, curves, and what is asked of a machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from process_tools import await_end, training_workers
from tiny_training import tiny_training

from edgeprof import train
from edgeprof.errors import TrainError, UsageError
from edgeprof.progress import Silent
from edgeprof.records import Identity, Trained, Training
from edgeprof.store import Store
from edgeprof.train import curves
from edgeprof.train.batches import epoch_batches
from edgeprof.train.jobs import Cell
from edgeprof.zoo import images


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return tiny_training(tmp_path)


class Log(Silent):
    """Remembers what it is told, and does `then` after every epoch."""

    def __init__(self, then: Callable[[int], None] = lambda _: None) -> None:
        self.details: list[str] = []
        self.notes: list[str] = []
        self.then = then

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self.details.append(detail)
        self.then(len(self.details))

    def note(self, text: str) -> None:
        self.notes.append(text)


def cells_of(training: Training) -> list[Cell]:
    return [Cell(training, identity) for identity in train.cells(training)]


def shas(store: Path, training: Training, how: train.How) -> list[str]:
    """The checkpoints of a grid, in its order."""
    found = dict(train.train_all(Store(store), cells_of(training), Silent(), how))
    done = [found[place] for place in sorted(found)]
    assert all(isinstance(one, Trained) for one in done), done
    return [one.checkpoint_sha for one in done if isinstance(one, Trained)]


@pytest.mark.slow
def test_a_grid_in_parallel_gives_the_checkpoints_of_a_serial_one(training: Training, tmp_path: Path) -> None:
    grid = msgspec.structs.replace(training, models=("test_resnet", "test_convnext"), seeds=(0, 1))
    serial = shas(tmp_path / "one", grid, train.How(jobs=1))
    assert len(set(serial)) == 4
    assert shas(tmp_path / "two", grid, train.How(jobs=2)) == serial
    assert training_workers(os.getpid()) == []


def test_a_worker_that_is_killed_is_a_failure_of_its_cell_and_the_others_go_on(
    training: Training, tmp_path: Path
) -> None:
    """By the system, when memory runs out."""
    grid = msgspec.structs.replace(training, seeds=(0, 1, 2))

    def kill_one(epochs: int) -> None:
        if epochs == 1:
            os.kill(training_workers(os.getpid())[0], signal.SIGKILL)

    found = dict(train.train_all(Store(tmp_path / "s"), cells_of(grid), Log(kill_one), train.How(jobs=2)))
    failed = [one for one in found.values() if not isinstance(one, Trained)]
    (error,) = failed
    assert isinstance(error, TrainError)
    assert "was killed by SIGKILL" in error.what
    assert "lower recipe.batch_size (8), or --jobs 1" in (error.hint or "")
    assert sum(isinstance(one, Trained) for one in found.values()) == 2
    assert training_workers(os.getpid()) == []


@pytest.mark.slow
def test_an_interrupted_grid_leaves_no_process_and_keeps_its_epochs(training: Training, tmp_path: Path) -> None:
    grid, started = msgspec.structs.replace(training, seeds=(0, 1)), []

    def stop(epochs: int) -> None:
        if epochs == 2:
            started.extend(training_workers(os.getpid()))
            raise KeyboardInterrupt

    store = Store(tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        list(train.train_all(store, cells_of(grid), Log(stop), train.How(jobs=2)))
    assert len(started) == 2
    for process in started:
        await_end(process)
    data_sha = images.fingerprint(grid.data)
    left = sum(train.epochs_left(store, grid, identity, data_sha) for identity in train.cells(grid))
    assert left <= 4, "two epochs were finished"
    assert shas(tmp_path / "s", grid, train.How(jobs=2)) == shas(tmp_path / "whole", grid, train.How(jobs=1))


@pytest.mark.slow
def test_several_processes_share_each_batch_and_give_the_same_bytes_every_time(
    training: Training, tmp_path: Path
) -> None:
    how = train.How(processes=2)
    one, other = (
        train.train(Store(tmp_path / name), training, train.cells(training)[0], Silent(), how) for name in "ab"
    )
    assert one.checkpoint_sha == other.checkpoint_sha
    assert (one.processes, one.hardware, one.mixed_precision) == (2, "cpu", "no")
    alone = train.train(Store(tmp_path / "c"), training, train.cells(training)[0], Silent())
    assert alone.processes == 1
    # The same images in each update: the first loss differs by BatchNorm's share of the batch alone.
    assert one.losses[0] == pytest.approx(alone.losses[0], rel=0.2)


def test_mixed_precision_is_in_the_record(training: Training, tmp_path: Path) -> None:
    how = train.How(mixed_precision="bf16")
    done = train.train(Store(tmp_path / "s"), training, train.cells(training)[0], Silent(), how)
    assert (done.mixed_precision, done.hardware) == ("bf16", "cpu")
    assert done.losses[-1] < done.losses[0]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (train.How(accelerator="cuda"), "a GPU was asked for, and torch finds none"),
        (train.How(mixed_precision="fp16"), "on a processor torch trains in fp32 or bf16"),
    ],
)
def test_what_the_machine_has_not_is_said_at_once(
    training: Training, tmp_path: Path, how: train.How, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match=said) as caught:
        train.train(Store(tmp_path / "s"), training, train.cells(training)[0], Silent(), how)
    assert caught.value.hint


def test_batches_are_the_same_for_any_number_of_workers(training: Training) -> None:
    dataset = images.open_split(training.data, "train")
    here = [batch.sum().item() for batch, _ in epoch_batches(dataset, training, 0, 1)]
    there = [batch.sum().item() for batch, _ in epoch_batches(dataset, training, 0, 1, workers=2)]
    assert here == there


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_reads_the_curves_each_epoch_once_also_after_a_stop(training: Training, tmp_path: Path) -> None:
    def stop(epochs: int) -> None:
        if epochs == 2:
            raise KeyboardInterrupt

    store, (identity,) = Store(tmp_path / "s"), train.cells(training)
    with pytest.raises(KeyboardInterrupt):
        train.train(store, training, identity, Log(stop))
    done = train.train(store, training, identity, Silent())
    shown = points(curves.cell_folder(store, identity))
    assert set(shown) == set(curves.TAGS)
    assert all([step for step, _ in rows] == [1, 2, 3] for rows in shown.values())
    assert [value for _, value in shown["loss/train"]] == pytest.approx(done.losses)
    assert [value for _, value in shown["top1/test"]] == pytest.approx(done.top1_by_epoch)
    assert done.top1_by_epoch[-1] == pytest.approx(done.accuracy.top1)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_no_name_leads_out_of_the_folder_of_the_curves(training: str, model: str, init: str) -> None:
    root = Path("store")
    found = curves.cell_folder(_Rooted(root), Identity(training=training, model=model, init=init, seed=0))  # type: ignore[arg-type]
    assert found.parts[:2] == ("store", "curves")
    assert len(found.parts) == 4
    assert not {".", ".."} & set(found.parts)
    assert all("/" not in part and "\0" not in part for part in found.parts)


class _Rooted:
    """As much of a store as names need."""

    def __init__(self, root: Path) -> None:
        self.root = root


def test_an_estimate_times_each_model_and_leaves_nothing(training: Training, tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    grid = msgspec.structs.replace(training, seeds=(0, 1))
    found = train.estimate(store, [train.Left(cell, 3) for cell in cells_of(grid)], Log(), train.How(jobs=1))
    assert [(one.model, one.seed, one.epochs_left, one.images, one.updates) for one in found.cells] == [
        ("test_resnet", 0, 3, 21, 2),
        ("test_resnet", 1, 3, 21, 2),
    ]
    assert all(one.seconds and one.seconds > 0 for one in found.cells)
    assert found.seconds >= max(one.seconds or 0 for one in found.cells)
    assert list(store.all(Trained.KIND, Trained)) == []
    assert not (store.root / "training").exists()
