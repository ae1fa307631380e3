"""Trainings that begin from one another: what is needed comes first and no more, and faults are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeprof import pipeline, train
from edgeprof.errors import SuiteError
from edgeprof.progress import Silent
from edgeprof.records import Trained
from edgeprof.store import Store
from edgeprof.suite import Suite
from edgeprof.zoo import checkpoint, images

TEXT = """\
models = {models}
inits = {inits}
seeds = {seeds}

[data]
name = "digits"
classes = {classes}
train_per_class = 8

[preprocessing]
image_size = 16
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]

[recipe]
epochs = {epochs}
batch_size = 8
warmup_epochs = 0
"""


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    for folder in ("training", "exporters", "devices"):
        (tmp_path / folder).mkdir()
    return Suite(tmp_path)


def _write(suite: Suite, name: str, **values: Any) -> None:
    known = {"models": ["test_resnet"], "inits": ["scratch"], "seeds": [0], "classes": ["0", "1"], "epochs": 1}
    text = TEXT.format(**{key: str(value).replace("'", '"') for key, value in {**known, **values}.items()})
    (suite.root / "training" / f"{name}.toml").write_text(text)


def _train(suite: Suite, name: str) -> tuple[list[Trained], list[Any], list[str]]:
    progress = Notes()
    # One at a time: starting processes for so little takes longer than the trainings.
    trained, failures = pipeline.train(
        suite, Store(suite.root / ".edgeprof"), suite.training(name), progress, train.How(jobs=1)
    )
    return trained, failures, progress.notes


def test_what_is_needed_of_the_source_is_trained_first_and_no_more(suite: Suite) -> None:
    _write(suite, "before", models=["test_resnet", "test_efficientnet"], seeds=[4, 1])
    _write(suite, "after", inits=["training:before", "scratch"], seeds=[1, 2], classes=["2", "3"])
    trained, failures, notes = _train(suite, "after")
    assert failures == []
    assert any("after begins from 2 checkpoints of before" in note for note in notes)
    store = Store(suite.root / ".edgeprof")
    sources = {one.seed: one for one in store.all(Trained.KIND, Trained) if one.training == "before"}
    assert set(sources) == {1, 4}, "seed 1 as in both, and the first for seed 2"
    assert {one.model for one in sources.values()} == {"test_resnet"}
    found = {(one.init, one.seed): one for one in trained}
    assert list(found) == [("training:before", 1), ("training:before", 2), ("scratch", 1), ("scratch", 2)]
    for seed, source in ((1, 1), (2, 4)):
        weights = found["training:before", seed].weights
        assert weights is not None
        assert weights.sha256 == sources[source].checkpoint_sha
        assert weights.source == f"training:before / scratch / seed {source}"
        assert weights.left
    assert found["scratch", 1].weights is None
    before = {key: one.checkpoint_sha for key, one in found.items()}
    again, _, notes = _train(suite, "after")
    assert {(one.init, one.seed): one.checkpoint_sha for one in again} == before
    assert sum("reusing" in note for note in notes) == 2


def test_another_source_is_another_training(suite: Suite) -> None:
    """The key holds the checkpoint's sha: a source that is trained otherwise must not go unnoticed."""
    _write(suite, "before")
    _write(suite, "after", inits=["training:before"], classes=["2", "3"])
    first = _train(suite, "after")[0][0]
    _write(suite, "before", epochs=2)
    second = _train(suite, "after")[0][0]
    assert first.weights is not None
    assert second.weights is not None
    assert first.weights.sha256 != second.weights.sha256
    assert first.checkpoint_sha != second.checkpoint_sha


def test_the_arms_see_the_same_batches_and_the_same_head(suite: Suite) -> None:
    """With the source's own weights as scratch would make them, the arms end in the very same checkpoint."""
    _write(suite, "before", epochs=0, inits=["file:random.safetensors"], classes=["2", "3"])
    _write(suite, "after", inits=["training:before", "scratch"], classes=["2", "3"])
    from edgeprof.train.batches import derived_seed, seed_all
    from edgeprof.zoo import models

    seed_all(derived_seed("weights", 0))
    tensors = models.create("test_resnet", 2).state_dict()
    (suite.root / "random.safetensors").write_bytes(checkpoint.to_bytes(tensors))
    trained, failures, _ = _train(suite, "after")
    assert failures == []
    assert trained[0].checkpoint_sha == trained[1].checkpoint_sha


def test_a_chain_is_followed_to_its_end(suite: Suite) -> None:
    _write(suite, "a")
    _write(suite, "b", inits=["training:a"], classes=["2", "3"])
    _write(suite, "c", inits=["training:b"], classes=["4", "5"])
    trained, failures, _ = _train(suite, "c")
    assert failures == []
    assert trained[0].weights is not None
    assert trained[0].weights.source.startswith("training:b")


def test_a_source_that_fails_is_told_with_its_own_error_and_does_not_stop_the_other_arm(suite: Suite) -> None:
    (suite.root / "bad.pth").write_bytes(b"nothing")
    _write(suite, "before", inits=["file:bad.pth"])
    _write(suite, "after", inits=["training:before", "scratch"], classes=["2", "3"])
    trained, failures, _ = _train(suite, "after")
    assert [one.init for one in trained] == ["scratch"]
    assert [one.identity.training for one in failures] == ["before", "after"]
    assert "bad.pth" in failures[0].error
    assert "of the training before, could not be trained" in failures[1].error


@pytest.mark.parametrize(
    ("files", "words", "hint"),
    [
        ({"a": {"inits": ["training:demp"]}, "demo": {}}, "no training named 'demp'", "demo"),
        ({"a": {"inits": ["training:a"]}}, "a -> a goes round in a circle", ""),
        (
            {"a": {"inits": ["training:b"]}, "b": {"inits": ["training:c"]}, "c": {"inits": ["training:a"]}},
            "a -> b -> c -> a goes round in a circle",
            "",
        ),
        ({"a": {"inits": ["training:b"]}, "b": {"inits": ["scratch", "pretrained"]}}, "scratch, pretrained", "one"),
        ({"a": {"inits": ["training:b"]}, "b": {"models": ["resnet18"]}}, "does not train test_resnet", "b.toml"),
    ],
)
def test_check_finds_sources_that_are_none(suite: Suite, files: dict[str, Any], words: str, hint: str) -> None:
    for name, values in files.items():
        _write(suite, name, **values)
    errors = {path.stem: error for path, error in suite.check()}
    assert words in str(errors["a"])
    assert hint in (getattr(errors["a"], "hint", "") or "")
    with pytest.raises(SuiteError):
        _train(suite, "a")


def test_without_a_source_there_is_no_key(suite: Suite) -> None:
    _write(suite, "before")
    _write(suite, "after", inits=["training:before"], classes=["2", "3"])
    training = suite.training("after")
    cell = train.cells(training)[0]
    with pytest.raises(Exception, match="no checkpoint of training:before"):
        train.key(training, cell, images.fingerprint(training.data))
