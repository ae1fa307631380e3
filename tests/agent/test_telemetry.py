"""What is read beside a timed block: from trees in the formats of boards, and from this machine under a real load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boards
import msgspec
import pytest
from boards import BOARDS, CORES, Tree, write
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprof.agent import facts, telemetry
from edgeprof.records import Reading, Telemetry

MS = 1_000_000
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def read(root: str, cores: int) -> Reading:
    return msgspec.convert(telemetry.reading(root, range(cores)), Reading)


class Steps:
    """A clock that tells the next of the times given, then the last one for ever."""

    def __init__(self, *times: int) -> None:
        self.times = list(times)

    def __call__(self) -> int:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def watched(
    root: Path, board: Tree, change: Callable[[], Any], cores: int = 2, **clocks: Callable[[], int]
) -> Telemetry:
    clocks = {"own_ns": lambda: 0, **clocks}
    watch = telemetry.Watch(write(root, board), range(cores), **clocks)
    watch.begin()
    change()
    return msgspec.convert(watch.end(), Telemetry)


@pytest.mark.parametrize(
    ("board", "wanted"),
    [
        ("PI_4", (1500.0, 48.686, 0, None, False)),
        ("PI_5", (2400.0, 51.65, 0xE0000, None, False)),
        # Not the 100 C that the power chip always tells.
        ("JETSON_NANO", (1479.0, 41.5, None, None, None)),
        # One of the idle zones cannot be read, the other tells -256 C.
        ("ORIN_NANO", (1510.4, 49.25, None, 3, None)),
        ("PC", (800.0, 56.0, None, 14, None)),
        ("VM", (None, None, None, None, None)),
    ],
)
def test_each_board_tells_what_it_has_and_nothing_else(tmp_path: Path, board: str, wanted: tuple[Any, ...]) -> None:
    names = ("clock_mhz", "temperature_c", "throttled_flags", "throttle_count", "under_voltage")
    found = read(write(tmp_path, BOARDS[board]), CORES[board])
    assert found == Reading(**dict(zip(names, wanted, strict=True)))


@pytest.mark.parametrize(
    ("board", "celsius"),
    # The Pi's firmware throttles, not the kernel; the PC's processor zone has its trip point unset.
    [("PI_4", None), ("JETSON_NANO", 97.0), ("ORIN_NANO", 98.5), ("PC", 95.0), ("VM", None)],
)
def test_throttling_begins_at_the_lowest_passive_trip_point_of_the_processor(
    tmp_path: Path, board: str, celsius: float | None
) -> None:
    assert facts.facts(write(tmp_path, BOARDS[board]))["throttles_at_c"] == celsius


@pytest.mark.parametrize("milli", ["40000", "131000", "-274000", "hot", ""])
def test_an_implausible_trip_point_is_none(tmp_path: Path, milli: str) -> None:
    trip = {"sys/class/thermal/thermal_zone0/trip_point_1_temp": milli}
    passive = boards.zones(("cpu-thermal", "50000"), passive={"cpu-thermal": 90000})
    assert facts.throttles_at(write(tmp_path, passive)) == 90.0
    assert facts.throttles_at(write(tmp_path, passive, trip)) is None


@pytest.mark.parametrize("milli", [None, "", "-256000", "0", "131000", "offline", "9" * 400])
def test_a_zone_that_is_off_or_broken_is_unknown_and_hides_no_other(tmp_path: Path, milli: str | None) -> None:
    assert read(write(tmp_path / "one", boards.zones(("cpu-thermal", milli))), 1).temperature_c is None
    two = boards.zones(("cpu-thermal", milli), ("gpu-thermal", "-5000"))
    assert read(write(tmp_path / "two", two), 1).temperature_c == -5.0


@pytest.mark.parametrize(
    ("content", "flags"),
    [("50005\n", 0x50005), ("0x50005\n", 0x50005), ("0\n", 0), ("", None), ("deprecated\n", None), ("-1\n", None)],
)
def test_throttled_flags_are_hexadecimal_with_or_without_a_prefix(
    tmp_path: Path, content: str, flags: int | None
) -> None:
    assert read(write(tmp_path, boards.PI_4, {boards.PI_FLAGS: content}), 4).throttled_flags == flags


def test_under_voltage_is_the_alarm_of_the_pis_supply_and_of_no_other_chip(tmp_path: Path) -> None:
    other = {"sys/class/hwmon/hwmon3/name": "max6650\n", "sys/class/hwmon/hwmon3/in0_lcrit_alarm": "1\n"}
    assert read(write(tmp_path, other), 4).under_voltage is None
    assert read(write(tmp_path, boards.PI_4), 4).under_voltage is False
    assert read(write(tmp_path, {boards.PI_ALARM: "1\n"}), 4).under_voltage is True


def with_vcgencmd(root: Path, answer: str) -> Path:
    """A Pi whose kernel has no file for the flags; each call of the tool leaves a letter in the file returned."""
    tree = {name: content for name, content in boards.PI_5.items() if name != boards.PI_5_FLAGS}
    calls = root / "calls"
    write(root, tree, {"usr/bin/vcgencmd": f"#!/bin/sh\nprintf x >> {calls}\n{answer}\n", "calls": ""})
    (root / "usr/bin/vcgencmd").chmod(0o755)
    return calls


@pytest.mark.parametrize(
    ("answer", "flags"),
    [
        ("echo throttled=0x50005", 0x50005),
        ("""echo 'error=1 error_msg="Command not registered"'""", None),
        ("exit 255", None),
    ],
)
def test_the_pis_tool_is_asked_where_no_file_tells(tmp_path: Path, answer: str, flags: int | None) -> None:
    calls = with_vcgencmd(tmp_path, answer)
    assert read(str(tmp_path), 4).throttled_flags == flags
    assert calls.read_text() == "x"


def test_the_pis_tool_is_not_started_beside_a_block_where_a_file_tells(tmp_path: Path) -> None:
    calls = with_vcgencmd(tmp_path, "echo throttled=0x1")
    assert read(write(tmp_path, {boards.PI_5_FLAGS: "2\n"}), 4).throttled_flags == 2
    assert calls.read_text() == ""


def test_a_tool_that_hangs_is_given_up_and_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "VCGENCMD_S", 0.2)
    calls = with_vcgencmd(tmp_path, "exec sleep 60")
    found = watched(tmp_path, {}, lambda: None, cores=4)
    assert (found.begin.throttled_flags, found.end.throttled_flags) == (None, None)
    assert calls.read_text() == "x"


def test_the_clock_is_that_of_the_slowest_core_that_runs_a_thread_not_of_an_idle_one(tmp_path: Path) -> None:
    four = {**boards.idle(4), **boards.clocks(1400000, 600000, 1800000, 700000)}
    on_two = {**boards.thread(100, 0, 0), **boards.thread(101, 2, 0), **boards.thread(102, 3, 0, state="S")}
    found = watched(tmp_path, {**four, **on_two}, lambda: write(tmp_path, boards.thread(101, 1, 0)), cores=4)
    assert (found.begin.clock_mhz, found.end.clock_mhz) == (1400.0, 600.0)
    # A file cut short, as of a thread that ends, tells nothing.
    write(tmp_path, {"proc/self/task/101/stat": "101 (python) R 1 1"})
    assert watched(tmp_path, {}, int, cores=4).begin.clock_mhz == 1400.0
    # Where no thread can be seen running, any of the cores may be in use.
    asleep = watched(tmp_path, {**boards.thread(100, 0, 0, "S"), **boards.thread(101, 2, 0, "S")}, int, cores=4)
    assert asleep.begin.clock_mhz == 600.0


def test_the_sums_of_a_block(tmp_path: Path) -> None:
    """Steal and other programs of the cores in use alone; waiting of old and new threads."""
    board = {**boards.VM, **boards.stat({0: 7, 1: 8, 2: 9}), **boards.thread(200, 1, 4 * MS)}

    def change() -> None:
        later = boards.stat({0: 10, 1: 8, 2: 90})["proc/stat"] or ""
        # user, nice, system, irq and softirq are busy; idle and iowait are not.
        busier = later.replace("cpu0 1000 20 300 90000 40 5 60", "cpu0 1030 22 305 90700 48 6 63")
        write(
            tmp_path,
            {"proc/stat": busier.replace("cpu2 1000", "cpu2 1900")},
            boards.thread(100, 0, 5000 + 2 * MS),
            boards.thread(300, 0, 3 * MS),
        )
        for name in ("stat", "schedstat"):
            (tmp_path / "proc/self/task/200" / name).unlink()

    found = watched(tmp_path, board, change, own_ns=Steps(10 * TICK, 33 * TICK))
    assert found.steal_ns == 3 * TICK
    assert found.other_ns == (30 + 2 + 5 + 1 + 3 - 23) * TICK
    assert found.wait_ns == 5 * MS


def test_elapsed_is_between_the_readings_and_a_step_of_the_wall_clock_is_seen(tmp_path: Path) -> None:
    now = [0]

    def monotonic() -> int:
        now[0] += 10
        return now[0]

    step = [0]

    def change() -> None:
        now[0] += 250 * MS
        step[0] = -40 * MS

    def wall() -> int:
        return 1_700_000_000_000_000_000 + now[0] + step[0]

    found = watched(tmp_path, boards.VM, change, monotonic_ns=monotonic, wall_ns=wall)
    assert found.elapsed_ns == pytest.approx(250 * MS, abs=1000)
    assert found.clock_step_ns == pytest.approx(-40 * MS, abs=100)
    assert abs(watched(tmp_path, boards.VM, lambda: None, wall_ns=wall, monotonic_ns=monotonic).clock_step_ns) < 100


def test_being_interrupted_between_two_clocks_is_no_step_of_the_clock(tmp_path: Path) -> None:
    # Before the block one of the three tries was interrupted for 5 ms; a call each for elapsed comes in between.
    monotonic = Steps(0, 10, 20, 5 * MS, 5 * MS, 5 * MS + 10, 5 * MS + 20, *range(5 * MS + 30, 6 * MS, 10))
    wall = Steps(5, 30, 5 * MS + 5, 5 * MS + 45, 5 * MS + 65, 5 * MS + 85)
    found = watched(tmp_path, boards.VM, lambda: None, monotonic_ns=monotonic, wall_ns=wall)
    assert abs(found.clock_step_ns) < 100


def test_other_load_is_never_below_nothing(tmp_path: Path) -> None:
    """Ticks are booked late: this process may have run longer than its cores were busy."""
    assert watched(tmp_path, boards.VM, lambda: None, own_ns=Steps(0, 5 * TICK)).other_ns == 0


def test_a_core_that_goes_offline_is_left_out(tmp_path: Path) -> None:
    found = watched(tmp_path, boards.VM, lambda: write(tmp_path, boards.stat({0: 4})))
    assert (found.steal_ns, found.other_ns) == (4 * TICK, 0)


def test_what_the_kernel_does_not_count_is_unknown_not_zero(tmp_path: Path) -> None:
    zeros = {**boards.VM, "proc/self/task/100/schedstat": "0 0 0\n"}
    assert watched(tmp_path / "zeros", zeros, lambda: None).wait_ns is None
    found = watched(tmp_path / "nothing", {}, lambda: None)
    assert (found.steal_ns, found.wait_ns, found.other_ns) == (None, None, None)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_content_of_any_file_makes_it_fail(data: st.DataObject) -> None:
    """Whatever stands in the files, there is a record that the host can read."""
    board = BOARDS[data.draw(st.sampled_from(sorted(BOARDS)))]
    broken = data.draw(st.lists(st.sampled_from(sorted(board)), min_size=1, max_size=4, unique=True))
    number = st.integers(min_value=-(10**20), max_value=10**20).map(lambda value: str(value).encode())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, board)

        def damage() -> None:
            for name in broken:
                if (root / name).is_file():
                    (root / name).write_bytes(data.draw(st.binary(max_size=40) | number))

        if data.draw(st.booleans()):
            damage()
        (watch := telemetry.Watch(folder, range(4))).begin()
        damage()
        found = msgspec.json.decode(json.dumps(watch.end()), type=Telemetry)
        assert found.other_ns is None or found.other_ns >= 0
        msgspec.convert(facts.throttles_at(folder), float | None)


PINNED = """
import json, os, sys, threading, time
from edgeprof.agent.telemetry import Watch
os.sched_setaffinity(0, {int(sys.argv[1])})

def spin():
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        pass

watch = Watch()
watch.begin()
others = [threading.Thread(target=time.sleep, args=(30,), daemon=True) for _ in range(3)]
for other in others:
    other.start()
spin()
print(json.dumps(watch.end()), flush=True)
os._exit(0)
"""


def on_core(core: int) -> Telemetry:
    done = subprocess.run([sys.executable, "-c", PINNED, str(core)], stdout=subprocess.PIPE, check=True, timeout=60)
    return msgspec.json.decode(done.stdout, type=Telemetry)


def test_a_real_load_on_the_same_core_is_seen_as_waiting_and_as_other_programs() -> None:
    core = min(os.sched_getaffinity(0))
    loop = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(1, flush=True)\nwhile True:\n    pass"
    with subprocess.Popen([sys.executable, "-c", loop, str(core)], stdout=subprocess.PIPE) as hog:
        try:
            assert hog.stdout is not None
            hog.stdout.readline()
            found = on_core(core)
        finally:
            hog.kill()
    # Half the time is expected; a tenth leaves room for a busy machine. None: a kernel that does not count.
    assert found.wait_ns is None or found.wait_ns > 40 * MS
    assert (found.other_ns or 0) > 40 * MS
    assert found.elapsed_ns >= 400 * MS
    assert abs(found.clock_step_ns) < MS
