"""What can be known of the board. Every reader takes the root folder, so that recorded trees can be read as well."""

from __future__ import annotations

import glob
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
        "clusters": clusters(root, cores),
        "throttles_at_c": throttles_at(root),
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
    info = cpu_info(root)
    named = re.search(r"^model name\s*:\s*(.+)$", info, re.M)
    if named and not re.match(r"ARMv\d", named.group(1)):
        return " ".join(named.group(1).split())
    parts: Dict[str, int] = {}
    for part in re.findall(r"^CPU part\s*:\s*(0x[0-9a-fA-F]+)", info, re.M):
        name = arm_name(part)
        parts[name] = parts.get(name, 0) + 1
    return " + ".join("%d x %s" % (count, name) for name, count in parts.items()) or platform.machine()


def clusters(root: str, cores: List[int]) -> List[Dict[str, Any]]:
    """The cores by kind: those of one part, one highest clock and one capacity; the slowest kind first."""
    parts: Dict[str, str] = {}
    for block in cpu_info(root).split("\n\n"):
        told = dict(re.findall(r"^(processor|CPU part)\s*:\s*(\S+)", block, re.M))
        if "CPU part" in told:
            parts[told.get("processor", "")] = told["CPU part"]
    kinds: Dict[Tuple[int, float, str], List[int]] = {}
    for core in cores:
        folder = os.path.join(root, "sys/devices/system/cpu/cpu%d" % core)
        capacity = text(os.path.join(folder, "cpu_capacity")) or ""
        khz = text(os.path.join(folder, "cpufreq/cpuinfo_max_freq")) or ""
        key = (
            int(capacity) if capacity.isdigit() else 0,
            int(khz) / 1000 if khz.isdigit() else 0.0,
            parts.get(str(core), ""),
        )
        kinds.setdefault(key, []).append(core)
    return [
        {
            "cores": members,
            "cpu": arm_name(part) if part else None,
            "max_mhz": mhz or None,
            "capacity": capacity or None,
        }
        for (capacity, mhz, part), members in sorted(kinds.items())
    ]


def cpu_info(root: str) -> str:
    """/proc/cpuinfo; empty where there is none."""
    return text(os.path.join(root, "proc/cpuinfo")) or ""


def arm_name(part: str) -> str:
    """The core's name by its "CPU part"."""
    return ARM_PARTS.get(int(part, 16), "Arm part " + part) if re.fullmatch(r"0x[0-9a-fA-F]+", part) else part


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


def thermal_zones(root: str) -> List[Tuple[str, str]]:
    """(folder, type) of each thermal zone but those of power chips: a Jetson Nano's PMIC always tells 100 C."""
    folders = sorted(glob.glob(os.path.join(glob.escape(root), "sys/class/thermal/thermal_zone*")))
    zones = [(folder, text(os.path.join(folder, "type")) or "") for folder in folders]
    return [(folder, kind) for folder, kind in zones if not kind.upper().startswith("PMIC")]


def plausible_c(celsius: float) -> bool:
    """Whether a sensor can mean it: those switched off tell exactly 0, or -256."""
    return -40 < celsius < 130 and celsius != 0


def throttles_at(root: str) -> Optional[float]:
    """The lowest passive trip point in Celsius: of the processor's zones if these have any, else of all zones.

    At a passive trip point the kernel begins to slow the processor (its documentation of the thermal sysfs).
    """
    lowest: Dict[bool, float] = {}
    for folder, kind in thermal_zones(root):
        of_processor = re.search("cpu|soc", kind, re.I) is not None
        for trip in glob.glob(os.path.join(glob.escape(folder), "trip_point_*_type")):
            milli = text(trip[: -len("type")] + "temp") or ""
            if text(trip) != "passive" or not re.fullmatch(r"[0-9]{5,6}", milli):
                continue
            if 40 < int(milli) / 1000 <= 130:
                lowest[of_processor] = min(int(milli) / 1000, lowest.get(of_processor, 130.0))
    return lowest.get(True, lowest.get(False))


def clock_resolution() -> Optional[int]:
    """The smallest step seen between two readings of the clock that times the samples, in nanoseconds."""
    clock = time.perf_counter_ns
    readings = [clock() for _ in range(2000)]
    steps = [after - before for before, after in zip(readings, readings[1:]) if after > before]  # noqa: RUF007
    return min(steps) if steps else None
