"""The candidates as a Parquet file: the columns of the CSV with their types. The only home of pyarrow."""

from __future__ import annotations

import io
import types
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeprof.errors import MissingPackageError
from edgeprof.records import Candidate, Ranking, Record, to_json

if TYPE_CHECKING:
    import pyarrow


def to_parquet(rankings: Sequence[Ranking]) -> bytes:
    """A row per candidate, in the order of the rankings, with its run and device; fields as in `ranking.json`.

    Unknown is null; reasons and warnings are lists of text; what ran is JSON. The same records give the same bytes with
    the same pyarrow.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    arrow = _arrow()
    import pyarrow.parquet

    columns: dict[str, list[Any]] = {"run": [], "device": []} | {name: [] for name in Candidate.__struct_fields__}
    for ranking in rankings:
        for one in ranking.candidates:
            columns["run"].append(ranking.run)
            columns["device"].append(ranking.device)
            for name in Candidate.__struct_fields__:
                columns[name].append(_value(getattr(one, name)))
    hints = typing.get_type_hints(Candidate)
    fields = [("run", arrow.string()), ("device", arrow.string())]
    fields += [(name, _type(hints[name], arrow)) for name in Candidate.__struct_fields__]
    file = io.BytesIO()
    pyarrow.parquet.write_table(arrow.table(columns, schema=arrow.schema(fields)), file, compression="zstd")
    return file.getvalue()


def difference(written: bytes, recomputed: bytes) -> str | None:
    """Where the values of two such files differ first, in words; None if nowhere. Another version of pyarrow may write
    the same values as other bytes.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    if written == recomputed:
        return None
    arrow = _arrow()
    try:
        old, new = (_read(arrow, data) for data in (written, recomputed))
    except (arrow.ArrowException, OSError):
        return "the whole of it: it is no Parquet file any more"
    if old.column_names != new.column_names:
        return f"its columns: written {len(old.column_names)}, recomputed {len(new.column_names)}"
    if old.num_rows != new.num_rows:
        return f"its rows: written {old.num_rows}, recomputed {new.num_rows}"
    for name in new.column_names:
        for row, (one, other) in enumerate(zip(old[name].to_pylist(), new[name].to_pylist(), strict=True), start=1):
            if one != other:
                return f"row {row}, column {name}: written {one!r}, recomputed {other!r}"
    return None if old.schema.equals(new.schema) else "the types of its columns"


def _read(arrow: Any, data: bytes) -> Any:
    """The table in a file, without pyarrow's threads: one that still has a Python object at the end aborts it."""
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(arrow.BufferReader(data), pre_buffer=False).read(use_threads=False)


def installed() -> bool:
    """Whether such files can be written here."""
    try:
        _arrow()
    except MissingPackageError:
        return False
    return True


def _arrow() -> pyarrow:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingPackageError("pyarrow", "frames") from error
    return pyarrow


def _type(hint: Any, arrow: Any) -> Any:
    """The Parquet type of a field."""
    options = [one for one in typing.get_args(hint) if one is not types.NoneType]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _type(options[0], arrow)
    if typing.get_origin(hint) is tuple:
        return arrow.list_(arrow.string())
    return {bool: arrow.bool_(), int: arrow.int64(), float: arrow.float64()}.get(hint, arrow.string())


def _value(value: object) -> object:
    if isinstance(value, Record):
        return to_json(value).decode()
    return list(value) if isinstance(value, tuple) else value
