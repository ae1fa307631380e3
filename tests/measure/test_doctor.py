"""What the doctor finds on boards: nothing on one in order, else a sentence, the command for this board, the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from testbed.personas import BOARDS, PERSONAS, write_persona

from edgeprof.agent import facts as readers
from edgeprof.agent import now as moments
from edgeprof.agent.power import NONE_FOUND
from edgeprof.measure.conditions import PI_SINCE_START
from edgeprof.measure.doctor import doctor
from edgeprof.records import ADVICE, Cluster, Device, DeviceFacts, Finding, Reading
from edgeprof.records.measured import Busy, Now, PowerMode

PI = Device(name="pi", transport="ssh", host="pi", threads=(1, "all"))
NOW = Now(
    unix_time=1.8e9,
    uptime_s=5000.0,
    reading=Reading(clock_mhz=1800.0, temperature_c=50.0, throttled_flags=0, under_voltage=False),
    load_average=0.1,
    busy_cores=0.02,
    stolen_cores=0.0,
    memory_available_bytes=3 << 30,
    swap_used_bytes=0,
    zram_used_bytes=0,
)
FACTS = DeviceFacts(
    architecture="aarch64",
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.6",
    cpu="4 x Cortex-A72",
    cores=4,
    memory_bytes=4 << 30,
    python="3.11.2",
    board="Raspberry Pi 4 Model B Rev 1.4",
    governor="performance",
    clock_mhz=(600.0, 1800.0),
    clusters=(
        Cluster(
            cores=(0, 1, 2, 3),
            cpu="Cortex-A72",
            max_mhz=1800.0,
            capacity=1024,
            governor="performance",
            clock_mhz=(600.0, 1800.0),
        ),
    ),
    soc="brcm,bcm2711",
    libc="glibc 2.36",
    userland="aarch64",
    governors=("ondemand", "performance"),
    disk_free_bytes=10 << 30,
    now=NOW,
)
LITTLE = Cluster(cores=(0, 1, 2, 3), cpu="Cortex-A55", max_mhz=1800.0, capacity=398)
BIG = Cluster(cores=(4, 5), cpu="Cortex-A76", max_mhz=2400.0, capacity=1024)
JETSON: dict[str, Any] = {"l4t": "36.4.3", "soc": "nvidia,tegra234"}
MODES = (PowerMode(id=0, name="15W"), PowerMode(id=1, name="25W"), PowerMode(id=2, name="MAXN_SUPER"))


def changed(**fields: Any) -> DeviceFacts:
    return msgspec.structs.replace(FACTS, **fields)


def clocked(**fields: Any) -> DeviceFacts:
    """Its one kind of core changed."""
    return changed(clusters=(msgspec.structs.replace(FACTS.clusters[0], **fields),))


def at(**fields: Any) -> DeviceFacts:
    """The moment changed; fields of its reading too."""
    here = {key: fields.pop(key) for key in list(fields) if key in Reading.__struct_fields__}
    reading = msgspec.structs.replace(NOW.reading, **here)
    return changed(now=msgspec.structs.replace(NOW, reading=reading, **fields))


def device(**fields: Any) -> Device:
    return msgspec.structs.replace(PI, **fields)


def only(facts: DeviceFacts, on: Device = PI, *formats: Any, **asked: Any) -> Finding:
    """The one thing found."""
    (found,) = doctor(facts, on, formats, **asked)
    return found


def test_a_board_in_order_has_nothing() -> None:
    assert doctor(FACTS, PI, ("onnx", "openvino", "tflite"), host_unix_time=NOW.unix_time + 30) == ()


def test_what_a_device_does_not_tell_is_no_finding() -> None:
    """Facts of an older agent, a device without sensors: nobody is blamed for what is not known."""
    bare = DeviceFacts(
        architecture="aarch64", os="Linux", kernel="6", cpu="arm", cores=4, memory_bytes=None, python="3.11.2"
    )
    assert doctor(bare, PI) == ()
    assert doctor(msgspec.structs.replace(bare, now=Now(unix_time=0.0, reading=Reading())), PI) == ()


@pytest.mark.parametrize(
    ("facts", "severity", "reason", "says"),
    [
        (at(throttled_flags=0x1), "spoils", "under-voltage", "too low now"),
        (at(under_voltage=True), "spoils", "under-voltage", "too low now"),
        (at(throttled_flags=0x1 << PI_SINCE_START), "may spoil", "under-voltage", "since the board was started"),
        (at(throttled_flags=0x4), "spoils", "throttled", "slows itself down now"),
        (at(throttled_flags=0x4 << PI_SINCE_START), "may spoil", "throttled", "since it was started"),
        (at(throttle_count=3), "note", "throttled", "3 times"),
        (at(clock_mhz=1000.0), "spoils", "throttled", "1000 MHz and not at 1800"),
        (at(temperature_c=78.0), "spoils", "hot at start", "78 °C"),
        (at(temperature_c=72.0), "may spoil", "hot at start", "slowed from 80 °C"),
        (at(stolen_cores=0.5), "may spoil", "other load", "hypervisor"),
        (at(memory_available_bytes=100 << 20), "may spoil", None, "only 100 MiB of memory"),
        (at(zram_used_bytes=100 << 20), "note", "other load", "zram"),
        (changed(virtual_machine="QEMU"), "may spoil", "other load", "a virtual machine (QEMU)"),
        (changed(virtual_machine="unnamed"), "may spoil", "other load", "a virtual machine:"),
        (changed(container="docker"), "note", None, "in a container (docker)"),
        (changed(userland="armv7l"), "may spoil", None, "32-bit"),
    ],
)
def test_what_no_command_mends_is_told_with_the_cure(
    facts: DeviceFacts, severity: str, reason: str | None, says: str
) -> None:
    found = only(facts)
    assert (found.severity, found.reason, found.mend) == (severity, reason, None)
    assert says in found.what


@pytest.mark.parametrize(
    ("facts", "severity", "reason", "mend"),
    [
        (
            clocked(governor="ondemand"),
            "may spoil",
            "governor not fixed",
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        ),
        # The governor that a Jetson's own tool leaves; the tool fixes other clocks, too.
        (
            msgspec.structs.replace(clocked(governor="schedutil"), **JETSON),
            "may spoil",
            "governor not fixed",
            "sudo jetson_clocks",
        ),
        (
            msgspec.structs.replace(clocked(governor="ondemand, performance"), governors=("ondemand",)),
            "may spoil",
            "governor not fixed",
            "echo 1800000 | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_min_freq",
        ),
        (
            clocked(clock_mhz=(600.0, 1500.0)),
            "note",
            None,
            "echo 1800000 | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_max_freq",
        ),
        (at(desktop=("Xorg", "lightdm")), "may spoil", "other load", "sudo systemctl isolate multi-user.target"),
        (
            at(swap_used_bytes=100 << 20),
            "may spoil",
            "other load",
            "sudo swapoff -a && sudo swapon -a",
        ),
        (changed(disk_free_bytes=100 << 20), "spoils", None, "edgeprof device clean pi"),
        (changed(disk_free_bytes=700 << 20), "note", None, "edgeprof device clean pi"),
        (changed(python="3.8.10"), "note", None, 'in devices/pi.toml: python = "/path/to/a/newer/python3"'),
        (changed(clusters=(LITTLE, BIG), cores=6), "may spoil", "bimodal", 'in devices/pi.toml: cores = "big"'),
        (changed(isolated_cores=(2, 3)), "note", None, "in devices/pi.toml: cores = [2, 3]"),
        (
            changed(power_mode=MODES[1], power_modes=MODES, **JETSON),
            "note",
            None,
            "sudo nvpmodel -m 2",
        ),
    ],
)
def test_the_command_that_mends_it_is_the_one_for_this_board(
    facts: DeviceFacts, severity: str, reason: str | None, mend: str
) -> None:
    found = only(facts)
    assert (found.severity, found.reason, found.mend) == (severity, reason, mend)


def test_a_clock_that_cannot_move_is_fixed_whatever_its_governor() -> None:
    """What jetson_clocks leaves."""
    fixed = msgspec.structs.replace(clocked(governor="schedutil", clock_mhz=(1800.0, 1800.0)), **JETSON)
    assert doctor(fixed, PI) == ()


def test_only_the_cores_that_are_measured_on_count() -> None:
    free = msgspec.structs.replace(LITTLE, governor="schedutil", clock_mhz=(408.0, 1800.0))
    fixed = msgspec.structs.replace(BIG, governor="performance", clock_mhz=(408.0, 2400.0))
    facts = changed(clusters=(free, fixed), cores=6)
    assert [one.reason for one in doctor(facts, device(cores="little"))] == ["governor not fixed"]
    capped = changed(clusters=(LITTLE, msgspec.structs.replace(fixed, clock_mhz=(408.0, 2000.0))), cores=6)
    cpu = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_max_freq"
    assert only(capped, device(cores="big")).mend == f"echo 2400000 | sudo tee {cpu.format(4)} {cpu.format(5)}"
    # Nor does the slowest clock of all cores, here that of the other kind, say that this one is slowed.
    assert doctor(facts, device(cores=(4, 5))) == ()


def test_a_core_of_a_pc_that_sleeps_is_not_called_throttled() -> None:
    assert doctor(msgspec.structs.replace(at(clock_mhz=800.0), architecture="x86_64", userland="x86_64"), PI) == ()


def test_what_edgeprof_is_to_set_itself_is_no_finding() -> None:
    assert doctor(clocked(governor="ondemand"), device(governor="performance")) == ()
    found = only(clocked(governor="performance"), device(governor="schedutil"))
    assert found.mend == 'in devices/pi.toml: governor = "performance"'
    smaller = changed(power_mode=MODES[0], power_modes=MODES, **JETSON)
    assert doctor(smaller, device(nvpmodel=1)) == ()


@pytest.mark.parametrize(
    ("asked", "mend"),
    [
        ({"governor": "turbo"}, 'in devices/pi.toml: governor = "performance"'),
        ({"nvpmodel": 7}, "in devices/pi.toml: nvpmodel = 2"),
        ({"cores": "big"}, "in devices/pi.toml: no cores"),
        ({"cores": (2, 9)}, "in devices/pi.toml: cores = [0, 1, 2, 3]"),
        ({"threads": (1, 8)}, 'in devices/pi.toml: threads = [1, "all"]'),
        ({"threads": (2,), "cores": (3,)}, 'in devices/pi.toml: threads = ["all"]'),
    ],
)
def test_what_the_device_file_asks_for_must_be_there(asked: dict[str, Any], mend: str) -> None:
    found = only(changed(power_mode=MODES[2], power_modes=MODES), device(**asked))
    assert (found.severity, found.mend) == ("spoils", mend)


def test_sudo_is_spoken_of_only_where_it_is_needed_and_wants_a_password() -> None:
    """The rule allows just these commands: a * in it would allow any file."""
    locked = at(sudo=False)
    assert doctor(locked, PI) == ()
    assert doctor(at(sudo=True), device(governor="performance")) == ()
    found = only(
        msgspec.structs.replace(locked, power_mode=MODES[0], power_modes=MODES),
        device(governor="performance", nvpmodel=2, user="pi"),
    )
    assert found.severity == "spoils"
    assert found.mend == (
        "echo 'pi ALL=(root) NOPASSWD: /usr/bin/tee /sys/devices/system/cpu/cpufreq/policy[0-9]/scaling_governor,"
        " /usr/sbin/nvpmodel -m 0, /usr/sbin/nvpmodel -m 2' | sudo install -m 0440 /dev/stdin /etc/sudoers.d/edgeprof"
    )
    assert "*" not in found.mend


def test_other_programs_spoil_it_when_no_core_is_left_for_them() -> None:
    """Only services are offered to be stopped: a number alone may be a colleague's work, or be reused meanwhile."""
    job = Busy(name="python", pid=812, cores=1.0, user="anna", program="python3 train.py")
    busy = (job, Busy(name="unattended-upgr", pid=9, cores=0.2))
    facts = at(busy=busy, busy_cores=1.25)
    found = only(facts)
    assert (found.severity, found.reason) == ("spoils", "other load")
    assert "python3 train.py (user anna, process 812, 1.0 cores), unattended-upgr (process 9, 0.2 cores)" in found.what
    assert "wait until they end, or have them stopped by whoever started them" in found.what
    assert found.mend == "sudo systemctl stop unattended-upgrades apt-daily.timer apt-daily-upgrade.timer"
    assert only(at(busy=busy[:1], busy_cores=1.0)).mend is None
    assert only(facts, device(threads=(1, 2))).severity == "may spoil"
    assert only(at(busy_cores=0.3)).mend is None


@pytest.mark.parametrize(
    ("host", "says"), [(1.8e9 - 86400 * 3, "3 days ahead"), (1.8e9 + 86400 * 3000, "8 years behind")]
)
def test_a_clock_that_is_far_off_is_told(host: float, says: str) -> None:
    found = only(FACTS, host_unix_time=host)
    assert says in found.what
    assert (found.severity, found.reason, found.mend) == ("note", "clock step", "sudo timedatectl set-ntp true")


def test_a_power_sensor_that_is_there_and_cannot_be_read_is_noted_and_none_is_no_fault() -> None:
    found = only(changed(power_missing="Intel RAPL is there, but this user cannot read it (sudo chmod a+r FILE)"))
    assert found.severity == "note"
    assert "energy cannot be measured (--energy): Intel RAPL is there" in found.what
    assert doctor(changed(power_missing=f"{NONE_FOUND}; looked for: many things"), PI) == ()


def test_runtimes_that_cannot_be_had() -> None:
    """Only those of the formats that are measured; what edgeprof can bring is no finding."""
    why = {"openvino": "openvino: no wheel for glibc 2.27"}
    assert doctor(FACTS, PI, ("onnx",), no_wheels=why) == ()
    assert "no wheel for glibc 2.27" in only(FACTS, PI, "onnx", "openvino", no_wheels=why).what
    assert doctor(changed(runtimes={"openvino": "2024.4.0"}), PI, ("openvino",), no_wheels=why) == ()
    musl = doctor(changed(libc="musl 1.2.4"), PI, ("onnx", "tflite"))
    assert [one.severity for one in musl] == ["spoils", "spoils"]
    assert "musl 1.2.4" in musl[0].what


def test_a_narrow_userland_has_wheels_of_one_runtime_alone_and_none_of_numpy() -> None:
    narrow = changed(architecture="armv7l", userland="armv7l")
    found = doctor(narrow, PI, ("onnx", "tflite"))
    assert ["onnxruntime" in one.what for one in found] == [True, False]
    assert found[1].mend == "sudo apt install python3-numpy"
    assert doctor(msgspec.structs.replace(narrow, numpy="1.24.2"), PI, ("tflite",)) == ()


@pytest.mark.parametrize(
    ("on", "mends"),
    [
        (
            device(provision="never", python="/opt/py/bin/python3"),
            [
                "on the device: /opt/py/bin/python3 -m pip install onnxruntime",
                "/opt/py/bin/python3 -m pip install numpy",
            ],
        ),
        (
            Device(name="localhost", transport="local", threads=(1,)),
            ['pip install "edgeprof[runtimes]"', "python3 -m pip install numpy"],
        ),
    ],
)
def test_where_nothing_is_brought_the_install_lines_are_told(on: Device, mends: list[str]) -> None:
    assert [one.mend for one in doctor(FACTS, on, ("onnx",))] == mends


def test_the_worst_comes_first() -> None:
    facts = msgspec.structs.replace(
        at(throttled_flags=0x5, desktop=("Xorg",), throttle_count=2), isolated_cores=(3,), disk_free_bytes=0
    )
    found = [one.severity for one in doctor(facts, PI)]
    assert found == ["spoils", "spoils", "spoils", "may spoil", "note"]


@pytest.mark.parametrize("name", PERSONAS)
def test_boards_as_they_come(name: str, tmp_path: Path) -> None:
    """From the files of a whole board to its findings: the governor, and what its kind of board is known for."""
    root = str(write_persona(name, tmp_path))
    cores = range(sum(one.cores for one in BOARDS[name].clusters))
    told = dict(readers.facts(root, cores=cores), now=moments.now(root, cores, pause=lambda _: None))
    # What is of this process, not of the tree.
    told.update(architecture="aarch64", userland="aarch64", python="3.11.2", libc="glibc 2.36")
    found = doctor(msgspec.convert(told, DeviceFacts), device(name=name), ("onnx",))
    jetson = "jetson" in name or name in ("xavier-nx", "orin-nano")
    governor = [one for one in found if one.reason == "governor not fixed"]
    assert [one.mend == "sudo jetson_clocks" for one in governor] == [jetson]
    others = {one.mend for one in found if one not in governor}
    assert others == {
        "xavier-nx": {"sudo nvpmodel -m 2"},
        "rock-5b": {'in devices/rock-5b.toml: cores = "big"'},
    }.get(name, set())
    assert {one.reason for one in found if one.reason} <= set(ADVICE)
