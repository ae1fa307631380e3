"""Checkpoints: the same tensors are the same bytes, and a damaged or foreign file is never taken for a model."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import TrainError
from edgeprof.records import Accuracy, Data, MadeBy, Preprocessing, Trained
from edgeprof.store import Store
from edgeprof.zoo import checkpoint, models

SMALL = "test_resnet"


def _trained(checkpoint_sha: str, model: str = SMALL) -> Trained:
    return Trained(
        training="t",
        model=model,
        init="scratch",
        seed=0,
        recipe_sha="r",
        data=Data(name="digits"),
        data_sha="d",
        checkpoint_sha=checkpoint_sha,
        classes=("a", "b", "c"),
        accuracy=Accuracy(images=1, top1=1, top5=1, macro_f1=1),
        predictions_sha="p",
        params=1,
        macs=1,
        preprocessing=Preprocessing(image_size=32, mean=(0, 0, 0), std=(1, 1, 1)),
        losses=(),
        made_by=MadeBy(edgeprof="0", packages={}, machine="m", seconds=0),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    torch.set_num_threads(1)
    return Store(tmp_path / "store")


def test_the_same_tensors_are_the_same_bytes() -> None:
    tensors = {name: torch.full((2, 3), float(number)) for number, name in enumerate(("zebra", "ant", "mouse"))}
    backwards = dict(reversed(tensors.items()))
    assert checkpoint.to_bytes(tensors) == checkpoint.to_bytes(backwards)
    strange = {name: tensor.t().contiguous().t() for name, tensor in tensors.items()}
    assert checkpoint.to_bytes(tensors) == checkpoint.to_bytes(strange)


def test_tied_weights_can_be_kept() -> None:
    weight = torch.ones(3)
    loaded = checkpoint.from_bytes(checkpoint.to_bytes({"a": weight, "b": weight}), "here")
    assert set(loaded) == {"a", "b"}


def test_restores_what_was_kept(store: Store) -> None:
    module = models.create(SMALL, 3)
    module.train()
    module(torch.randn(4, 3, 32, 32))
    sha = store.add_bytes(checkpoint.to_bytes(module.state_dict()))
    restored = checkpoint.restore(_trained(sha), store)
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(restored(image), module.eval()(image))
    assert not restored.training


def test_truncated_checkpoint_is_refused(store: Store) -> None:
    sha = store.add_bytes(checkpoint.to_bytes(models.create(SMALL, 3).state_dict()))
    path = store.blob(sha)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TrainError, match="truncated or damaged") as caught:
        checkpoint.restore(_trained(sha), store)
    assert sha in (caught.value.where or "")
    path.unlink()
    with pytest.raises(TrainError, match="cannot be read"):
        checkpoint.restore(_trained(sha), store)


def test_foreign_checkpoint_is_refused(store: Store) -> None:
    sha = store.add_bytes(checkpoint.to_bytes(models.create("test_efficientnet", 3).state_dict()))
    with pytest.raises(TrainError, match="do not fit"):
        checkpoint.restore(_trained(sha), store)
    sha = store.add_bytes(b"no tensors at all")
    with pytest.raises(TrainError, match="no whole safetensors"):
        checkpoint.restore(_trained(sha), store)
    # Another number of classes is foreign too: a checkpoint has no head to replace.
    sha = store.add_bytes(checkpoint.to_bytes(models.create(SMALL, 4).state_dict()))
    with pytest.raises(TrainError, match="do not fit"):
        checkpoint.restore(_trained(sha), store)


def test_note_travels_in_the_header(tmp_path: Path) -> None:
    note = {"epoch": 3, "losses": [0.1, 1e-17], "word": "größer"}
    (tmp_path / "a").write_bytes(checkpoint.to_bytes({"x": torch.zeros(1)}, note=note))
    assert checkpoint.note_of(tmp_path / "a") == note
    assert checkpoint.note_of(tmp_path / "missing") is None
    (tmp_path / "b").write_bytes(checkpoint.to_bytes({"x": torch.zeros(1)}))
    assert checkpoint.note_of(tmp_path / "b") is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_checkpoint_or_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(data)
    checkpoint.note_of(path)
    with contextlib.suppress(TrainError):
        checkpoint.from_bytes(data, "here")


def test_predictions_come_back_and_are_the_same_bytes(tmp_path: Path) -> None:
    labels, logits = np.arange(5), np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    data = checkpoint.predictions_to_bytes(labels, logits)
    assert data == checkpoint.predictions_to_bytes(labels.copy(), np.asfortranarray(logits))
    (tmp_path / "p.npz").write_bytes(data)
    back = checkpoint.read_predictions(tmp_path / "p.npz")
    assert np.array_equal(back[0], labels)
    assert np.array_equal(back[1], logits)
    (tmp_path / "p.npz").write_bytes(data[:-40])
    with pytest.raises(TrainError, match="predictions"):
        checkpoint.read_predictions(tmp_path / "p.npz")
