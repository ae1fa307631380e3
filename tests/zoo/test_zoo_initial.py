"""Where a training begins: what is taken is recorded by name, and the arms differ in nothing else."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgeprof.errors import TrainError, UsageError
from edgeprof.records import Accuracy, Data, MadeBy, Preprocessing, Trained
from edgeprof.store import Store
from edgeprof.zoo import checkpoint, initial, models, weights
from edgeprof.zoo.torchvision_ops import import_timm, import_torchvision

SMALL = "test_resnet"
SQUEEZE = "torchvision:squeezenet1_1"
FIVE = ("a", "b", "c", "d", "e")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty ones where timm and torchvision look, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed.getsockname()[1]}")
    return tmp_path


def _published(caches: Path, name: str) -> Path:
    """A weights file where the library looks for its own, of the 1000 classes that it is published with."""
    torch.manual_seed(99)
    tensors = dict(models.create(name, 1000).state_dict())
    if name.startswith(models.PREFIX):
        url = import_torchvision().models.get_model_weights(name.removeprefix(models.PREFIX)).DEFAULT.url
        path: Path = caches / "torch" / "hub" / "checkpoints" / url.rpartition("/")[2]
        path.parent.mkdir(parents=True)
        torch.save(tensors, path)
        return path
    repository = import_timm().get_pretrained_cfg(name).hf_hub_id
    folder = caches / "hub" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    path = folder / "snapshots" / "abc" / "model.safetensors"
    path.parent.mkdir(parents=True)
    save_file(tensors, path)
    return path


def _trained(store: Store, classes: tuple[str, ...] = FIVE, model: str = SMALL, seed: int = 50) -> Trained:
    torch.manual_seed(seed)
    sha = store.add_bytes(checkpoint.to_bytes(models.create(model, len(classes)).state_dict()))
    return Trained(
        training="before",
        model=model,
        init="scratch",
        seed=seed,
        recipe_sha="r",
        data=Data(name="digits"),
        data_sha="d",
        checkpoint_sha=sha,
        classes=classes,
        accuracy=Accuracy(images=1, top1=1.0, top5=1.0, macro_f1=1.0),
        predictions_sha="p",
        params=1,
        macs=1,
        preprocessing=Preprocessing(image_size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        losses=(),
        made_by=MadeBy(edgeprof="0", packages={}, machine="m", seconds=0.0),
    )


def _create(store: Store, init: str, classes: tuple[str, ...] = FIVE, model: str = SMALL, **more: Any) -> Any:
    torch.manual_seed(3)
    return initial.create(store, model, classes, init, image_size=32, **more)


@pytest.mark.parametrize("model", [SMALL, SQUEEZE])
def test_the_arms_of_a_seed_have_the_same_head_and_differ_in_what_is_taken_alone(
    store: Store, caches: Path, model: str
) -> None:
    published = _published(caches, model)
    local = caches / "local.safetensors"
    save_file({**models.create(model, 7).state_dict()}, local)
    source = _trained(store, tuple("vwxyz"), model)
    scratch, none = _create(store, "scratch", model=model)
    assert none is None
    plain, head = scratch.state_dict(), models.head_names(model, 5)
    for init, begun in (("pretrained", None), (f"file:{local}", None), ("training:before", source)):
        module, taken = _create(store, init, model=model, source=begun)
        tensors = module.state_dict()
        assert taken is not None
        assert set(taken.left) == head
        assert set(taken.taken) == set(tensors) - head
        assert all(torch.equal(tensors[key], plain[key]) for key in head), f"another head under {init}"
        random = [key for key in taken.taken if tensors[key].ndim == 4]
        assert random
        assert not any(torch.equal(tensors[key], plain[key]) for key in random)
    assert published.is_file()


def test_published_weights_are_named_with_their_identifier_and_sha(store: Store, caches: Path) -> None:
    for model, source in (
        (SMALL, "timm/test_resnet.r160_in1k"),
        (SQUEEZE, "torchvision/SqueezeNet1_1_Weights.IMAGENET1K_V1"),
    ):
        path = _published(caches, model)
        module, taken = _create(store, "pretrained", model=model)
        assert (taken.source, taken.sha256) == (source, hashlib.sha256(path.read_bytes()).hexdigest())
        theirs = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
        assert all(torch.equal(module.state_dict()[key], theirs[key]) for key in taken.taken)


def test_a_head_for_the_published_classes_is_taken(store: Store, caches: Path) -> None:
    _published(caches, SMALL)
    _, taken = _create(store, "pretrained", tuple(map(str, range(1000))))
    assert taken.left == ()


def test_published_weights_with_a_tensor_missing_are_refused(store: Store, caches: Path) -> None:
    """timm itself would leave it random when the classes differ, and say nothing."""
    path = _published(caches, SMALL)
    tensors = load_file(path)
    del tensors["layer1.0.conv1.weight"]
    save_file(tensors, path)
    with pytest.raises(TrainError, match=r"layer1\.0\.conv1\.weight|could not be loaded"):
        _create(store, "pretrained")


def test_no_network_is_an_error_with_a_way_out(store: Store, caches: Path) -> None:
    for model in (SMALL, SQUEEZE):
        with pytest.raises(TrainError, match="cannot be fetched") as caught:
            _create(store, "pretrained", model=model)
        assert "file:PATH" in (caught.value.hint or "")


def test_a_checkpoint_of_the_same_classes_is_taken_whole(store: Store) -> None:
    source = _trained(store)
    module, taken = _create(store, "training:before", source=source)
    assert taken.left == ()
    assert taken.sha256 == source.checkpoint_sha
    assert taken.source == "training:before / scratch / seed 50"
    theirs = checkpoint.tensors(source, store)
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in module.state_dict().items())


def test_a_head_of_other_classes_is_replaced_even_of_the_same_number(store: Store) -> None:
    """Digits 0 to 4 and 5 to 9: the head would load, and mean nothing."""
    _, taken = _create(store, "training:before", source=_trained(store, tuple("vwxyz")))
    assert set(taken.left) == models.head_names(SMALL, 5)


def test_without_training_other_classes_are_an_error_that_names_both(store: Store, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"v, w, x, y, z.*a, b, c, d, e"):
        _create(store, "training:before", source=_trained(store, tuple("vwxyz")), replace_head=False)
    path = tmp_path / "seven.safetensors"
    save_file(models.create(SMALL, 7).state_dict(), path)
    with pytest.raises(TrainError, match="weights are of 7 classes, but the data has 5"):
        _create(store, f"file:{path}", replace_head=False)
    assert _create(store, f"file:{path}", tuple("abcdefg"), replace_head=False)[1].left == ()


def test_a_checkpoint_of_another_model_names_five_tensors(store: Store) -> None:
    with pytest.raises(TrainError) as caught:
        _create(store, "training:before", source=_trained(store, model="test_efficientnet"))
    assert caught.value.what.count(";") == 4


def test_a_source_that_is_missing_or_damaged_is_told(store: Store) -> None:
    with pytest.raises(TrainError, match="no checkpoint of training:before"):
        _create(store, "training:before")
    source = _trained(store)
    path = store.blob(source.checkpoint_sha)
    os.chmod(path, 0o644)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(TrainError, match="damaged"):
        _create(store, "training:before", source=source)


def test_names_of_files_and_trainings_are_as_they_are_now(store: Store) -> None:
    """What is stored is found again under another place or name, and then tells that one."""
    _, taken = _create(store, "training:before", source=_trained(store))
    other = _trained(store, seed=51)
    renamed = initial.renamed(taken, "training:before", other)
    assert renamed is not None
    assert renamed.source.endswith("seed 51")
    assert initial.renamed(None, "scratch", None) is None
    file = initial.renamed(taken, "file:/somewhere/net.pth", None)
    assert file is not None
    assert file.source == "file:net.pth"
    assert weights.file_name("file:/elsewhere/net.pth") == "file:net.pth"


def test_published_weights_are_for_models_of_the_libraries_alone(store: Store) -> None:
    with pytest.raises(UsageError):
        _create(store, "pretrained", model="factory:nowhere:none")
