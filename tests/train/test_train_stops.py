"""Trainings that are stopped and taken up in every mode, groups of processes, no epochs, and the count of a dry run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from process_tools import await_end, children, training_workers
from tiny_training import tiny_training

from edgeprof import train
from edgeprof.errors import EdgeprofError, TrainError
from edgeprof.progress import Silent
from edgeprof.records import Trained, Training
from edgeprof.store import Store
from edgeprof.train.jobs import Cell


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return tiny_training(tmp_path)


class Log(Silent):
    def __init__(self, then: Callable[[int], None] = lambda _: None) -> None:
        self.notes: list[str] = []
        self.count = 0
        self.then = then

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        self.count += 1
        self.then(self.count)

    def note(self, text: str) -> None:
        self.notes.append(text)


def one(store: Path, training: Training, how: train.How, progress: Silent | None = None) -> Trained:
    return train.train(Store(store), training, train.cells(training)[0], progress or Silent(), how)


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        train.How(mixed_precision="bf16"),
        train.How(processes=2),
        train.How(processes=2, mixed_precision="bf16"),
        train.How(workers=2),
        train.How(threads=2),
    ],
    ids=["bf16", "two processes", "two processes in bf16", "two loaders", "two threads"],
)
def test_a_stopped_training_goes_on_to_the_same_bytes(training: Training, tmp_path: Path, how: train.How) -> None:
    def stop(epochs: int) -> None:
        if epochs == 1:
            raise KeyboardInterrupt

    before = children(os.getpid())  # such as a browser for all tests of this process
    with pytest.raises(KeyboardInterrupt):
        one(tmp_path / "s", training, how, Log(stop))
    assert set(children(os.getpid())) <= set(before)
    log = Log()
    found = one(tmp_path / "s", training, how, log)
    assert any("taken up after epoch" in note for note in log.notes), log.notes
    assert found.checkpoint_sha == one(tmp_path / "whole", training, how).checkpoint_sha


@pytest.mark.slow
def test_a_killed_member_of_a_group_is_a_failure_and_the_others_go_too(training: Training, tmp_path: Path) -> None:
    seen: list[int] = []

    def kill_one(epochs: int) -> None:
        if epochs == 1:
            seen.extend(training_workers(os.getpid()))
            os.kill(seen[-1], signal.SIGKILL)

    with pytest.raises(TrainError):
        one(tmp_path / "s", training, train.How(processes=2), Log(kill_one))
    for process in seen:
        await_end(process)


@pytest.mark.slow
def test_a_group_trains_one_cell_after_the_other(training: Training, tmp_path: Path) -> None:
    """And ends each: a group that was left between two cells could wait for itself for ever."""
    grid = msgspec.structs.replace(training, seeds=tuple(range(4)))
    cells, how = [Cell(grid, identity) for identity in train.cells(grid)], train.How(jobs=1, processes=2)
    found = dict(train.train_all(Store(tmp_path / "grid"), cells, Silent(), how))
    done = [each.checkpoint_sha for each in found.values() if isinstance(each, Trained)]
    assert len(set(done)) == 4
    first = found[0]
    assert isinstance(first, Trained)
    assert one(tmp_path / "alone", grid, how).checkpoint_sha == first.checkpoint_sha


@pytest.mark.slow
def test_a_group_with_loaders_gives_the_bytes_of_one_without(training: Training, tmp_path: Path) -> None:
    without = one(tmp_path / "a", training, train.How(processes=2, workers=0))
    assert one(tmp_path / "b", training, train.How(processes=2, workers=1)).checkpoint_sha == without.checkpoint_sha


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_the_command_leaves_no_process_and_keeps_its_epochs(tmp_path: Path, by: signal.Signals) -> None:
    suite = tmp_path / "suite"
    for folder in ("training", "exporters", "devices"):
        (suite / folder).mkdir(parents=True)
    (suite / "training" / "t.toml").write_text(
        'models = ["mobilenetv3_small_050"]\ninits = ["scratch"]\nseeds = [0, 1]\n[data]\nname = "digits"\n'
        "[preprocessing]\nimage_size = 32\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n"
        "[recipe]\nepochs = 30\nbatch_size = 128\n"
    )
    command = [sys.executable, "-m", "edgeprof", "--suite", str(suite), "train", "--jobs", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    states: list[Path] = []
    deadline = time.monotonic() + 100
    while len(states) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr and process.stderr.read()
        states = list((suite / ".edgeprof" / "training").glob("*/epoch.safetensors"))
        time.sleep(0.1)
    workers = children(process.pid)
    assert len(states) == 2
    assert len(workers) == 2
    process.send_signal(by)
    _, said = process.communicate(timeout=40)
    assert process.returncode == (130 if by == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in said
    for worker in workers:
        await_end(worker)
    assert all(state.is_file() for state in states)


def test_without_epochs_nothing_is_updated(training: Training, tmp_path: Path) -> None:
    """What is evaluated as it is has the tensors of the checkpoint it came from."""
    first = one(tmp_path / "s", training, train.How())
    store = Store(tmp_path / "s")
    again = msgspec.structs.replace(
        training, name="as-is", inits=("training:tiny",), recipe=msgspec.structs.replace(training.recipe, epochs=0)
    )
    found = train.train(store, again, train.cells(again)[0], Silent(), train.How(), source=first)
    assert found.checkpoint_sha == first.checkpoint_sha
    assert (found.losses, found.top1_by_epoch) == ((), ())
    assert found.accuracy.top1 == first.accuracy.top1


def test_a_dead_loss_in_one_cell_of_a_parallel_grid_is_its_failure_alone(training: Training, tmp_path: Path) -> None:
    bad = msgspec.structs.replace(
        training,
        name="bad",
        recipe=msgspec.structs.replace(training.recipe, optimizer="sgd", learning_rate=1e30, warmup_epochs=0),
    )
    grid = [Cell(bad, train.cells(bad)[0]), Cell(training, train.cells(training)[0])]
    found = dict(train.train_all(Store(tmp_path / "s"), grid, Silent(), train.How(jobs=2)))
    assert isinstance(found[0], EdgeprofError)
    assert "epoch" in found[0].what
    assert isinstance(found[1], Trained)


def test_a_dry_run_counts_no_further_than_it_said(tmp_path: Path) -> None:
    """Of a recipe whose sources are not trained yet."""
    suite = tmp_path / "suite"
    for folder in ("training", "exporters", "devices"):
        (suite / folder).mkdir(parents=True)
    recipe = (
        'models = ["mobilenetv3_small_050"]\ninits = ["{init}"]\nseeds = [0]\n[data]\nname = "digits"\n'
        "[preprocessing]\nimage_size = 32\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n"
        "[recipe]\nepochs = 2\nbatch_size = 64\n"
    )
    (suite / "training" / "source.toml").write_text(recipe.format(init="scratch"))
    (suite / "training" / "after.toml").write_text(recipe.format(init="training:source"))
    done = subprocess.run(
        [sys.executable, "-m", "edgeprof", "--suite", str(suite), "train", "-t", "after", "--dry-run", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["dry_run"]
    assert [(one["training"], one["epochs_left"]) for one in found["cells"]] == [("source", 2), ("after", 2)]
    assert found["seconds"] > 0
    assert not (suite / ".edgeprof" / "training").exists()
    assert "2/1" not in done.stderr, done.stderr
