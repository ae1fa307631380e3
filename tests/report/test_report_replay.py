"""A written report against what the raw samples give: the same bytes in any process, and every change is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import MODELS, study

from edgeprof.errors import EXIT_RECORD, RecordError
from edgeprof.report import replay, write_reports
from edgeprof.report.replay import first_difference

WRITE = """
import sys
sys.path[:0] = [{here!r}, {root!r}]
from pathlib import Path
from report_records import MODELS, study
from edgeprof.report import write_reports
write_reports(*study(models={{"resnet18": MODELS["resnet18"]}}), Path({target!r}))
"""


def test_two_processes_with_other_hash_seeds_write_the_same_bytes(tmp_path: Path) -> None:
    here = Path(__file__).parent.parent
    for seed in ("1", "2"):
        code = WRITE.format(here=str(here), root=str(here.parent), target=str(tmp_path / seed))
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, timeout=120, check=True
        )
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_an_untouched_report_is_identical_and_a_changed_byte_is_found(tmp_path: Path) -> None:
    ranking, measurements = study(models={"resnet18": MODELS["resnet18"]})
    files = write_reports(ranking, measurements, tmp_path)
    assert [(one.identical, one.difference) for one in replay(ranking, measurements, tmp_path)] == [(True, None)] * 5
    text = files["csv"].read_text(encoding="utf-8")
    files["csv"].write_text(text.replace('"scratch"', '"scratsh"', 1), encoding="utf-8")
    found = {Path(one.file).name: one for one in replay(ranking, measurements, tmp_path)}
    assert [name for name, one in found.items() if not one.identical] == ["ranking.csv"]
    assert "line 2, column" in (found["ranking.csv"].difference or "")
    assert "scratsh" in (found["ranking.csv"].difference or "")


def test_a_missing_file_is_an_error_with_the_line_that_writes_it(tmp_path: Path) -> None:
    ranking, measurements = study(models={"resnet18": MODELS["resnet18"]})
    write_reports(ranking, measurements, tmp_path)["markdown"].unlink()
    with pytest.raises(RecordError) as caught:
        replay(ranking, measurements, tmp_path)
    assert caught.value.exit_code == EXIT_RECORD
    assert "summary.md" in (caught.value.where or "")
    assert caught.value.hint == f"write it: edgeprof report --run {ranking.run}"


@pytest.mark.parametrize(
    ("written", "recomputed", "said"),
    [
        (b"a\nb\n", b"a\nc\n", "line 2, column 1: written 'b', recomputed 'c'"),
        (b"a\nb", b"a\n", "line 2, column 1: written 'b', recomputed the end of the file"),
        (b"", b"x", "line 1, column 1: written the end of the file, recomputed 'x'"),
        (
            b'  "median_ms": 1.5,\n',
            b'  "median_ms": 1.6,\n',
            """written '"median_ms": 1.5,', recomputed '"median_ms": 1.6""",
        ),
        (b"x" * 200 + b"y", b"x" * 200 + b"z", "column 201: written …'" + "x" * 40 + "y'"),
        (b"\x1b[31m", b"\xff", r"recomputed '\\xff'"),
    ],
)
def test_the_first_difference_is_named_in_one_line(written: bytes, recomputed: bytes, said: str) -> None:
    found = first_difference(written, recomputed)
    assert found is not None
    assert said in found
    assert found.isprintable()


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_difference_is_told_exactly_where_bytes_differ(written: bytes, recomputed: bytes) -> None:
    assert (first_difference(written, recomputed) is None) == (written == recomputed)
    assert first_difference(written, written) is None
