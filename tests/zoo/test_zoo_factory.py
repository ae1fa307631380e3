"""Models that a user's own function makes: whatever it does wrong is told in its words, and its code can be found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import EdgeprofError, TrainError, UsageError
from edgeprof.records import Data, Identity, Preprocessing, Recipe, Training
from edgeprof.store import Store
from edgeprof.train import key
from edgeprof.zoo import factory, initial, models, published

SOURCE = """
import torch
from torch import nn
print("a factory that talks")

class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)
    def forward(self, images):
        return self.head(torch.relu(self.conv(images)).mean((2, 3)))

class Pair(Net):
    def forward(self, images):
        return super().forward(images), images

class Flat(Net):
    def forward(self, images):
        return super().forward(images).sum(1)

class Breaks(Net):
    def forward(self, images):
        raise KeyError("no such layer")

def small(num_classes): return Net(num_classes)
def three(): return Net()
def raises(): raise ValueError("not today")
def leaves(): raise SystemExit(3)
def number(): return 3
def loads(): import nowhere_to_be_found
CONSTANT = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a package, of another name each time: imported modules stay."""
    package = f"own_{abs(hash(tmp_path)):x}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "nets.py").write_text(SOURCE)
    (tmp_path / package / "broken.py").write_text("import nothing_like_it\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / package


def _name(here: Path, function: str, module: str = "nets") -> str:
    return f"factory:{here.name}.{module}:{function}"


def test_the_function_gets_the_number_of_classes_if_it_asks_for_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = list(sys.path)
    asked, fixed = models.create(_name(here, "small"), 5), models.create(_name(here, "three"), 5)
    assert (asked.head.out_features, fixed.head.out_features) == (5, 3)
    assert models.head_names(_name(here, "small"), 5) == {"head.weight", "head.bias"}
    assert models.head_names(_name(here, "three"), 5) == frozenset()
    assert models.create(_name(here, "Net"), 5).head.out_features == 3
    assert sys.path == path
    assert capsys.readouterr().out == "", "stdout is for results alone"


@pytest.mark.parametrize(
    ("function", "module", "kind", "words"),
    [
        ("smal", "nets", UsageError, "'smal' is not there"),
        ("CONSTANT", "nets", UsageError, "nothing that can be called"),
        ("small", "net", UsageError, "there is no module"),
        ("small", "broken", TrainError, "nothing_like_it"),
        ("raises", "nets", TrainError, r"raised ValueError: not today \(own_.*nets\.py, line \d+\)"),
        ("leaves", "nets", TrainError, "raised SystemExit: 3"),
        ("number", "nets", TrainError, "gave 'int', not a torch.nn.Module"),
        ("loads", "nets", TrainError, "nowhere_to_be_found"),
    ],
)
def test_what_is_wrong_is_told_in_its_own_words(
    here: Path, function: str, module: str, kind: type[EdgeprofError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        models.create(_name(here, function, module), 3)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("Pair", "gives tuple for 2 images"),
        ("Flat", r"a tensor \[2\]"),
        ("Breaks", "no such layer"),
        ("three", "gives 3 classes, but the data has 4"),
    ],
)
def test_a_module_that_gives_no_logits_of_the_data_is_refused(here: Path, function: str, words: str) -> None:
    with pytest.raises(TrainError, match=words):
        initial.create(Store(here / "store"), _name(here, function), tuple("abcd"), image_size=8)


@given(st.text(max_size=30))
def test_any_other_form_of_name_is_refused(text: str) -> None:
    with pytest.raises(EdgeprofError):
        factory.check(f"factory:{text}:")


def test_other_code_is_another_key_and_the_same_code_elsewhere_is_not(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(
        name="one",
        models=(_name(here, "small"),),
        data=Data(name="digits"),
        preprocessing=Preprocessing(image_size=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        recipe=Recipe(epochs=1, batch_size=8),
    )
    cell = Identity(model=training.models[0], training="one", init="scratch", seed=0)
    first = key(training, cell, "d")
    other = Identity(model=_name(here, "three"), training="one", init="scratch", seed=0)
    assert key(training, other, "d") != first
    (here / "nets.py").write_text(SOURCE + "\n# changed\n")
    assert key(training, cell, "d") != first
    (here / "nets.py").write_text(SOURCE)
    assert key(training, cell, "d") == first
    with pytest.raises(UsageError, match="no module"):
        factory.source_sha("factory:not_there:f")


def test_finding_the_code_runs_none_of_it(here: Path) -> None:
    (here / "nets.py").write_text("raise RuntimeError('ran')\n")
    assert len(factory.source_sha(_name(here, "small"))) == 64


def test_how_images_are_prepared_is_as_the_library_publishes_it(here: Path) -> None:
    assert published.preprocessing(_name(here, "small")) is None
    resnet, squeeze = published.preprocessing("resnet18"), published.preprocessing("torchvision:squeezenet1_1")
    assert resnet is not None
    assert squeeze is not None
    assert (resnet.image_size, resnet.interpolation, resnet.crop_pct) == (224, "bicubic", 0.95)
    assert (squeeze.image_size, squeeze.interpolation, squeeze.crop_pct) == (224, "bilinear", 224 / 256)
    assert resnet.mean == squeeze.mean == (0.485, 0.456, 0.406)
    efficientnet = published.preprocessing("tf_efficientnetv2_s")
    assert efficientnet is not None
    assert (efficientnet.image_size, efficientnet.mean) == (300, (0.5, 0.5, 0.5))


def test_weights_of_a_factory_are_loaded_whole(here: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = models.create(_name(here, "small"), 4).state_dict()
    torch.save(tensors, tmp_path / "own.pth")
    module = models.create(_name(here, "small"), 4, f"file:{tmp_path / 'own.pth'}")
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in module.state_dict().items())
