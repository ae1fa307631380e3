"""What on a device, or in its file, would keep cells from being measured: runtimes, cores, threads, disk. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from edgeprof.agent.power import NONE_FOUND
from edgeprof.agent.runtimes import PACKAGES, RUNTIMES
from edgeprof.errors import UsageError
from edgeprof.measure.plan import bound_cores, install_line
from edgeprof.records import Device, DeviceFacts, Finding, Format

WIDE = ("aarch64", "x86_64")
"""Architectures that have wheels of everything."""
RECENT = (3, 10)
"""Older Pythons get old releases of the runtimes: 3.9 onnxruntime 1.19 and openvino 2025, 3.8 openvino 2024."""
LITTLE_DISK, NO_DISK = 1 << 30, 200 << 20
"""Bytes. The runtimes take some 400 MB."""


def setup(
    facts: DeviceFacts, device: Device, formats: Sequence[Format], no_wheels: Mapping[str, str]
) -> Iterator[Finding]:
    """Findings of these kinds; arguments as of `doctor`."""
    yield from _cores(facts, device)
    yield from _userland(facts, device)
    yield from _runtimes(facts, device, formats, no_wheels)
    yield from _sudo(facts, device)
    yield from _disk(facts, device)
    yield from _power(facts)


def in_file(device: Device, line: str) -> str:
    """A line for the device file."""
    return f"in devices/{device.name}.toml: {line}"


def _cores(facts: DeviceFacts, device: Device) -> Iterator[Finding]:
    known = {core for one in facts.clusters for core in one.cores}
    try:
        bound = bound_cores(device, facts)
    except UsageError as error:
        yield Finding(severity="spoils", what=error.what, mend=in_file(device, "no cores"))
        return
    missing = sorted(set(bound or ()) - known) if known else []
    if missing:
        yield Finding(
            severity="spoils",
            what=f"the device file names cores that are not there: {', '.join(map(str, missing))}",
            mend=in_file(device, f"cores = {sorted(known)}"),
        )
    if bound is None and len(facts.clusters) > 1:
        kinds = " and ".join(f"{len(one.cores)} x {one.cpu or 'core'}" for one in facts.clusters)
        yield Finding(
            severity="may spoil",
            what=f"it has {kinds}, and no cores are named: threads would wander between them",
            mend=in_file(device, 'cores = "big"'),
            reason="bimodal",
        )
    cores = facts.cores if bound is None else len(bound)
    many = [one for one in device.threads if one != "all" and one > cores]
    if many:
        yield Finding(
            severity="spoils",
            what=f"{max(many)} threads are asked for, and it has {cores} cores to use",
            mend=in_file(device, f'threads = [{"" if cores == 1 else "1, "}"all"]'),
        )
    if bound is None and facts.isolated_cores:
        yield Finding(
            severity="note",
            what="the kernel keeps cores free of other programs, and no cores are named",
            mend=in_file(device, f"cores = {list(facts.isolated_cores)}"),
        )


def _userland(facts: DeviceFacts, device: Device) -> Iterator[Finding]:
    userland = facts.userland or facts.architecture
    if facts.architecture in WIDE and userland not in WIDE:
        yield Finding(
            severity="may spoil",
            what=f"its system is a 32-bit one ({userland}) on a 64-bit processor: few runtimes have wheels for it, and"
            " they are slower; install the 64-bit image",
        )
    version = re.match(r"([0-9]+)\.([0-9]+)", facts.python)
    if version and (int(version.group(1)), int(version.group(2))) < RECENT and device.provision == "auto":
        yield Finding(
            severity="note",
            what=f"its Python {facts.python} is too old for today's runtimes: older releases of them are taken, which"
            " may not open new files",
            mend=in_file(device, 'python = "/path/to/a/newer/python3"'),
        )


def _runtimes(
    facts: DeviceFacts, device: Device, formats: Sequence[Format], no_wheels: Mapping[str, str]
) -> Iterator[Finding]:
    brought = device.transport == "ssh" and device.provision == "auto"
    userland = facts.userland or facts.architecture
    for format in dict.fromkeys(formats):
        packages = [PACKAGES[name][0] for name in RUNTIMES[format]]
        if any(one in facts.runtimes for one in packages):
            continue
        where = f"Python {facts.python}, {userland}"
        if not brought:
            what, mend = f"no runtime for {format} was found ({where})", install_line(packages[0], device)
            yield Finding(severity="spoils", what=what, mend=mend)
        elif format in no_wheels:
            what = f"no runtime for {format} can be brought to it: {no_wheels[format]}"
            yield Finding(severity="spoils", what=what)
        elif (facts.libc or "").startswith("musl") or not (
            userland in WIDE or (format, userland) == ("tflite", "armv7l")
        ):
            what = f"no wheel of {' or '.join(packages)} is known for it ({where}, {facts.libc or 'libc unknown'})"
            yield Finding(severity="spoils", what=what)
    if formats and facts.numpy is None and (not brought or userland == "armv7l"):
        python = device.python or "python3"
        apt = python in ("python3", "/usr/bin/python3") and device.transport == "ssh"
        yield Finding(
            severity="spoils",
            what="its Python has no numpy, without which no runtime works",
            mend="sudo apt install python3-numpy" if apt else f"{python} -m pip install numpy",
        )


def _sudo(facts: DeviceFacts, device: Device) -> Iterator[Finding]:
    asked = [name for name in ("governor", "nvpmodel") if getattr(device, name) is not None]
    if not asked or facts.now is None or facts.now.sudo is not False:
        return
    commands = []
    if device.governor is not None:
        # No * here: in the arguments of a sudoers rule it also stands for blanks, and so for further files.
        digits = ("[0-9]", "[0-9][0-9]") if facts.cores > 10 else ("[0-9]",)
        commands += [f"/usr/bin/tee /sys/devices/system/cpu/cpufreq/policy{one}/scaling_governor" for one in digits]
    if device.nvpmodel is not None:
        modes = {device.nvpmodel} | ({facts.power_mode.id} if facts.power_mode else set())
        commands += [f"/usr/sbin/nvpmodel -m {one}" for one in sorted(modes)]
    rule = f"{device.user or '%sudo'} ALL=(root) NOPASSWD: {', '.join(commands)}"
    yield Finding(
        severity="spoils",
        what=f"the device file asks edgeprof to set {' and '.join(asked)}, and sudo wants a password there",
        mend=f"echo {shlex.quote(rule)} | sudo install -m 0440 /dev/stdin /etc/sudoers.d/edgeprof",
    )


def _disk(facts: DeviceFacts, device: Device) -> Iterator[Finding]:
    free = facts.disk_free_bytes
    if free is not None and free < LITTLE_DISK:
        yield Finding(
            severity="spoils" if free < NO_DISK else "note",
            what=f"only {free >> 20} MiB of its disk are free where edgeprof keeps its files",
            mend=f"edgeprof device clean {device.name}" if device.transport == "ssh" else None,
        )


def _power(facts: DeviceFacts) -> Iterator[Finding]:
    """A sensor that is there and cannot be used; most devices have none, which is no fault."""
    missing = facts.power_missing
    if facts.power is None and missing is not None and not missing.startswith(NONE_FOUND):
        yield Finding(severity="note", what=f"energy cannot be measured (--energy): {missing}")
