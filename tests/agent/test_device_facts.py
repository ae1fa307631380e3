"""What is read of a board, from trees written in the documented formats of /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from edgeprof.agent import facts, system
from edgeprof.agent.runtimes import installed
from edgeprof.records import DeviceFacts

PI_4 = "".join(f"processor\t: {n}\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n\n" for n in range(4))
JETSON = "".join(
    f"processor\t: {n}\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nCPU part\t: 0xd42\n\n" for n in range(6)
)
BIG_LITTLE = "".join(f"processor\t: {n}\nCPU part\t: {part}\n" for n, part in enumerate(["0xd05"] * 4 + ["0xd0b"] * 2))
X86 = "".join(f"processor\t: {n}\nmodel name\t: AMD Ryzen   7 7840U\nflags\t: avx512\n\n" for n in range(2))
UNTOLD = {"governor": None, "clock_mhz": None}


def tree(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


def read(root: str, **asked: Any) -> DeviceFacts:
    """As the host gets them."""
    return msgspec.json.decode(msgspec.json.encode(facts.facts(root, **asked)), type=DeviceFacts)


def test_processors_by_name_or_by_part(tmp_path: Path) -> None:
    wanted = {
        PI_4: "4 x Cortex-A72",
        JETSON: "6 x Cortex-A78AE",
        BIG_LITTLE: "4 x Cortex-A55 + 2 x Cortex-A76",
        X86: "AMD Ryzen 7 7840U",
        "CPU part\t: 0xfff\n": "1 x Arm part 0xfff",
        "CPU implementer\t: 0x4e\nCPU part\t: 0x004\n": "1 x Carmel",
        "CPU implementer\t: 0x61\nCPU part\t: 0x022\n": "1 x part 0x022 of maker 0x61",
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
    found = read(root)
    assert found.os == "Debian GNU/Linux 12 (bookworm)"
    assert found.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert (found.governor, found.clock_mhz) == ("ondemand", (600.0, 1800.0))
    assert found.memory_bytes == 3884436 * 1024


def test_what_is_not_there_is_unknown_not_zero(tmp_path: Path) -> None:
    found = read(str(tmp_path))
    assert (found.memory_bytes, found.board, found.governor, found.clock_mhz) == (None, None, None, None)
    assert found.cpu == found.architecture


def test_this_machine() -> None:
    found = read("/")
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
        {"cores": [0, 1, 2, 3], "cpu": "Cortex-A55", "max_mhz": 1400.0, "capacity": 400, **UNTOLD},
        {"cores": [4, 5], "cpu": "Cortex-A76", "max_mhz": 2200.0, "capacity": 1024, **UNTOLD},
    ]
    # Cores that may not be used do not count.
    assert facts.clusters(str(tmp_path), [4])[0]["cores"] == [4]


def test_cores_of_which_nothing_is_known_are_of_one_kind(tmp_path: Path) -> None:
    unknown = {"cpu": None, "max_mhz": None, "capacity": None, **UNTOLD}
    assert facts.clusters(str(tmp_path), [0, 1]) == [{"cores": [0, 1], **unknown}]


def test_governor_and_clock_range_of_a_kind_are_those_of_all_its_cores(tmp_path: Path) -> None:
    """A core that is left free to change its clock must not hide behind one that is fixed."""
    files = {}
    for core, (governor, low, high) in enumerate([("performance", 1800, 1800), ("ondemand", 600, 1500)]):
        folder = f"sys/devices/system/cpu/cpu{core}/cpufreq"
        files[f"{folder}/scaling_governor"] = f"{governor}\n"
        files[f"{folder}/scaling_min_freq"] = f"{low}000\n"
        files[f"{folder}/scaling_max_freq"] = f"{high}000\n"
    (kind,) = facts.clusters(tree(tmp_path, files), [0, 1])
    assert (kind["governor"], kind["clock_mhz"]) == ("ondemand, performance", (600.0, 1800.0))


def test_runtimes_and_numpy_in_a_private_environment_are_found_there(tmp_path: Path) -> None:
    """What edgeprof brought counts, not what the device's own Python happens to have."""
    for name, version in (("onnxruntime", "0.0.7"), ("tflite_runtime", "0.0.8"), ("numpy", "0.0.9")):
        wheel = tmp_path / name / f"{name}-{version}.dist-info"
        wheel.mkdir(parents=True)
        (wheel / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    here = {name: str(tmp_path / name) for name in ("onnxruntime", "tflite_runtime", "numpy")}
    sites = {"onnx": [here["numpy"], here["onnxruntime"]], "tflite": [here["tflite_runtime"]], "openvino": []}
    found = read("/", sites=sites)
    assert (found.runtimes["onnxruntime"], found.runtimes["tflite-runtime"]) == ("0.0.7", "0.0.8")
    assert found.runtimes["openvino"] == installed()["openvino"]
    assert found.numpy == "0.0.9"
    assert read("/").numpy not in (None, "0.0.9")


def test_the_userland_is_pythons_not_the_kernels() -> None:
    """Wheels are chosen by it: Raspberry Pi OS of 32 bits runs on a 64-bit kernel."""
    assert system.userland("aarch64", 4) == "armv7l"
    assert system.userland("aarch64", 8) == "aarch64"
    assert system.userland("x86_64", 4) == "i686"
    assert system.userland("armv7l", 4) == "armv7l"


def test_the_c_library_is_told_by_name(tmp_path: Path) -> None:
    """Wheels for glibc do not run on musl."""

    def unknown(name: str) -> str:
        raise ValueError(name)

    loader = tmp_path / "lib/ld-musl-aarch64.so.1"
    assert (system.libc("/") or "").startswith("glibc 2.")
    assert system.libc(str(tmp_path), unknown) is None
    loader.parent.mkdir()
    loader.write_text("#!/bin/sh\nprintf 'musl libc (aarch64)\\nVersion 1.2.4\\n' >&2\nexit 1\n")
    assert system.libc(str(tmp_path), unknown) == "musl"  # it cannot be run
    loader.chmod(0o755)
    assert system.libc(str(tmp_path), unknown) == "musl 1.2.4"


def test_free_disk_is_that_of_the_folder_or_where_it_would_be_made(tmp_path: Path) -> None:
    known = os.statvfs(tmp_path).f_frsize
    found = system.free_bytes(str(tmp_path / "not" / "made yet"))
    assert found is not None
    assert found % known == 0
    assert found > 0
    assert read("/").disk_free_bytes is None
    assert system.free_bytes("a\0b") is None
    (tmp_path / "file").write_text("")
    assert system.free_bytes(str(tmp_path / "file" / "below")) is None


def test_containers_and_virtual_machines(tmp_path: Path) -> None:
    """They hide clock and heat, and share their cores; a board with neither is not suspected."""
    wanted: list[tuple[dict[str, str], tuple[str | None, str | None]]] = [
        ({"proc/cpuinfo": PI_4, "proc/1/cgroup": "0::/init.scope\n"}, (None, None)),
        ({".dockerenv": ""}, ("docker", None)),
        ({"run/.containerenv": ""}, ("podman", None)),
        ({"run/systemd/container": "systemd-nspawn\n"}, ("systemd-nspawn", None)),
        ({"proc/1/cgroup": "5:cpu:/kubepods/pod1\n"}, ("kubepods", None)),
        ({"proc/cpuinfo": X86.replace("avx512", "avx512 hypervisor")}, (None, "unnamed")),
        (
            {"proc/cpuinfo": X86.replace("avx512", "hypervisor"), "sys/class/dmi/id/sys_vendor": "QEMU\n"},
            (None, "QEMU"),
        ),
        # A bare machine that a cloud rents out.
        ({"proc/cpuinfo": X86, "sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, (None, None)),
        ({"sys/hypervisor/type": "xen\n"}, (None, "xen")),
        ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, (None, "QEMU")),
        ({"proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, (None, "linux,kvm")),
    ]
    for number, (files, told) in enumerate(wanted):
        root = tree(tmp_path / str(number), files)
        assert (system.container(root), system.virtual_machine(root)) == told, files


def test_cores_kept_free_by_the_kernel(tmp_path: Path) -> None:
    for text, cores in (("2-3,5\n", (2, 3, 5)), ("\n", ()), ("none", ()), ("0-99999\n", ()), ("3-1", ())):
        root = tree(tmp_path, {"sys/devices/system/cpu/isolated": text})
        assert read(root).isolated_cores == cores
