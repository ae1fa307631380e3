"""`Suite`: whether a change made it worse, for a build to pass or fail by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgeprof.api import asking
from edgeprof.api.asking import FilePath, Gating
from edgeprof.api.base import HERE, Based
from edgeprof.api.gated import Gated
from edgeprof.api.place import ours
from edgeprof.api.results import RunResult
from edgeprof.errors import RecordError, UsageError
from edgeprof.progress import Progress, Silent

if TYPE_CHECKING:
    from edgeprof.pipeline import Outcome
    from edgeprof.records import Device
    from edgeprof.records.gate import Baseline, GateLimits
    from edgeprof.store import Store


class GateMethods(Based):
    """Hold runs against a baseline that lies in a repository."""

    def gate(
        self,
        baseline: FilePath,
        run: RunResult | str | None = None,
        *,
        device: str | None = None,
        files: Sequence[FilePath] = (),
        training: str | None = None,
        allow: Sequence[str] = (),
        again: bool | None = None,
        limit_s: float = 600.0,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **limits: Unpack[Gating],
    ) -> Gated:
        """Whether a change made it worse than a baseline says.

        Args:
            baseline: the file, as `update_baseline` and `RunResult.write_baseline` write it.
            run: what to judge: a run, its name, or "latest"; None: a new run, as that of the baseline was.
            device: None: the baseline's; another is refused.
            files: of a new run against a baseline of ready files.
            training: of a new run; None: the baseline's; another is refused.
            allow: facts that may differ, as for `edgeprof gate --allow`.
            again: whether what is suspected is measured again, for at most `limit_s`, before it counts; None: of a new
                run it is, of one that is there it is not.
            limits: see `edgeprof.api.asking.Gating`.

        Raises:
            UsageError: there is no such baseline, it is of something else, or a limit means nothing.
            RecordError: the baseline is damaged or of another schema.
            others: see `run`.
        """
        from edgeprof.pipeline import gate as gates
        from edgeprof.pipeline.baseline import read_baseline
        from edgeprof.rank import comparable

        file, repeat = Path(baseline), run is None if again is None else again
        ask = gates.GateAsk(
            limits=_parsed(limits),
            allow=comparable.allowed(allow),
            again=repeat,
            limit_s=limit_s,
            wait_s=wait_s,
        )
        _check(run, files, training)
        with ours():
            old = read_baseline(file)
        board, told = self._board(file, old, device), progress or Silent()
        measures = run is None or repeat
        with self._place.working("gate", wait_s, [board]) if measures else self._place.reading() as store:
            outcome = self._outcome(store, board, old, run, files, training, wait_s, told)
            return Gated(gates.gate(store, outcome, board, old, str(file), ask, progress=told))

    def update_baseline(
        self,
        baseline: FilePath,
        run: RunResult | str | None = None,
        *,
        device: str | None = None,
        files: Sequence[FilePath] = (),
        training: str | None = None,
        calibrate: bool = False,
        limit_s: float = 600.0,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **limits: Unpack[Gating],
    ) -> Baseline:
        """Write a baseline of what is there now; one that is there keeps its calibration where the device is as it was.

        Args:
            run: whose; None: a new run, as that of the baseline was.
            device, files, training: of a new run; None: the baseline's, else localhost and `demo`.
            calibrate: as `calibrate_gate`, for at most `limit_s`.
            limits: for that.

        Raises:
            DeviceError, ExportError: nothing was measured.
            UsageError: the baseline that is there is of something else, or it cannot be written.
            others: see `run`.
        """
        from edgeprof.pipeline import gate as gates
        from edgeprof.pipeline.baseline import read_baseline, write_baseline
        from edgeprof.pipeline.gate_calibrate import calibrate as calibrated

        file, asked, told = Path(baseline), _parsed(limits), progress or Silent()
        _check(run, files, training)
        old = None
        with ours():
            if file.exists():
                try:
                    old = read_baseline(file)
                except RecordError as error:
                    told.note(f"written anew: {error}")
        board = self._board(file, old, device)
        measures = run is None or calibrate
        with self._place.working("gate", wait_s, [board]) if measures else self._place.reading() as store:
            outcome = self._outcome(store, board, old, run, files, training, wait_s, told)
            new = gates.updated(store, outcome, old)
            if calibrate:
                new = calibrated(store, new, board, asked, limit_s=limit_s, wait_s=wait_s, progress=told)
        with ours():
            write_baseline(file, new)
        return new

    def calibrate_gate(
        self,
        baseline: FilePath,
        *,
        device: str | None = None,
        limit_s: float = 600.0,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **limits: Unpack[Gating],
    ) -> Baseline:
        """Measure the baseline's own files in turn with themselves, and write into the baseline how often the gate
        cries wolf on this device and which slow-down it finds: `calibration` of the result.

        Args:
            limit_s: most time for it, in seconds.
            limits: those of the gate that is calibrated.

        Raises:
            UsageError: there is no such baseline, or none of its files are in the store.
            RecordError: the baseline is damaged or of another schema.
            UntrustedError: the time was too short.
            others: see `run`.
        """
        from edgeprof.pipeline.baseline import read_baseline, write_baseline
        from edgeprof.pipeline.gate_calibrate import calibrate

        file, asked = Path(baseline), _parsed(limits)
        with ours():
            old = read_baseline(file)
        board = self._board(file, old, device)
        with self._place.working("gate", wait_s, [board]) as store:
            new = calibrate(store, old, board, asked, limit_s=limit_s, wait_s=wait_s, progress=progress or Silent())
        with ours():
            write_baseline(file, new)
        return new

    def _board(self, file: Path, old: Baseline | None, device: str | None) -> Device:
        name = device or (old.device if old else HERE)
        if old is not None and name != old.device:
            raise UsageError(
                f"the baseline is of the device {old.device!r}, not of {name!r}",
                where=str(file),
                hint="a device has a baseline of its own: name another file",
            )
        return self._place.files.device(name)

    def _outcome(
        self,
        store: Store,
        board: Device,
        old: Baseline | None,
        run: RunResult | str | None,
        files: Sequence[FilePath],
        training: str | None,
        wait_s: float,
        told: Progress,
    ) -> Outcome:
        """The run to judge, or to make a baseline of."""
        from edgeprof.pipeline import gate as gates

        if run is None:
            ready = [Path(one) for one in files]
            return gates.measure_for(
                self._place.files, store, board, old, files=ready, training=training, wait_s=wait_s, progress=told
            )
        this = run.outcome.run if isinstance(run, RunResult) else gates.stored_run(store, board.name, run)
        if old is not None:
            gates.check_fits(old, this)
        return run.outcome_with_samples if isinstance(run, RunResult) else gates.assemble(store, this, write=False)


def _parsed(limits: Gating) -> GateLimits:
    from edgeprof.rank.gate_limits import parse_limits

    asking.check(limits, Gating)
    return parse_limits(**limits)


def _check(run: object, files: Sequence[FilePath], training: str | None) -> None:
    if run is not None and (files or training):
        raise UsageError("--run judges a run that is there", hint="leave the files and --training out")
