"""Small files and tools of a board, read so that nothing in them can harm: no reader here raises."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from typing import List, Optional, Sequence

TEXT_MOST = 1 << 20
"""Characters; /proc/cpuinfo of a big server has some 400 000."""
SHOWN = 200
"""Characters of a name that are kept."""
MOST = 1 << 53
"""A larger number in sysfs is a broken file."""
CORES_MOST = 4096
TOOL_S = 3.0


def text(path: str) -> Optional[str]:
    """The text of a small file, None if it is not there or empty."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            # Files of the device tree end in a zero byte.
            return file.read(TEXT_MOST).strip("\0\n\t ") or None
    except OSError:
        return None


def clean(content: Optional[str]) -> Optional[str]:
    """On one line, printable and short, whatever a board writes there; None where nothing is left."""
    kept = "".join(one if one.isprintable() and one != "\ufffd" else " " for one in (content or "")[: 4 * SHOWN])
    return " ".join(kept.split())[:SHOWN] or None


def line(path: str) -> Optional[str]:
    """The text of a small file as one clean line."""
    return clean(text(path))


def number(path: str) -> Optional[int]:
    """The only number in a small file, if it is 0 or more."""
    content = text(path) or ""
    return int(content) if re.fullmatch("[0-9]{1,15}", content) else None


def megahertz(path: str) -> Optional[float]:
    """A clock (cpufreq has kHz)."""
    khz = number(path)
    return khz / 1000 if khz else None


def core_list(content: Optional[str]) -> List[int]:
    """Cores as the kernel lists them, such as 0-3,6; none where it is no such list."""
    cores: List[int] = []
    for part in (content or "").split(","):
        ends = re.fullmatch("([0-9]{1,4})(?:-([0-9]{1,4}))?", part.strip())
        if ends is None:
            return []
        first, last = int(ends.group(1)), int(ends.group(2) or ends.group(1))
        cores.extend(range(first, min(last, CORES_MOST) + 1))
    return sorted(set(cores))


def matching(folder: str, pattern: str) -> List[str]:
    """Paths in the folder that match, in order."""
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))


def tool(root: str, places: Sequence[str], arguments: Sequence[str], deadline_s: float = TOOL_S) -> Optional[str]:
    """What one of the board's own tools says; None where there is none, or it fails, or takes too long.

    Args:
        places: where it may lie, below the root.
    """
    for place in places:
        path = os.path.join(root, place)
        if not os.path.isfile(path):
            continue
        try:
            done = subprocess.run(
                [path, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(os.environ, LC_ALL="C"),
                timeout=deadline_s,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout[:TEXT_MOST].decode("utf-8", "replace") if done.returncode == 0 else None
    return None
