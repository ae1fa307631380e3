"""Boards with a power sensor, in the formats of their drivers, and one whose sensor tells a power that is known."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from boards import Tree, write

INA3221 = "sys/bus/i2c/devices/1-0040"
RAIL = f"{INA3221}/hwmon/hwmon4"
AGX_ORIN: Tree = {
    f"{INA3221}/name": "ina3221\n",
    f"{RAIL}/update_interval": "12\n",
    f"{RAIL}/in1_label": "VDD_GPU_SOC\n",
    f"{RAIL}/in1_input": "12000\n",
    f"{RAIL}/curr1_input": "300\n",
    f"{RAIL}/in2_label": "VDD_CPU_CV\n",
    f"{RAIL}/in2_input": "12000\n",
    f"{RAIL}/curr2_input": "200\n",
    f"{RAIL}/in3_label": "NC\n",
    f"{RAIL}/in3_input": "0\n",
    f"{RAIL}/curr3_input": "0\n",
}
METER: Tree = {
    "sys/class/hwmon/hwmon0/name": "amdgpu\n",
    "sys/class/hwmon/hwmon0/power1_average": "9000000\n",
    "sys/class/hwmon/hwmon2/name": "ina226\n",
    "sys/class/hwmon/hwmon2/power1_input": "4250000\n",
    "sys/class/hwmon/hwmon2/power1_label": "VIN\n",
    "sys/class/hwmon/hwmon2/update_interval": "36\n",
}
BATTERY: Tree = {
    "sys/class/power_supply/AC/type": "Mains\n",
    "sys/class/power_supply/BAT0/type": "Battery\n",
    "sys/class/power_supply/BAT0/status": "Discharging\n",
    "sys/class/power_supply/BAT0/power_now": "6131000\n",
    "sys/class/hwmon/hwmon1/name": "BAT0\n",
    "sys/class/hwmon/hwmon1/device/type": "Battery\n",
    "sys/class/hwmon/hwmon1/power1_input": "1\n",
}
RAPL_FILE = "sys/class/powercap/intel-rapl:0/energy_uj"
RAPL: Tree = {
    "sys/class/powercap/intel-rapl:0/name": "package-0\n",
    RAPL_FILE: "114283338953\n",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850\n",
    "sys/class/powercap/intel-rapl:0:0/name": "core\n",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "5\n",
}
VOLT = 5
IDLE_W, BUSY_W = 2.0, 5.0
_METER = """
import os, random, sys, time
current, marker, idle, busy = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
out = os.open(current, os.O_WRONLY)
while True:
    runs = time.time() - os.stat(marker).st_mtime < 0.03
    # Always as many characters, so that a reader never sees half of them.
    os.pwrite(out, b"%05d\\n" % ((busy if runs else idle) + random.randint(-5, 5)), 0)
    time.sleep(0.006)
"""
_COUNTER = """
import os, sys, time
path, watts, wraps = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
out = os.open(path, os.O_WRONLY)
begin = time.monotonic()
while True:
    os.pwrite(out, b"%012d\\n" % (int((time.monotonic() - begin) * watts * 1e6) % wraps), 0)
    time.sleep(0.001)
"""
_ELSEWHERE = """

_find = find


def find(root: str = "/") -> Tuple[Optional[Sensor], Optional[str]]:
    return _find(%r if root == "/" else root)
"""


@contextmanager
def simulated(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A Jetson's INA3221 that measures every 6 ms: `IDLE_W`, and `BUSY_W` while a "draws" of the stand-in runs.

    Yields: the root of its tree, and the marker for `draws`.
    """
    root, marker = folder / "board", folder / "marker"
    write(
        root,
        {
            f"{INA3221}/name": "ina3221\n",
            f"{RAIL}/update_interval": "6\n",
            f"{RAIL}/in1_label": "VDD_IN\n",
            f"{RAIL}/in1_input": f"{VOLT * 1000}\n",
            f"{RAIL}/curr1_input": "00400\n",
        },
    )
    marker.touch()
    os.utime(marker, (0, 0))
    amperes = [str(round(watts / VOLT * 1000)) for watts in (IDLE_W, BUSY_W)]
    meter = subprocess.Popen([sys.executable, "-c", _METER, str(root / RAIL / "curr1_input"), str(marker), *amperes])
    try:
        yield root, marker
    finally:
        meter.kill()
        meter.wait()


@contextmanager
def counting(folder: Path) -> Iterator[Path]:
    """A processor that counts its energy, always at `BUSY_W`; the counter begins at 0 again five times a second."""
    wraps = 1_000_000
    name = "sys/class/powercap/intel-rapl:0"
    write(folder, {f"{name}/name": "package-0\n", RAPL_FILE: f"{0:012}\n", f"{name}/max_energy_range_uj": f"{wraps}\n"})
    counter = subprocess.Popen([sys.executable, "-c", _COUNTER, str(folder / RAPL_FILE), str(BUSY_W), str(wraps)])
    try:
        yield folder
    finally:
        counter.kill()
        counter.wait()


def agent_on(root: Path, agent: Callable[[], bytes]) -> Callable[[], bytes]:
    """The agent as it would be on a board with this tree, as far as power goes."""
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(agent())) as old, zipfile.ZipFile(data, "w") as new:
        for entry in old.infolist():
            text = old.read(entry)
            if entry.filename.endswith("/power.py"):
                text += (_ELSEWHERE % str(root)).encode()
            new.writestr(entry, text)
    return data.getvalue
