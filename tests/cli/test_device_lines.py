"""How a device and its findings are printed: every group, "-" for what is not known, nothing that a terminal obeys."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from testbed.personas import BOARDS, PERSONAS, write_persona

from edgeprof.agent import facts as readers
from edgeprof.agent import now as moments
from edgeprof.cli.device_lines import tell_facts, tell_findings
from edgeprof.records import Cluster, DeviceFacts, Finding, Reading
from edgeprof.records.measured import Busy, Now, PowerMode, PowerSensor

BARE = DeviceFacts(
    architecture="aarch64", os="Linux", kernel="6.1", cpu="arm", cores=4, memory_bytes=None, python="3.8"
)
GROUPS = [
    "board",
    "processor",
    "memory",
    "system",
    "python",
    "clock",
    "heat",
    "supply",
    "energy",
    "load",
    "runtimes",
    "disk",
    "timing",
]


def lines(facts: DeviceFacts, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Group -> its lines."""
    tell_facts(facts)
    out, err = capsys.readouterr()
    assert err == ""
    found: dict[str, list[str]] = {}
    for line in out.splitlines():
        group = line[:11].strip() or list(found)[-1]
        found.setdefault(group, []).append(line[12:])
    return found


def test_what_a_device_does_not_tell_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    told = lines(BARE, capsys)
    assert list(told) == GROUPS
    assert told["python"] == ["3.8, no numpy"]
    assert told["processor"] == ["arm, aarch64"]
    dashes = {group for group, one in told.items() if one == ["-"]}
    assert dashes == {"board", "memory", "clock", "heat", "supply", "energy", "load", "runtimes", "disk", "timing"}


def test_everything_that_a_device_can_tell(capsys: pytest.CaptureFixture[str]) -> None:
    big = Cluster(
        cores=(4, 5), cpu="Cortex-A76", max_mhz=2400.0, capacity=1024, governor="performance", clock_mhz=(408.0, 2400.0)
    )
    little = Cluster(cores=(0, 1, 2, 3), cpu="Cortex-A55", max_mhz=1800.0, capacity=398)
    reading = Reading(clock_mhz=1800.0, temperature_c=61.25, throttled_flags=0x50001, throttle_count=2)
    facts = msgspec.structs.replace(
        BARE,
        board="A board",
        soc="maker,chip",
        memory_bytes=4 << 30,
        userland="armv7l",
        libc="glibc 2.31",
        python_path="/usr/bin/python3",
        numpy="1.24.4",
        l4t="35.4.1",
        jetpack="5.1.2",
        container="docker",
        clusters=(little, big),
        isolated_cores=(5,),
        power_mode=PowerMode(id=1, name="10W"),
        power_modes=(PowerMode(id=0, name="MAXN"), PowerMode(id=1, name="10W")),
        rails=("VDD_IN",),
        power=PowerSensor(name="INA3221", covers="VDD_IN"),
        throttles_at_c=85.0,
        runtimes={"onnxruntime": "1.19.2"},
        providers={"onnx": ("CUDAExecutionProvider", "CPUExecutionProvider")},
        disk_free_bytes=700 << 20,
        clock_resolution_ns=52,
        harness_overhead_ns=240,
        now=Now(
            unix_time=0.0,
            uptime_s=7200.0,
            reading=reading,
            load_average=1.25,
            busy=(Busy(name="stress", pid=8, cores=1.0),),
            busy_cores=1.1,
            desktop=("Xorg",),
            memory_available_bytes=1 << 30,
            swap_used_bytes=0,
            zram_used_bytes=64 << 20,
        ),
    )
    assert lines(facts, capsys) == {
        "board": ["A board (maker,chip)"],
        "processor": [
            "arm, aarch64, Python is armv7l",
            "4 x Cortex-A55 (cores 0 to 3), up to 1800 MHz, capacity 398",
            "2 x Cortex-A76 (cores 4 to 5), up to 2400 MHz, capacity 1024",
            "kept free by the kernel: 5",
        ],
        "memory": ["4.0 GiB, 1.0 GiB available, 64 MiB swapped out to compressed memory"],
        "system": [
            "Linux, kernel 6.1, glibc 2.31, Jetson Linux 35.4.1 (JetPack 5.1.2)",
            "in a container (docker)",
            "its time is 1970-01-01 00:00:00 UTC, up for 2 h",
        ],
        "python": ["3.8, /usr/bin/python3, numpy 1.24.4"],
        "clock": ["cores 0, 1, 2, 3: -", "cores 4, 5: performance, 408 to 2400 MHz", "the slowest now 1800 MHz"],
        "heat": ["61.2 °C, slowed from 85 °C on, slowed 2 times since it was started"],
        "supply": ["under-voltage now; since it was started under-voltage and throttled; power can be read of VDD_IN"],
        "energy": ["measured by INA3221 (VDD_IN)"],
        "power mode": ["10W (1); there are also MAXN (0)"],
        "load": ["1.25 over a minute, 1.10 cores busy now, stress 1.00, desktop: Xorg"],
        "runtimes": ["onnxruntime 1.19.2", "onnx can run on CUDAExecutionProvider, CPUExecutionProvider"],
        "disk": ["700 MiB free"],
        "timing": ["clock steps 52 ns, the loop itself 240 ns a sample"],
    }


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (0, "nothing wrong, now or since it was started"),
        (0x4, "throttled now"),
        (0xA0000, "nothing wrong now; since it was started clock capped and soft temperature limit"),
    ],
)
def test_the_flags_of_a_pi_in_words(flags: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    now = Now(unix_time=0.0, reading=Reading(throttled_flags=flags))
    assert lines(msgspec.structs.replace(BARE, now=now), capsys)["supply"] == [says]


def test_nothing_from_a_device_can_move_the_cursor_or_add_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Not even from an agent that does not clean what it sends."""
    evil = "\x1b[2J\r\n\u202efree"
    now = Now(unix_time=1e300, reading=Reading(), desktop=(evil,), busy=(Busy(name=evil, pid=1, cores=1.0),))
    facts = msgspec.structs.replace(BARE, board=evil, runtimes={evil: evil}, providers={evil: (evil,)}, now=now)
    assert len(lines(facts, capsys)["board"]) == 1
    tell_facts(facts)
    tell_findings(evil, [Finding(severity="note", what=evil, mend=evil)])
    out = capsys.readouterr().out
    assert all(one.isprintable() for one in out.splitlines())
    assert "\x1b" not in out


@pytest.mark.parametrize("name", PERSONAS)
def test_each_board_has_its_name_in_the_first_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(write_persona(name, tmp_path))
    told = dict(readers.facts(root, cores=[0, 1]), now=moments.now(root, [0, 1], pause=lambda _: None))
    shown = lines(msgspec.convert(told, DeviceFacts), capsys)
    assert shown["board"] == [f"{BOARDS[name].model} ({BOARDS[name].compatible[-1]})"]
    assert ("power mode" in shown) == (BOARDS[name].jetson is not None)


def test_findings(capsys: pytest.CaptureFixture[str]) -> None:
    tell_findings("pi", ())
    assert capsys.readouterr().out == "pi: nothing found that would spoil a measurement\n"
    tell_findings(
        "pi",
        [
            Finding(severity="may spoil", what="the clock moves", mend="sudo fix", reason="governor not fixed"),
            Finding(severity="note", what="an old Python"),
        ],
    )
    assert capsys.readouterr().out == (
        "pi: 2 findings\n"
        "may spoil: the clock moves\n"
        "  mend: sudo fix\n"
        "  else not trusted: governor not fixed\n"
        "note: an old Python\n"
    )
