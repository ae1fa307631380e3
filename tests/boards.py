"""Trees of /proc and /sys in the formats of boards, from their documentation; a test changes a board by its files.

A board is a dict, path -> content; None stands for a file that exists but cannot be read (like a sensor that is off).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Tree = dict[str, str | None]

TICKS = "1000 20 300 90000 40 5 60 {steal} 0 0"
"""user nice system idle iowait irq softirq steal guest guest_nice."""


def write(root: Path, *trees: Mapping[str, str | None]) -> str:
    """Make the trees; of a path that is in several of them the last one counts."""
    for name, content in {name: content for tree in trees for name, content in tree.items()}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink(missing_ok=True)
            path.mkdir(exist_ok=True)
        else:
            path.write_text(content)
    return str(root)


def stat(steal: dict[int, int]) -> Tree:
    """Core -> ticks stolen from it."""
    cores = "".join(f"cpu{core} {TICKS.format(steal=ticks)}\n" for core, ticks in steal.items())
    return {"proc/stat": f"cpu  {TICKS.format(steal=0)}\n{cores}intr 5 0 1\nctxt 12\n"}


def thread(number: int, core: int, waited_ns: int, state: str = "R") -> Tree:
    """A thread of the measuring process, that runs or last ran on the core."""
    folder = f"proc/self/task/{number}"
    return {
        f"{folder}/stat": f"{number} (python (x) 3) {state} 1 1 1 0 -1 4194304" + " 0" * 29 + f" {core} 0 0 0 0\n",
        f"{folder}/schedstat": f"999000 {waited_ns} 12\n",
    }


def clocks(*khz: int, governor: str = "ondemand") -> Tree:
    """Of each core."""
    tree: Tree = {}
    for core, now in enumerate(khz):
        folder = f"sys/devices/system/cpu/cpu{core}/cpufreq"
        tree.update({f"{folder}/scaling_cur_freq": f"{now}\n", f"{folder}/scaling_governor": f"{governor}\n"})
    return tree


def zones(*named: tuple[str, str | None], passive: dict[str, int] | None = None) -> Tree:
    """Thermal zones by type and content of temp; all have a critical trip point, some one of `passive`."""
    tree: Tree = {}
    for number, (kind, milli) in enumerate(named):
        folder = f"sys/class/thermal/thermal_zone{number}"
        tree.update({f"{folder}/type": f"{kind}\n", f"{folder}/temp": None if milli is None else f"{milli}\n"})
        tree.update({f"{folder}/trip_point_0_type": "critical\n", f"{folder}/trip_point_0_temp": "104500\n"})
        if passive and kind in passive:
            tree[f"{folder}/trip_point_1_type"] = "passive\n"
            tree[f"{folder}/trip_point_1_temp"] = f"{passive[kind]}\n"
    return tree


def idle(cores: int) -> Tree:
    """/proc with one thread that measures on core 0."""
    return {**stat(dict.fromkeys(range(cores), 0)), **thread(100, 0, 5000)}


PI_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
PI_5_FLAGS = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
PI_ALARM = "sys/class/hwmon/hwmon1/in0_lcrit_alarm"

PI_4: Tree = {
    **idle(4),
    **clocks(1500000, 1500000, 1500000, 1500000),
    **zones(("cpu-thermal", "48686")),
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    PI_ALARM: "0\n",
    PI_FLAGS: "0\n",
}
PI_5: Tree = {
    **idle(4),
    **clocks(2400000, 2400000, 2400000, 2400000),
    **zones(("cpu-thermal", "51650")),
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    PI_ALARM: "0\n",
    PI_5_FLAGS: "e0000\n",
}
JETSON_NANO: Tree = {
    **idle(4),
    **clocks(1479000, 1479000, 1479000, 1479000, governor="schedutil"),
    **zones(
        ("AO-therm", "41500"),
        ("CPU-therm", "33000"),
        ("GPU-therm", "31500"),
        ("PMIC-Die", "100000"),
        ("thermal-fan-est", "32250"),
        passive={"CPU-therm": 97000, "GPU-therm": 96500, "PMIC-Die": 60000},
    ),
}
ORIN_NANO: Tree = {
    **idle(6),
    **clocks(*[1510400] * 6, governor="schedutil"),
    **zones(
        ("cpu-thermal", "49093"),
        ("gpu-thermal", "48500"),
        ("cv0-thermal", None),
        ("cv1-thermal", "-256000"),
        ("soc0-thermal", "48562"),
        ("tj-thermal", "49250"),
        passive={"cpu-thermal": 99000, "soc0-thermal": 98500, "gpu-thermal": 98000, "cv0-thermal": 97000},
    ),
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon2/name": "soctherm_oc\n",
    "sys/class/hwmon/hwmon2/oc1_event_cnt": "0\n",
    "sys/class/hwmon/hwmon2/oc2_event_cnt": "3\n",
}
PC: Tree = {
    **idle(2),
    **clocks(4000123, 800000, governor="powersave"),
    **zones(
        ("INT3400 Thermal", "20000"),
        ("acpitz", "27800"),
        ("x86_pkg_temp", "56000"),
        ("iwlwifi_1", None),
        passive={"acpitz": 95000, "x86_pkg_temp": 0},
    ),
    **{
        f"sys/devices/system/cpu/cpu{core}/thermal_throttle/{level}_throttle_{what}": f"{number}\n"
        for core in (0, 1)
        for level, number in (("core", 2), ("package", 5))
        for what in ("count", "total_time_ms")
    },
}
VM: Tree = idle(2)

CORES = {"PI_4": 4, "PI_5": 4, "JETSON_NANO": 4, "ORIN_NANO": 6, "PC": 2, "VM": 2}
BOARDS: dict[str, Tree] = {
    "PI_4": PI_4,
    "PI_5": PI_5,
    "JETSON_NANO": JETSON_NANO,
    "ORIN_NANO": ORIN_NANO,
    "PC": PC,
    "VM": VM,
}
