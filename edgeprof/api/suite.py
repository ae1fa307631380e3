"""A suite and its working folder, from Python."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgeprof import suite as suites
from edgeprof.api import asking
from edgeprof.api.asking import Cores, FilePath, Gating, Limiting, Means, Measuring
from edgeprof.api.fleet import Fleet
from edgeprof.api.place import Place, ours, writing
from edgeprof.api.results import Exported, RunResult, TrainingResult
from edgeprof.errors import EdgeprofError, UsageError
from edgeprof.progress import Progress, Silent

if TYPE_CHECKING:
    from edgeprof.frames import DataFrame
    from edgeprof.pipeline import Estimate
    from edgeprof.records import (
        AccuracyPair,
        Device,
        DeviceFacts,
        Effect,
        Exporter,
        Finding,
        PairResult,
        Training,
    )
    from edgeprof.records.gate import GateResult
    from edgeprof.records.proxies import Proxies

HERE = "localhost"


class Suite:
    """What edgeprof's commands do, on one suite and one working folder.

    Methods that make or measure something hold the working folder, as the commands do; one works at a time. All errors
    are `edgeprof.errors.EdgeprofError`, with `what`, `where` and `hint`; what failed of many is in the result instead.

    Args:
        path: the suite's folder. None: the current folder if it is a suite, else the built-in one.
        work: where `.edgeprof/` and `reports/runs/` are written. None: the suite's folder, or the current one for the
            built-in suite.

    Raises:
        UsageError: `path` is no suite.
    """

    def __init__(self, path: FilePath | None = None, *, work: FilePath | None = None) -> None:
        with ours():
            files = suites.Suite.find(None if path is None else Path(path))
            self._place = Place(files, (files.work if work is None else Path(work)).absolute())

    @classmethod
    def init(cls, folder: FilePath) -> Suite:
        """A suite of one's own: copies the built-in one's files into `folder`; files that are there already stay."""
        with ours():
            suites.init(Path(folder))
        return cls(folder)

    def __repr__(self) -> str:
        return f"Suite({str(self.path)!r}, work={str(self.work)!r})"

    @property
    def path(self) -> Path:
        """The suite's folder."""
        return self._place.files.root

    @property
    def work(self) -> Path:
        """Where `.edgeprof/` and `reports/runs/` lie."""
        return self._place.work

    # --- what the suite holds

    def models(self) -> tuple[str, ...]:
        """The models of all recipes, each once."""
        return tuple(self._place.files.models())

    def trainings(self) -> tuple[Training, ...]:
        """The recipes of `training/`."""
        return tuple(self._place.files.training(name) for name in self._place.files.names("training"))

    def exporters(self) -> tuple[Exporter, ...]:
        """The deployable forms of `exporters/`."""
        return tuple(self._place.files.exporter(name) for name in self._place.files.names("exporters"))

    def devices(self, names: Sequence[str] | None = None) -> tuple[Device, ...]:
        """The devices of `devices/`: all, or those named; among the names may be "all" and tags ("tag:arm64").

        Raises:
            UsageError: there is no such device or tag.
        """
        return self._place.devices(names)

    def check(self) -> dict[Path, EdgeprofError | None]:
        """Every file of the suite -> what is wrong with it, or None."""
        return dict(self._place.files.check())

    # --- devices by themselves

    def probe(self, device: str = HERE, *, progress: Progress | None = None) -> DeviceFacts:
        """What a device is: board, processor, memory, system, clock, heat, runtimes.

        Raises:
            LinkError, DeviceError: it cannot be reached or asked.
        """
        from edgeprof import pipeline

        board = self._place.files.device(device)
        with writing(self._place.root) as store:
            return pipeline.probe(store, board, progress or Silent())

    def doctor(
        self, device: str = HERE, *, exporters: Sequence[str] | None = None, progress: Progress | None = None
    ) -> tuple[Finding, ...]:
        """What would spoil a measurement on a device as it is now, the worst first.

        Raises:
            LinkError, DeviceError: it cannot be reached or asked.
        """
        from edgeprof import pipeline

        board = self._place.files.device(device)
        formats = {one.format for one in pipeline.exporters(self._place.files, exporters, board)}
        with writing(self._place.root) as store:
            return pipeline.doctor(store, board, formats, progress or Silent())

    # --- making

    def train(
        self,
        training: str | None = None,
        *,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **means: Unpack[Means],
    ) -> TrainingResult:
        """Train the models of a recipe; what is trained already is reused, what was interrupted goes on.

        Args:
            training: a file of `training/`; None: `demo`, or the only one.
            means: threads, jobs, accelerator, mixed_precision, workers: as the options of `edgeprof train`.

        Raises:
            DataError, UsageError, MissingPackageError: nothing of it can be trained.
        """
        from edgeprof import pipeline

        recipe = self._place.recipe(training)
        how = pipeline.How(**means)
        with self._place.working(f"train --training {recipe.name}", wait_s) as store:
            trained, failures = pipeline.train(self._place.files, store, recipe, progress or Silent(), how)
        return TrainingResult(tuple(trained), tuple(failures))

    def estimate(
        self,
        training: str | None = None,
        *,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **means: Unpack[Means],
    ) -> Estimate:
        """How long `train` would take, after timing a few updates of each model."""
        from edgeprof import pipeline

        recipe = self._place.recipe(training)
        how = pipeline.How(**means)
        with self._place.working(f"train --training {recipe.name}", wait_s) as store:
            return pipeline.estimate(self._place.files, store, recipe, progress or Silent(), how)

    def export(
        self,
        training: str | None = None,
        *,
        exporters: Sequence[str] | None = None,
        out: FilePath | None = None,
        wait_s: float = 0.0,
        progress: Progress | None = None,
    ) -> Exported:
        """Export the checkpoints of a recipe, training what is missing, each file checked against its checkpoint.

        Args:
            exporters: files of `exporters/`; None: the recipe's, else all.
            out: a folder to which the files are copied under readable names.
        """
        from edgeprof import pipeline

        recipe = self._place.recipe(training)
        wanted = pipeline.exporters(self._place.files, exporters, None, recipe)
        with self._place.working(f"export --training {recipe.name}", wait_s) as store:
            trained, failures = pipeline.train(self._place.files, store, recipe, progress or Silent())
            artifacts, more = pipeline.export(store, trained, wanted, progress or Silent())
            written = pipeline.write_artifacts(store, artifacts, Path(out)) if out is not None else []
        return Exported(tuple(artifacts), tuple(trained), tuple(wanted), (*failures, *more), tuple(written))

    # --- measuring

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
        return Fleet(self._place, self.devices(devices))

    def measure_more(
        self,
        run: RunResult,
        budget: str | None = None,
        *,
        limit_s: float = 600.0,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **limits: Unpack[Limiting],
    ) -> RunResult:
        """Where the data leave the run's choice under these limits open, measure just the candidates in question.

        The rounds are added to the run, and its report is written anew. It ends when no more measuring would change the
        choice, or after `limit_s`; `choose` of the result then says which.

        Args:
            budget, limits: see `RunResult.choose`.

        Raises:
            UsageError: there is no limit, or one that means nothing.
            DeviceError: the device is not in the state in which the run was measured.
            others: see `run`.
        """
        from edgeprof.pipeline import more

        asked, board = asking.limits(budget, **limits), self._place.files.device(run.device)
        with self._place.working("choose --measure-more", wait_s) as store:
            settled = more.measure_more(
                store,
                run.outcome.run,
                board,
                asked,
                limit_s=limit_s,
                wait_s=wait_s,
                progress=progress or Silent(),
            )
        return RunResult(settled.outcome, self._place.root)

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
        one, other = asking.sides(files, self.devices(devices), threads, cores)
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

    def gate(
        self,
        baseline: FilePath,
        run: RunResult | None = None,
        *,
        files: Sequence[FilePath] = (),
        allow: Sequence[str] = (),
        again: bool = True,
        limit_s: float = 600.0,
        wait_s: float = 0.0,
        progress: Progress | None = None,
        **limits: Unpack[Gating],
    ) -> GateResult:
        """Whether a change made it worse than a baseline says: `verdict` is "pass", "fail", "cannot tell", ...

        Args:
            baseline: the file, as `RunResult.write_baseline` writes it.
            run: what to judge; None: a new run, as that of the baseline was.
            files: of a new run against a baseline of ready files.
            allow: facts that may differ, as for `edgeprof gate --allow`.
            again: whether what is suspected is measured again, for at most `limit_s`.
            limits: see `edgeprof.api.asking.Gating`.

        Raises:
            UsageError: there is no such baseline, it is of something else, or a limit means nothing.
            RecordError: the baseline is damaged or of another schema.
            others: see `run`.
        """
        from edgeprof.pipeline import gate as gates
        from edgeprof.pipeline.baseline import read_baseline
        from edgeprof.rank import comparable
        from edgeprof.rank.gate_limits import parse_limits

        file, ready = Path(baseline), [Path(one) for one in files]
        accepted = comparable.allowed(allow)
        asked = parse_limits(**limits)
        ask = gates.GateAsk(limits=asked, allow=accepted, again=again, limit_s=limit_s, wait_s=wait_s)
        with ours():
            old = read_baseline(file)
        board, told = self._place.files.device(old.device), progress or Silent()
        with self._place.working("gate", wait_s, [board]) as store:
            if run is None:
                outcome = gates.measure_for(
                    self._place.files, store, board, old, files=ready, wait_s=wait_s, progress=told
                )
            else:
                outcome = run.outcome_with_samples
            return gates.gate(store, outcome, board, old, str(file), ask, progress=told)

    # --- what was made and measured

    def latest(self, device: str | None = None) -> RunResult:
        """The newest finished run (on the device) that measured something, its ranking recomputed from raw samples.

        Raises:
            UsageError: there is none, or no such device.
        """
        return self._read(device=device)

    def load_run(self, name: str) -> RunResult:
        """The run of that name, its ranking recomputed from its raw samples.

        Raises:
            UsageError: there is none.
        """
        return self._read(name=name)

    def runs(self) -> DataFrame:
        """All runs in the order they began: run, device, training, started_at, finished, candidates, failures,
        comparison (the `compare` that they are a part of)."""
        from edgeprof import frames
        from edgeprof.records import Failure, Run

        with self._place.reading() as store:
            found = store.all(Run.KIND, Run)
            return frames.runs(found, {one.run: store.count(Failure.KIND, one.run) for one in found})

    def history(self, device: str, model: str, *, exporter: str | None = None, zone: float = 0.02) -> DataFrame:
        """A model over all finished runs on a device, a row for each candidate and run: its numbers, in what the run
        differs from the one before (`comparable`), the change against that (`change_ratio`) and the verdict.

        Args:
            zone: two that differ by less are the same, as a share.

        Raises:
            UsageError: none of them measured it.
        """
        from edgeprof import frames
        from edgeprof.pipeline import runs

        with self._place.reading() as store:
            return frames.history(runs.past(store, device, model, exporter=exporter, zone=zone))

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

    def trained(self) -> DataFrame:
        """All checkpoints, a row each."""
        from edgeprof import frames
        from edgeprof.records import Trained

        with self._place.reading() as store:
            return frames.trained(store.all(Trained.KIND, Trained))

    def artifacts(self) -> DataFrame:
        """All exported and ready files, a row each."""
        from edgeprof import frames
        from edgeprof.records import Artifact

        with self._place.reading() as store:
            return frames.artifacts(store.all(Artifact.KIND, Artifact))

    def accuracy(self, training: str | None = None) -> DataFrame:
        """How right checkpoints and files are on the test images, with 95% intervals and the drop of each file.

        What is not in it, and why, is told by a warning of Python's.

        Args:
            training: None: of all trainings.

        Raises:
            UsageError: there are none.
        """
        from edgeprof import frames
        from edgeprof.pipeline import accuracy

        with self._place.reading() as store:
            found = accuracy.table(store, training)
        if found.missing:
            warnings.warn("not in the table: " + "; ".join(found.missing), stacklevel=2)
        return frames.accuracy([*found.checkpoints, *found.files])

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

    def _read(self, device: str | None = None, name: str | None = None) -> RunResult:
        from edgeprof import pipeline

        with self._place.reading() as store:
            try:
                this = pipeline.find_run(store, device, name)
            except UsageError:
                if device is not None:  # one that does not exist is told as such
                    self._place.files.device(device)
                raise
            return RunResult(pipeline.assemble(store, this, write=False), self._place.root)
