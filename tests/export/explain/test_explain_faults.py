"""Faults seeded in real files of a really trained checkpoint: each must be named, and none in a file that is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from seeded_faults import EDITS, dropout, onnx_with, openvino_of, training_mode
from seeded_fixture import Seeded

from edgeprof.export.explain import Explanation


def check_named(found: Explanation, cause: str, words: str) -> None:
    """The cause is named, and first."""
    assert found.cause == cause, found
    assert words in found.findings[0].name
    assert found.findings[0].says in found.verdict
    assert found.change


def check_mended(found: Explanation) -> None:
    """With the cause mended it is as right as its checkpoint."""
    assert found.mended_top1 == found.top1
    assert found.findings[0].restores
    assert found.findings[0].relative_diff is not None
    assert found.findings[0].relative_diff < 1e-3


@pytest.mark.parametrize("fault", list(EDITS))
def test_a_fault_of_an_onnx_file_is_named(seeded: Seeded, fault: str, tmp_path: Path) -> None:
    edit, cause, words = EDITS[fault]
    found = seeded.explain("onnx", onnx_with(seeded.onnx, edit, tmp_path))
    check_named(found, cause, words)
    if cause != "numerics":
        check_mended(found)


@pytest.mark.slow
@pytest.mark.parametrize("fault", list(EDITS))
def test_a_fault_of_an_openvino_file_is_named(seeded: Seeded, fault: str, tmp_path: Path) -> None:
    edit, cause, words = EDITS[fault]
    source = onnx_with(seeded.onnx, edit, tmp_path)["model.onnx"]
    found = seeded.explain("openvino", openvino_of(source, tmp_path / "openvino"))
    check_named(found, cause, words)
    if cause != "numerics":
        check_mended(found)


def test_a_good_onnx_file_has_no_cause(seeded: Seeded) -> None:
    found = seeded.explain("onnx", {"model.onnx": seeded.onnx})
    assert (found.cause, found.findings, found.layers) == ("none", (), ())
    assert found.file_top1 == found.top1 > 0.9


def test_a_good_openvino_file_has_no_cause(seeded: Seeded, tmp_path: Path) -> None:
    found = seeded.explain("openvino", openvino_of(seeded.onnx, tmp_path))
    assert (found.cause, found.findings, found.layers) == ("none", (), ())


def test_the_layer_that_departs_is_the_damaged_one(seeded: Seeded, tmp_path: Path) -> None:
    """Not one before it, which agrees, nor one behind it."""
    edit, _, _ = EDITS["layer"]
    found = seeded.explain("onnx", onnx_with(seeded.onnx, edit, tmp_path))
    assert found.findings[0].name == "departs at layer1.0.conv1"
    assert found.layers[0].layer == "maxpool"
    assert found.layers[0].sqnr_db > 100
    assert all(one.sqnr_db < 40 for one in found.layers[1:4])


def test_dropout_that_draws_is_named(seeded: Seeded, tmp_path: Path) -> None:
    check_named(seeded.explain("onnx", onnx_with(seeded.onnx, dropout, tmp_path)), "random", "dropout")


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_batchnorm_in_training_mode_is_named(seeded: Seeded, format: Any, tmp_path: Path) -> None:
    files = training_mode(seeded.module, tmp_path)
    if format == "openvino":
        files = openvino_of(files["model.onnx"], tmp_path / "openvino")
    found = seeded.explain(format, files)
    check_named(found, "batchnorm", "BatchNorm in training mode")
    check_mended(found)
    assert found.file_top1 is not None
    assert found.file_top1 < found.top1
