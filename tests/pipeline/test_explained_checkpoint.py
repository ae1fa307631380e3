"""Which checkpoint a ready file is explained against, of those that the store holds."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from accuracy_records import logits, put_trained

from edgeprof.errors import UsageError
from edgeprof.pipeline import checkpoint_for
from edgeprof.records import Identity, Trained
from edgeprof.store import Store


def test_of_what_was_trained_again_it_is_the_newest_unless_the_file_names_its_own(tmp_path: Path) -> None:
    """No option could tell the two apart."""
    store = Store(tmp_path / ".edgeprof")
    one = put_trained(store, Identity(model="resnet18", training="demo", init="scratch", seed=0), logits(0.9, 1))
    again = msgspec.structs.replace(one, checkpoint_sha="again")
    store.put(Trained.KIND, "again", again)
    file = tmp_path / "model.onnx"
    assert checkpoint_for(store, file, None, None, None, None) == again
    file.with_suffix(".json").write_text(json.dumps({"checkpoint_sha": one.checkpoint_sha}))
    assert checkpoint_for(store, file, None, None, None, None) == one


def test_of_several_the_options_tell(tmp_path: Path) -> None:
    store = Store(tmp_path / ".edgeprof")
    seeds = [
        put_trained(store, Identity(model="resnet18", training="demo", init="scratch", seed=seed), logits(0.9, seed))
        for seed in (0, 1)
    ]
    with pytest.raises(UsageError, match="2 checkpoints fit") as caught:
        checkpoint_for(store, tmp_path / "model.onnx", None, None, None, None)
    assert "--seed" in (caught.value.hint or "")
    assert checkpoint_for(store, tmp_path / "model.onnx", "demo", "resnet18", "scratch", 1) == seeds[1]
