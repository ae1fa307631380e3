"""Is a written report what the raw samples give? Compared byte for byte, Parquet value by value."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from edgeprof.errors import RecordError
from edgeprof.records import Fleet, Measurement, Ranking, Record
from edgeprof.report import parquet
from edgeprof.report.fleet import Spreads
from edgeprof.report.odds import Curves
from edgeprof.report.words import clean
from edgeprof.report.write import FILES, PARQUET, render, render_fleet

AROUND = 40
"""Characters shown on either side of the first difference in a long line."""


class Replayed(Record):
    """A file of a report beside the same file made anew."""

    file: str
    """Its path."""
    identical: bool
    difference: str | None
    """Where the first difference lies, and what stands there."""


def replay(ranking: Ranking, measurements: Sequence[Measurement], folder: Path) -> list[Replayed]:
    """Compare the report in `folder` with the one that `render` gives now; nothing is written.

    Raises:
        RecordError: a file of the report is missing or cannot be read.
        MissingPackageError: there is a Parquet file, and no pyarrow to read it.
    """
    return _compared(folder, f"--run {ranking.run}", render(ranking, measurements), [ranking])


def replay_fleet(
    fleet: Fleet, spreads: Sequence[Spreads], known: Sequence[Mapping[str, Curves]], folder: Path
) -> list[Replayed]:
    """The same of the report of several devices, see `render_fleet`."""
    devices = " ".join(f"--device {shlex.quote(one.device)}" for one in fleet.rankings)
    return _compared(folder, devices, render_fleet(fleet, spreads, known), fleet.rankings)


def runs_of(folder: Path) -> tuple[str, ...]:
    """The runs that a report of several devices says that it is of; () where it cannot be read."""
    try:
        found = msgspec.json.decode((folder / FILES["json"]).read_bytes(), type=_Named)
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return ()
    return tuple(one.run for one in found.rankings)


class _Run(msgspec.Struct):
    run: str


class _Named(msgspec.Struct):
    """Of a written report only this, so that it is found out by comparing where the rest is not as it should be."""

    rankings: list[_Run]


def _compared(folder: Path, asked: str, rendered: Mapping[str, bytes], rankings: Sequence[Ranking]) -> list[Replayed]:
    """
    Args:
        asked: what makes `edgeprof report` write it.
    """
    written = {kind: _read(folder / name, asked) for kind, name in FILES.items()}
    table = folder / PARQUET
    # It is there only if pyarrow was installed when the report was written.
    if table.exists():
        written["parquet"] = _read(table, asked)
    found = []
    for kind, old in written.items():
        if kind == "parquet":
            said = parquet.difference(old, rendered.get(kind) or parquet.to_parquet(rankings))
        else:
            said = first_difference(old, rendered[kind])
        name = PARQUET if kind == "parquet" else FILES[kind]
        found.append(Replayed(file=str(folder / name), identical=said is None, difference=said))
    return found


def first_difference(written: bytes, recomputed: bytes) -> str | None:
    """Line and column (from 1, in characters) of the first difference with what stands there; None if there is none."""
    if written == recomputed:
        return None
    old, new = (data.decode(errors="backslashreplace") for data in (written, recomputed))
    at = next((index for index, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    begin = old.rfind("\n", 0, at) + 1
    line = old.count("\n", 0, at) + 1
    return (
        f"line {line}, column {at - begin + 1}: written {_around(old, begin, at)}, recomputed {_around(new, begin, at)}"
    )


def _around(text: str, begin: int, at: int) -> str:
    """The line that begins there, or of a long one the piece around the place."""
    if at >= len(text):
        return "the end of the file"
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    first, last = (begin, end) if end - begin <= 2 * AROUND else (max(begin, at - AROUND), min(end, at + AROUND))
    piece = clean(text[first:last]).strip()
    return ("…" if first > begin else "") + repr(piece) + ("…" if last < end else "")


def _read(path: Path, asked: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise RecordError(
            "this file of the report is missing", where=str(path), hint=f"write it: edgeprof report {asked}"
        ) from error
    except OSError as error:
        raise RecordError(f"the report cannot be read: {error.strerror or error}", where=str(path)) from error
