"""Arm cores by the numbers that the kernel tells."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

ARM, NVIDIA = 0x41, 0x4E

# Implementer -> "CPU part" -> name, from the makers' technical reference manuals (MIDR_EL1).
PARTS: Dict[int, Dict[int, str]] = {
    ARM: {
        0xB76: "ARM1176",
        0xC05: "Cortex-A5",
        0xC07: "Cortex-A7",
        0xC08: "Cortex-A8",
        0xC09: "Cortex-A9",
        0xC0E: "Cortex-A17",
        0xC0F: "Cortex-A15",
        0xD01: "Cortex-A32",
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
        0xD0E: "Cortex-A76AE",
        0xD40: "Neoverse-V1",
        0xD41: "Cortex-A78",
        0xD42: "Cortex-A78AE",
        0xD44: "Cortex-X1",
        0xD46: "Cortex-A510",
        0xD47: "Cortex-A710",
        0xD48: "Cortex-X2",
        0xD49: "Neoverse-N2",
        0xD4B: "Cortex-A78C",
        0xD4D: "Cortex-A715",
        0xD4E: "Cortex-X3",
        0xD4F: "Neoverse-V2",
        0xD80: "Cortex-A520",
        0xD81: "Cortex-A720",
        0xD82: "Cortex-X4",
    },
    NVIDIA: {0x003: "Denver 2", 0x004: "Carmel"},
}


def arm_name(part: str, implementer: str = "0x41") -> str:
    """The core's name by the fields "CPU part" and "CPU implementer"."""
    if not all(re.fullmatch("0x[0-9a-fA-F]{1,4}", one) for one in (part, implementer)):
        return part
    maker = int(implementer, 16)
    named = PARTS.get(maker, {}).get(int(part, 16))
    return named or ("Arm part %s" % part if maker == ARM else "part %s of maker %s" % (part, implementer))


def arm_cores(cpu_info: str) -> List[Tuple[Optional[int], str]]:
    """(number, name) of each core that /proc/cpuinfo tells the part of."""
    cores: List[Tuple[Optional[int], str]] = []
    number: Optional[int] = None
    implementer = "0x41"
    for row in cpu_info.splitlines():
        key, _, value = (one.strip() for one in row.partition(":"))
        if key == "processor":
            number = int(value) if re.fullmatch("[0-9]{1,4}", value) else None
        elif key == "CPU implementer":
            implementer = value
        elif key == "CPU part":
            cores.append((number, arm_name(value, implementer)))
    return cores
