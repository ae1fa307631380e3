"""A converter's faults in its own words, without two hundred lines of traceback."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeprof.errors import EdgeprofError, ExportError, MissingPackageError
from edgeprof.store import writing

FULL_BYTES = 1 << 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Lines that say nothing to the user of a converter: frames, advice to its developers, progress.
_NOISE = re.compile(
    r"^(File \"|Traceback|\^|~|For more|For C\+\+|If you suspect|Use tlparse|Original traceback|None$|[IW]\d{4}|WARNING"
    r"|Failed to load \S+\.so|\(\d\d:\d\d\)"
    r"|Extension modules:|Thread 0x|Current thread 0x|<no Python frame>|return cls\.__new__)"
)
_SOURCE = re.compile(r"(?:[\w./\\+-]*[/\\])?[\w+-]+\.(?:cpp|cc|h|hpp|py):\d+:?")


@contextmanager
def converting(tool: str, folder: Path) -> Iterator[None]:
    """The one place where whatever `tool` raises becomes ours; it writes into `folder`.

    Raises:
        ExportError: it cannot convert this model; in its own words.
        MissingPackageError: a package that it needs is not installed.
        RecordError: the disk is full.
    """
    try:
        yield
    except EdgeprofError:
        raise
    except ModuleNotFoundError as error:
        raise MissingPackageError((error.name or "unknown").partition(".")[0], "export") from error
    except MemoryError as error:
        raise ExportError(f"{tool} ran out of memory", hint="free some memory and try again") from error
    # Converters raise any class, also SystemExit.
    except (Exception, SystemExit) as error:
        if disk_full(folder):
            raise disk_full_error(folder) from error
        # A converter's table of operations, or of their types, has no entry of that name.
        lacks = f"{tool} has no conversion for a part of this model: " if isinstance(error, KeyError) else ""
        raise ExportError(f"{lacks or f'{tool} failed: '}{of_error(error)}") from error


def disk_full(folder: Path) -> bool:
    """Whether next to nothing can be written. Converters in C++ tell of that as anything, or die of it."""
    return shutil.disk_usage(folder).free < FULL_BYTES


def disk_full_error(folder: Path) -> EdgeprofError:
    """What the store says when the disk is full."""
    try:
        with writing(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
    except EdgeprofError as error:
        return error


def of_error(error: BaseException) -> str:
    """The root cause of an exception: its class and the first paragraph of its message, at most 500 characters."""
    seen = {id(error)}
    while error.__cause__ is not None and id(error.__cause__) not in seen:
        error = error.__cause__
        seen.add(id(error))
    paragraph: list[str] = []
    # str() of a KeyError is the repr of its key, with its line breaks escaped.
    said = error.args[0] if isinstance(error, KeyError) and error.args else error
    for line in _COLOUR.sub("", str(said)).strip().splitlines():
        plain = line.strip()
        if not plain and paragraph:
            break
        if plain and not _NOISE.match(plain):
            paragraph.append(plain)
    text = _SOURCE.sub("", " ".join(paragraph)).strip()
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__


def of_log(log: Path, lines: int = 3) -> str:
    """The last lines of a log that say something, those that speak of an error before others; "" if there are none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")[-100_000:]
    except OSError:
        return ""
    said = [line.strip() for line in _COLOUR.sub("", text).splitlines()]
    said = [line for line in said if line and not _NOISE.match(line)]
    bad = [line for line in said if re.search(r"\b(error|fatal|failed|terminate|abort)", line, re.IGNORECASE)]
    return " / ".join(line[:200] for line in (bad or said)[-lines:])
