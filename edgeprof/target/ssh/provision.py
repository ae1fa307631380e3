"""Which wheels make up the environments of a board, format by format."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from edgeprof.progress import Progress
from edgeprof.records import DeviceFacts
from edgeprof.store import Store
from edgeprof.target.connection import NoRuntime
from edgeprof.target.protocol import Sites
from edgeprof.target.wheels import NoWheel, Wanted, Wheel, remembered, wheels


class Chosen(NamedTuple):
    """The wheels of each format, and why a format has none."""

    formats: dict[str, list[Wheel]]
    missing: dict[str, NoRuntime]

    @property
    def wheels(self) -> dict[str, str]:
        """sha256 -> file name, each wheel once."""
        return {wheel.sha: wheel.name for some in self.formats.values() for wheel in some}

    def sites(self, there: Mapping[str, str]) -> Sites:
        """The folders of each format whose wheels are all there.

        Args:
            there: sha256 of a wheel -> its folder on the device.
        """
        return {
            format: tuple(there[wheel.sha] for wheel in some)
            for format, some in self.formats.items()
            if all(wheel.sha in there for wheel in some)
        }


def choose(store: Store, formats: Collection[str], wanted: Wanted, progress: Progress, *, bring: bool) -> Chosen:
    """The wheels that a device needs for these formats, in the store.

    Args:
        bring: fetch those that are not there; else only what was found before counts.

    Raises:
        DeviceError: they cannot be fetched.
    """
    chosen = Chosen({}, {})
    for format in sorted(formats):
        found = wheels(store, format, wanted, progress) if bring else remembered(store, format, wanted)
        if isinstance(found, NoWheel):
            chosen.missing[format] = NoRuntime(found.package, found.why)
        elif found is not None:
            chosen.formats[format] = found
    return chosen


def wanted(facts: DeviceFacts) -> Wanted:
    """What a wheel must fit."""
    libc, _, version = (facts.libc or "").partition(" ")
    return Wanted(
        architecture=facts.userland or facts.architecture,
        python=".".join(facts.python.split(".")[:2]),
        glibc=version if libc == "glibc" else "",
    )
