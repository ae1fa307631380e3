"""What boards show of themselves in /proc, /sys, /etc and by their own tools, as a tree of plain files.

From the documented formats (kernel documentation, vendors' tools as seen in public sources); no board was at hand, so
exact lists of clocks and the like are plausible, not recorded. A test changes a board by writing to its files. The
tools (`vcgencmd`, `nvpmodel`, ...) answer from the tree they lie in, as a plain folder or as the root of a device.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testbed import persona_files as files
from testbed.persona_cpus import Cluster, Core, write_cpuinfo, write_cpus

V80 = "fp asimd evtstrm crc32 cpuid"
V80_AES = "fp asimd evtstrm aes pmull sha1 sha2 crc32"
V82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
A53, A55, A57, A72, A76, A78AE = (
    Core(part=part, name=name)
    for part, name in (
        (0xD03, "cortex-a53"),
        (0xD05, "cortex-a55"),
        (0xD07, "cortex-a57"),
        (0xD08, "cortex-a72"),
        (0xD0B, "cortex-a76"),
        (0xD42, "cortex-a78ae"),
    )
)
CARMEL = Core(part=0x004, name="carmel", implementer=0x4E)
PI_OS = files.System("Debian GNU/Linux 12 (bookworm)", "debian", "12", "6.6.51+rpt-rpi-v8")
PI_OS_13 = files.System("Debian GNU/Linux 13 (trixie)", "debian", "13", "6.12.47+rpt-rpi-2712")
JETPACK_4 = files.System("Ubuntu 18.04.6 LTS", "ubuntu", "18.04", "4.9.253-tegra")
JETPACK_5 = files.System("Ubuntu 20.04.6 LTS", "ubuntu", "20.04", "5.10.120-tegra")
JETPACK_6 = files.System("Ubuntu 22.04.5 LTS", "ubuntu", "22.04", "5.15.148-tegra")


@dataclass(frozen=True)
class Persona:
    """One board; memory in MiB, temperatures in thousandths of a degree (None: the zone cannot be read)."""

    model: str
    compatible: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    governor: str
    features: str
    memory: int
    zones: tuple[tuple[str, int | None], ...]
    system: files.System
    pi: files.Pi | None = None
    jetson: files.Jetson | None = None


BOARDS = {
    "pi-3": Persona(
        model="Raspberry Pi 3 Model B Plus Rev 1.3",
        compatible=("raspberrypi,3-model-b-plus", "brcm,bcm2837"),
        clusters=(Cluster(A53, cores=4, khz=(600000, 1400000), l1=32, l2=512, revision=4),),
        governor="ondemand",
        features=V80,
        memory=948,
        zones=(("cpu-thermal", 52000),),
        system=PI_OS,
        pi=files.Pi("a020d3", hardware="BCM2835"),
    ),
    "pi-4": Persona(
        model="Raspberry Pi 4 Model B Rev 1.4",
        compatible=("raspberrypi,4-model-b", "brcm,bcm2711"),
        clusters=(Cluster(A72, cores=4, khz=(600000, 1800000), l1=32, l2=1024, revision=3),),
        governor="ondemand",
        features=V80,
        memory=3792,
        zones=(("cpu-thermal", 48686),),
        system=PI_OS,
        pi=files.Pi("c03114", hardware="BCM2835"),
    ),
    "pi-5": Persona(
        model="Raspberry Pi 5 Model B Rev 1.0",
        compatible=("raspberrypi,5-model-b", "brcm,bcm2712"),
        clusters=(Cluster(A76, cores=4, khz=(1500000, 2400000), l1=64, l2=512, l3=2048, variant=4, revision=1),),
        governor="ondemand",
        features=V82,
        memory=8063,
        zones=(("cpu-thermal", 51650),),
        system=PI_OS_13,
        pi=files.Pi("d04170", hardware=None),
    ),
    "jetson-nano": Persona(
        model="NVIDIA Jetson Nano Developer Kit",
        compatible=("nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,jetson-nano", "nvidia,tegra210"),
        clusters=(Cluster(A57, cores=4, khz=(102000, 1479000), l1=32, l2=2048, variant=1, revision=1),),
        governor="schedutil",
        features=V80_AES,
        memory=3956,
        zones=(
            ("AO-therm", 41500),
            ("CPU-therm", 33000),
            ("GPU-therm", 31500),
            ("PLL-therm", 30500),
            ("PMIC-Die", 100000),
            ("thermal-fan-est", 32250),
        ),
        system=JETPACK_4,
        jetson=files.Jetson(
            release="# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64, "
            "DATE: Sat Feb 19 17:05:08 UTC 2022",
            power=files.Power(
                "6-0040", None, (("POM_5V_IN", 5032, 417), ("POM_5V_GPU", 5032, 8), ("POM_5V_CPU", 5032, 63))
            ),
            gpu=("57000000.gpu", 76800000, 921600000),
            modes=("MAXN", "5W"),
            stats="RAM 1409/3956MB (lfb 28x4MB) SWAP 0/1978MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
            "CPU [22%@518,17%@518,9%@518,12%@518] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@30.5C CPU@33C PMIC@100C "
            "GPU@31.5C AO@41.5C thermal@32.25C POM_5V_IN 2098/2098 POM_5V_GPU 40/40 POM_5V_CPU 317/317",
        ),
    ),
    "xavier-nx": Persona(
        model="NVIDIA Jetson Xavier NX Developer Kit",
        compatible=("nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
        clusters=(Cluster(CARMEL, cores=2, khz=(115200, 1907200), l1=64, l2=2048, l3=4096),) * 3,
        governor="schedutil",
        features=V82,
        memory=6854,
        zones=(
            ("CPU-therm", 39500),
            ("GPU-therm", 37500),
            ("AUX-therm", 39000),
            ("AO-therm", 37500),
            ("PMIC-Die", 50000),
            ("Tboard_tegra", 36000),
        ),
        system=JETPACK_5,
        jetson=files.Jetson(
            release="# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref, EABI: aarch64, "
            "DATE: Tue Aug  1 19:57:35 UTC 2023",
            power=files.Power(
                "7-0040", 4, (("VDD_IN", 5032, 1009), ("VDD_CPU_GPU_CV", 5032, 138), ("VDD_SOC", 5032, 219))
            ),
            gpu=("17000000.gv11b", 114750000, 1109250000),
            modes=("MODE_15W_2CORE", "MODE_15W_4CORE", "MODE_15W_6CORE", "MODE_10W_2CORE", "MODE_10W_4CORE"),
            stats="RAM 2690/6854MB (lfb 6x1MB) SWAP 479/3427MB (cached 3MB) "
            "CPU [3%@1904,7%@1906,1%@1905,0%@1907,off,off] EMC_FREQ 0%@1600 "
            "GR3D_FREQ 0%@[510] VIC_FREQ 601 APE 150 AUX@39C CPU@39.5C AO@37.5C GPU@37.5C PMIC@50C "
            "VDD_IN 5079mW/5079mW VDD_CPU_GPU_CV 696mW/696mW VDD_SOC 1104mW/1104mW",
        ),
    ),
    "orin-nano": Persona(
        model="NVIDIA Jetson Orin Nano Developer Kit",
        compatible=("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
        clusters=(
            Cluster(A78AE, cores=4, khz=(729600, 1510400), l1=64, l2=256, l3=2048, revision=1),
            Cluster(A78AE, cores=2, khz=(729600, 1510400), l1=64, l2=256, l3=2048, revision=1),
        ),
        governor="schedutil",
        features=V82,
        memory=7620,
        zones=(
            ("cpu-thermal", 49093),
            ("gpu-thermal", 48500),
            ("cv0-thermal", None),
            ("cv1-thermal", None),
            ("cv2-thermal", None),
            ("soc0-thermal", 48562),
            ("soc1-thermal", 48093),
            ("soc2-thermal", 47750),
            ("tj-thermal", 49093),
        ),
        system=JETPACK_6,
        jetson=files.Jetson(
            release="# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
            "DATE: Wed Jan  8 01:49:37 UTC 2025",
            power=files.Power(
                "1-0040", 1, (("VDD_IN", 5040, 920), ("VDD_CPU_GPU_CV", 5032, 104), ("VDD_SOC", 5032, 288))
            ),
            gpu=("17000000.gpu", 306000000, 624750000),
            modes=("15W", "7W"),
            stats="01-08-2025 10:00:00 RAM 2161/7620MB (lfb 149x4MB) SWAP 0/3810MB (cached 0MB) "
            "CPU [2%@729,1%@729,4%@729,2%@729,9%@729,1%@729] GR3D_FREQ 0%@[305] cpu@49.093C soc2@47.75C soc0@48.562C "
            "gpu@48.5C tj@49.093C soc1@48.093C VDD_IN 4636mW/4636mW VDD_CPU_GPU_CV 523mW/523mW VDD_SOC 1449mW/1449mW",
            overcurrent=True,
        ),
    ),
    "rock-5b": Persona(
        model="Radxa ROCK 5B",
        compatible=("radxa,rock-5b", "rockchip,rk3588"),
        clusters=(
            Cluster(A55, cores=4, khz=(408000, 1800000), l1=32, l2=128, l3=3072, variant=2, capacity=398),
            Cluster(A76, cores=2, khz=(408000, 2400000), l1=64, l2=512, l3=3072, variant=4),
            Cluster(A76, cores=2, khz=(408000, 2400000), l1=64, l2=512, l3=3072, variant=4),
        ),
        governor="schedutil",
        features=V82,
        memory=7908,
        zones=(
            ("package-thermal", 41615),
            ("bigcore0-thermal", 41615),
            ("littlecore-thermal", 42538),
            ("gpu-thermal", 40692),
        ),
        system=files.System("Debian GNU/Linux 12 (bookworm)", "debian", "12", "6.1.84-rockchip"),
    ),
}
PERSONAS: tuple[str, ...] = tuple(BOARDS)


def write_persona(name: str, folder: Path) -> Path:
    """Write the tree of a board into `folder`, which then stands for its `/`. Returns: the folder."""
    board = BOARDS[name]
    tree = files.Tree(folder)
    files.write_system(tree, board.system, board.memory)
    files.write_device_tree(tree, board.model, board.compatible)
    tail = files.cpuinfo_tail(board.pi, board.model) if board.pi else ""
    write_cpuinfo(tree, board.clusters, board.features, tail)
    driver = "tegra-cpufreq" if board.jetson else "cpufreq-dt"
    write_cpus(tree, board.clusters, board.governor, driver, board.memory)
    files.write_zones(tree, board.zones, critical=110000 if board.pi else 99000)
    if board.pi:
        files.write_pi(tree, board.pi, board.zones[0][1] or 0)
    if board.jetson:
        files.write_jetson(tree, board.jetson)
    return folder


def emulated_core(name: str) -> str:
    """The core that qemu takes for the board's: the same, or one with the same instructions that old qemus know."""
    core = BOARDS[name].clusters[-1].core.name
    return core if core in ("cortex-a53", "cortex-a57", "cortex-a72") else "cortex-a76"
