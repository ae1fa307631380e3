"""Slow: the nine models of the study become files in all three formats, and every file agrees with its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from export_checkpoints import FP32, Told, make_trained

from edgeprof.errors import ExportError
from edgeprof.export import export_all, formats, words
from edgeprof.store import Store
from edgeprof.zoo import models

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# 64 keeps the nine to minutes; the graphs are those of 224. One small model is done at 224 as well.
CASES = [*((name, 64) for name in models.STUDY), ("mobilenetv3_small_100", 224)]


@pytest.mark.parametrize(("model", "size"), CASES, ids=lambda value: str(value))
def test_a_model_of_the_study_in_all_three_formats(model: str, size: int, tmp_path: Path) -> None:
    from ai_edge_litert.compiled_model import CompiledModel

    store = Store(tmp_path / "store")
    trained = make_trained(store, model, size=size)
    artifacts, failures = export_all(store, [(trained, exporter) for exporter in FP32.values()], Told())
    assert failures == []
    for made in artifacts:
        assert made.parity is not None
        assert made.accuracy is not None
        print(  # shown by pytest -s or on failure: the figures of the run
            f"{model} {size} {made.format}: {made.made_by.seconds:.0f} s, {made.size_bytes / 1e6:.1f} MB, "
            f"max abs {made.parity.max_abs_diff:.1e}, relative {made.parity.relative_diff:.1e}"
        )
        assert made.parity.relative_diff < 1e-5
        assert made.parity.top1_agreement == 1.0
        assert made.accuracy.images == 450
        # A converter that folded whole branches away (a gamma of zero) would give a smaller file.
        assert made.size_bytes > 0.95 * 4 * trained.params
        if made.format == "tflite":
            path = tmp_path / "model.tflite"
            path.write_bytes(store.blob(made.files[0].sha256).read_bytes())
            assert CompiledModel.from_file(str(path)).is_fully_accelerated(), "XNNPACK is to take the whole graph"
    store.close()


@pytest.mark.parametrize(
    ("format", "says"), [("onnx", "No ONNX function found"), ("tflite", "Lowering not found: aten._linalg_svd")]
)
def test_an_operator_that_a_converter_lacks_is_named(format: str, says: str, tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Svd(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return torch.linalg.svd(x.mean(1))[1]

    exporter = FP32[format]
    image = torch.randn(1, 3, 16, 16)
    with pytest.raises(ExportError, match=says) as caught, words.converting("the conversion", tmp_path):
        formats.CONVERTERS[exporter.format].convert(Svd().eval(), image, exporter, {}, tmp_path)
    assert len(caught.value.what) < 600
