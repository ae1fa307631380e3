"""What each format's file holds and does not hold, and the rewriting for delegation, on what real converters write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from export_checkpoints import FP32, record, settle

from edgeprof.errors import ExportError, MissingPackageError
from edgeprof.export import formats, onnx, tflite
from edgeprof.records import Exporter

HERE = str(Path(__file__).resolve().parents[2]).encode()


def small() -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)).eval()


def example(size: int = 32) -> Any:
    import torch

    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    about = formats.about(record(), FP32["onnx"])
    return onnx.convert(small(), example(), FP32["onnx"], about, tmp_path_factory.mktemp("onnx"))[0]


def test_onnx_tells_how_to_prepare_an_image_and_nothing_of_this_machine(onnx_file: Path) -> None:
    import onnx as library

    model = library.load(onnx_file)
    library.checker.check_model(model, full_check=True)
    told = {entry.key: entry.value for entry in model.metadata_props}
    steps = json.loads(told["edgeprof.preprocessing"])
    assert (steps["image_size"], steps["mean"], steps["layout"]) == (32, [0.5, 0.5, 0.5], "NCHW")
    assert json.loads(told["edgeprof.classes"]) == list("0123456789")
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    data = onnx_file.read_bytes()
    assert HERE not in data
    assert b"stack_trace" not in data


def test_an_opset_is_written_or_refused_never_replaced(tmp_path: Path) -> None:
    import onnx as library

    old = Exporter(name="old", format="onnx", precision="fp32", opset=18)
    path = onnx.convert(small(), example(), old, {}, tmp_path)[0]
    assert {one.domain: one.version for one in library.load(path).opset_import} == {"": 18}


def test_channels_last_onnx_takes_what_it_says(tmp_path: Path) -> None:
    import numpy as np

    from edgeprof.agent import runtimes

    nhwc = Exporter(name="nhwc", format="onnx", precision="fp32", layout="NHWC")
    module, image = small(), example()
    path = onnx.convert(module, image, nhwc, {}, tmp_path)[0]
    model = runtimes.open_model("onnx", {"model.onnx": str(path)}, 1, "fp32")
    assert model.inputs[0].shape == (1, 32, 32, 3)
    given = np.ascontiguousarray(image.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_allclose(model.run([given])[0], module(image).detach().numpy(), atol=1e-5)


def test_openvino_carries_the_same_and_reports_nothing_over_the_network(tmp_path: Path) -> None:
    # In a process of its own with an empty home: the converter's telemetry would leave a client number there.
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from export_checkpoints import FP32, record\n"
        "from test_export_formats import example, small\n"
        "from edgeprof.export import formats, openvino\n"
        "about = formats.about(record(), FP32['openvino'])\n"
        f"print(openvino.convert(small(), example(), FP32['openvino'], about, Path({str(tmp_path)!r})))\n"
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240, env={"HOME": str(home)})
    assert not (home / "intel").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "model.bin", "model.xml"]
    text = (tmp_path / "model.xml").read_text(encoding="utf-8")
    assert "image_size" in text
    assert "conversion_parameters" not in text
    assert str(tmp_path) not in text
    weights = sum(parameter.numel() for parameter in small().parameters())
    assert (tmp_path / "model.bin").stat().st_size >= 4 * weights, "the weights are to stay in 32 bits"


def test_padding_apart_changes_no_bit_of_resnet18() -> None:
    import torch

    from edgeprof.zoo import models

    torch.manual_seed(0)
    module = models.create("resnet18", 10)
    settle(module, 32)
    for size in (64, 224):
        image = example(size)
        apart = tflite.pad_apart(module, image)
        assert [type(part).__name__ for part in apart.maxpool] == ["ZeroPad2d", "MaxPool2d"]
        assert type(module.maxpool).__name__ == "MaxPool2d", "the given module stays as it was"
        with torch.no_grad():
            assert float((apart(image) - module(image)).abs().max()) == 0.0


def test_padding_stays_where_values_may_be_negative() -> None:
    import torch
    from torch import nn

    class Sneaky(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)

        def forward(self, x: Any) -> Any:
            x = self.relu(x)
            x -= 1.0
            return self.pool(x)

    for module in (nn.Sequential(nn.BatchNorm2d(3), nn.MaxPool2d(3, 2, padding=1)).eval(), Sneaky().eval()):
        apart = tflite.pad_apart(module, example())
        assert not any(isinstance(part, nn.ZeroPad2d) for part in apart.modules())
        with torch.no_grad():
            assert torch.equal(apart(example()), module(example()))


def test_a_missing_converter_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "PACKAGES", ("edgeprof-no-such-package",))
    with pytest.raises(MissingPackageError, match="edgeprof-no-such-package") as caught:
        formats.packages("tflite", "fp32")
    assert caught.value.hint == 'install it with: pip install "edgeprof[export]"'


def test_a_precision_that_cannot_be_done_is_refused_not_replaced() -> None:
    with pytest.raises(ExportError, match="precision dynamic-int8 is not possible for onnx") as caught:
        formats.check(Exporter(name="odd", format="onnx", precision="dynamic-int8"))
    assert caught.value.hint == "possible: fp32, fp16, int8"
