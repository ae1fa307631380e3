"""What on a device would spoil a measurement, in plain words, with the command that mends it. Pure.

It says before measuring what `trust` would say afterwards, by the same thresholds where there are any, and what would
keep cells from being measured at all. What a device does not tell is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from edgeprof.measure import conditions
from edgeprof.measure.doctor_setup import in_file, setup
from edgeprof.records import Cluster, Device, DeviceFacts, Finding, Format
from edgeprof.records.measured import Busy, Now, PowerMode

ORDER = ("spoils", "may spoil", "note")
SYSFS = "/sys/devices/system/cpu/cpu*/cpufreq"
WARM_BELOW_C = 10.0
"""So near to the temperature at which it is slowed, a device will be there after a few blocks."""
IDLE = 0.1
"""Processors that other programs may take without being told of."""
LITTLE_MEMORY = 256 << 20
SWAPPED = 64 << 20
CLOCK_OFF_S = 86400.0

# Programs that start themselves again or mind being killed -> the units that run them. Names as the kernel has them.
UNITS = {
    "unattended-upgr": "unattended-upgrades apt-daily.timer apt-daily-upgrade.timer",
    "apt": "unattended-upgrades apt-daily.timer apt-daily-upgrade.timer",
    "apt-get": "unattended-upgrades apt-daily.timer apt-daily-upgrade.timer",
    "dpkg": "unattended-upgrades apt-daily.timer apt-daily-upgrade.timer",
    "packagekitd": "packagekit",
    "snapd": "snapd.socket snapd",
    "fwupd": "fwupd",
    "containerd": "containerd docker.socket docker",
    "dockerd": "docker.socket docker",
}


def doctor(
    facts: DeviceFacts,
    device: Device,
    formats: Sequence[Format] = (),
    *,
    host_unix_time: float | None = None,
    no_wheels: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """What speaks against measuring on the device as it is, the worst first; empty where nothing does.

    Args:
        facts: with `now`, or only what lasts is looked at.
        formats: to be measured, so that their runtimes are needed.
        host_unix_time: the host's clock when the device was asked, to compare with the device's.
        no_wheels: format -> why none of its wheels fits the device, where they were looked for.
    """
    found = [*_clock(facts, device), *_power_mode(facts, device)]
    if facts.now is not None:
        now = facts.now
        found += [*_supply(now), *_throttled(facts, now), *_heat(facts, now)]
        found += [*_load(facts, device, now), *_memory(now), *_wall_clock(now, host_unix_time)]
    found += [*_machine(facts), *setup(facts, device, formats, no_wheels or {})]
    return tuple(sorted(found, key=lambda one: ORDER.index(one.severity)))


def _is_jetson(facts: DeviceFacts) -> bool:
    return facts.l4t is not None or (facts.soc or "").startswith("nvidia,tegra")


def _used(facts: DeviceFacts, device: Device) -> tuple[Cluster, ...]:
    """The kinds of core that are measured on."""
    if isinstance(device.cores, str):
        return facts.clusters[-1:] if device.cores == "big" else facts.clusters[:1]
    if device.cores is None:
        return facts.clusters
    return tuple(one for one in facts.clusters if set(one.cores) & set(device.cores))


def _clock(facts: DeviceFacts, device: Device) -> Iterator[Finding]:
    wanted = device.governor  # edgeprof sets it, whatever is set there now
    if wanted is not None and facts.governors and wanted not in facts.governors:
        yield Finding(
            severity="spoils",
            what=f"the device file asks for the governor {wanted}; there are: {', '.join(facts.governors)}",
            mend=in_file(device, f'governor = "{_preferred(facts.governors)}"'),
        )
        wanted = _preferred(facts.governors)
    for one in _used(facts, device):
        governors = {wanted} if wanted else set((one.governor or "").split(", ")) - {""}
        if one.clock_mhz and one.clock_mhz[0] < one.clock_mhz[1] and governors - set(conditions.FIXED):
            yield Finding(
                severity="may spoil",
                what=f"the governor is {wanted or one.governor}: the clock moves between {one.clock_mhz[0]:g} and"
                f" {one.clock_mhz[1]:g} MHz",
                mend=_fix_clock(facts, device, one),
                reason="governor not fixed",
            )
            break
    for one in _used(facts, device):
        if one.max_mhz and one.clock_mhz and one.clock_mhz[1] < conditions.AT_TOP * one.max_mhz:
            yield Finding(
                severity="note",
                what=f"the clock may rise to {one.clock_mhz[1]:g} MHz of the {one.max_mhz:g} that the hardware can",
                mend="sudo nvpmodel -q" if _is_jetson(facts) else _tee(facts, one, "scaling_max_freq", one.max_mhz),
            )
            break


def _fix_clock(facts: DeviceFacts, device: Device, kind: Cluster) -> str:
    if device.governor is not None:  # set by edgeprof, whatever is set there now
        return in_file(device, f'governor = "{_preferred(facts.governors or conditions.FIXED)}"')
    if _is_jetson(facts):
        return "sudo jetson_clocks"
    if facts.governors and "performance" not in facts.governors and kind.clock_mhz:
        return _tee(facts, kind, "scaling_min_freq", kind.clock_mhz[1])
    return f"echo performance | sudo tee {SYSFS}/scaling_governor"


def _tee(facts: DeviceFacts, kind: Cluster, name: str, mhz: float) -> str:
    """Write a clock, to the cores of one kind alone."""
    several = [f"{SYSFS.replace('*', str(core))}/{name}" for core in kind.cores]
    return f"echo {mhz * 1000:.0f} | sudo tee {f'{SYSFS}/{name}' if len(facts.clusters) < 2 else ' '.join(several)}"


def _preferred(governors: Sequence[str]) -> str:
    return next((one for one in conditions.FIXED if one in governors), governors[0])


def _power_mode(facts: DeviceFacts, device: Device) -> Iterator[Finding]:
    modes = {one.id: one for one in facts.power_modes}
    largest = max(modes.values(), key=_size, default=None)
    if device.nvpmodel is not None:
        if modes and device.nvpmodel not in modes:
            yield Finding(
                severity="spoils",
                what=f"the device file asks for the power mode {device.nvpmodel}; there are: "
                + ", ".join(f"{one.id} ({one.name})" for one in modes.values()),
                mend=in_file(device, f"nvpmodel = {largest.id if largest else 0}"),
            )
        return
    mode = facts.power_mode
    if mode is not None and largest is not None and _size(mode) < _size(largest):
        yield Finding(
            severity="note",
            what=f"the power mode is {mode.name} ({mode.id}), the largest is {largest.name} ({largest.id}):"
            " measure in the one that the product will run in",
            mend=f"sudo nvpmodel -m {largest.id}",
        )


def _size(mode: PowerMode) -> tuple[int, int, int]:
    """For comparison, by its name: without a limit, then watts, then cores; `MAXN`, `15W`, `MODE_10W_2CORE`."""
    watts, cores = re.search("([0-9]{1,4})W", mode.name), re.search("([0-9]{1,3})CORE", mode.name)
    unlimited = 2 if "MAXN_SUPER" in mode.name else 1 if "MAXN" in mode.name else 0
    return unlimited, int(watts.group(1)) if watts else 0, int(cores.group(1)) if cores else 0


def _supply(now: Now) -> Iterator[Finding]:
    flags = now.reading.throttled_flags or 0
    cure = "use the board's own power supply and a short cable"
    if now.reading.under_voltage or flags & conditions.PI_UNDER_VOLTAGE:
        what = f"the supply voltage is too low now: {cure}"
        yield Finding(severity="spoils", what=what, reason="under-voltage")
    elif flags >> conditions.PI_SINCE_START & conditions.PI_UNDER_VOLTAGE:
        what = f"the supply voltage was too low at some time since the board was started: {cure}"
        yield Finding(severity="may spoil", what=what, reason="under-voltage")


def _throttled(facts: DeviceFacts, now: Now) -> Iterator[Finding]:
    flags, count, clock = now.reading.throttled_flags or 0, now.reading.throttle_count, now.reading.clock_mhz
    cure = "cool it (heat sink, fan), or choose a lower fixed clock or power mode"
    tops = [one.clock_mhz[1] for one in facts.clusters if one.clock_mhz and one.governor in conditions.FIXED]
    # The clock is the slowest of all cores, and that of an x86 core that sleeps is low at any governor.
    if len(tops) < len(facts.clusters) or facts.architecture == "x86_64":
        tops = []
    if flags & conditions.PI_SLOWED:
        what = f"the board slows itself down now: {cure}"
        yield Finding(severity="spoils", what=what, reason="throttled")
    elif clock and tops and clock < conditions.LOWERED * min(tops):
        what = f"the clock is fixed, but runs at {clock:g} MHz and not at {min(tops):g}: {cure}"
        yield Finding(severity="spoils", what=what, reason="throttled")
    elif flags >> conditions.PI_SINCE_START & conditions.PI_SLOWED:
        what = f"the board slowed itself down at some time since it was started: {cure}"
        yield Finding(severity="may spoil", what=what, reason="throttled")
    elif count:
        what = f"the kernel has counted {count} times that the board slowed itself down since it was started: {cure}"
        yield Finding(severity="note", what=what, reason="throttled")


def _heat(facts: DeviceFacts, now: Now) -> Iterator[Finding]:
    limit, celsius = facts.throttles_at_c, now.reading.temperature_c
    if limit is None and now.reading.throttled_flags is not None:
        limit = conditions.PI_THROTTLES_C
    if limit is None or celsius is None or celsius < limit - WARM_BELOW_C:
        return
    hot = celsius >= limit - conditions.HOT_BELOW_C
    yield Finding(
        severity="spoils" if hot else "may spoil",
        what=f"it is at {celsius:.0f} °C and is slowed from {limit:.0f} °C on: let it cool, or add a fan",
        reason="hot at start",
    )


def _load(facts: DeviceFacts, device: Device, now: Now) -> Iterator[Finding]:
    if now.busy_cores is not None and now.busy_cores >= IDLE:
        cores = sum(len(one.cores) for one in _used(facts, device)) or facts.cores
        threads = max((cores if one == "all" else one for one in device.threads), default=cores)
        crowded = now.busy_cores - max(0, cores - threads) > conditions.CROWDED * threads
        named = ", ".join(_named(one) for one in now.busy)
        others = any(one.name not in UNITS for one in now.busy)
        way = "wait until they end, or have them stopped by whoever started them" if others else "stop them"
        yield Finding(
            severity="spoils" if crowded else "may spoil",
            what=f"other programs keep {now.busy_cores:.1f} of {facts.cores} cores busy: {way}"
            + (f": {named}" if named else ""),
            mend=_stop(now.busy),
            reason="other load",
        )
    if now.stolen_cores is not None and now.stolen_cores > conditions.STOLEN * facts.cores:
        what = f"the hypervisor gives {now.stolen_cores:.2f} of {facts.cores} cores to other guests"
        yield Finding(severity="may spoil", what=what, reason="other load")
    if now.desktop:
        yield Finding(
            severity="may spoil",
            what=f"a desktop is running ({', '.join(now.desktop)}): it draws whenever it likes",
            mend="sudo systemctl isolate multi-user.target",
            reason="other load",
        )


def _named(one: Busy) -> str:
    whose = f"user {one.user}, " if one.user else ""
    return f"{one.program or one.name} ({whose}process {one.pid}, {one.cores:.1f} cores)"


def _stop(busy: Sequence[Busy]) -> str | None:
    """Of services alone: another's program may be work that must not be lost, and a number may be reused meanwhile."""
    units = dict.fromkeys(unit for one in busy for unit in UNITS.get(one.name, "").split())
    return f"sudo systemctl stop {' '.join(units)}" if units else None


def _memory(now: Now) -> Iterator[Finding]:
    free, swapped, packed = now.memory_available_bytes, now.swap_used_bytes or 0, now.zram_used_bytes or 0
    if free is not None and free < LITTLE_MEMORY:
        what = f"only {free >> 20} MiB of memory are free: stop other programs, or the kernel may kill what is measured"
        yield Finding(severity="may spoil", what=what)
    if swapped > SWAPPED:
        back = "sudo swapoff -a && sudo swapon -a" if free is not None and free > 2 * swapped else None
        what = f"{swapped >> 20} MiB are swapped out to disk: fetching them back takes time away"
        yield Finding(severity="may spoil", what=what, mend=back, reason="other load")
    if packed > SWAPPED:
        what = f"{packed >> 20} MiB are swapped out to compressed memory (zram): packing takes processor time"
        yield Finding(severity="note", what=what, reason="other load")


def _wall_clock(now: Now, host_unix_time: float | None) -> Iterator[Finding]:
    off = 0.0 if host_unix_time is None else now.unix_time - host_unix_time
    if abs(off) > CLOCK_OFF_S:
        much = f"{abs(off) / 86400:.0f} days" if abs(off) < 700 * 86400 else f"{abs(off) / 86400 / 365.25:.0f} years"
        yield Finding(
            severity="note",
            what=f"its clock is {much} {'behind' if off < 0 else 'ahead'}: setting it while measuring would be seen",
            mend="sudo timedatectl set-ntp true",
            reason="clock step",
        )


def _machine(facts: DeviceFacts) -> Iterator[Finding]:
    if facts.virtual_machine is not None:
        named = "" if facts.virtual_machine == "unnamed" else f" ({facts.virtual_machine})"
        what = f"it is a virtual machine{named}: it tells little of clock and heat, and shares its cores with others"
        yield Finding(severity="may spoil", what=what, reason="other load")
    if facts.container is not None:
        blind = facts.governor is None and (facts.now is None or facts.now.reading.temperature_c is None)
        seen = "neither clock nor heat can be read there" if blind else "programs outside it share its cores"
        what = f"edgeprof's agent runs in a container ({facts.container}): {seen}"
        yield Finding(severity="may spoil" if blind else "note", what=what)
