"""Every error that edgeprof raises on purpose, its exit code, and what to do about it.

An error says *what* happened, *where* (file, key, cell or device) and a *hint*: the next thing to do. Only
`edgeprof.cli` prints errors and exits. `transient` marks faults that may pass when tried again; only those are retried.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

EXIT_OK = 0
EXIT_GATE = 1
EXIT_USAGE = 2
EXIT_MISSING = 3
EXIT_EXPORT = 4
EXIT_DEVICE = 5
EXIT_RECORD = 6
EXIT_UNTRUSTED = 7
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class EdgeprofError(Exception):
    """Base of all errors of ours.

    Args:
        what: one sentence: what happened.
        where: the file, key, cell or device it happened at, if known.
        hint: what to do next, if known.
    """

    exit_code = EXIT_BUG
    transient = False

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class UsageError(EdgeprofError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = EXIT_USAGE


class SuiteError(EdgeprofError):
    """A file of the suite (TOML) is wrong."""

    exit_code = EXIT_USAGE


class DataError(EdgeprofError):
    """The data set is missing, empty, or holds an image that does not decode."""

    exit_code = EXIT_USAGE


class MissingPackageError(EdgeprofError):
    """A package or extra is not installed."""

    exit_code = EXIT_MISSING

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"the package {package} is not installed",
            hint=f'install it with: pip install "edgeprof[{extra}]"',
        )
        self.package = package
        self.extra = extra


class TrainError(EdgeprofError):
    """A training could not start or did not finish (no weights, NaN loss, foreign checkpoint)."""

    exit_code = EXIT_EXPORT


class ExportError(EdgeprofError):
    """A converter failed, or the exported file does not agree with its checkpoint."""

    exit_code = EXIT_EXPORT


class DeviceError(EdgeprofError):
    """The device cannot do what was asked; trying again would not help."""

    exit_code = EXIT_DEVICE


class DeviceBusyError(DeviceError):
    """Somebody else is measuring there; it will pass."""

    transient = True
    session: str | None = None
    """What is measured there, by the name of its run."""


class LinkError(DeviceError):
    """The connection to the device or its agent broke; it may pass."""

    transient = True


class RecordError(EdgeprofError):
    """A stored record is of another schema, damaged, or cannot be written."""

    exit_code = EXIT_RECORD


class UntrustedError(EdgeprofError):
    """Measured, but the numbers are not to be trusted."""

    exit_code = EXIT_UNTRUSTED


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the closest known names, or all of them when there are few; "" when there is nothing to name."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "perhaps you meant: " + ", ".join(close)
    if not names:
        return ""
    shown = ", ".join(names[:12])
    return f"known: {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def of_the_system(error: OSError) -> EdgeprofError | None:
    """The system's fault as one of ours, where it is the user's or the disk's; None: it is a bug."""
    where = None if error.filename is None else str(error.filename)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "the disk is full; everything that was finished is kept"
        return RecordError(what, where=where, hint="free some space and run it again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "say where to write with: edgeprof --work DIR"
        return UsageError(f"not allowed: {error.strerror}", where=where, hint=hint)
    if where is not None and error.errno in (errno.ENOTDIR, errno.ENOENT, errno.EEXIST, errno.EISDIR):
        hint = "name another file or folder"
        return UsageError(f"cannot be used: {error.strerror}", where=where, hint=hint)
    return None
