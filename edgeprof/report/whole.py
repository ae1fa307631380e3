"""Writes a file whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from edgeprof.errors import RecordError, UsageError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, making its folder if it is missing.

    Raises:
        UsageError: the folder cannot be written.
        RecordError: the disk is full or fails.
    """
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
