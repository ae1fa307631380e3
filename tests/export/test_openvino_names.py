"""The bytes of an OpenVINO file do not tell what else its process made before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13

from edgeprof.export.openvino import _name_by_place


def model() -> Any:
    """Some of its operators have the name of a user, the others one that OpenVINO counts up."""
    given = opset13.parameter([1, 4], np.float32, name="x")
    scaled = opset13.multiply(given, opset13.constant(np.full(4, 2.0, np.float32)))
    named = opset13.add(scaled, opset13.constant(np.ones(4, np.float32), name="Constant_0"), name="shift")
    made = openvino.Model([opset13.result(opset13.relu(named))], [given], "net")
    made.output(0).get_tensor().set_names({"logits"})
    return made


def saved(path: Path) -> bytes:
    made = model()
    _name_by_place(made)
    names = [one.get_friendly_name() for one in made.get_ordered_ops()]
    assert len(set(names)) == len(names)
    assert {"x", "shift"} <= set(names)
    openvino.save_model(made, path, compress_to_fp16=False)
    return path.read_bytes()


def test_the_same_model_made_twice_in_a_process_gives_the_same_bytes(tmp_path: Path) -> None:
    before = [one.get_friendly_name() for one in model().get_ordered_ops()]
    assert before != [one.get_friendly_name() for one in model().get_ordered_ops()], "OpenVINO counts on"
    assert saved(tmp_path / "one.xml") == saved(tmp_path / "two.xml")
