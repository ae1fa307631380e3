"""What goes on on the board at this moment: heat, supply, other programs, memory. It takes a third of a second."""

from __future__ import annotations

import os
import re
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from . import programs
from .facts import usable_cores
from .readers import MOST, clean, text
from .telemetry import core_times, reading

WATCHED_S = 0.3
BUSY = 0.1
"""Processors: a program that takes less is not named."""
NAMED = 5
"""Programs that are named at most."""
# Display servers, compositors and display managers, by the name the kernel keeps of them (15 characters).
DESKTOPS = (
    *("Xorg", "X", "Xwayland", "wayfire", "labwc", "weston", "sway", "mutter", "kwin_wayland", "kwin_x11"),
    *("gnome-shell", "plasmashell", "lxsession", "xfce4-session"),
    *("lightdm", "gdm", "gdm3", "gdm-x-session", "gdm-wayland-ses", "sddm"),
)
Process = Tuple[str, int]
"""(name, ticks of the processor)."""


def now(
    root: str = "/",
    cores: Optional[Sequence[int]] = None,
    pause: Callable[[float], Any] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Dict[str, Any]:
    """The fields of the host's record of a device at one moment, but `sudo`; what is not known is None.

    Args:
        cores: that may be used; those of this process if not given.
        pause, clock: for the time during which other programs are watched.
    """
    cores = usable_cores() if cores is None else sorted(cores)
    memory = meminfo(root)
    swap, zram = swap_used(root)
    load = re.match(r"([0-9]{1,6}\.[0-9]{1,4})\b", text(os.path.join(root, "proc/loadavg")) or "", re.ASCII)
    up = re.match(r"([0-9]{1,12}(?:\.[0-9]{1,4})?)\b", text(os.path.join(root, "proc/uptime")) or "", re.ASCII)
    return dict(
        watched(root, cores, pause, clock),
        unix_time=time.time(),
        uptime_s=float(up.group(1)) if up else None,
        reading=reading(root, cores),
        load_average=float(load.group(1)) if load else None,
        desktop=sorted({name for name, _ in processes(root).values() if name in DESKTOPS}),
        memory_available_bytes=memory.get("MemAvailable"),
        swap_used_bytes=swap,
        zram_used_bytes=zram,
        sudo=None,
    )


def meminfo(root: str) -> Dict[str, int]:
    """Its fields in bytes."""
    rows = re.findall("^([A-Za-z]+): +([0-9]{1,12}) kB$", text(os.path.join(root, "proc/meminfo")) or "", re.M)
    return {name: int(kib) * 1024 for name, kib in rows}


def swap_used(root: str) -> Tuple[Optional[int], Optional[int]]:
    """Bytes swapped out to disks, and to compressed memory; None where the kernel does not tell."""
    content = text(os.path.join(root, "proc/swaps"))
    if content is None or not content.startswith("Filename"):
        return None, None
    used = {False: 0, True: 0}
    for row in content.splitlines()[1:]:
        fields = row.split()
        if len(fields) >= 5 and re.fullmatch("[0-9]{1,12}", fields[-2]):
            used["zram" in fields[0]] += int(fields[-2]) * 1024
    return used[False], used[True]


def watched(
    root: str, cores: Sequence[int], pause: Callable[[float], Any], clock: Callable[[], float]
) -> Dict[str, Any]:
    """What other programs and other guests took of the processors in a short while, in processors."""
    own = "%d:" % os.getpid()
    begin, before, times = clock(), processes(root), core_times(root, cores)
    mine = time.process_time()
    pause(WATCHED_S)
    elapsed = max(clock() - begin, 0.01)
    mine = time.process_time() - mine
    after, times_after = processes(root), core_times(root, cores)
    tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
    took: List[Dict[str, Any]] = []
    for key, (name, ticks) in after.items():
        share = (ticks - before.get(key, (name, 0))[1]) * tick_s / elapsed
        # One that was not there before has begun meanwhile, so all its time counts.
        if share >= BUSY and not key.startswith(own):
            took.append({"name": name, "pid": int(key.partition(":")[0]), "cores": round(share, 2)})
    took.sort(key=lambda one: (-one["cores"], one["pid"]))
    busy = stolen = None
    if times is not None and times_after is not None:
        both = times.keys() & times_after.keys()
        # Bounded, since no float holds every number that a broken file may tell.
        sums = [min(MOST, max(0, sum(times_after[core][i] - times[core][i] for core in both))) for i in (0, 1)]
        busy, stolen = round(max(0.0, sums[0] / 1e9 - mine) / elapsed, 2), round(sums[1] / 1e9 / elapsed, 2)
    for one in took[:NAMED]:
        one.update(user=programs.user(root, one["pid"]), program=programs.program(root, one["pid"]))
    return {"busy": took[:NAMED], "busy_cores": busy, "stolen_cores": stolen}


def processes(root: str) -> Dict[str, Process]:
    """Process, by its number and start, -> its name and the ticks of the processor it has taken. Not kernel threads."""
    found: Dict[str, Process] = {}
    try:
        names = [name for name in os.listdir(os.path.join(root, "proc")) if re.fullmatch("[0-9]{1,9}", name)]
    except OSError:
        return found
    for pid in names:
        before, _, rest = (text(os.path.join(root, "proc", pid, "stat")) or "").rpartition(") ")
        fields = rest.split()[1:20]
        if len(fields) < 19 or not all(re.fullmatch("-?[0-9]{1,20}", one) for one in fields):
            continue
        # After the name and the state: parent, ..., user and system time (the 11th and 12th), ..., start (the 19th).
        numbers = [int(one) for one in fields]
        name, ticks = clean(before.partition("(")[2]), numbers[10] + numbers[11]
        if name and numbers[0] != 2 and 0 <= ticks < MOST:
            found["%s:%d" % (pid, numbers[18])] = name, ticks
    return found
