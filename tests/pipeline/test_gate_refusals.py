"""A gate refuses a run of something else than its baseline, and says what to do instead."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from gate_records import baseline, candidate
from report_records import RUN

from edgeprof.errors import UsageError
from edgeprof.pipeline.baseline import read_baseline
from edgeprof.pipeline.gate import check_fits


def test_another_device_or_training_is_refused_with_a_hint() -> None:
    known = baseline(candidate(), device=RUN.device, training=RUN.training)
    check_fits(known, RUN)
    for change, words in (
        ({"device": "jetson"}, f"--baseline FILE --device {RUN.device} --update"),
        ({"training": "other"}, "a baseline of this one in another file"),
        ({"training": None}, "a baseline of this one in another file"),
    ):
        with pytest.raises(UsageError) as caught:
            check_fits(msgspec.structs.replace(known, **change), RUN)
        assert words in (caught.value.hint or "")


def test_a_folder_is_no_baseline_and_cannot_be_made_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this is a folder") as caught:
        read_baseline(tmp_path)
    assert "baseline.json" in (caught.value.hint or "")
