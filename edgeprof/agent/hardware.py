"""What boards tell of themselves beyond what any Linux does: the device tree, Raspberry Pi, Jetson.

Formats: the kernel's documentation of the device tree, hwmon and iio; what public sources show of the vendors' tools.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Mapping, Optional

from .readers import clean, line, matching, number, text, tool

TREES = ("proc/device-tree", "sys/firmware/devicetree/base")
VCGENCMD = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
NVPMODEL = ("usr/sbin/nvpmodel", "usr/bin/nvpmodel")
POLICIES = "sys/devices/system/cpu/cpufreq/policy*"
SUDO = ("usr/bin/sudo", "bin/sudo")

# Jetson Linux -> JetPack, as NVIDIA's archive pairs them.
JETPACKS = {
    "32.5.1": "4.5.1",
    "32.6.1": "4.6",
    "32.7.1": "4.6.1",
    "32.7.2": "4.6.2",
    "32.7.3": "4.6.3",
    "32.7.4": "4.6.4",
    "35.1": "5.0.2",
    "35.2.1": "5.1",
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5.0": "5.1.3",
    "35.6.0": "5.1.4",
    "36.3": "6.0",
    "36.4.3": "6.2",
}
UNUSED_RAILS = ("NC", "sum of shunt voltages")
LISTED = 64
"""Power modes or rails that are told at most."""


def model(root: str) -> Optional[str]:
    """The board's model as the device tree tells it."""
    return next(filter(None, (line(os.path.join(root, tree, "model")) for tree in TREES)), None)


def soc(root: str) -> Optional[str]:
    """Vendor and chip, such as "brcm,bcm2711": in the device tree the last, most general thing the board is like."""
    for tree in TREES:
        like = [clean(one) or "" for one in (text(os.path.join(root, tree, "compatible")) or "").split("\0")]
        like = [one for one in like if re.fullmatch(r"[\w.+-]+,[\w.+-]+", one, re.ASCII)]
        if like:
            return like[-1]
    return None


def l4t(root: str) -> Optional[str]:
    """The release of Jetson Linux, such as "36.4.3"."""
    told = text(os.path.join(root, "etc/nv_tegra_release")) or ""
    found = re.search(r"R([0-9]{1,4}) \(release\), REVISION: ([0-9.]{1,12}[0-9]|[0-9])", told)
    return "%s.%s" % found.groups() if found else None


def jetpack(release: Optional[str]) -> Optional[str]:
    """The JetPack that a release of Jetson Linux came with; None of one that is not known here."""
    if release is None:
        return None
    return JETPACKS.get(release) or JETPACKS.get(re.sub(r"\.0$", "", release))


def power_mode(root: str) -> Optional[Dict[str, Any]]:
    """The power mode of a Jetson, its id and name; None where nvpmodel is not there or answers root alone."""
    told = tool(root, NVPMODEL, ["-q"]) or ""
    name = re.search("^NV Power Mode:(.+)$", told, re.M)
    number_line = re.search("^([0-9]{1,4})$", told, re.M)
    shown = clean(name.group(1)) if name else None
    return {"id": int(number_line.group(1)), "name": shown} if number_line and shown else None


def power_modes(root: str) -> List[Dict[str, Any]]:
    """All power modes of a Jetson."""
    told = tool(root, NVPMODEL, ["-p", "--verbose"]) or ""
    modes: Dict[int, str] = {}
    for found in re.finditer(r"POWER_MODEL:? ID=([0-9]{1,4}) NAME=(\S+)", told):
        modes.setdefault(int(found.group(1)), clean(found.group(2)) or "?")
    return [{"id": key, "name": modes[key]} for key in sorted(modes)[:LISTED]]


def rails(root: str) -> List[str]:
    """Names of the supply rails whose power can be read: by an INA3221 (Jetson), or from the power chip of a Pi 5."""
    names: List[Optional[str]] = []
    for chip in matching(root, "sys/bus/i2c/devices/*/name"):
        if not (text(chip) or "").startswith("ina3221"):
            continue
        folder = os.path.dirname(chip)
        for label in matching(folder, "hwmon/hwmon*/in[1-3]_label"):
            place = os.path.basename(label)[2]
            wanted = ("in%s_input" % place, "curr%s_input" % place)
            if all(number(os.path.join(os.path.dirname(label), one)) is not None for one in wanted):
                names.append(line(label))
        for label in matching(folder, "iio:device*/rail_name_[0-2]"):
            if number(os.path.join(os.path.dirname(label), "in_power%s_input" % label[-1])) is not None:
                names.append(line(label))
    told = tool(root, VCGENCMD, ["pmic_read_adc"]) or ""
    volts = set(re.findall(r"^\s*(\w{1,40})_V volt\(", told, re.M | re.ASCII))
    names += [one for one in re.findall(r"^\s*(\w{1,40})_A current\(", told, re.M | re.ASCII) if one in volts]
    return [one for one in dict.fromkeys(names) if one and one not in UNUSED_RAILS][:LISTED]


def sudo_allowed(wanted: Mapping[str, Any], root: str = "/") -> bool:
    """Whether this user may set what is wanted without being asked for a password; sudo may log that it was asked.

    Args:
        wanted: `governor` and `nvpmodel` of the device file; None is nothing wanted.
    """
    if os.geteuid() == 0 or tool(root, SUDO, ["-n", "true"]) is not None:
        return True
    commands: List[List[str]] = []
    if wanted.get("governor") is not None:
        files = matching(root, POLICIES) or [os.path.join(root, "sys")]
        commands += [["/usr/bin/tee", os.path.join(one, "scaling_governor")] for one in files]
    if wanted.get("nvpmodel") is not None:
        commands.append(["/usr/sbin/nvpmodel", "-m", str(wanted["nvpmodel"])])
    return bool(commands) and all(tool(root, SUDO, ["-n", "-l", *one]) is not None for one in commands)
