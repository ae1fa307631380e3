"""Small Debians of other architectures and releases for boards, made once by roots.sh and kept in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from pathlib import Path

from testbed.programs import CACHE

SCRIPT = Path(__file__).with_name("roots.sh")
MADE = CACHE / f"roots-{hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:8]}"
"""What another version of the script made is not used."""


def root(name: str) -> Path:
    """The folder of the root `ARCHITECTURE-RELEASE`, such as `arm64-bookworm`; made if it is not there (network)."""
    if not (MADE / name).exists():
        _script("root", *name.split("-"))
    return MADE / name


def register_emulator() -> None:
    """Let the kernel run arm64 programs, by qemu; a no-op on arm64 and where it does already by ours."""
    if not Path("/proc/sys/fs/binfmt_misc/edgeprof-aarch64").exists():
        _script("emulator")


def _script(*words: str) -> None:
    """Two testers may want the same at once."""
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["bash", str(SCRIPT), str(MADE), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{SCRIPT} {' '.join(words)}: {done.stderr}"
