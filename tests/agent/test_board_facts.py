"""What boards tell of themselves: whole trees of Raspberry Pis and Jetsons, and files with anything in them."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testbed.personas import BOARDS, PERSONAS, write_persona

from edgeprof.agent import facts, hardware, now, readers
from edgeprof.agent.runtimes import ModelError
from edgeprof.records import DeviceFacts
from edgeprof.records.measured import Now, PowerMode

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cores(name: str) -> range:
    return range(sum(one.cores for one in BOARDS[name].clusters))


def read(root: Path, number: int = 4) -> DeviceFacts:
    """As the host gets them."""
    return msgspec.json.decode(msgspec.json.encode(facts.facts(str(root), cores=range(number))), type=DeviceFacts)


def moment(root: Path, pause: Callable[[float], Any] = lambda seconds: None, elapsed_s: float = 0.3) -> Now:
    """What goes on, watched for so long by a clock of our own."""
    ticking = itertools.chain([0.0], itertools.repeat(elapsed_s))
    told = now.now(str(root), cores=range(4), pause=pause, clock=lambda: next(ticking))
    return msgspec.json.decode(msgspec.json.encode(told), type=Now)


@pytest.mark.parametrize("name", PERSONAS)
def test_each_board_is_read_whole(name: str, tmp_path: Path) -> None:
    board = BOARDS[name]
    root = write_persona(name, tmp_path)
    found = msgspec.convert(facts.facts(str(root), cores=cores(name)), DeviceFacts)
    assert (found.board, found.soc, found.os) == (board.model, board.compatible[-1], board.system.pretty)
    assert found.cores == len(cores(name))
    assert (found.governor, found.memory_bytes) == (board.governor, board.memory << 20)
    assert {one.governor for one in found.clusters} == {board.governor}
    kinds = {(one.khz[0] / 1000, one.khz[1] / 1000) for one in board.clusters}
    assert {one.clock_mhz for one in found.clusters} == kinds
    assert {one.max_mhz for one in found.clusters} == {high for _, high in kinds}
    assert "performance" in found.governors
    assert (found.container, found.virtual_machine) == (None, None)
    here = moment(root).reading
    assert here.temperature_c == max(milli for kind, milli in board.zones if milli and "PMIC" not in kind) / 1000
    assert here.throttled_flags == (0 if board.pi else None)
    assert here.under_voltage == (False if board.pi else None)


@pytest.mark.parametrize(
    ("name", "release", "rails", "mode"),
    [
        ("pi-4", (None, None), (), None),
        # EXT5V and BATT have no current, so they have no power.
        ("pi-5", (None, None), ("3V3_SYS", "VDD_CORE", "1V8_SYS", "DDR_VDD2"), None),
        ("jetson-nano", ("32.7.1", "4.6.1"), ("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"), (0, "MAXN")),
        ("xavier-nx", ("35.4.1", "5.1.2"), ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"), (0, "MODE_15W_2CORE")),
        ("orin-nano", ("36.4.3", "6.2"), ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"), (0, "15W")),
    ],
)
def test_what_only_such_a_board_tells(
    name: str, release: tuple[str, str], rails: tuple[str, ...], mode: tuple[int, str] | None, tmp_path: Path
) -> None:
    found = read(write_persona(name, tmp_path))
    assert (found.l4t, found.jetpack) == release
    assert found.rails == rails
    assert found.power_mode == (None if mode is None else PowerMode(id=mode[0], name=mode[1]))
    jetson = BOARDS[name].jetson
    assert [one.name for one in found.power_modes] == list(jetson.modes if jetson else ())


def test_a_model_that_only_one_of_its_two_places_tells(tmp_path: Path) -> None:
    root = write_persona("pi-4", tmp_path)
    (root / "proc/device-tree").unlink()
    assert (read(root).board, read(root).soc) == ("Raspberry Pi 4 Model B Rev 1.4", "brcm,bcm2711")
    (root / "proc/device-tree").mkdir()
    shutil.move(root / "sys/firmware/devicetree/base/model", root / "proc/device-tree/model")
    assert read(root).board == "Raspberry Pi 4 Model B Rev 1.4"


def test_a_jetson_whose_tool_fails_or_hangs_or_talks_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On JetPack 4 nvpmodel may answer root alone."""
    root = write_persona("jetson-nano", tmp_path)
    tool = root / "usr/sbin/nvpmodel"
    (root / "var/lib/nvpmodel/status").write_text("pmode:0001\n")
    assert read(root).power_mode == PowerMode(id=1, name="5W")
    monkeypatch.setattr(readers.tool, "__defaults__", (0.2,))
    for script in ("exit 1", "exec sleep 60", "echo NV Power Mode: 15W; echo none", "echo 'NV Power Mode:'; echo 3"):
        tool.write_text(f"#!/bin/sh\n{script}\n")
        assert read(root).power_mode is None
        assert read(root).l4t == "32.7.1"
    # Older releases tell of the fan as well, in lines of their own.
    tool.write_text("#!/bin/sh\nprintf 'NV Fan Mode:quiet\\nNV Power Mode: MODE_10W_\\033[31m4CORE\\n4\\n'\n")
    assert read(root).power_mode == PowerMode(id=4, name="MODE_10W_ [31m4CORE")
    tool.chmod(0o644)
    assert read(root).power_mode is None


@pytest.mark.parametrize(
    ("told", "release", "jetpack"),
    [
        ("# R36 (release), REVISION: 3.0, GCID: 1", "36.3.0", "6.0"),
        ("# R35 (release), REVISION: 1.0, GCID: 1", "35.1.0", "5.0.2"),
        ("# R99 (release), REVISION: 9.9, GCID: 1", "99.9.9", None),
        ("R36, REVISION", None, None),
    ],
)
def test_a_release_of_jetson_linux_that_is_not_known_is_told_without_a_jetpack(
    told: str, release: str | None, jetpack: str | None, tmp_path: Path
) -> None:
    root = write_persona("orin-nano", tmp_path)
    (root / "etc/nv_tegra_release").write_text(told)
    assert (read(root).l4t, read(root).jetpack) == (release, jetpack)


def process(root: Path, pid: int, name: str, ticks: int, parent: int = 1, start: int = 77) -> None:
    """A process that has taken so many ticks of the processor."""
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    fields = [parent, 1, 1, 0, -1, 0, 0, 0, 0, 0, ticks - 1, 1, 0, 0, 20, 0, 1, 0, start, 0, 0]
    (folder / "stat").write_text(f"{pid} ({name}) S {' '.join(map(str, fields))}\n")


def test_the_programs_that_take_the_processor_are_named(tmp_path: Path) -> None:
    """What ran before does not count; a program that has just begun does; a number taken by another is another."""
    stat = "cpu  0 0 0 0 0 0 0 0 0 0\n" + "".join(f"cpu{core} {{}} 0 0 0 0 0 0 {{}} 0 0\n" for core in range(4))
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(stat.format(*[0] * 8))
    process(tmp_path, 10, "busy) (a b", 1000)
    process(tmp_path, 11, "idle", 90000)
    process(tmp_path, 12, "gone soon", 5000, start=1)
    process(tmp_path, 13, "kworker/0:1", 10, parent=2)
    process(tmp_path, os.getpid(), "agent", 10)
    process(tmp_path, 14, "lightdm", 10)

    def meanwhile(seconds: float) -> None:
        ticks = round(seconds / TICK_S)
        process(tmp_path, 10, "busy) (a b", 1000 + ticks)
        process(tmp_path, 12, "another", ticks // 2, start=2)
        process(tmp_path, 13, "kworker/0:1", 10 + ticks, parent=2)
        process(tmp_path, os.getpid(), "agent", 10 + ticks)
        (tmp_path / "proc/stat").write_text(stat.format(ticks, 0, ticks // 2, 0, 0, ticks // 3, 0, 0))

    found = moment(tmp_path, meanwhile)
    assert [(one.name, one.pid, one.cores) for one in found.busy] == [("busy) (a b", 10, 1.0), ("another", 12, 0.5)]
    assert found.busy_cores == pytest.approx(1.5, abs=0.02)
    assert found.stolen_cores == pytest.approx(1 / 3, abs=0.02)
    assert found.desktop == ("lightdm",)


def test_memory_swap_and_load_of_a_moment(tmp_path: Path) -> None:
    root = write_persona("pi-4", tmp_path)
    (root / "proc/swaps").write_text(
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/var/swap                               file\t\t102396\t\t2048\t\t-2\n"
        "/dev/zram0                              partition\t1048572\t\t4096\t\t100\n"
    )
    found = moment(root)
    assert (found.swap_used_bytes, found.zram_used_bytes) == (2048 << 10, 4096 << 10)
    assert found.memory_available_bytes == (3792 * 1024 * 8 // 10) << 10
    assert (found.load_average, found.uptime_s) == (0.02, 5230.41)
    (root / "proc/swaps").unlink()
    assert moment(root).swap_used_bytes is None


BURN = """
import time
for used_s in (0.05, 0.35):
    while time.process_time() < used_s: pass
    print(flush=True)
while True: pass
"""


def test_a_real_load_is_seen_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that burns is named, by its number, with what it took by its own account.

    Beside other work it gets little of a core at a time: it is watched until it has burnt 0.3 s, and others do not
    crowd it out of the list. From what share on a program is named, and how many are, is the next test's.
    """
    monkeypatch.setattr(now, "BUSY", 0.001)
    monkeypatch.setattr(now, "NAMED", 100_000)
    with subprocess.Popen([sys.executable, "-c", BURN], stdout=-1) as burning:
        assert burning.stdout is not None
        reached, ticking = burning.stdout.readline, []

        def clock() -> float:
            ticking.append(time.monotonic())
            return ticking[-1]

        try:
            reached()
            found = msgspec.convert(now.now(pause=lambda seconds: reached(), clock=clock), Now)
        finally:
            burning.kill()
    elapsed_s = ticking[-1] - ticking[0]
    took = {one.pid: one.cores * elapsed_s for one in found.busy}
    assert took[burning.pid] >= 0.3 - 0.01 * elapsed_s - 3 * TICK_S
    assert found.busy_cores is not None
    assert found.busy_cores > 0
    assert found.memory_available_bytes


def test_only_the_busiest_programs_are_named_and_none_that_hardly_runs(tmp_path: Path) -> None:
    """Programs that took 0.01, 0.02, ... of a core: those from a tenth on, at most five, the busiest first."""
    (tmp_path / "proc").mkdir()
    for most, shares in ((8, []), (12, [0.12, 0.11, 0.1]), (20, [0.2, 0.19, 0.18, 0.17, 0.16])):
        for hundredth in range(1, most + 1):
            process(tmp_path, 100 + hundredth, "program", 5000)

        def meanwhile(seconds: float, most: int = most) -> None:
            for hundredth in range(1, most + 1):
                process(tmp_path, 100 + hundredth, "program", 5000 + round(hundredth / 100 / TICK_S))

        found = moment(tmp_path, meanwhile, elapsed_s=1.0)
        assert [one.cores for one in found.busy] == shares
        assert [one.pid for one in found.busy] == [100 + round(100 * share) for share in shares]


def test_whether_sudo_may_set_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule for just these commands is enough; nothing is set by asking."""
    root = write_persona("pi-4", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    wanted = {"governor": "performance", "nvpmodel": None}
    assert not hardware.sudo_allowed(wanted, str(root))
    sudo = root / "usr/bin/sudo"
    sudo.parent.mkdir(parents=True, exist_ok=True)
    sudo.write_text(
        '#!/bin/sh\n[ "$*" != "-n true" ] && case "$*" in "-n -l /usr/bin/tee "*/scaling_governor) ;; *) false; esac\n'
    )
    sudo.chmod(0o755)
    assert hardware.sudo_allowed(wanted, str(root))
    assert not hardware.sudo_allowed({"governor": "performance", "nvpmodel": 1}, str(root))
    assert not hardware.sudo_allowed({}, str(root))
    sudo.write_text("#!/bin/sh\n")
    assert hardware.sudo_allowed({"nvpmodel": 1}, str(root))


@pytest.mark.parametrize(
    ("format", "one"), [("onnx", "CPUExecutionProvider"), ("openvino", "CPU"), ("tflite", "XNNPACK")]
)
def test_a_runtime_tells_what_it_can_run_on(format: str, one: str) -> None:
    from edgeprof.agent.runtimes.providers import providers as told

    assert one in told(format)
    with pytest.raises(ModelError, match="unknown format"):
        told("pth")


FILES = (
    *("etc/os-release", "etc/nv_tegra_release", "proc/cpuinfo", "proc/meminfo", "proc/swaps", "proc/loadavg"),
    *("proc/uptime", "proc/stat", "proc/1/cgroup", "proc/77/stat", "run/systemd/container", "proc/device-tree/model"),
    *("proc/device-tree/compatible", "sys/firmware/devicetree/base/model", "sys/firmware/devicetree/base/compatible"),
    *("sys/class/dmi/id/sys_vendor", "sys/hypervisor/type", "sys/devices/system/cpu/isolated"),
    *(f"sys/devices/system/cpu/cpu0/cpufreq/scaling_{one}" for one in ("governor", "min_freq", "max_freq", "cur_freq")),
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors",
    *("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "sys/devices/system/cpu/cpu0/cpu_capacity"),
    *(f"sys/class/thermal/thermal_zone0/{one}" for one in ("type", "temp", "trip_point_0_type", "trip_point_0_temp")),
    *("sys/devices/platform/soc/soc:firmware/get_throttled", "sys/class/hwmon/hwmon0/name"),
    *("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "sys/class/hwmon/hwmon0/oc1_event_cnt"),
    *("sys/bus/i2c/devices/1-0040/name", "sys/bus/i2c/devices/1-0040/hwmon/hwmon0/in1_label"),
    *("sys/bus/i2c/devices/1-0040/hwmon/hwmon0/in1_input", "sys/bus/i2c/devices/1-0040/hwmon/hwmon0/curr1_input"),
    *("sys/bus/i2c/devices/1-0040/iio:device0/rail_name_0", "sys/bus/i2c/devices/1-0040/iio:device0/in_power0_input"),
)
NUMBERS = st.sampled_from([b"9" * 5000, b"\xc2\xb2", b"\xd9\xa1\xd9\xa2", b"-1", b"1e400", b"0x1g", b"NaN", b"1" * 15])
NAMES = st.sampled_from([b"\x1b[2J\x07evil\r\n", b"\xe2\x80\xae", b"ina3221", b"a" * 100_000, b"\0\0a,b\0", b"passive"])
LINES = st.sampled_from(
    [
        b"processor\t: 99999999999999999999\nCPU part\t: 0x" + b"f" * 5000 + b"\nCPU part\t: 0xd08\n",
        b"PRETTY_NAME=\x1b]0;title\x07\n",
        b"MemTotal: 99999999999999999999999 kB\nMemAvailable: 999999999999 kB\n",
        b"Filename\n/dev/zram0 partition 1 99999999999999999 5\n\n",
        b"cpu0 " + b"9" * 4000 + b" 1 1 1 1 1 1 " + b"9" * 4000 + b" 0 0\n",
        b"77 (x) S 1 " + b"9" * 19 + b" 0" * 40,
        b"# R99999999 (release), REVISION: " + b"9." * 500,
        b"processor: 0\nflags: hypervisor\nmodel name: \xff\xfe\xfd\n",
    ]
)


def printable(value: Any) -> bool:
    """Of all text in it, keys too."""
    if isinstance(value, str):
        return value.isprintable() and len(value) <= 200
    if isinstance(value, dict):
        return all(map(printable, [*value.keys(), *value.values()]))
    return all(map(printable, value)) if isinstance(value, list) else True


@settings(max_examples=120, deadline=None)
@given(contents=st.dictionaries(st.sampled_from(FILES), st.one_of(st.binary(max_size=80), NUMBERS, NAMES, LINES)))
def test_nothing_in_any_file_can_harm(contents: dict[str, bytes]) -> None:
    """Whatever stands there, a record comes of it, with short text that no terminal obeys."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        found = dict(facts.facts(folder, cores=[0, 1]), now=now.now(folder, cores=[0, 1], pause=lambda _: None))
    found = msgspec.json.decode(msgspec.json.encode(found))
    msgspec.convert(found, DeviceFacts)
    assert printable({**found, "python_path": ""})
