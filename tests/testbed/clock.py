"""A device whose clock is years off, or jumps, while this machine's is right."""

from __future__ import annotations

from pathlib import Path

from testbed.programs import UNPACKED, MissingProgramError


def clock_environment(file: Path) -> dict[str, str]:
    """The environment of logins whose processes read the wall clock that `file` tells, whenever they look.

    The file holds how much it is off, such as `+0`, `+3650d` or `-10y`, or from when on it runs in each process, such
    as `@2001-02-03 04:05:06`. Monotonic clocks stay true, as they do on a device.
    """
    places = [*Path("/usr/lib").glob("*/faketime"), *UNPACKED.glob("usr/lib/*/faketime")]
    library = next((folder / "libfaketime.so.1" for folder in places if (folder / "libfaketime.so.1").exists()), None)
    if library is None:
        raise MissingProgramError("libfaketime")
    if not file.exists():
        file.write_text("+0\n")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
