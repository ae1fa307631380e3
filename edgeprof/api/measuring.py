"""`Suite`: what measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgeprof.api import asking
from edgeprof.api.asking import Cores, FilePath, Limiting, Measuring
from edgeprof.api.base import HERE, Based
from edgeprof.api.fleet import Fleet
from edgeprof.api.more import MeasuredMore, settle
from edgeprof.api.results import RunResult
from edgeprof.progress import Progress, Silent

if TYPE_CHECKING:
    from edgeprof.records import PairResult


class MeasuringMethods(Based):
    """Run, profile, compare two, and measure more of what a choice hangs on."""

    def run(
        self,
        device: str = HERE,
        *,
        training: str | None = None,
        exporters: Sequence[str] | None = None,
        progress: Progress | None = None,
        **how: Unpack[Measuring],
    ) -> RunResult:
        """The main job: train, export, profile on the device, rank. An unfinished run of the same plan goes on.

        Args:
            device: a file of `devices/`.
            training: a file of `training/`; None: `demo`, or the only one.
            exporters: files of `exporters/`; None: the recipe's, else the device's, else all that fit it.
            progress: is told what is done; `edgeprof.Lines(print)` prints it. None: silent.
            how: see `edgeprof.api.asking.Measuring`.

        Raises:
            UsageError, SuiteError: something named does not exist, or a value means nothing.
            LinkError, DeviceError: the device cannot be reached or asked.
            DeviceBusyError: somebody else works in this folder or on the device.
        """
        from edgeprof import pipeline

        board, ask, told = self._place.files.device(device), asking.asked(**how), progress or Silent()
        with self._place.working("run", ask.wait_s, [board]) as store:
            outcome = pipeline.run(
                self._place.files, store, training=training, device=board.name, asked=exporters, ask=ask, progress=told
            )
        return RunResult(outcome, self._place.root)

    def profile(
        self,
        files: Sequence[FilePath] | None = None,
        device: str = HERE,
        *,
        training: str | None = None,
        exporters: Sequence[str] | None = None,
        threads: Sequence[int] | None = None,
        cores: Cores | None = None,
        shapes: Mapping[str, Sequence[int]] | Sequence[str] = (),
        inputs: FilePath | None = None,
        progress: Progress | None = None,
        **how: Unpack[Measuring],
    ) -> RunResult:
        """Measure ready files, or what is exported already; nothing is trained or exported.

        Args:
            files: .onnx, .xml (with its .bin) or .tflite; one that cannot be used is a failure. None: what is exported
                for the training, by these exporters.
            threads, cores: instead of the device file's.
            shapes: of inputs whose dimensions are open: {"x": (1, 3, 224, 224)}, or ["x=1x3x224x224"].
            inputs: an .npz with an array for every input; None: they are made up.
            others: see `run`.

        Raises:
            UsageError: a file is missing, none can be used, or what is given does not fit together.
            others: see `run`.
        """
        from edgeprof import pipeline

        asking.check_profile(files, training, exporters, shapes, inputs, how)
        board = asking.bound(self._place.files.device(device), threads, cores)
        ask, told = asking.asked(**how), progress or Silent()
        with self._place.working("profile", ask.wait_s, [board]) as store:
            if files is None:
                outcome = pipeline.profile_exported(
                    self._place.files, store, training, board, asked=exporters, ask=ask, progress=told
                )
            else:
                outcome = pipeline.profile_files(
                    store,
                    [Path(one) for one in files],
                    board,
                    shapes=asking.shapes(shapes),
                    inputs=None if inputs is None else Path(inputs),
                    ask=ask,
                    progress=told,
                )
        return RunResult(outcome, self._place.root)

    def fleet(self, devices: Sequence[str]) -> Fleet:
        """Several devices, to `run` and `profile` on at once.

        Args:
            devices: names; also "all", and "tag:arm64" for those with a tag.

        Raises:
            UsageError: there is no such device or tag.
        """
        return Fleet(self._place, self._place.devices(devices))

    def measure_more(
        self,
        run: RunResult | str,
        budget: str | None = None,
        *,
        limit_s: float = 600.0,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **limits: Unpack[Limiting],
    ) -> MeasuredMore:
        """Where the data leave the run's choice under these limits open, measure just the candidates in question.

        The rounds are added to the run, and its report is written anew. It ends when no more measuring would change the
        choice, or after `limit_s`; `choice` of the result then says which. What left the question open by losing its
        trust is in `lost`.

        Args:
            run: a run, or its name.
            limit_s: most time to spend, in seconds.
            budget, limits: see `RunResult.choose`.

        Raises:
            UsageError: there is no such run, no limit, or one that means nothing.
            DeviceError: the device is not in the state in which the run was measured.
            others: see `run`.
        """
        asked = asking.limits(budget, **limits)
        with self._place.working("choose --measure-more", wait_s) as store:
            return settle(self._place, store, run, asked, limit_s, wait_s, progress or Silent())

    def compare(
        self,
        first: FilePath,
        second: FilePath | None = None,
        *,
        devices: Sequence[str] = (HERE,),
        threads: Sequence[int] = (1,),
        cores: Sequence[Cores] = (),
        zone: float = 0.02,
        limit_s: float = 60.0,
        shapes: Mapping[str, Sequence[int]] | Sequence[str] = (),
        inputs: FilePath | None = None,
        wait_s: float = 0.0,
        progress: Progress | None = None,
    ) -> PairResult:
        """Which of two is faster, measured in turn: `verdict` is "faster" (which: `faster`), "same" or "undecided".

        Args:
            first, second: files, or the beginning of the sha256 of exported ones; one alone in two settings.
            devices, threads, cores: one for both, or one for each.
            zone: two that differ by less are the same, as a share.
            limit_s: most time to spend.
            shapes, inputs: see `profile`.

        Raises:
            UsageError: there are not two sides, a file is missing or cannot be used.
            others: see `run`.
        """
        from edgeprof import pipeline

        files = [first] if second is None else [first, second]
        boards = [self._place.files.device(name) for name in devices]
        one, other = asking.sides(files, boards, threads, cores)
        with self._place.working("compare", wait_s) as store:
            return pipeline.compare(
                store,
                one,
                other,
                zone=zone,
                limit_s=limit_s,
                shapes=asking.shapes(shapes),
                inputs=None if inputs is None else Path(inputs),
                wait_s=wait_s,
                progress=progress or Silent(),
            )
