"""`edgeprof import`: a checkpoint from elsewhere is evaluated and becomes a candidate; what does not fit is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import edgeprof
from PIL import Image
from safetensors.torch import save_file

from edgeprof import suite, suite_files
from edgeprof.records import Data, Device, Preprocessing, Recipe, Training
from edgeprof.zoo import models

CLASSES = ("dark", "grey", "light")
NETS = """
import torch
from torch import nn

class Mean(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, stride=2), nn.Linear(8, classes)
    def forward(self, images):
        return self.head(torch.relu(self.conv(images)).mean((2, 3)))

def mean(num_classes):
    print("made")
    return Mean(num_classes)

def raises(num_classes):
    raise OSError("the camera is away")
"""
FACTORY = ("--factory", "brightness.nets:mean", "--image-size", "32", "--mean", "0,0,0", "--std", "1,1,1")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A user's folder without a suite: images of three brightnesses, a package, and checkpoints."""
    noise = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 20)):
        for label, name in enumerate(CLASSES):
            (tmp_path / "bilder" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(noise.normal(50 + 75 * label, 15, (40, 40, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "bilder" / split / name / f"{number}.png")
    (tmp_path / "brightness").mkdir()
    (tmp_path / "brightness" / "nets.py").write_text(NETS)
    torch.manual_seed(0)
    save_file(models.create("test_resnet", 3).state_dict(), tmp_path / "net.safetensors")
    save_file(models.create("test_resnet", 4).state_dict(), tmp_path / "four.safetensors")
    # By hand: the mean brightness decides, so that it is right on all images.
    tensors = {
        "conv.weight": torch.full((8, 3, 3, 3), 1 / 27),
        "conv.bias": torch.zeros(8),
        "head.weight": torch.tensor([-40.0, 0.0, 40.0]).repeat(8, 1).T.contiguous() / 8,
        "head.bias": torch.tensor([14.0, 0.0, -26.0]),
    }
    torch.save(tensors, tmp_path / "mean.pth")
    return tmp_path


def test_a_model_of_timm_is_evaluated_and_written(here: Path) -> None:
    arguments = ("import", "net.safetensors", "--model", "test_resnet", "--classes", "3", "--data", "bilder")
    done = edgeprof(*arguments, "--image-size", "32", "--name", "mine", cwd=here)
    assert "top-1" in done.stdout
    assert "as the model's library publishes it" in done.stdout
    assert "training/mine.toml" in done.stdout
    training = suite.Suite(here).training("mine")
    assert training.recipe.epochs == 0
    assert training.inits == (f"file:{here / 'net.safetensors'}",)
    assert training.data == Data(name="imagefolder", root=str(here / "bilder"))
    text = (here / "training" / "mine.toml").read_text()
    assert str(here) not in text, "the folder can be moved"


@pytest.mark.slow
def test_the_same_import_again_is_reused_and_another_does_not_take_its_name(here: Path) -> None:
    arguments = ("import", "net.safetensors", "--model", "test_resnet", "--data", "bilder")
    edgeprof(*arguments, "--image-size", "32", "--name", "mine", cwd=here)
    text = (here / "training" / "mine.toml").read_text()
    again = json.loads(edgeprof(*arguments, "--image-size", "32", "--name", "mine", "--json", cwd=here).stdout)
    trained = again["trained"]
    assert (trained["accuracy"]["images"], trained["losses"]) == (60, [])
    assert trained["weights"]["left"] == []
    assert again["top1"]["low"] < trained["accuracy"]["top1"] < again["top1"]["high"]
    trained_again = json.loads(edgeprof("train", "--training", "mine", "--json", cwd=here).stdout)["trained"][0]
    assert trained_again["checkpoint_sha"] == trained["checkpoint_sha"]
    other = edgeprof(*arguments, "--image-size", "40", "--name", "mine", cwd=here, code=2)
    assert "there is a training 'mine' already" in other.stderr
    assert (here / "training" / "mine.toml").read_text() == text


@pytest.mark.slow
def test_a_factory_of_the_users_own_survives_the_export_in_another_process(here: Path) -> None:
    done = edgeprof("import", "mean.pth", *FACTORY, "--data", "bilder", "--json", cwd=here)
    found = json.loads(done.stdout)
    assert found["trained"]["accuracy"]["top1"] == 1.0
    assert found["assumed"] == {"interpolation": "bilinear", "crop_pct": 1.0}
    exported = edgeprof("export", "--training", "mean", "--exporter", "onnx-fp32", "--json", cwd=here)
    (artifact,) = json.loads(exported.stdout)["artifacts"]
    assert artifact["model"] == "factory:brightness.nets:mean"
    assert artifact["accuracy"]["top1"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("four.safetensors", "--model", "test_resnet"), 4, "weights are of 4 classes, but the data has 3"),
        pytest.param(
            ("net.safetensors", "--model", "test_resnet", "--classes", "5"),
            2,
            "5 classes, but the data has 3: dark",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("mean.pth", *FACTORY[:1], "brightness.nets:raises", *FACTORY[2:]),
            4,
            "OSError: the camera is away",
            marks=pytest.mark.slow,
        ),
        (("mean.pth", "--factory", "brightness.nets:mean"), 2, "--image-size, --mean and --std"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(
    here: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    small = () if "--image-size" in arguments or "--factory" in arguments else ("--image-size", "32")
    done = edgeprof("import", *arguments, *small, "--data", "bilder", cwd=here, code=code)
    assert words in done.stderr
    assert not (here / "training").exists()


def test_the_written_file_says_the_same_recipe(tmp_path: Path) -> None:
    suite.init(tmp_path)
    training = Training(
        name="own",
        description='with "quotes", a \\ and a line\nmore',
        models=("resnet18",),
        inits=("file:/else where/ä.pth",),
        seeds=(3,),
        data=Data(name="imagefolder", root=str(tmp_path / "data"), test_split="val", classes=("a", "b")),
        preprocessing=Preprocessing(image_size=33, mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1e-3), crop_pct=0.875),
        recipe=Recipe(epochs=0, batch_size=64, warmup_epochs=0, crop_ratio=(0.5, 2.0)),
    )
    suite_files.write_training(tmp_path, training)
    assert suite.Suite(tmp_path).training("own") == training


def test_a_device_with_providers_is_written_as_toml(tmp_path: Path) -> None:
    suite.init(tmp_path)
    device = Device(name="own", transport="local", providers={"openvino": "GPU"}, tags=("a",))
    suite_files.write_device(tmp_path, device)
    assert suite.Suite(tmp_path).device("own") == device
