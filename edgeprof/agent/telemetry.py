"""What the device does beside a timed block: its clock, heat and supply, and what took the processor away.

Formats: the kernel's documentation of cpufreq, thermal and hwmon, proc(5), Raspberry Pi's `get_throttled`, NVIDIA's
hwmon of the SoC's thermal sensors. What cannot be read is None, and nothing raises: no round fails for its telemetry.
"""

from __future__ import annotations

import glob
import os
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from .facts import plausible_c, thermal_zones
from .readers import text

Clock = Callable[[], int]

VCGENCMD = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
VCGENCMD_S = 2.0
MOST = 1 << 53
"""A larger number in sysfs is a broken file."""


def reading(root: str, cores: Iterable[int]) -> Dict[str, Any]:
    """The state of the device now, the fields of the host's `Reading`; `cores` are those in use."""
    cores = sorted(cores)
    return Sensors(root, cores).read(cores)


class Sensors:
    """The files in which a board tells its state: found once, so that reading them costs little beside a block.

    Args:
        root: of the tree to read.
        cores: that may be used.
    """

    def __init__(self, root: str, cores: Iterable[int]) -> None:
        cpus = [os.path.join(root, "sys/devices/system/cpu/cpu%d" % core) for core in cores]
        self._root = root
        self._zones = [os.path.join(zone, "temp") for zone, _ in thermal_zones(root)]
        self._flags = found(root, "sys/devices/platform/*/*firmware*/get_throttled")
        self._vcgencmd = [path for path in (os.path.join(root, name) for name in VCGENCMD) if os.path.isfile(path)]
        self._counters = [path for cpu in cpus for path in found(cpu, "thermal_throttle/*_throttle_count")]
        self._counters += found(root, "sys/class/hwmon/hwmon*/oc*_event_cnt")
        names = found(root, "sys/class/hwmon/hwmon*/name")
        self._supply = [
            os.path.join(os.path.dirname(name), "in0_lcrit_alarm") for name in names if text(name) == "rpi_volt"
        ]

    def read(self, cores: Iterable[int]) -> Dict[str, Any]:
        """The fields of the host's `Reading`; the clock is that of the slowest of `cores`."""
        clock = "sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq"
        khz = known(integer(os.path.join(self._root, clock % core)) for core in cores)
        heat = [milli / 1000 for milli in known(map(integer, self._zones)) if plausible_c(milli / 1000)]
        counts = known(map(integer, self._counters))
        alarms = known(map(integer, self._supply))
        return {
            "clock_mhz": min(khz) / 1000 if khz and min(khz) > 0 else None,
            "temperature_c": max(heat) if heat else None,
            "throttled_flags": self._throttled_flags(),
            "throttle_count": sum(counts) if counts else None,
            "under_voltage": any(alarms) if alarms else None,
        }

    def _throttled_flags(self) -> Optional[int]:
        """The bits of a Raspberry Pi's firmware: from sysfs (hexadecimal without 0x), else from its own tool."""
        for path in self._flags:
            flags = hexadecimal(text(path) or "")
            if flags is not None:
                return flags
        return self._asked_flags() if self._vcgencmd else None

    def _asked_flags(self) -> Optional[int]:
        import subprocess  # where no file tells

        try:
            done = subprocess.run(
                [self._vcgencmd[0], "get_throttled"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=VCGENCMD_S,
            )
        except (OSError, subprocess.SubprocessError):
            self._vcgencmd = []  # it would not answer the next time either
            return None
        key, _, value = done.stdout.decode("ascii", "replace").partition("=")
        return hexadecimal(value) if key.strip() == "throttled" else None


class Counters(NamedTuple):
    """Sums up to one moment, in nanoseconds; None where the kernel does not tell."""

    at: int
    own: int
    """Processor time of this process."""
    cores: Optional[Dict[int, Tuple[int, int]]]
    """Core -> (busy, stolen)."""
    waits: Optional[Dict[str, int]]
    """Thread -> the time it was ready to run but had no core."""
    wall_offset: int
    """The wall clock minus the monotonic one."""


class Watch:
    """What happens between `begin` and `end`, which enclose the timed block as closely as they can.

    `steal_ns` and `other_ns` come from /proc/stat, which counts in ticks, mostly of 10 ms, and books a whole tick on
    whoever runs at its end: of a single block they are good to about two ticks a core; sums over blocks are better.
    `wait_ns` is exact. It holds the threads alive at the end; what a thread waited that has ended meanwhile is lost.

    Args:
        root: of the tree to read.
        cores: that may be used; those of this process if not given.
        wall_ns, monotonic_ns, own_ns: clocks; own_ns is this process's processor time.
    """

    def __init__(
        self,
        root: str = "/",
        cores: Optional[Iterable[int]] = None,
        wall_ns: Clock = time.time_ns,
        monotonic_ns: Clock = time.monotonic_ns,
        own_ns: Clock = time.process_time_ns,
    ) -> None:
        self._root = root
        self._cores = sorted(os.sched_getaffinity(0) if cores is None else cores)
        self._wall_ns, self._monotonic_ns, self._own_ns = wall_ns, monotonic_ns, own_ns
        self._sensors = Sensors(root, self._cores)
        self._begin: Optional[Tuple[Dict[str, Any], Counters]] = None

    def begin(self) -> None:
        """Read the state, then the counters."""
        self._begin = self._sensors.read(self._running()), self._counters_at_begin()

    def end(self) -> Dict[str, Any]:
        """Read the counters, then the state; the fields of the host's `Telemetry`. `begin` must have been called."""
        assert self._begin is not None
        state, before = self._begin
        at, own = self._monotonic_ns(), self._own_ns()
        after = Counters(at, own, core_times(self._root, self._cores), waits(self._root), self._wall_offset())
        busy = stolen = None
        if before.cores is not None and after.cores is not None:
            both = before.cores.keys() & after.cores.keys()
            busy, stolen = (sum(after.cores[core][i] - before.cores[core][i] for core in both) for i in (0, 1))
        return {
            "begin": state,
            "end": self._sensors.read(self._running()),
            "steal_ns": None if stolen is None else max(0, stolen),
            "wait_ns": waited(before.waits, after.waits),
            "other_ns": None if busy is None else max(0, busy - (after.own - before.own)),
            "elapsed_ns": after.at - before.at,
            "clock_step_ns": after.wall_offset - before.wall_offset,
        }

    def _counters_at_begin(self) -> Counters:
        offset = self._wall_offset()
        cores, waiting = core_times(self._root, self._cores), waits(self._root)
        own, at = self._own_ns(), self._monotonic_ns()
        return Counters(at, own, cores, waiting, offset)

    def _wall_offset(self) -> int:
        """Of three tries the one that was interrupted least."""
        tries = []
        for _ in range(3):
            before = self._monotonic_ns()
            wall = self._wall_ns()
            after = self._monotonic_ns()
            tries.append((after - before, wall - (before + after) // 2))
        return min(tries)[1]

    def _running(self) -> List[int]:
        """The cores on which threads of this process run now; an idle core's clock says nothing about the block."""
        running = set()
        for thread in threads(self._root):
            # After the name: the state is the first field, and the core it last ran on the 37th.
            state, _, rest = (text(os.path.join(thread, "stat")) or "").rpartition(") ")[2].partition(" ")
            fields = integers(rest)
            if state == "R" and len(fields) > 35:
                running.add(fields[35])
        return sorted(running & set(self._cores)) or self._cores


def core_times(root: str, cores: Iterable[int]) -> Optional[Dict[int, Tuple[int, int]]]:
    """Core -> (busy, stolen) in nanoseconds since the start of the system, from /proc/stat."""
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    wanted = {"cpu%d" % core: core for core in cores}
    times = {}
    for line in (text(os.path.join(root, "proc/stat")) or "").splitlines():
        name, _, rest = line.partition(" ")
        ticks = integers(rest) if name in wanted else []
        if len(ticks) >= 8:
            # The times of guests (fields 8 and 9) are in user and nice already.
            user, nice, system, _idle, _iowait, irq, softirq, steal = ticks[:8]
            times[wanted[name]] = (user + nice + system + irq + softirq) * tick_ns, steal * tick_ns
    return times or None


def waits(root: str) -> Optional[Dict[str, int]]:
    """Thread of this process -> its run_delay in nanoseconds; None where the kernel does not count it."""
    times, counted = {}, False
    for thread in threads(root):
        fields = integers(text(os.path.join(thread, "schedstat")) or "")
        if len(fields) == 3:
            times[thread] = fields[1]
            # A kernel without scheduler statistics has the file all the same, with zeros in it.
            counted = counted or any(fields)
    return times if counted else None


def waited(before: Optional[Dict[str, int]], after: Optional[Dict[str, int]]) -> Optional[int]:
    """What the threads of `after` waited since `before`; one that was not there then waited all it has meanwhile."""
    if before is None or after is None:
        return None
    return sum(max(0, total - before.get(thread, 0)) for thread, total in after.items())


def threads(root: str) -> List[str]:
    """The folder of each thread of this process."""
    tasks = os.path.join(root, "proc/self/task")
    try:
        return [os.path.join(tasks, name) for name in os.listdir(tasks)]
    except OSError:
        return []


def found(folder: str, pattern: str) -> List[str]:
    """Paths in the folder that match, in order."""
    return sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))


def integers(content: str) -> List[int]:
    """The whole numbers of a line; none at all if one of its words is no number."""
    try:
        return [int(word) for word in content.split()]
    except ValueError:
        return []


def integer(path: str) -> Optional[int]:
    """The only number in a small file."""
    values = integers(text(path) or "")
    return values[0] if len(values) == 1 and abs(values[0]) < MOST else None


def hexadecimal(content: str) -> Optional[int]:
    """A number of at most 32 bits, with or without 0x."""
    try:
        value = int(content, 16)
    except ValueError:
        return None
    return value if 0 <= value < 1 << 32 else None


def known(values: Iterable[Optional[int]]) -> List[int]:
    """Those that are."""
    return [value for value in values if value is not None]
