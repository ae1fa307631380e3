"""`Suite`: what the working folder holds: runs, checkpoints, files, reports; nothing here measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edgeprof import suite as suites
from edgeprof.api.asking import FilePath
from edgeprof.api.base import Based
from edgeprof.api.made import Reported
from edgeprof.api.place import writing
from edgeprof.api.results import RunResult
from edgeprof.errors import UsageError

if TYPE_CHECKING:
    from edgeprof.api.types import PlotFormat, Replayed
    from edgeprof.frames import DataFrame
    from edgeprof.records import Artifact, Run, Trained
    from edgeprof.store import Store

    Stored = TypeVar("Stored", Run, Trained, Artifact)


class ReadingMethods(Based):
    """Runs as they were measured, everything in the store, and reports written anew."""

    def latest(self, device: str | None = None, *, by: str = "latency") -> RunResult:
        """The newest finished run (on the device) that measured something, its ranking recomputed from raw samples.

        Args:
            by: what to order by, as for `edgeprof rank --by`.

        Raises:
            UsageError: there is none, or no such device or order.
        """
        return self._read(device, None, by)

    def load_run(self, name: str, *, device: str | None = None, by: str = "latency") -> RunResult:
        """The run of that name, its ranking recomputed from its raw samples.

        Args:
            device: of which it must be; None: of any.
            by: what to order by, as for `edgeprof rank --by`.

        Raises:
            UsageError: there is none, it is of another device, or there is no such order.
        """
        return self._read(device, name, by)

    def find_run(self, device: str | None = None, *, run: str | None = None) -> Run:
        """What `latest` or `load_run` would read, without computing anything: what was asked, where, and when.

        Raises:
            UsageError: there is none, or no such device.
        """
        with self._place.reading() as store:
            return self._found(store, device, run)

    def finished_runs(self, device: str | None = None) -> tuple[Run, ...]:
        """Finished runs (of a device) that measured something, in the order in which they were finished; no
        comparisons.

        Raises:
            UsageError: nothing has been made in this folder.
        """
        from edgeprof.pipeline import runs

        with self._place.reading() as store:
            return tuple(runs.finished(store, device))

    def records(self, kind: type[Stored]) -> tuple[Stored, ...]:
        """All `Run`, `Trained` or `Artifact` records (of `edgeprof.records`), in the order they were first written.

        Raises:
            UsageError: nothing has been made in this folder.
            RecordError: one is damaged or of another schema.
        """
        with self._place.reading() as store:
            return tuple(store.all(kind.KIND, kind))

    def failure_counts(self) -> dict[str, int]:
        """Run -> how many of its measurements failed, beside those that failed before it."""
        from edgeprof.records import Failure, Run

        with self._place.reading() as store:
            return {one.run: store.count(Failure.KIND, one.run) for one in store.all(Run.KIND, Run)}

    def runs(self) -> DataFrame:
        """All runs in the order they began: run, device, training, started_at, finished, candidates, failures,
        comparison (the `compare` that they are a part of)."""
        from edgeprof import frames
        from edgeprof.records import Run

        return frames.runs(self.records(Run), self.failure_counts())

    def trained(self) -> DataFrame:
        """All checkpoints, a row each."""
        from edgeprof import frames
        from edgeprof.records import Trained

        return frames.trained(self.records(Trained))

    def artifacts(self) -> DataFrame:
        """All exported and ready files, a row each."""
        from edgeprof import frames
        from edgeprof.records import Artifact

        return frames.artifacts(self.records(Artifact))

    def report(
        self,
        devices: Sequence[str] | None = None,
        *,
        run: str | None = None,
        plots: FilePath | None = None,
        plot_format: PlotFormat = "svg",
    ) -> Reported:
        """Write a report anew from the raw samples: HTML, JSON, CSV, Parquet and Markdown.

        Args:
            devices: one: of its newest run. Several, or "all" that have a run: the newest run of each, side by side in
                one report. None: of the newest run on any.
            run: of this run instead.
            plots: a folder into which the drawings are written as files.
            plot_format: "svg" or "png".

        Raises:
            UsageError: there is no such run or device, or the folder cannot be written.
        """
        from edgeprof import pipeline
        from edgeprof.pipeline.side_by_side import side_by_side, write_plots

        with writing(self._place.root) as store:
            names = self._reported(store, devices)
            several = names is not None and (len(names) > 1 or list(devices or ()) != names)
            if run is not None and several:
                raise UsageError("--run names one run, and there are several devices", hint="leave one of them out")
            wanted: Sequence[str | None] = names or [None]
            runs = [self._found(store, name, run) for name in wanted]
            if several:
                files = side_by_side(store, runs).files
                outcomes = [pipeline.assemble(store, one, write=False) for one in runs] if plots else []
            else:
                outcomes = [pipeline.assemble(store, one) for one in runs]
                files = outcomes[0].files
            drawn = write_plots(outcomes, Path(plots), plot_format) if plots else []
        return Reported(tuple(one.run for one in runs), files, tuple(drawn))

    def recompute(self, run: str | None = None) -> tuple[Replayed, ...]:
        """Each file of a run's written report, and of every report of several devices that it stands in, beside the
        same file made anew from the raw samples: `identical`, else `difference`.

        Args:
            run: its name; None: the newest.

        Raises:
            UsageError: there is no such run.
            RecordError: a file of the report is missing.
        """
        from edgeprof.pipeline import side_by_side

        with self._place.reading() as store:
            return tuple(side_by_side.recompute(store, self._found(store, None, run)))

    def _reported(self, store: Store, devices: Sequence[str] | None) -> list[str] | None:
        """By name; None: any. `all` are those that have a run; other words for several are resolved by the suite."""
        from edgeprof.pipeline.side_by_side import measured_devices

        if not devices:
            return None
        if suites.ALL_DEVICES in devices:
            found = measured_devices(store)
            if not found:
                raise UsageError(
                    "there is no finished run with a measurement on any device",
                    hint="make one: edgeprof run --device NAME",
                )
            return found
        if any(one.startswith(suites.TAG) for one in devices):
            return [one.name for one in self._place.devices(devices)]
        return list(dict.fromkeys(devices))

    def _found(self, store: Store, device: str | None, run: str | None) -> Run:
        from edgeprof import pipeline

        try:
            return pipeline.find_run(store, device, run)
        except UsageError:
            if device is not None and run is None:  # one that does not exist is told as such
                self._place.files.device(device)
            raise

    def _read(self, device: str | None, run: str | None, by: str) -> RunResult:
        from edgeprof import pipeline

        with self._place.reading() as store:
            this = self._found(store, device, run)
            return RunResult(pipeline.assemble(store, this, by, write=False), self._place.root)
