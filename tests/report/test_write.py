"""The files of a report: their names, that they are whole, and what happens when they cannot be written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from report_records import study

from edgeprof.errors import UsageError
from edgeprof.records import Ranking, from_json, to_json
from edgeprof.report import write_reports


def test_the_five_files_are_there_and_the_json_is_the_ranking(tmp_path: Path) -> None:
    ranking, measurements = study()
    folder = tmp_path / "reports" / "mit Leerzeichen und Ümläut"
    files = write_reports(ranking, measurements, folder)
    assert {kind: path.name for kind, path in files.items()} == {
        "json": "ranking.json",
        "csv": "ranking.csv",
        "markdown": "summary.md",
        "html": "report.html",
        "parquet": "ranking.parquet",
    }
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in files.values())
    assert from_json(files["json"].read_bytes(), Ranking) == ranking
    assert files["json"].read_bytes() == to_json(ranking, indent=2) + b"\n"
    assert files["html"].stat().st_size < 5e6
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in files.values())


def test_a_file_in_the_way_is_a_usage_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first", encoding="utf-8")
    ranking, _ = study()
    with pytest.raises(UsageError) as caught:
        write_reports(ranking, [], tmp_path / "file" / "report")
    assert str(tmp_path / "file") in str(caught.value)
    assert "--work" in (caught.value.hint or "")


WRITE_BEYOND_THE_LIMIT = """
import resource, sys
sys.path[:0] = [{here!r}, {root!r}]
from pathlib import Path
from report_records import study
from edgeprof.errors import RecordError
from edgeprof.report.whole import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(Path({target!r}), b"new" * 5000)
except RecordError as error:
    print("refused:", error)
"""


def test_a_write_that_breaks_off_leaves_the_old_file_and_no_scraps(tmp_path: Path) -> None:
    """The kernel stops the write after 1000 bytes, as a full disk would."""
    target = tmp_path / "ranking.json"
    target.write_text("old", encoding="utf-8")
    here = Path(__file__).parent.parent
    code = WRITE_BEYOND_THE_LIMIT.format(here=str(here), root=str(here.parent), target=str(target))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.stdout.startswith("refused:"), done.stderr
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]
