"""The trees of boards are what readers and tools of boards expect, also without a board around them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from testbed.personas import PERSONAS, write_persona


def said(tree: Path, tool: str, *arguments: str) -> str:
    """By a board's tool that lies in the tree."""
    return subprocess.run([tree / tool, *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", PERSONAS)
def test_every_link_of_a_tree_stays_in_it_and_every_core_has_its_files(name: str, tmp_path: Path) -> None:
    tree = write_persona(name, tmp_path / "my tree")
    for path in tree.rglob("*"):
        if path.is_symlink():
            assert path.resolve(strict=True).is_relative_to(tree.resolve()), path
    assert (tree / "proc/device-tree/model").read_bytes().endswith(b"\0")
    cpus = tree / "sys/devices/system/cpu"
    first, _, last = (cpus / "online").read_text().strip().partition("-")
    cores = range(int(first), int(last) + 1)
    assert (tree / "proc/cpuinfo").read_text().count("processor\t:") == len(cores)
    for core in cores:
        related = (cpus / f"cpu{core}/cpufreq/related_cpus").read_text().split()
        assert str(core) in related
        low, high = (int((cpus / f"cpu{core}/cpufreq/cpuinfo_{end}_freq").read_text()) for end in ("min", "max"))
        assert 0 < low < high
        assert (cpus / f"cpu{core}/cpufreq/scaling_available_frequencies").read_text().split()[-1] == str(high)


def test_a_pi_answers_from_its_files(tmp_path: Path) -> None:
    old, new = write_persona("pi-4", tmp_path / "4"), write_persona("pi-5", tmp_path / "5")
    (old / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("50005\n")
    assert said(old, "usr/bin/vcgencmd", "get_throttled") == "throttled=0x50005\n"
    assert said(old, "usr/bin/vcgencmd", "pmic_read_adc").startswith("error=1")
    assert said(new, "usr/bin/vcgencmd", "get_throttled") == "throttled=0x0\n"
    assert said(new, "usr/bin/vcgencmd", "measure_temp") == "temp=51.6'C\n"
    assert "EXT5V_V volt(24)=5.05716000V" in said(new, "usr/bin/vcgencmd", "pmic_read_adc")
    assert not list(new.glob("sys/devices/platform/soc*/*/get_throttled"))


def test_a_jetson_answers_from_its_files(tmp_path: Path) -> None:
    tree = write_persona("xavier-nx", tmp_path)
    assert said(tree, "usr/sbin/nvpmodel", "-q") == "NV Power Mode: MODE_15W_2CORE\n0\n"
    said(tree, "usr/sbin/nvpmodel", "-m", "3")
    assert said(tree, "usr/sbin/nvpmodel", "-q") == "NV Power Mode: MODE_10W_2CORE\n3\n"
    assert "POWER_MODEL: ID=4 NAME=MODE_10W_4CORE" in said(tree, "usr/sbin/nvpmodel", "-p", "--verbose")
    assert said(tree, "usr/bin/jetson_clocks", "--show").startswith("SOC family:tegra194  Machine:NVIDIA Jetson Xavier")
    said(tree, "usr/bin/jetson_clocks")
    assert (tree / "sys/devices/system/cpu/cpu5/cpufreq/scaling_min_freq").read_text() == "1907200\n"


def test_what_is_off_cannot_be_read(tmp_path: Path) -> None:
    tree = write_persona("orin-nano", tmp_path)
    with pytest.raises(OSError, match="Is a directory"):
        (tree / "sys/class/thermal/thermal_zone2/temp").read_text()
