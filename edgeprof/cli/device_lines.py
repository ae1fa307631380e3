"""What a device is, and what ails it, as lines for people. What comes from a device is made printable first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from edgeprof.cli import tables
from edgeprof.records import Cluster, DeviceFacts, Finding, Reading
from edgeprof.records.measured import Now, PowerMode

UNKNOWN = "-"
WIDTH = 11
FLAGS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
"""Bits 0 to 3 of a Raspberry Pi's get_throttled; from 16 on the same since the start."""
SINCE_START = 16


def tell_facts(facts: DeviceFacts) -> None:
    """A device by groups, on stdout; "-" for what it does not tell."""
    for group, lines in _groups(facts):
        for number, line in enumerate(lines):
            print(f"{group if number == 0 else '':<{WIDTH}} {printable(line)}")


def tell_findings(name: str, findings: Sequence[Finding]) -> None:
    """What ails a device, on stdout, each with what to type and what it would spoil."""
    if not findings:
        print(f"{printable(name)}: nothing found that would spoil a measurement")
        return
    print(f"{printable(name)}: {len(findings)} finding{'s' if len(findings) != 1 else ''}")
    for one in findings:
        print(f"{one.severity}: {printable(one.what)}")
        if one.mend:
            print(f"  mend: {printable(one.mend)}")
        if one.reason:
            print(f"  else not trusted: {one.reason}")


def printable(text: str) -> str:
    """On one line, without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


def _groups(facts: DeviceFacts) -> Iterator[tuple[str, list[str]]]:
    now = facts.now
    yield "board", [_joined([facts.board, facts.soc and f"({facts.soc})"], " ")]
    yield "processor", _processor(facts)
    yield "memory", [_memory(facts, now)]
    yield "system", _system(facts)
    yield "python", _python(facts)
    yield "clock", _clock(facts, now)
    yield "heat", [_heat(facts, now)]
    yield "supply", [_supply(facts, now)]
    yield "energy", [_sensor(facts)]
    if facts.l4t is not None or facts.power_mode is not None:
        yield "power mode", [_power_mode(facts)]
    yield "load", [_load(now)]
    yield "runtimes", _runtimes(facts)
    yield "disk", [UNKNOWN if facts.disk_free_bytes is None else f"{_size(facts.disk_free_bytes)} free"]
    yield "timing", [_timing(facts)]


def _joined(parts: Iterable[str | None], between: str = ", ") -> str:
    return between.join(one for one in parts if one) or UNKNOWN


def _size(number: int) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"


def _processor(facts: DeviceFacts) -> list[str]:
    userland = facts.userland if facts.userland != facts.architecture else None
    first = _joined([facts.cpu, facts.architecture, userland and f"Python is {userland}"])
    lines = [first, *map(_cluster, facts.clusters)]
    if facts.isolated_cores:
        lines.append(f"kept free by the kernel: {', '.join(map(str, facts.isolated_cores))}")
    return lines


def _cluster(one: Cluster) -> str:
    capacity = None if one.capacity is None else f"capacity {one.capacity}"
    return _joined([tables.cluster(one), capacity])


def _memory(facts: DeviceFacts, now: Now | None) -> str:
    parts = [None if facts.memory_bytes is None else _size(facts.memory_bytes)]
    if now is not None:
        told = (
            (now.memory_available_bytes, "available"),
            (now.swap_used_bytes or None, "swapped out to disk"),
            (now.zram_used_bytes or None, "swapped out to compressed memory"),
        )
        parts += [None if number is None else f"{_size(number)} {what}" for number, what in told]
    return _joined(parts)


def _system(facts: DeviceFacts) -> list[str]:
    jetson = facts.l4t and f"Jetson Linux {facts.l4t}" + (f" (JetPack {facts.jetpack})" if facts.jetpack else "")
    lines = [_joined([facts.os, f"kernel {facts.kernel}", facts.libc, jetson])]
    inside = _joined(
        [
            facts.container and f"in a container ({facts.container})",
            facts.virtual_machine and f"a virtual machine ({facts.virtual_machine})",
        ]
    )
    lines += [inside] if inside != UNKNOWN else []
    if facts.now is not None:
        up = facts.now.uptime_s
        lines.append(
            _joined([f"its time is {_time(facts.now.unix_time)}", None if up is None else f"up for {_long(up)}"])
        )
    return lines


def _time(unix_time: float) -> str:
    try:
        return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{unix_time:g} s after 1970"


def _long(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"


def _python(facts: DeviceFacts) -> list[str]:
    return [_joined([facts.python, facts.python_path, f"numpy {facts.numpy}" if facts.numpy else "no numpy"])]


def _clock(facts: DeviceFacts, now: Now | None) -> list[str]:
    lines = []
    for one in facts.clusters:
        where = f"cores {', '.join(map(str, one.cores))}: " if len(facts.clusters) > 1 else ""
        span = None if one.clock_mhz is None else f"{one.clock_mhz[0]:g} to {one.clock_mhz[1]:g} MHz"
        lines.append(where + _joined([one.governor, span]))
    mhz = None if now is None else now.reading.clock_mhz
    if lines and mhz is not None:
        lines[-1] += f", now {mhz:g} MHz" if len(lines) == 1 else ""
        lines += [f"the slowest now {mhz:g} MHz"] if len(lines) > 1 else []
    return lines or [_joined([facts.governor])]


def _heat(facts: DeviceFacts, now: Now | None) -> str:
    celsius, count = (None, None) if now is None else (now.reading.temperature_c, now.reading.throttle_count)
    return _joined(
        [
            None if celsius is None else f"{celsius:.1f} °C",
            None if facts.throttles_at_c is None else f"slowed from {facts.throttles_at_c:g} °C on",
            None if count is None else f"slowed {count} times since it was started",
        ]
    )


def _supply(facts: DeviceFacts, now: Now | None) -> str:
    rails = f"power can be read of {', '.join(facts.rails)}" if facts.rails else None
    return _joined([None if now is None else _flags(now.reading), rails], "; ")


def _sensor(facts: DeviceFacts) -> str:
    """What energy is measured by, or why it cannot be."""
    if facts.power is not None:
        return f"measured by {facts.power.name} ({facts.power.covers})"
    return UNKNOWN if facts.power_missing is None else f"cannot be measured: {facts.power_missing}"


def _flags(reading: Reading) -> str | None:
    flags = reading.throttled_flags
    if flags is None:
        return (
            None if reading.under_voltage is None else "voltage too low" if reading.under_voltage else "voltage right"
        )
    current = " and ".join(name for bit, name in enumerate(FLAGS) if flags >> bit & 1)
    past = " and ".join(name for bit, name in enumerate(FLAGS) if flags >> (SINCE_START + bit) & 1)
    if not current and not past:
        return "nothing wrong, now or since it was started"
    told = f"{current} now" if current else "nothing wrong now"
    return told + (f"; since it was started {past}" if past else "")


def _mode(one: PowerMode) -> str:
    return f"{one.name} ({one.id})"


def _power_mode(facts: DeviceFacts) -> str:
    mode = facts.power_mode
    others = [_mode(one) for one in facts.power_modes if mode is None or one.id != mode.id]
    return (UNKNOWN if mode is None else _mode(mode)) + (f"; there are also {', '.join(others)}" if others else "")


def _load(now: Now | None) -> str:
    if now is None:
        return UNKNOWN
    average = None if now.load_average is None else f"{now.load_average:g} over a minute"
    busy = None if now.busy_cores is None else f"{now.busy_cores:.2f} cores busy now"
    named = [f"{one.name} {one.cores:.2f}" for one in now.busy]
    desktop = f"desktop: {', '.join(now.desktop)}" if now.desktop else None
    return _joined([average, busy, *named, desktop])


def _runtimes(facts: DeviceFacts) -> list[str]:
    lines = [_joined(f"{package} {version}" for package, version in sorted(facts.runtimes.items()))]
    return lines + [f"{format} can run on {_joined(names)}" for format, names in sorted(facts.providers.items())]


def _timing(facts: DeviceFacts) -> str:
    step, cost = facts.clock_resolution_ns, facts.harness_overhead_ns
    return _joined(
        [
            None if step is None else f"clock steps {step} ns",
            None if cost is None else f"the loop itself {cost} ns a sample",
        ]
    )
