"""What is read of a board, from trees written in the documented formats of /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path

from edgeprof.agent import facts
from edgeprof.records import DeviceFacts

PI_4 = "".join(f"processor\t: {n}\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n" for n in range(4))
JETSON = "".join(
    f"processor\t: {n}\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nCPU part\t: 0xd42\n\n" for n in range(6)
)
BIG_LITTLE = "".join(f"processor\t: {n}\nCPU part\t: {part}\n" for n, part in enumerate(["0xd05"] * 4 + ["0xd0b"] * 2))
X86 = "".join(f"processor\t: {n}\nmodel name\t: AMD Ryzen   7 7840U\nflags\t: avx512\n\n" for n in range(2))


def tree(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


def test_processors_by_name_or_by_part(tmp_path: Path) -> None:
    wanted = {
        PI_4: "4 x Cortex-A72",
        JETSON: "6 x Cortex-A78AE",
        BIG_LITTLE: "4 x Cortex-A55 + 2 x Cortex-A76",
        X86: "AMD Ryzen 7 7840U",
        "CPU part\t: 0xfff\n": "1 x Arm part 0xfff",
    }
    for text, name in wanted.items():
        assert facts.cpu_name(tree(tmp_path, {"proc/cpuinfo": text})) == name


def test_a_boards_tree(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    root = tree(
        tmp_path,
        {
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "proc/cpuinfo": PI_4,
            "proc/meminfo": "MemTotal:        3884436 kB\nMemFree: 1 kB\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor": "ondemand\n",
            f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_min_freq": "600000\n",
            f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_max_freq": "1800000\n",
        },
    )
    found = DeviceFacts(**facts.facts(root))
    assert found.os == "Debian GNU/Linux 12 (bookworm)"
    assert found.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert (found.governor, found.clock_mhz) == ("ondemand", (600.0, 1800.0))
    assert found.memory_bytes == 3884436 * 1024


def test_what_is_not_there_is_unknown_not_zero(tmp_path: Path) -> None:
    found = DeviceFacts(**facts.facts(str(tmp_path)))
    assert (found.memory_bytes, found.board, found.governor, found.clock_mhz) == (None, None, None, None)
    assert found.cpu == found.architecture


def test_this_machine() -> None:
    found = DeviceFacts(**facts.facts())
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.clock_resolution_ns is not None
    assert found.clock_resolution_ns > 0


def test_cores_are_grouped_by_kind_the_slowest_first(tmp_path: Path) -> None:
    cores = dict.fromkeys((0, 1, 2, 3), ("0xd05", 400, 1400000)) | dict.fromkeys((4, 5), ("0xd0b", 1024, 2200000))
    files = {"proc/cpuinfo": "".join(f"processor\t: {n}\nCPU part\t: {part}\n\n" for n, (part, _, _) in cores.items())}
    for n, (_, capacity, khz) in cores.items():
        files[f"sys/devices/system/cpu/cpu{n}/cpu_capacity"] = f"{capacity}\n"
        files[f"sys/devices/system/cpu/cpu{n}/cpufreq/cpuinfo_max_freq"] = f"{khz}\n"
    found = facts.clusters(tree(tmp_path, files), [0, 1, 2, 3, 4, 5])
    assert found == [
        {"cores": [0, 1, 2, 3], "cpu": "Cortex-A55", "max_mhz": 1400.0, "capacity": 400},
        {"cores": [4, 5], "cpu": "Cortex-A76", "max_mhz": 2200.0, "capacity": 1024},
    ]
    # Cores that may not be used do not count.
    assert facts.clusters(str(tmp_path), [4])[0]["cores"] == [4]


def test_cores_of_which_nothing_is_known_are_of_one_kind(tmp_path: Path) -> None:
    assert facts.clusters(str(tmp_path), [0, 1]) == [{"cores": [0, 1], "cpu": None, "max_mhz": None, "capacity": None}]
