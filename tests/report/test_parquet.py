"""The Parquet file: the ranking's values with their types, and a replay that looks at values and not at bytes."""

from __future__ import annotations

import builtins
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as arrow
import pyarrow.parquet
import pytest
from report_records import MODELS, study

from edgeprof.errors import MissingPackageError
from edgeprof.records import Candidate
from edgeprof.report import replay, write_reports
from edgeprof.report.parquet import difference, to_parquet

RANKING, MEASUREMENTS = study(models={"resnet18": MODELS["resnet18"]})


def read(data: bytes) -> Any:
    return pyarrow.parquet.read_table(io.BytesIO(data))


def test_the_rows_are_the_candidates_with_their_types() -> None:
    table = read(to_parquet([RANKING]))
    assert table.column_names == ["run", "device", *Candidate.__struct_fields__]
    for row, one in zip(table.to_pylist(), RANKING.candidates, strict=True):
        plain = json.loads(msgspec.json.encode(one))
        ran = row.pop("ran")
        assert (None if ran is None else json.loads(ran)) == plain.pop("ran")
        assert row == {"run": RANKING.run, "device": RANKING.device, **plain}
    types = {field.name: field.type for field in table.schema}
    assert types["median_ms"] == arrow.float64()
    assert types["size_bytes"] == arrow.int64()
    assert types["trusted"] == arrow.bool_()
    assert types["reasons"] == arrow.list_(arrow.string())


def test_what_nobody_knows_keeps_its_type_and_no_row_is_a_table_too() -> None:
    rows = tuple(msgspec.structs.replace(one, top1=None, seed=None, ran=None) for one in RANKING.candidates)
    table = read(to_parquet([msgspec.structs.replace(RANKING, candidates=rows)]))
    assert table.schema == read(to_parquet([RANKING])).schema
    assert table["top1"].null_count == len(rows)
    empty = read(to_parquet([msgspec.structs.replace(RANKING, candidates=())]))
    assert empty.num_rows == 0
    assert empty.schema == table.schema


def test_names_are_kept_as_they_are() -> None:
    """No program runs what stands in such a file, so nothing is escaped."""
    name = "=cmd()|<b>../x\u202e"
    rows = tuple(msgspec.structs.replace(one, model=name) for one in RANKING.candidates)
    assert set(read(to_parquet([msgspec.structs.replace(RANKING, candidates=rows)]))["model"].to_pylist()) == {name}


def test_a_replay_compares_values_and_names_the_first_that_differs(tmp_path: Path) -> None:
    path = write_reports(RANKING, MEASUREMENTS, tmp_path)["parquet"]
    pyarrow.parquet.write_table(read(path.read_bytes()), path, compression="gzip")  # other bytes, the same values
    assert all(one.identical for one in replay(RANKING, MEASUREMENTS, tmp_path))
    rows = list(RANKING.candidates)
    rows[2] = msgspec.structs.replace(rows[2], median_ms=1.25)
    path.write_bytes(to_parquet([msgspec.structs.replace(RANKING, candidates=tuple(rows))]))
    (found,) = [one for one in replay(RANKING, MEASUREMENTS, tmp_path) if not one.identical]
    assert found.file == str(path)
    assert (found.difference or "").startswith("row 3, column median_ms: written 1.25, recomputed ")
    path.write_bytes(b"PAR1 no more")
    (found,) = [one for one in replay(RANKING, MEASUREMENTS, tmp_path) if not one.identical]
    assert "no Parquet file any more" in (found.difference or "")
    path.unlink()
    assert len(replay(RANKING, MEASUREMENTS, tmp_path)) == 4, "it may have been written without pyarrow"


def test_fewer_rows_and_other_columns_are_told() -> None:
    fewer = to_parquet([msgspec.structs.replace(RANKING, candidates=RANKING.candidates[:2])])
    assert difference(fewer, to_parquet([RANKING])) == "its rows: written 2, recomputed 6"
    file = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table({"a": [1]}), file)
    assert "its columns: written 1" in (difference(file.getvalue(), fewer) or "")


def test_without_pyarrow_the_other_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return found(name, *rest, **more)

    write_reports(RANKING, MEASUREMENTS, tmp_path / "with")
    monkeypatch.setattr(builtins, "__import__", without)
    assert set(write_reports(RANKING, MEASUREMENTS, tmp_path / "without")) == {"json", "csv", "markdown", "html"}
    with pytest.raises(MissingPackageError) as caught:
        to_parquet([RANKING])
    assert "edgeprof[frames]" in (caught.value.hint or "")
    assert all(one.identical for one in replay(RANKING, MEASUREMENTS, tmp_path / "without"))
    with pytest.raises(MissingPackageError):
        replay(RANKING, MEASUREMENTS, tmp_path / "with")
