"""The system that the agent runs on: its C library, its userland, and whether it is a machine of its own."""

from __future__ import annotations

import os
import platform
import re
import struct
import sys
from importlib import metadata
from typing import Callable, List, Mapping, Optional, Sequence

from .hardware import TREES
from .readers import clean, core_list, line, matching, text

# Kernel's machine -> what a 32-bit userland on it runs.
NARROW = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}
CONTAINERS = re.compile("docker|lxc|kubepods|libpod|containerd")
# What the makers of virtual machines write into the DMI tables.
MAKERS = re.compile("QEMU|KVM|VMware|VirtualBox|Xen|Bochs|Parallels|OpenStack|Amazon EC2|Google Compute Engine|Virtual")


def libc(root: str, confstr: Callable[[str], Optional[str]] = os.confstr) -> Optional[str]:
    """The C library and its version, such as "glibc 2.36" or "musl 1.2.4"; wheels are made for one of them."""
    try:
        told = clean(confstr("CS_GNU_LIBC_VERSION"))
    except (OSError, ValueError):
        told = None
    if told:
        return told
    loaders = matching(root, "lib/ld-musl-*.so.1")
    if not loaders:
        return None
    found = re.search("Version ([0-9.]{1,20})", _own_words(loaders[0]))
    return "musl %s" % found.group(1) if found else "musl"


def _own_words(loader: str) -> str:
    """What musl's loader says when it is given nothing to load."""
    import subprocess

    try:
        done = subprocess.run([loader], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=-2, timeout=3.0)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("ascii", "replace")


def userland(machine: Optional[str] = None, pointer_bytes: Optional[int] = None) -> str:
    """The architecture of this Python, by which wheels are chosen: a 64-bit kernel may run a 32-bit one.

    Args:
        machine: the kernel's; pointer_bytes: of this Python. Of this process if not given.
    """
    machine = platform.machine() if machine is None else machine
    pointer_bytes = struct.calcsize("P") if pointer_bytes is None else pointer_bytes
    return NARROW.get(machine, machine) if pointer_bytes == 4 else machine


def python_path() -> Optional[str]:
    """Of the Python that runs the agent."""
    return sys.executable if sys.executable and sys.executable.isprintable() else None


def numpy_version(sites: Optional[Mapping[str, Sequence[str]]] = None) -> Optional[str]:
    """Of the numpy in the formats' environments, else of the one that this Python finds; nothing is imported."""
    places = [list(folders) for folders in (sites or {}).values()] + [list(sys.path)]
    return next(filter(None, map(_numpy_in, places)), None)


def _numpy_in(folders: List[str]) -> Optional[str]:
    try:
        return next((clean(one.version) for one in metadata.distributions(name="numpy", path=folders)), None)
    except Exception:  # an environment that is damaged
        return None


def isolated_cores(root: str) -> List[int]:
    """Cores that the kernel keeps free of other programs."""
    return core_list(text(os.path.join(root, "sys/devices/system/cpu/isolated")))


def free_bytes(folder: Optional[str]) -> Optional[int]:
    """Free disk for this user at the folder, or where it would be made."""
    while folder:
        try:
            told = os.statvfs(folder)
            return told.f_bavail * told.f_frsize
        except FileNotFoundError:
            parent = os.path.dirname(os.path.abspath(folder))
            folder = None if parent == folder else parent
        except (OSError, ValueError):
            return None
    return None


def container(root: str) -> Optional[str]:
    """The kind of container that the agent runs in."""
    if os.path.exists(os.path.join(root, ".dockerenv")):
        return "docker"
    if os.path.exists(os.path.join(root, "run/.containerenv")):
        return "podman"
    told = line(os.path.join(root, "run/systemd/container"))
    found = CONTAINERS.search(text(os.path.join(root, "proc/1/cgroup")) or "")
    return told or (found.group() if found else None)


def virtual_machine(root: str) -> Optional[str]:
    """The kind of virtual machine that this is; "unnamed" where only that it is one can be told."""
    dmi = " ".join(line(os.path.join(root, "sys/class/dmi/id", one)) or "" for one in ("sys_vendor", "product_name"))
    named = MAKERS.search(dmi)
    told = line(os.path.join(root, "sys/hypervisor/type"))
    for tree in TREES:
        told = told or line(os.path.join(root, tree, "hypervisor/compatible"))
        if "dummy-virt" in (text(os.path.join(root, tree, "compatible")) or ""):
            told = told or "QEMU"
    flags = re.search(r"^flags\s*:(.*)$", text(os.path.join(root, "proc/cpuinfo")) or "", re.M)
    if flags is None:  # not x86, where the processor itself tells
        return told or (named.group() if named else None)
    if "hypervisor" in flags.group(1).split():
        return named.group() if named else told or "unnamed"
    return told
