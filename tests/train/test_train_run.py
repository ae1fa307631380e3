"""Training: the same bytes for the same seed, also after kill -9; what goes wrong is said; nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from tiny_training import SMALL, tiny_training

from edgeprof import train
from edgeprof.errors import DataError, TrainError, UsageError
from edgeprof.progress import Silent
from edgeprof.records import Data, Identity, Preprocessing, Recipe, Trained, Training, to_json
from edgeprof.store import Store
from edgeprof.train.batches import epoch_batches, updates_per_epoch
from edgeprof.train.plan import state_file
from edgeprof.zoo import checkpoint, images, metrics, models


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
        assert (stage, done) == ("train", 1)
        self.details.append(detail)
        self.then(len(self.details))

    def note(self, text: str) -> None:
        self.notes.append(text)


def _with(training: Training, **recipe: Any) -> Training:
    return msgspec.structs.replace(training, recipe=msgspec.structs.replace(training.recipe, **recipe))


def _cell(training: Training, **changes: Any) -> Identity:
    return msgspec.structs.replace(train.cells(training)[0], **changes)


def _train(store: Path, training: Training, log: Log | None = None, threads: int = 1, **cell: Any) -> Trained:
    return train.train(Store(store), training, _cell(training, **cell), log or Log(), train.How(threads=threads))


def test_same_seed_twice_is_the_same_checkpoint_and_another_seed_is_not(training: Training, tmp_path: Path) -> None:
    one = _train(tmp_path / "1", training)
    # Whatever drew random numbers before does not matter.
    random.random(), np.random.random(), torch.rand(1)
    other = _train(tmp_path / "2", training)
    assert one.checkpoint_sha == other.checkpoint_sha
    assert (one.predictions_sha, one.losses, one.accuracy) == (other.predictions_sha, other.losses, other.accuracy)
    assert _train(tmp_path / "1", training, seed=1).checkpoint_sha != one.checkpoint_sha


def test_the_record_says_what_was_done(training: Training, tmp_path: Path) -> None:
    log, store = Log(), Store(tmp_path / "s")
    done = _train(tmp_path / "s", training, log)
    assert log.details[-1].startswith(f"{SMALL} / scratch / seed 0 epoch 3/3 loss ")
    assert len(log.details) == len(done.losses) == 3
    assert done.losses[-1] < done.losses[0]
    assert done.classes == ("dark", "grey", "light")
    assert done.data_sha == images.fingerprint(training.data)
    assert done.threads == 1
    assert {"torch", "timm"} <= set(done.made_by.packages)
    labels, logits = checkpoint.read_predictions(store.blob(done.predictions_sha))
    assert metrics.accuracy(labels, logits) == done.accuracy
    restored = checkpoint.restore(done, store)
    batch, _ = next(images.test_batches(training.data, training.preprocessing, 64))
    with torch.no_grad():
        again = restored(torch.from_numpy(batch)).numpy()
    assert np.allclose(again, logits, atol=1e-5)
    assert done.params == models.count_params(restored)
    assert not state_file(store, train.key(training, _cell(training), done.data_sha)).parent.exists()


def test_nothing_is_trained_twice_and_a_renamed_recipe_reuses_it(training: Training, tmp_path: Path) -> None:
    first, log = _train(tmp_path / "s", training), Log()
    renamed = msgspec.structs.replace(training, name="other", models=("resnet18", SMALL))
    second = train.train(Store(tmp_path / "s"), renamed, _cell(renamed, model=SMALL), log)
    assert log.details == []
    assert second == msgspec.structs.replace(first, training="other")
    assert train.epochs_left(Store(tmp_path / "s"), renamed, _cell(renamed, model=SMALL), first.data_sha) == 0


def test_a_record_whose_checkpoint_is_gone_is_trained_again(training: Training, tmp_path: Path) -> None:
    first, log = _train(tmp_path / "s", training), Log()
    Store(tmp_path / "s").blob(first.checkpoint_sha).unlink()
    assert _train(tmp_path / "s", training, log).checkpoint_sha == first.checkpoint_sha
    assert len(log.details) == 3


CHILD = """
import sys
from pathlib import Path
from edgeprof import train
from edgeprof.progress import Silent
from edgeprof.records import Training, from_json
from edgeprof.store import Store
training = from_json(Path(sys.argv[1]).read_bytes(), Training)
train.train(Store(Path(sys.argv[2])), training, train.cells(training)[0], Silent())
"""


def test_killed_training_goes_on_and_ends_in_the_very_same_checkpoint(training: Training, tmp_path: Path) -> None:
    """A real kill -9 of a real process, some moment after its second epoch."""
    training = _with(training, epochs=24)
    (tmp_path / "training.json").write_bytes(to_json(training))
    data_sha, store = images.fingerprint(training.data), Store(tmp_path / "killed")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "training.json"), str(tmp_path / "killed")],
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 240
        while train.epochs_left(store, training, _cell(training), data_sha) > 22:
            assert child.poll() is None, child.communicate()[1].decode()
            assert time.monotonic() < deadline, "the child does not come on"
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    left = train.epochs_left(store, training, _cell(training), data_sha)
    assert 0 < left <= 22
    log = Log()
    resumed = _train(tmp_path / "killed", training, log)
    assert len(log.details) == left
    assert f"taken up after epoch {24 - left} of 24" in log.notes[0]
    whole = _train(tmp_path / "whole", training)
    assert resumed.checkpoint_sha == whole.checkpoint_sha
    assert resumed.predictions_sha == whole.predictions_sha
    assert resumed.losses == whole.losses


class _Stopped(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("optimizer", ["adamw", "momentum", "lamb", "rmsproptf", "lion", "nadamw"])
def test_stopped_training_goes_on_with_any_optimizer(
    training: Training, tmp_path: Path, optimizer: str, after: int
) -> None:
    """After the last epoch too, where only the evaluation is left."""

    def stop(epoch: int) -> None:
        if epoch == after:
            raise _Stopped

    training = _with(training, optimizer=optimizer, clip_grad=1.0)
    with pytest.raises(_Stopped):
        _train(tmp_path / "s", training, Log(stop))
    log = Log()
    resumed = _train(tmp_path / "s", training, log)
    assert len(log.details) == 3 - after
    assert resumed.checkpoint_sha == _train(tmp_path / "whole", training).checkpoint_sha


def test_a_training_keeps_the_threads_it_began_with(training: Training, tmp_path: Path) -> None:
    def stop(epoch: int) -> None:
        raise _Stopped

    with pytest.raises(_Stopped):
        _train(tmp_path / "s", training, Log(stop), threads=1)
    assert _train(tmp_path / "s", training, threads=2).threads == 1


def test_damaged_state_begins_anew(training: Training, tmp_path: Path) -> None:
    def stop(epoch: int) -> None:
        raise _Stopped

    with pytest.raises(_Stopped):
        _train(tmp_path / "s", training, Log(stop))
    store, data_sha = Store(tmp_path / "s"), images.fingerprint(training.data)
    path = state_file(store, train.key(training, _cell(training), data_sha))
    path.write_bytes(path.read_bytes()[:-100])
    log = Log()
    _train(tmp_path / "s", training, log)
    assert len(log.details) == 3


def test_the_callers_generators_and_settings_are_left_alone(training: Training, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    wanted = random.random(), float(np.random.random()), float(torch.rand(1))
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    _train(tmp_path / "s", training, threads=2)
    assert (random.random(), float(np.random.random()), float(torch.rand(1))) == wanted
    assert torch.get_num_threads() == 1
    assert not torch.are_deterministic_algorithms_enabled()


# --- batches


def test_order_and_augmentation_depend_on_seed_epoch_and_image_alone(training: Training) -> None:
    data = images.open_split(training.data, "train")

    def epoch(seed: int, number: int) -> Any:
        return torch.cat([batch for batch, _ in epoch_batches(data, training, seed, number)])

    first = epoch(0, 0)
    torch.rand(3), random.random()
    assert torch.equal(first, epoch(0, 0))
    assert not torch.equal(first, epoch(0, 1))
    assert not torch.equal(first, epoch(1, 0))


@pytest.mark.parametrize(("batch_size", "sizes"), [(8, [8, 8]), (20, [20]), (10, [10, 10]), (64, [21]), (21, [21])])
def test_a_last_batch_of_one_image_is_left_out(training: Training, batch_size: int, sizes: list[int]) -> None:
    training = _with(training, batch_size=batch_size)
    data = images.open_split(training.data, "train")
    assert [len(labels) for _, labels in epoch_batches(data, training, 0, 0)] == sizes
    assert updates_per_epoch(len(data), batch_size) == len(sizes)


@pytest.mark.parametrize("schedule", ["cosine", "poly", "tanh", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 2])
def test_every_schedule_and_warm_up_trains(training: Training, tmp_path: Path, schedule: str, warmup: int) -> None:
    done = _train(tmp_path / "s", _with(training, epochs=2, schedule=schedule, warmup_epochs=warmup, batch_size=21))
    assert len(done.losses) == 2


# --- what goes wrong


def test_a_loss_that_is_no_number_names_the_epoch_and_what_to_do(training: Training, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"became (nan|inf) in epoch \d") as caught:
        _train(tmp_path / "s", _with(training, optimizer="sgd", learning_rate=1e30, warmup_epochs=0))
    assert "learning_rate" in (caught.value.hint or "")
    assert caught.value.where == f"{SMALL} / scratch / seed 0"


@pytest.mark.parametrize(("change", "named"), [({"optimizer": "adamww"}, "adamw"), ({"schedule": "cosin"}, "cosine")])
def test_unknown_optimizer_or_schedule(training: Training, tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        _train(tmp_path / "s", _with(training, **change))
    assert named in (caught.value.hint or "")


def test_unknown_augmentation_is_an_error_of_ours(training: Training, tmp_path: Path) -> None:
    with pytest.raises(TrainError):
        _train(tmp_path / "s", _with(training, auto_augment="nonsense-q"))


def test_unknown_model(training: Training, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="resnet81"):
        _train(tmp_path / "s", training, model="resnet81")


def test_an_image_too_small_for_the_model_is_an_error_of_ours(training: Training, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="vit_tiny_patch16_224"):
        _train(tmp_path / "s", training, model="vit_tiny_patch16_224")


def test_a_training_image_that_does_not_decode_is_named(training: Training, tmp_path: Path) -> None:
    path = Path(training.data.root or "") / "train" / "grey" / "3.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError) as caught:
        _train(tmp_path / "s", training)
    assert caught.value.where == str(path)


MEMORY = """
import resource, sys
from pathlib import Path
from edgeprof import train
from edgeprof.errors import TrainError
from edgeprof.progress import Silent
from edgeprof.records import Training, from_json
from edgeprof.store import Store
from edgeprof.zoo.torchvision_ops import import_timm
import_timm()
training = from_json(Path(sys.argv[1]).read_bytes(), Training)
used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20),) * 2)
try:
    train.train(Store(Path(sys.argv[2])), training, train.cells(training)[0], Silent())
except TrainError as error:
    sys.exit(0 if 'memory' in error.what and 'batch_size' in (error.hint or '') else f'{error} | {error.hint}')
sys.exit('it had enough memory')
"""


def test_too_little_memory_says_to_lower_the_batch(training: Training, tmp_path: Path) -> None:
    big = msgspec.structs.replace(
        _with(training, batch_size=21, auto_augment=None),
        preprocessing=msgspec.structs.replace(training.preprocessing, image_size=1024),
    )
    (tmp_path / "training.json").write_bytes(to_json(big))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "training.json"), str(tmp_path / "s")],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("model", models.STUDY)
def test_every_model_of_the_study_trains(training: Training, tmp_path: Path, model: str) -> None:
    done = _train(tmp_path / "s", _with(training, epochs=1), model=model)
    assert checkpoint.restore(done, Store(tmp_path / "s"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("threads", [1, 2])
def test_digits_are_learned_and_twice_the_same(tmp_path: Path, threads: int) -> None:
    digits = Training(
        name="digits",
        models=("mobilenetv3_small_100",),
        data=Data(name="digits"),
        preprocessing=Preprocessing(image_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        recipe=Recipe(epochs=4, batch_size=32, learning_rate=2e-3),
    )
    one = _train(tmp_path / "1", digits, threads=threads)
    assert one.checkpoint_sha == _train(tmp_path / "2", digits, threads=threads).checkpoint_sha
    assert one.accuracy.top1 > 0.5
