"""What can be known of the board. Every reader takes the root folder, so that recorded trees can be read as well."""

from __future__ import annotations

import os
import platform
import re
import time
from typing import Any, Dict, List, Optional, Tuple

from .runtimes import installed

# "CPU part" of implementer 0x41 (Arm), from Arm's technical reference manuals (MIDR_EL1).
ARM_PARTS = {
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD0D: "Cortex-A77",
    0xD40: "Neoverse-V1",
    0xD41: "Cortex-A78",
    0xD42: "Cortex-A78AE",
    0xD44: "Cortex-X1",
    0xD46: "Cortex-A510",
    0xD47: "Cortex-A710",
    0xD49: "Neoverse-N2",
    0xD4F: "Neoverse-V2",
    0xC07: "Cortex-A7",
    0xC0F: "Cortex-A15",
}


def facts(root: str = "/") -> Dict[str, Any]:
    """The fields of the host's record of device facts; what is not known is None."""
    cores = sorted(os.sched_getaffinity(0))
    cpufreq = os.path.join(root, "sys/devices/system/cpu/cpu%d/cpufreq" % cores[0])
    return {
        "architecture": platform.machine(),
        "os": os_name(root),
        "kernel": platform.release(),
        "cpu": cpu_name(root),
        "cores": len(cores),
        "memory_bytes": memory_bytes(root),
        "python": platform.python_version(),
        "board": board(root),
        "governor": text(os.path.join(cpufreq, "scaling_governor")),
        "clock_mhz": clock_range(cpufreq),
        "runtimes": installed(),
        "clock_resolution_ns": clock_resolution(),
    }


def text(path: str) -> Optional[str]:
    """The text of a small file, None if it is not there or empty."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            # Files of the device tree end in a zero byte.
            return file.read().strip("\0\n\t ") or None
    except OSError:
        return None


def os_name(root: str) -> str:
    """Such as "Debian GNU/Linux 12 (bookworm)"."""
    for line in (text(os.path.join(root, "etc/os-release")) or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip("\"'")
    return platform.system()


def cpu_name(root: str) -> str:
    """The model's name (x86), or the cores by kind and number (Arm); the architecture where neither is told."""
    info = text(os.path.join(root, "proc/cpuinfo")) or ""
    named = re.search(r"^model name\s*:\s*(.+)$", info, re.M)
    if named and not re.match(r"ARMv\d", named.group(1)):
        return " ".join(named.group(1).split())
    parts: Dict[str, int] = {}
    for part in re.findall(r"^CPU part\s*:\s*(0x[0-9a-fA-F]+)", info, re.M):
        name = ARM_PARTS.get(int(part, 16), "Arm part " + part)
        parts[name] = parts.get(name, 0) + 1
    return " + ".join("%d x %s" % (count, name) for name, count in parts.items()) or platform.machine()


def board(root: str) -> Optional[str]:
    """The board's model as the device tree tells it."""
    return text(os.path.join(root, "proc/device-tree/model"))


def memory_bytes(root: str) -> Optional[int]:
    """MemTotal."""
    found = re.search(r"^MemTotal:\s*(\d+) kB", text(os.path.join(root, "proc/meminfo")) or "", re.M)
    return int(found.group(1)) * 1024 if found else None


def clock_range(cpufreq: str) -> Optional[Tuple[float, float]]:
    """Lowest and highest clock in MHz that the governor may choose (sysfs has kHz)."""
    bounds: List[float] = []
    for name in ("scaling_min_freq", "scaling_max_freq"):
        value = text(os.path.join(cpufreq, name)) or ""
        if not value.isdigit():
            return None
        bounds.append(int(value) / 1000)
    return bounds[0], bounds[1]


def clock_resolution() -> Optional[int]:
    """The smallest step seen between two readings of the clock that times the samples, in nanoseconds."""
    clock = time.perf_counter_ns
    readings = [clock() for _ in range(2000)]
    steps = [after - before for before, after in zip(readings, readings[1:]) if after > before]  # noqa: RUF007
    return min(steps) if steps else None
