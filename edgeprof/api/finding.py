"""`Suite`: what was found, over checkpoints, files and runs; nothing here measures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeprof.api.base import Based

if TYPE_CHECKING:
    from edgeprof.frames import DataFrame
    from edgeprof.records import AccuracyPair, AccuracyTable, Effect
    from edgeprof.records.compared import History, RunsCompared
    from edgeprof.records.proxies import Proxies

LATEST, PREVIOUS = "latest", "previous"
"""Words for runs: the newest, and the one before the other."""
ZONE = 0.02
"""Two latencies that differ by less are the same, as a share."""


class FindingMethods(Based):
    """Accuracy, what an initialisation brings, models over time, what proxies hide, what changed between runs."""

    def accuracy(self, training: str | None = None) -> DataFrame:
        """How right checkpoints and files are on the test images, with 95% intervals and the drop of each file.

        What is not in it, and why, is told by a warning of Python's.

        Args:
            training: None: of all trainings.

        Raises:
            UsageError: there are none.
        """
        from edgeprof import frames

        found = self.accuracy_table(training)
        if found.missing:
            warnings.warn("not in the table: " + "; ".join(found.missing), stacklevel=2)
        return frames.accuracy([*found.checkpoints, *found.files])

    def accuracy_table(self, training: str | None = None) -> AccuracyTable:
        """The same as a record: `checkpoints`, `files`, and in `missing` what is not in it and why.

        Raises:
            UsageError: there are none.
        """
        from edgeprof.pipeline import accuracy

        with self._place.reading() as store:
            return accuracy.table(store, training)

    def compare_accuracy(self, first: str, second: str, *, training: str | None = None) -> AccuracyPair:
        """Two checkpoints or files on the same test images.

        Args:
            first, second: the beginning of a sha256, or parts of a label: "resnet18/scratch/seed 0".

        Raises:
            UsageError: one is not known or not the only one of its name, or they saw different images.
        """
        from edgeprof.pipeline import accuracy

        with self._place.reading() as store:
            return accuracy.pair(store, first, second, training)

    def effect(
        self,
        training: str | None = None,
        *,
        device: str | None = None,
        run: str | None = None,
        budget: str | None = None,
    ) -> Effect:
        """What the initialisation brings; its parts as data frames: `edgeprof.frames.table(effect.models)`.

        Args:
            training: None: that of the run, else the newest that has several initialisations.
            device, run: with the latencies of this run; both None: of the newest of the training, if there is one.
            budget: what is chosen for this latency ("5ms") under each initialisation.

        Raises:
            UsageError: there is no such run, or nothing to compare.
        """
        from edgeprof import pipeline, rank

        budget_ms = None if budget is None else rank.parse_budget(budget)
        with self._place.reading() as store:
            return pipeline.effect_of(store, training, device, run, budget_ms)

    def history(self, device: str, model: str, *, exporter: str | None = None, zone: float = ZONE) -> DataFrame:
        """A model over all finished runs on a device, a row for each candidate and run: its numbers, in what the run
        differs from the one before (`comparable`), the change against that (`change_ratio`) and the verdict.

        Args:
            exporter: in this form alone; None: in all.
            zone: two that differ by less are the same, as a share.

        Raises:
            UsageError: none of them measured it.
        """
        from edgeprof import frames

        return frames.history(self.history_record(device, model, exporter=exporter, zone=zone))

    def history_record(self, device: str, model: str, *, exporter: str | None = None, zone: float = ZONE) -> History:
        """The same as a record: `lines`, one a candidate, each with its `runs`, the oldest first.

        Raises:
            UsageError: none of them measured it.
        """
        from edgeprof.pipeline import runs

        with self._place.reading() as store:
            return runs.past(store, device, model, exporter=exporter, zone=zone)

    def compare_runs(
        self, one: str, other: str, *, device: str | None = None, zone: float = ZONE, allow: Sequence[str] = ()
    ) -> RunsCompared:
        """What changed from one run to another, candidate by candidate: `edgeprof.frames.table(found.changes)`.

        Args:
            one, other: names of runs; also "latest", and "previous": the one before the other.
            device: whose "latest"; None: of any.
            zone: two latencies that differ by less are the same, as a share.
            allow: in what the runs may differ, as for `edgeprof compare --allow`.

        Raises:
            UsageError: there is no such run, they are not comparable, or have no candidate in common.
        """
        from edgeprof.pipeline import runs
        from edgeprof.rank import comparable

        accepted = comparable.allowed(allow)
        with self._place.reading() as store:
            first, second = runs.named(store, one, other, device)
            return runs.compare_runs(store, first, second, zone=zone, allow=accepted)

    def proxies(self, devices: Sequence[str] = (), *, run: str | None = None) -> Proxies:
        """How far cheap numbers tell the order by latency: MACs, parameters, size, the host, other devices and forms.

        Args:
            devices: the newest run of each; (): of all that have one.
            run: of this run instead.

        Raises:
            UsageError: there is no such run or device.
        """
        from edgeprof.pipeline.proxies import proxies

        with self._place.reading() as store:
            return proxies(store, devices, run)
