"""The files that boards have in common, one function for each part of /proc, /sys and /etc."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).parent / "tools"
SERIAL = "10000000abcdef01"
PI_5_RAILS = """\
     3V3_SYS_A current(1)=0.10832820A
    VDD_CORE_A current(7)=1.42880000A
     1V8_SYS_A current(2)=0.15712470A
    DDR_VDD2_A current(3)=0.00585558A
     3V3_SYS_V volt(9)=3.30910500V
    VDD_CORE_V volt(15)=0.90659250V
     1V8_SYS_V volt(10)=1.80073100V
    DDR_VDD2_V volt(11)=1.10439400V
       EXT5V_V volt(24)=5.05716000V
        BATT_V volt(25)=0.00000000V
"""


@dataclass(frozen=True)
class System:
    """The operating system."""

    pretty: str
    id: str
    version: str
    kernel: str


@dataclass(frozen=True)
class Pi:
    """hardware: the line in /proc/cpuinfo, which a Pi 5 lacks, as it lacks the throttle flags in /sys."""

    revision: str
    hardware: str | None


@dataclass(frozen=True)
class Power:
    """The ina3221 at an i2c address; hwmon: its number, None for NVIDIA's own older driver. Rails: name, mV, mA."""

    address: str
    hwmon: int | None
    rails: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Jetson:
    """gpu: device, lowest and highest Hz."""

    release: str
    power: Power
    gpu: tuple[str, int, int]
    modes: tuple[str, ...]
    stats: str
    overcurrent: bool = False


class Tree:
    """A folder that stands for `/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def write(self, path: str, content: str | int | bytes) -> None:
        """Text gets the newline that the kernel's files end in."""
        target = self._made(path)
        target.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())

    def many(self, folder: str, contents: Mapping[str, str | int]) -> None:
        """Several files of one folder."""
        for name, content in contents.items():
            self.write(f"{folder}/{name}", content)

    def link(self, path: str, to: str) -> None:
        """A link to another path of the tree, relative, so that it stays inside."""
        target = self._made(path)
        target.symlink_to(os.path.relpath(self.root / to, target.parent))

    def tool(self, path: str) -> None:
        """One of the programs in tools/."""
        shutil.copy(TOOLS / Path(path).name, self._made(path))

    def unreadable(self, path: str) -> None:
        """There, but reading fails."""
        self._made(path).mkdir()

    def _made(self, path: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def write_system(tree: Tree, system: System, memory: int) -> None:
    """Operating system, kernel, memory."""
    name = system.pretty.split(" ", maxsplit=1)[0]
    tree.write(
        "etc/os-release",
        f'PRETTY_NAME="{system.pretty}"\nNAME="{name}"\nVERSION_ID="{system.version}"\nID={system.id}',
    )
    tree.write("proc/sys/kernel/osrelease", system.kernel)
    tree.write("proc/version", f"Linux version {system.kernel} (build@build) (gcc) #1 SMP PREEMPT Mon Jan  6 2025")
    kib = memory * 1024
    tree.write(
        "proc/meminfo",
        f"MemTotal:       {kib} kB\nMemFree:        {kib * 6 // 10} kB\nMemAvailable:   {kib * 8 // 10} kB\n"
        "SwapTotal:            0 kB\nSwapFree:             0 kB",
    )
    tree.write("proc/loadavg", "0.02 0.04 0.01 1/187 1203")
    tree.write("proc/uptime", "5230.41 20811.30")


def write_device_tree(tree: Tree, model: str, compatible: tuple[str, ...]) -> None:
    """Strings end in NUL. /proc/device-tree is a link to it on boards."""
    base = "sys/firmware/devicetree/base"
    tree.write(f"{base}/model", model.encode() + b"\0")
    tree.write(f"{base}/compatible", b"".join(one.encode() + b"\0" for one in compatible))
    tree.write(f"{base}/serial-number", SERIAL.encode() + b"\0")
    tree.link("proc/device-tree", base)


def write_zones(tree: Tree, zones: tuple[tuple[str, int | None], ...], critical: int) -> None:
    """Thermal zones; one whose temperature is None cannot be read, as an Orin's while that part is off."""
    for number, (kind, milli) in enumerate(zones):
        folder = f"sys/devices/virtual/thermal/thermal_zone{number}"
        contents: dict[str, str | int] = {"type": kind, "mode": "enabled"}
        tree.many(folder, {**contents, "trip_point_0_temp": critical, "trip_point_0_type": "critical"})
        if milli is None:
            tree.unreadable(f"{folder}/temp")
        else:
            tree.write(f"{folder}/temp", milli)
        tree.link(f"sys/class/thermal/thermal_zone{number}", folder)


def cpuinfo_tail(pi: Pi, model: str) -> str:
    """The lines that a Pi's kernel adds to /proc/cpuinfo."""
    hardware = f"Hardware\t: {pi.hardware}\n" if pi.hardware else ""
    return f"{hardware}Revision\t: {pi.revision}\nSerial\t\t: {SERIAL}\nModel\t\t: {model}\n"


def write_pi(tree: Tree, pi: Pi, milli: int) -> None:
    """Throttle flags (hex without 0x), the under-voltage alarm, a Pi 5's power rails, vcgencmd."""
    if pi.hardware:
        tree.write("sys/devices/platform/soc/soc:firmware/get_throttled", 0)
    else:
        tree.write("run/testbed/throttled", 0)
        tree.write("run/testbed/pmic", PI_5_RAILS.encode())
        tree.many("sys/class/hwmon/hwmon2", {"name": "pwmfan", "fan1_input": 0, "pwm1": 0})
    tree.many("sys/class/hwmon/hwmon0", {"name": "cpu_thermal", "temp1_input": milli})
    tree.many("sys/class/hwmon/hwmon1", {"name": "rpi_volt", "in0_lcrit_alarm": 0})
    tree.tool("usr/bin/vcgencmd")


def write_jetson(tree: Tree, jetson: Jetson) -> None:
    """Release, power modes, GPU clock, power rails, over-current counters, tools."""
    tree.write("etc/nv_tegra_release", jetson.release)
    modes = "\n".join(f"< POWER_MODEL ID={number} NAME={mode} >" for number, mode in enumerate(jetson.modes))
    tree.write("etc/nvpmodel.conf", f"{modes}\n< PM_CONFIG DEFAULT=0 >")
    tree.write("var/lib/nvpmodel/status", "pmode:0000")
    tree.write("run/testbed/tegrastats", jetson.stats)
    for tool in ("usr/bin/tegrastats", "usr/sbin/nvpmodel", "usr/bin/jetson_clocks"):
        tree.tool(tool)
    device, low, high = jetson.gpu
    gpu = f"sys/devices/platform/{device}/devfreq/{device}"
    contents: dict[str, str | int] = {"governor": "nvhost_podgov", "available_frequencies": f"{low} {high}"}
    tree.many(gpu, {**contents, "cur_freq": low, "min_freq": low, "max_freq": high})
    tree.link(f"sys/class/devfreq/{device}", gpu)
    if jetson.power.hwmon is None:
        _write_iio(tree, jetson.power)
    else:
        _write_hwmon(tree, jetson.power, jetson.power.hwmon)
    if jetson.overcurrent:
        tree.many("sys/class/hwmon/hwmon3", {"name": "soctherm_oc", "oc1_event_cnt": 0, "oc2_event_cnt": 0})


def _write_hwmon(tree: Tree, power: Power, number: int) -> None:
    device = f"sys/devices/platform/bus@0/c240000.i2c/i2c-{power.address.split('-')[0]}/{power.address}"
    folder = f"{device}/hwmon/hwmon{number}"
    tree.write(f"{device}/name", "ina3221")
    tree.write(f"{folder}/name", "ina3221")
    for rail, (label, millivolt, milliampere) in enumerate(power.rails, 1):
        voltage: dict[str, str | int] = {f"in{rail}_label": label, f"in{rail}_input": millivolt, f"in{rail}_enable": 1}
        limits = dict.fromkeys((f"curr{rail}_max", f"curr{rail}_crit"), 32760)
        alarms = dict.fromkeys((f"curr{rail}_max_alarm", f"curr{rail}_crit_alarm"), 0)
        shunt = {f"shunt{rail}_resistor": 5000, f"in{rail + 3}_input": milliampere * 5}
        tree.many(folder, {**voltage, f"curr{rail}_input": milliampere, **limits, **alarms, **shunt})
    tree.many(folder, {"in7_label": "sum of shunt voltages", "in7_input": 0})
    tree.link(f"sys/class/hwmon/hwmon{number}", folder)
    tree.link(f"sys/bus/i2c/drivers/ina3221/{power.address}", device)
    tree.link(f"sys/bus/i2c/devices/{power.address}", device)


def _write_iio(tree: Tree, power: Power) -> None:
    device = f"sys/devices/7000c400.i2c/i2c-{power.address.split('-')[0]}/{power.address}"
    folder = f"{device}/iio:device0"
    tree.write(f"{device}/name", "ina3221x")
    tree.write(f"{folder}/name", "ina3221x")
    for rail, (label, millivolt, milliampere) in enumerate(power.rails):
        limits = dict.fromkeys((f"warn_current_limit_{rail}", f"crit_current_limit_{rail}"), 32760)
        values: dict[str, str | int] = {f"in_voltage{rail}_input": millivolt, f"in_current{rail}_input": milliampere}
        watts = {f"in_power{rail}_input": millivolt * milliampere // 1000}
        tree.many(folder, {f"rail_name_{rail}": label, **values, **watts, **limits})
    tree.link(f"sys/bus/i2c/drivers/ina3221x/{power.address}", device)
    tree.link(f"sys/bus/i2c/devices/{power.address}", device)
