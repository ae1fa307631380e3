"""`edgeprof export --explain` as a user meets it: words, JSON, exit codes, bad input, and files that failed parity."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from conftest import edgeprof
from seeded_faults import EDITS, onnx_with
from seeded_fixture import Seeded

from edgeprof import pipeline
from edgeprof.export import export_all
from edgeprof.export.explain.process import made_again
from edgeprof.pipeline.explain import explain_exported
from edgeprof.progress import Silent
from edgeprof.records import Exporter
from edgeprof.zoo import checkpoint


def test_a_verdict_comes_first_and_json_is_one_document(seeded: Seeded, tmp_path: Path) -> None:
    file = onnx_with(seeded.onnx, EDITS["mean and std"][0], tmp_path)["model.onnx"]
    suite = seeded.root / "suite"
    told = edgeprof("export", "--explain", str(file), "--training", "coloured", cwd=suite)
    lines = told.stdout.splitlines()
    assert "preprocessing: it is right on images prepared otherwise" in lines[0]
    assert lines[1].startswith("what to change: ")
    assert "this file" in lines[2]
    document = json.loads(edgeprof("export", "--explain", str(file), "--json", cwd=suite).stdout)
    (one,) = document["explanations"]
    assert one["cause"] == "preprocessing"
    assert one["mended_top1"] == one["top1"] > one["file_top1"]
    assert document["failures"] == []
    assert list((suite / ".edgeprof" / "logs").iterdir()) == []


@pytest.mark.slow
def test_bad_input_is_told_in_words(seeded: Seeded, tmp_path: Path) -> None:
    suite = seeded.root / "suite"
    garbage = tmp_path / "model.onnx"
    garbage.write_bytes(b"this is no model")
    for words, said, code in (
        ([str(garbage)], "to explain a file: edgeprof export --explain FILE", 2),
        (["--explain", str(tmp_path / "none.onnx")], "there is no such file", 2),
        (["--explain", str(suite / "training" / "demo.toml")], "no file that can be explained", 2),
        (["--explain", str(garbage), "--model", "resnet18"], "the store has no such checkpoint", 2),
        (["--explain", "--seen", "x.npz"], "for a file that is explained", 2),
        (["--explain", str(garbage)], "the runtime cannot open the file", 4),
    ):
        told = edgeprof("export", *words, cwd=suite, code=code)
        assert said in told.stderr, told.stderr


@pytest.mark.slow
def test_a_file_that_fails_the_usual_parity_can_be_made_again(seeded: Seeded) -> None:
    """Not only one that an exporter's own limit was too strict for."""
    labels, logits = checkpoint.read_predictions(seeded.store.blob(seeded.trained.predictions_sha))
    others = seeded.store.add_bytes(checkpoint.predictions_to_bytes(labels, logits[:, ::-1]))
    wrong = msgspec.structs.replace(seeded.trained, predictions_sha=others)
    plain = Exporter(name="onnx-nhwc", format="onnx", precision="fp32", layout="NHWC")
    _, failures = export_all(seeded.store, [(wrong, plain)], Silent())
    assert [one.error_class for one in failures] == ["ParityError"]
    with made_again(seeded.store, wrong, plain) as files:
        assert {name: path.is_file() for name, path in files.items()} == {"model.onnx": True}


@pytest.mark.slow
def test_what_was_exported_with_a_loss_is_explained_also_when_it_failed_parity(seeded: Seeded) -> None:
    """A file that failed parity is not in the store, nor after it was explained."""
    strict = Exporter(name="onnx-strict", format="onnx", precision="fp32", max_abs_diff=1e-12)
    plain = Exporter(name="onnx-plain", format="onnx", precision="fp32")
    coarse = Exporter(
        name="onnx-coarse",
        format="onnx",
        precision="int8",
        activations="uint8",
        per_channel=False,
        max_abs_diff=None,
        min_top1_agreement=None,
    )
    wanted = [strict, plain, coarse]
    store, trained = seeded.store, [seeded.trained]
    artifacts, failures = export_all(store, [(seeded.trained, one) for one in wanted], Silent())
    assert [one.identity.exporter for one in failures] == ["onnx-strict"]
    before = len(list(store.blobs.rglob("*")))
    found, more = explain_exported(store, trained, wanted, artifacts, failures, Silent())
    assert more == []
    causes = {one.subject.rpartition(" / ")[2]: one.cause for one in found}
    assert causes == {"onnx-strict": "none", "onnx-coarse": "quantization"}
    assert len(list(store.blobs.rglob("*"))) == before
    assert list(store.scratch.iterdir()) == []
    assert isinstance(found[0], pipeline.Explanation)
