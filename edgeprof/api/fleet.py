"""Several devices at once, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgeprof.api import asking
from edgeprof.api.asking import Cores, FilePath, Limiting, Measuring
from edgeprof.api.more import settle
from edgeprof.api.place import Place
from edgeprof.api.results import FleetResult
from edgeprof.progress import Progress, Silent

if TYPE_CHECKING:
    from edgeprof.records import Device


@dataclass(frozen=True)
class Fleet:
    """Several devices of a suite; made by `Suite.fleet`. One that cannot be reached is a failure beside the others."""

    place: Place
    devices: tuple[Device, ...]

    def run(
        self,
        *,
        training: str | None = None,
        exporters: Sequence[str] | None = None,
        progress: Progress | None = None,
        **how: Unpack[Measuring],
    ) -> FleetResult:
        """`Suite.run` on all of them: trained and exported once, measured at once.

        Raises:
            EdgeprofError: none can be reached, or there is nothing to measure.
        """
        from edgeprof.pipeline import fleet

        ask, told, files = asking.asked(**how), progress or Silent(), self.place.files
        with self.place.working("run", ask.wait_s, self.devices) as store:
            outcome = fleet.run(files, store, self.devices, training=training, asked=exporters, ask=ask, progress=told)
        return FleetResult(outcome, self.place.root)

    def profile(
        self,
        files: Sequence[FilePath] | None = None,
        *,
        training: str | None = None,
        exporters: Sequence[str] | None = None,
        threads: Sequence[int] | None = None,
        cores: Cores | None = None,
        shapes: Mapping[str, Sequence[int]] | Sequence[str] = (),
        inputs: FilePath | None = None,
        progress: Progress | None = None,
        **how: Unpack[Measuring],
    ) -> FleetResult:
        """`Suite.profile` on all of them at once.

        Raises:
            EdgeprofError: none can be reached, or there is nothing to measure.
        """
        from edgeprof.pipeline import fleet

        asking.check_profile(files, training, exporters, shapes, inputs, how)
        boards = [asking.bound(one, threads, cores) for one in self.devices]
        ask, told = asking.asked(**how), progress or Silent()
        with self.place.working("profile", ask.wait_s, boards) as store:
            if files is None:
                outcome = fleet.profile_exported(
                    self.place.files, store, training, boards, asked=exporters, ask=ask, progress=told
                )
            else:
                outcome = fleet.profile_files(
                    store,
                    [Path(one) for one in files],
                    boards,
                    shapes=asking.shapes(shapes),
                    inputs=None if inputs is None else Path(inputs),
                    ask=ask,
                    progress=told,
                )
        return FleetResult(outcome, self.place.root)

    def measure_more(
        self,
        budget: str | None = None,
        *,
        limit_s: float = 600.0,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **limits: Unpack[Limiting],
    ) -> FleetResult:
        """`Suite.measure_more` of the newest finished run on each, one after the other: `more` of the result.

        Raises:
            UsageError: one of them has none, there is no limit, or one that means nothing.
            DeviceError: a device is not in the state in which its run was measured.
        """
        from edgeprof import pipeline
        from edgeprof.pipeline.fleet import FleetOutcome

        asked, told = asking.limits(budget, **limits), progress or Silent()
        with self.place.reading() as store:  # each must have one before any is measured
            names = [pipeline.find_run(store, one.name).run for one in self.devices]
        with self.place.working("choose --measure-more", wait_s) as store:
            found = tuple(settle(self.place, store, name, asked, limit_s, wait_s, told) for name in names)
        return FleetResult(FleetOutcome(tuple(one.outcome for one in found), ()), self.place.root, found)

    def latest(self) -> FleetResult:
        """The newest finished run on each, recomputed from its raw samples.

        Raises:
            UsageError: one of them has none.
        """
        from edgeprof import pipeline
        from edgeprof.pipeline.fleet import FleetOutcome

        with self.place.reading() as store:
            found = [pipeline.find_run(store, one.name) for one in self.devices]
            outcomes = tuple(pipeline.assemble(store, one, write=False) for one in found)
        return FleetResult(FleetOutcome(outcomes, ()), self.place.root)
