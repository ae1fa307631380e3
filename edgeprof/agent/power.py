"""Reads the power that a board tells of itself, from the first sensor that it has.

Formats: the kernel's documentation of ina3221, the hwmon and power supply interfaces and the power capping framework;
NVIDIA's older ina3221x driver (iio) and Raspberry Pi's `vcgencmd pmic_read_adc` as public sources show them.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .hardware import UNUSED_RAILS, VCGENCMD
from .readers import line, matching, number, text, tool

MOST_UW = 10**10
"""Ten kilowatts: more is a broken file."""
POLL_S, FASTEST_S, SLOWEST_S = 0.02, 0.005, 0.05
"""Between two readings of a file whose sensor does not tell how often it measures, and the limits where it does."""
TOOL_POLL_S = 0.1
"""Each reading of a Pi 5 starts a program."""
COUNTER_POLL_S = 0.05
TOTALS = ("VDD_IN", "POM_5V_IN")
"""Rails of a Jetson that all others are fed from."""
GRAPHICS = ("amdgpu", "i915", "nouveau", "radeon", "xe")
NONE_FOUND = "no power sensor was found"
LOOKED_FOR = (
    "INA3221 (Jetson), power meter in hwmon, battery, power chip of a Raspberry Pi 5 (vcgencmd pmic_read_adc),"
    " Intel RAPL"
)


class Sensor(NamedTuple):
    """A way to read power."""

    name: str
    covers: str
    """What is in the figure, and what is not."""
    counts: str
    """`power`: microwatts at the moment; `energy`: microjoules since some moment."""
    read: Callable[[], Optional[int]]
    """None where it cannot be read."""
    poll_s: float
    """Between two readings."""
    update_s: Optional[float] = None
    """How often it measures, where it tells."""
    wraps: Optional[int] = None
    """The largest value of a counter, after which it begins at 0 again."""


Read = Callable[[], Optional[int]]
Found = Tuple[Optional[Sensor], Optional[str]]
"""The sensor, or why one that is there cannot be used."""


def find(root: str = "/") -> Tuple[Optional[Sensor], Optional[str]]:
    """The first sensor that can be read; else None and in words why there is none."""
    notes: List[str] = []
    for look in (_ina3221, _meter, _battery, _pi_5, _rapl):
        sensor, note = look(root)
        if sensor is not None:
            return sensor, None
        if note:
            notes.append(note)
    return None, "; ".join(notes) if notes else "%s; looked for: %s" % (NONE_FOUND, LOOKED_FOR)


def told(root: str) -> Dict[str, Any]:
    """The fields of the host's device facts that tell of the sensor."""
    sensor, why = find(root)
    return {"power": sensor and {"name": sensor.name, "covers": sensor.covers}, "power_missing": why}


def _ina3221(root: str) -> Found:
    """The rail that feeds a Jetson, else the sum of all its rails."""
    rails: Dict[str, Read] = {}
    update_s: List[float] = []
    seen = False
    for chip in matching(root, "sys/bus/i2c/devices/*/name"):
        if not (text(chip) or "").startswith("ina3221"):
            continue
        seen = True
        folder = os.path.dirname(chip)
        for label in matching(folder, "hwmon/hwmon*/in[1-3]_label"):
            place, where = os.path.basename(label)[2], os.path.dirname(label)
            read = _product(os.path.join(where, "in%s_input" % place), os.path.join(where, "curr%s_input" % place))
            _take(rails, line(label), read)
            milliseconds = number(os.path.join(where, "update_interval"))
            update_s += [milliseconds / 1000] if milliseconds else []
        for label in matching(folder, "iio:device*/rail_name_[0-2]"):
            _take(rails, line(label), _scaled(os.path.join(os.path.dirname(label), "in_power%s_input" % label[-1])))
    if not rails:
        return None, "there is an INA3221, but this user cannot read its rails" if seen else None
    period = max(update_s) if update_s else None
    total = next((name for name in TOTALS if name in rails), None)
    if total is not None:
        covers = "all that the module takes in; what the carrier board takes beside it is not in it"
        return _polled("INA3221, rail %s" % total, covers, rails[total], period), None
    names = ", ".join(sorted(rails))
    covers = "the sum of the rails %s: less than the whole board takes" % names
    return _polled("INA3221, sum of %d rails" % len(rails), covers, _sum(list(rails.values())), period), None


def _take(rails: Dict[str, Read], name: Optional[str], read: Read) -> None:
    if name and name not in UNUSED_RAILS and read() is not None:
        rails.setdefault(name, read)


def _meter(root: str) -> Found:
    """A power meter of the board or its supply, by whatever driver; not that of a graphics card."""
    for folder in matching(root, "sys/class/hwmon/hwmon*"):
        chip = line(os.path.join(folder, "name")) or "unnamed"
        # A battery also stands in hwmon: it has its own reader, which looks whether it is what feeds the machine.
        if chip in GRAPHICS or line(os.path.join(folder, "device/type")) is not None:
            continue
        for path in matching(folder, "power[1-9]_input") + matching(folder, "power[1-9]_average"):
            read = _micro(path)
            if read() is None:
                continue
            place = os.path.basename(path).split("_")[0]
            label = line(os.path.join(folder, "%s_label" % place))
            interval = "update_interval" if path.endswith("_input") else "%s_average_interval" % place
            milliseconds = number(os.path.join(folder, interval))
            covers = "what the meter %s is wired to: see the board's documentation" % chip
            name = "%s, %s" % (chip, label or place)
            return _polled(name, covers, read, milliseconds / 1000 if milliseconds else None), None
    return None, None


def _battery(root: str) -> Found:
    """What a battery gives while it is all that feeds the machine."""
    for folder in matching(root, "sys/class/power_supply/*"):
        read = _micro(os.path.join(folder, "power_now"))
        if line(os.path.join(folder, "type")) != "Battery" or read() is None:
            continue
        if line(os.path.join(folder, "status")) != "Discharging":
            return None, "there is a battery, which tells the machine's power only while it discharges"
        covers = "all that the machine takes from its battery, the screen included"
        return _polled("battery %s" % (os.path.basename(folder)), covers, read, None), None
    return None, None


def _pi_5(root: str) -> Found:
    """The sum over the rails of a Pi 5's power chip."""

    def read() -> Optional[int]:
        said = tool(root, VCGENCMD, ["pmic_read_adc"]) or ""
        amperes = dict(re.findall(r"^\s*(\w{1,40})_A current\([0-9]+\)=([0-9]{1,6}\.[0-9]{1,12})A\s*$", said, re.M))
        volts = dict(re.findall(r"^\s*(\w{1,40})_V volt\([0-9]+\)=([0-9]{1,6}\.[0-9]{1,12})V\s*$", said, re.M))
        watts = [float(amperes[rail]) * float(volts[rail]) for rail in amperes if rail in volts]
        return _plausible(round(sum(watts) * 1e6)) if watts else None

    if read() is None:
        return None, None
    covers = "the sum of the power chip's rails: less than the whole board takes (not USB, nor the chip's own losses)"
    return Sensor("power chip of a Raspberry Pi 5", covers, "power", read, TOOL_POLL_S), None


def _rapl(root: str) -> Found:
    """The processor's own count of energy (Intel, and AMD under the same name)."""
    folder = os.path.join(root, "sys/class/powercap/intel-rapl:0")
    path = os.path.join(folder, "energy_uj")
    if not os.path.exists(path):
        return None, None
    if number(path) is None:
        mend = "sudo chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj"
        return None, "Intel RAPL is there, but this user cannot read it (%s)" % mend
    covers = "the processor package alone: no disk, screen or power supply, and memory only on some processors"
    name = "Intel RAPL, %s" % (line(os.path.join(folder, "name")) or "package-0")
    wraps = number(os.path.join(folder, "max_energy_range_uj"))
    return Sensor(name, covers, "energy", lambda: number(path), COUNTER_POLL_S, 0.001, wraps), None


def _polled(name: str, covers: str, read: Read, update_s: Optional[float]) -> Sensor:
    poll_s = POLL_S if update_s is None else min(SLOWEST_S, max(FASTEST_S, update_s / 2))
    return Sensor(name, covers, "power", read, poll_s, update_s)


def _plausible(microwatts: Optional[int]) -> Optional[int]:
    return microwatts if microwatts is not None and 0 <= microwatts <= MOST_UW else None


def _micro(path: str) -> Read:
    """Of a file in microwatts."""
    return lambda: _plausible(number(path))


def _scaled(path: str) -> Read:
    """Of a file in milliwatts."""

    def read() -> Optional[int]:
        milliwatts = number(path)
        return None if milliwatts is None else _plausible(milliwatts * 1000)

    return read


def _product(millivolts: str, milliamperes: str) -> Read:
    """Of two files, whose product is in microwatts."""

    def read() -> Optional[int]:
        volts, amperes = number(millivolts), number(milliamperes)
        return None if volts is None or amperes is None else _plausible(volts * amperes)

    return read


def _sum(reads: List[Read]) -> Read:
    """Of several readings, if all can be had."""

    def read() -> Optional[int]:
        values = [one() for one in reads]
        known = [one for one in values if one is not None]
        return _plausible(sum(known)) if len(known) == len(values) else None

    return read
