"""Writes the four files of a report, each whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgeprof.errors import RecordError, UsageError
from edgeprof.records import Measurement, Ranking, to_json
from edgeprof.report.page import page
from edgeprof.report.table import to_csv
from edgeprof.report.text import summary

FILES = {"json": "ranking.json", "csv": "ranking.csv", "markdown": "summary.md", "html": "report.html"}
"""The names of the files of a report."""


def render(ranking: Ranking, measurements: Sequence[Measurement]) -> dict[str, bytes]:
    """The files of a report under the keys of `FILES`: the same records give the same bytes.

    Args:
        measurements: those behind the ranking; the page shows their samples in time order. Those of cells that are
            not in the ranking are left out.
    """
    return {
        "json": to_json(ranking, indent=2) + b"\n",
        "csv": to_csv(ranking).encode(),
        "markdown": summary(ranking).encode(),
        "html": page(ranking, measurements).encode(),
    }


def write_reports(ranking: Ranking, measurements: Sequence[Measurement], folder: Path) -> dict[str, Path]:
    """Write the files of `render` into `folder` (made if missing).

    Returns: the files under the keys of `FILES`.

    Raises:
        UsageError: the folder cannot be written.
        RecordError: the disk is full or fails.
    """
    written = {}
    for kind, data in render(ranking, measurements).items():
        written[kind] = folder / FILES[kind]
        _write_whole(written[kind], data)
    return written


def _write_whole(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(scratch, 0o644)  # mkstemp's 0600 would keep a web server or a colleague from reading it
            os.replace(scratch, path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _ours(error, path) from error


def _ours(error: OSError, path: Path) -> UsageError | RecordError:
    """The one place where the system's faults become ours."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RecordError(
            "the disk is full; the measurements are kept", where=str(path), hint="free some disk space: edgeprof report"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return UsageError(
            f"the report cannot be written here: {error.strerror}",
            where=str(path),
            hint="say where to write with: edgeprof --work DIR",
        )
    return RecordError(f"the report cannot be written: {error.strerror or error}", where=str(path))
