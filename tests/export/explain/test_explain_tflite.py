"""The faults in TFLite files, seeded in the module before it is converted."""

from __future__ import annotations

from pathlib import Path

import pytest
from seeded_faults import TFLITE_FAULTS, tflite_of
from seeded_fixture import Seeded

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", list(TFLITE_FAULTS))
def test_a_fault_of_a_tflite_file_is_named(seeded: Seeded, fault: str, tmp_path: Path) -> None:
    cause, words = TFLITE_FAULTS[fault]
    found = seeded.explain("tflite", tflite_of(seeded.module, tmp_path, fault))
    assert found.cause == cause, found
    assert words in found.findings[0].name
    if cause != "numerics":
        assert found.mended_top1 == found.top1


def test_a_good_tflite_file_has_no_cause(seeded: Seeded, tmp_path: Path) -> None:
    found = seeded.explain("tflite", tflite_of(seeded.module, tmp_path))
    assert (found.cause, found.findings, found.layers) == ("none", (), ())
