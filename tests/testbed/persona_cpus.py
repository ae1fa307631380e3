"""Cores, clusters, clocks and caches of a board, as /proc/cpuinfo and /sys/devices/system show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.persona_files import Tree

CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Core:
    """What the core's identification register tells, and its name in qemu's words."""

    part: int
    name: str
    implementer: int = 0x41


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind that share a clock; khz: lowest and highest; caches in KiB."""

    core: Core
    cores: int
    khz: tuple[int, int]
    l1: int
    l2: int
    l3: int = 0
    variant: int = 0
    revision: int = 0
    capacity: int = 1024


def _numbered(clusters: tuple[Cluster, ...]) -> Iterator[tuple[int, range, Cluster]]:
    """Each cluster with its number and cores."""
    first = 0
    for number, cluster in enumerate(clusters):
        yield number, range(first, first + cluster.cores), cluster
        first += cluster.cores


def _listed(cores: range) -> str:
    return f"{cores[0]}-{cores[-1]}" if len(cores) > 1 else str(cores[0])


def _mask(cores: range) -> str:
    return f"{sum(1 << core for core in cores):x}"


def write_cpuinfo(tree: Tree, clusters: tuple[Cluster, ...], features: str, tail: str) -> None:
    """As arm64 kernels print it; `tail` is what a Pi's kernel adds."""
    text = "".join(
        f"processor\t: {core}\nBogoMIPS\t: {108 if tail else 62.5:.2f}\nFeatures\t: {features}\n"
        f"CPU implementer\t: 0x{cluster.core.implementer:02x}\nCPU architecture: 8\n"
        f"CPU variant\t: 0x{cluster.variant:x}\nCPU part\t: 0x{cluster.core.part:03x}\n"
        f"CPU revision\t: {cluster.revision}\n\n"
        for _, members, cluster in _numbered(clusters)
        for core in members
    )
    tree.write("proc/cpuinfo", (text + tail).encode())


def write_cpus(tree: Tree, clusters: tuple[Cluster, ...], governor: str, driver: str, memory: int) -> None:
    """All of sys/devices/system/{cpu,node} that psutil, XNNPACK, ONNX Runtime and OpenVINO look at."""
    every = range(sum(cluster.cores for cluster in clusters))
    tree.many(CPUS, dict.fromkeys(("possible", "present", "online"), _listed(every)))
    tree.write(f"{CPUS}/kernel_max", len(every) - 1)
    for number, members, cluster in _numbered(clusters):
        _write_policy(tree, members, cluster, governor, driver)
        for core in members:
            tree.link(f"{CPUS}/cpu{core}/cpufreq", f"{CPUS}/cpufreq/policy{members[0]}")
            _write_core(tree, range(core, core + 1), members, cluster, every, number)
    node = "sys/devices/system/node"
    tree.many(node, dict.fromkeys(("online", "possible", "has_cpu", "has_memory"), 0))
    tree.many(f"{node}/node0", {"cpumap": _mask(every), "cpulist": _listed(every), "distance": 10})
    tree.write(f"{node}/node0/meminfo", f"Node 0 MemTotal:       {memory * 1024} kB")


def _write_policy(tree: Tree, members: range, cluster: Cluster, governor: str, driver: str) -> None:
    low, high = cluster.khz
    cores = " ".join(map(str, members))
    contents: dict[str, str | int] = {
        **dict.fromkeys(("cpuinfo_min_freq", "scaling_min_freq", "scaling_cur_freq", "cpuinfo_cur_freq"), low),
        **dict.fromkeys(("cpuinfo_max_freq", "scaling_max_freq"), high),
        "scaling_governor": governor,
        "scaling_available_governors": "conservative ondemand userspace powersave performance schedutil ",
        "scaling_available_frequencies": "".join(f"{khz} " for khz in (*range(low, high, (high - low) // 8), high)),
        "scaling_driver": driver,
        "affected_cpus": cores,
        "related_cpus": cores,
    }
    tree.many(f"{CPUS}/cpufreq/policy{members[0]}", contents)


def _write_core(tree: Tree, own: range, members: range, cluster: Cluster, every: range, number: int) -> None:
    folder = f"{CPUS}/cpu{own[0]}"
    groups = {
        "thread_siblings": own,
        "core_cpus": own,
        "cluster_cpus": members,
        "core_siblings": every,
        "package_cpus": every,
    }
    for name, cores in groups.items():
        tree.many(f"{folder}/topology", {name: _mask(cores), f"{name}_list": _listed(cores)})
    tree.many(f"{folder}/topology", {"core_id": own[0], "physical_package_id": 0, "cluster_id": number})
    tree.many(folder, {"online": 1, "cpu_capacity": cluster.capacity})
    midr = (
        cluster.core.implementer << 24 | cluster.variant << 20 | 0xF << 16 | cluster.core.part << 4 | cluster.revision
    )
    tree.write(f"{folder}/regs/identification/midr_el1", f"0x{midr:016x}")
    caches = [(1, "Data", cluster.l1, own), (1, "Instruction", cluster.l1, own), (2, "Unified", cluster.l2, members)]
    for index, (level, holds, kib, cores) in enumerate(caches + [(3, "Unified", cluster.l3, every)] * bool(cluster.l3)):
        contents: dict[str, str | int] = {
            **{"level": level, "type": holds, "size": f"{kib}K", "id": index, "coherency_line_size": 64},
            **{"shared_cpu_map": _mask(cores), "shared_cpu_list": _listed(cores)},
            **{"number_of_sets": kib * 4, "ways_of_associativity": 4},
        }
        tree.many(f"{folder}/cache/index{index}", contents)
