"""Where the testbed's programs are: this machine's own, else unpacked by tests/system-packages.sh into the cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CACHE = Path(os.environ.get("EDGEPROF_TEST_CACHE") or "~/.cache/edgeprof-tests").expanduser()
UNPACKED = CACHE / "unpacked"
FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin", "usr/lib/openssh", "usr/libexec/openssh", "usr/lib/ssh")


class MissingProgramError(Exception):
    """A program that the testbed needs is not there; the text says how to get it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the tests need {name}: sh tests/system-packages.sh")


def program(name: str) -> Path:
    """The program's file; `EDGEPROF_SSHD` and the like (upper case, `-` as `_`) name another.

    Raises:
        MissingProgramError: it is nowhere.
    """
    asked = os.environ.get(f"EDGEPROF_{name.upper().replace('-', '_')}")
    candidates = [Path(asked)] if asked else []
    candidates += [root / folder / name for root in (Path("/"), UNPACKED) for folder in FOLDERS]
    found = next((one for one in candidates if os.access(one, os.X_OK)), None) or shutil.which(name)
    if not found:
        raise MissingProgramError(name)
    return Path(found)


def library_path() -> str:
    """LD_LIBRARY_PATH for what was unpacked."""
    return ":".join(str(folder) for folder in sorted(UNPACKED.glob("usr/lib/*-linux-*")))
