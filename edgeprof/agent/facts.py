"""What can be known of the board. Every reader takes the root folder, so that recorded trees can be read as well."""

from __future__ import annotations

import glob
import os
import platform
import re
import time
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from . import hardware, power, system
from .arm import arm_cores
from .readers import clean, line, megahertz, number
from .readers import text as text
from .runtimes import installed

SPREAD = ", "
"""Between the governors of a cluster's cores, where these differ."""


def facts(
    root: str = "/",
    sites: Optional[Mapping[str, Sequence[str]]] = None,
    workdir: Optional[str] = None,
    cores: Optional[Sequence[int]] = None,
) -> Dict[str, Any]:
    """The fields of the host's record of device facts; what is not known is None.

    Args:
        root: of the tree to read.
        sites: format -> the folders of its private environment.
        workdir: the device's folder for edgeprof, on whose disk there must be room.
        cores: that may be used; those of this process if not given.
    """
    cores = usable_cores() if cores is None else sorted(cores)
    cpufreq = cpufreq_folder(root, cores[0])
    release = hardware.l4t(root)
    return {
        "architecture": platform.machine(),
        "os": os_name(root),
        "kernel": platform.release(),
        "cpu": cpu_name(root),
        "cores": len(cores),
        "memory_bytes": memory_bytes(root),
        "python": platform.python_version(),
        "board": hardware.model(root),
        "governor": line(os.path.join(cpufreq, "scaling_governor")),
        "clock_mhz": clock_range(cpufreq),
        "runtimes": installed(sites),
        "clock_resolution_ns": clock_resolution(),
        "clusters": clusters(root, cores),
        "throttles_at_c": throttles_at(root),
        "soc": hardware.soc(root),
        "libc": system.libc(root),
        "userland": system.userland(),
        "python_path": system.python_path(),
        "numpy": system.numpy_version(sites),
        "isolated_cores": system.isolated_cores(root),
        "governors": governors(cpufreq),
        "l4t": release,
        "jetpack": hardware.jetpack(release),
        "power_mode": hardware.power_mode(root),
        "power_modes": hardware.power_modes(root),
        "rails": hardware.rails(root),
        **power.told(root),
        "container": system.container(root),
        "virtual_machine": system.virtual_machine(root),
        "disk_free_bytes": system.free_bytes(workdir),
    }


def usable_cores() -> List[int]:
    """Those that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def os_name(root: str) -> str:
    """Such as "Debian GNU/Linux 12 (bookworm)"."""
    for row in (text(os.path.join(root, "etc/os-release")) or "").splitlines():
        if row.startswith("PRETTY_NAME="):
            return clean(row.split("=", 1)[1].strip("\"'")) or platform.system()
    return platform.system()


def cpu_name(root: str) -> str:
    """The model's name (x86), or the cores by kind and number (Arm); the architecture where neither is told."""
    info = cpu_info(root)
    named = re.search(r"^model name\s*:\s*(.+)$", info, re.M)
    if named and not re.match(r"ARMv\d", named.group(1)):
        return clean(named.group(1)) or platform.machine()
    parts: Dict[str, int] = {}
    for _, name in arm_cores(info):
        parts[name] = parts.get(name, 0) + 1
    return clean(" + ".join("%d x %s" % (count, name) for name, count in parts.items())) or platform.machine()


def clusters(root: str, cores: Iterable[int]) -> List[Dict[str, Any]]:
    """The cores by kind: those of one name, one highest clock and one capacity; the slowest kind first."""
    names = {core: name for core, name in arm_cores(cpu_info(root)) if core is not None}
    kinds: Dict[Tuple[int, float, str], List[int]] = {}
    for core in cores:
        capacity = number(os.path.join(root, "sys/devices/system/cpu/cpu%d/cpu_capacity" % core))
        mhz = megahertz(os.path.join(cpufreq_folder(root, core), "cpuinfo_max_freq"))
        kinds.setdefault((capacity or 0, mhz or 0.0, names.get(core, "")), []).append(core)
    found = []
    for (capacity, mhz, name), members in sorted(kinds.items()):
        folders = [cpufreq_folder(root, core) for core in members]
        ranges = [one for one in map(clock_range, folders) if one is not None]
        told = {line(os.path.join(folder, "scaling_governor")) for folder in folders} - {None}
        found.append(
            {
                "cores": members,
                "cpu": clean(name),
                "max_mhz": mhz or None,
                "capacity": capacity or None,
                "governor": clean(SPREAD.join(sorted(filter(None, told)))),
                "clock_mhz": (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None,
            }
        )
    return found


def cpufreq_folder(root: str, core: int) -> str:
    """Where the kernel tells of a core's clock."""
    return os.path.join(root, "sys/devices/system/cpu/cpu%d/cpufreq" % core)


def governors(cpufreq: str) -> List[str]:
    """Those that could be set."""
    return (line(os.path.join(cpufreq, "scaling_available_governors")) or "").split()


def cpu_info(root: str) -> str:
    """/proc/cpuinfo; empty where there is none."""
    return text(os.path.join(root, "proc/cpuinfo")) or ""


def memory_bytes(root: str) -> Optional[int]:
    """MemTotal."""
    found = re.search("^MemTotal: *([0-9]{1,12}) kB", text(os.path.join(root, "proc/meminfo")) or "", re.M)
    return int(found.group(1)) * 1024 if found else None


def clock_range(cpufreq: str) -> Optional[Tuple[float, float]]:
    """Lowest and highest clock in MHz that the governor may choose."""
    low, high = (megahertz(os.path.join(cpufreq, name)) for name in ("scaling_min_freq", "scaling_max_freq"))
    return None if low is None or high is None else (low, high)


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
