"""The main job, and profiling alone, on several boards at once: made once, measured on each, told side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from edgeprof import measure as measuring
from edgeprof.errors import UsageError
from edgeprof.pipeline.ask import Ask
from edgeprof.pipeline.boards import At, Boards
from edgeprof.pipeline.make import export, exporters, fitting, train
from edgeprof.pipeline.read import Outcome
from edgeprof.pipeline.run import measured, new_run, plan_sha, profile_on, take_up
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Device, Failure, Run
from edgeprof.records.derived import Fleet
from edgeprof.store import Store
from edgeprof.suite import Suite


@dataclasses.dataclass(frozen=True)
class FleetOutcome:
    """What a fleet came to: the boards that have a ranking, in the order asked for, and those that have none.

    The raw measurements of the boards are not kept: they lie in the store.
    """

    outcomes: tuple[Outcome, ...]
    failures: tuple[Failure, ...]

    @property
    def answer(self) -> Fleet:
        """As one record."""
        from edgeprof.rank.proxies import between, device_swaps

        rankings = tuple(one.ranking for one in self.outcomes)
        return Fleet(rankings=rankings, failures=self.failures, between=between(rankings), swaps=device_swaps(rankings))


def run(
    suite: Suite,
    store: Store,
    devices: Sequence[Device],
    *,
    training: str | None = None,
    asked: Sequence[str] | None = None,
    ask: Ask = Ask(),  # noqa: B008 (frozen)
    progress: Progress,
) -> FleetOutcome:
    """Reach all boards, train and export once for those that answer, then profile on all of them at once.

    Arguments as for `pipeline.run`. A board that cannot be reached, or is lost later, is a Failure in the outcome; its
    run stays unfinished and is taken up next time.

    Raises:
        EdgeprofError: no board can be reached; nothing was trained. Or nothing can be made to measure.
    """
    recipe = suite.training(training or suite.default_training())
    wanted = {device.name: exporters(suite, asked, device, recipe) for device in devices}
    suite_sha = suite.sha()

    def reach(at: At) -> Run:
        found = measuring.facts(at.connection, full=False)
        measuring.refuse_impossible(at.device, found)
        if ask.energy:
            measuring.forewarn(found, at.progress)
        wanted[at.device.name] = fitting(wanted[at.device.name], found, bool(asked), at.progress)
        plan = plan_sha(suite, recipe, wanted[at.device.name], at.device, ask)
        return take_up(at.store, at.device.name, plan, ask.fresh, at.progress) or new_run(
            at.store,
            at.device,
            ask.method,
            plan,
            found,
            training=recipe.name,
            suite_sha=suite_sha,
            test_images=ask.test_images,
            energy=ask.energy,
        )

    with Boards(store.root, devices, progress) as boards:
        runs = boards.reach(reach)
        union = {exporter.name: exporter for name in runs for exporter in wanted[name]}
        trained, failures = train(suite, store, recipe, boards.progress)
        artifacts, more = export(store, trained, list(union.values()), boards.progress)

        def measure(at: At) -> Outcome:
            mine = {exporter.name for exporter in wanted[at.device.name]}
            outcome = measured(
                at.store,
                runs[at.device.name],
                [one for one in artifacts if one.exporter in mine],
                [one for one in (*failures, *more) if one.identity.exporter is None or one.identity.exporter in mine],
                at.device,
                at.connection,
                ask=ask,
                progress=at.progress,
            )
            return _light(outcome)

        found = boards.measure(measure)
        return FleetOutcome(tuple(found.values()), tuple(boards.failures))


def profile_exported(
    suite: Suite,
    store: Store,
    training: str | None,
    devices: Sequence[Device],
    *,
    asked: Sequence[str] | None = None,
    ask: Ask = Ask(),  # noqa: B008 (frozen)
    progress: Progress,
) -> FleetOutcome:
    """Profile on several boards what is exported for a training, on each what its exporters made.

    Arguments as for `pipeline.profile_exported`.

    Raises:
        UsageError: nothing is exported for it that any of the boards measures.
        EdgeprofError: no board can be reached.
    """
    name = training or suite.default_training()
    recipe = suite.training(name)
    wanted = {device.name: {one.name for one in exporters(suite, asked, device, recipe)} for device in devices}
    artifacts = [one for one in store.all(Artifact.KIND, Artifact) if one.training == name]
    if not any(one.exporter in set().union(*wanted.values()) for one in artifacts):
        raise UsageError(
            f"nothing is exported for the training {name!r}", hint=f"first: edgeprof export --training {name}"
        )
    suite_sha = suite.sha()

    def measure(at: At) -> Outcome:
        mine = [one for one in artifacts if one.exporter in wanted[at.device.name]]
        if not mine:
            raise UsageError(
                f"nothing is exported for it: its exporters are {', '.join(sorted(wanted[at.device.name]))}",
                where=at.device.name,
                hint=f"first: edgeprof export --training {name}",
            )
        outcome = profile_on(
            at.store,
            mine,
            at.device,
            at.connection,
            failures=(),
            training=name,
            suite_sha=suite_sha,
            ask=ask,
            progress=at.progress,
        )
        return _light(outcome)

    with Boards(store.root, devices, progress) as boards:
        boards.reach(_greet)
        found = boards.measure(measure)
        return FleetOutcome(tuple(found.values()), tuple(boards.failures))


def profile_files(
    store: Store,
    paths: Sequence[Path],
    devices: Sequence[Device],
    *,
    shapes: Sequence[str] = (),
    inputs: Path | None = None,
    ask: Ask = Ask(),  # noqa: B008 (frozen)
    progress: Progress,
) -> FleetOutcome:
    """Profile ready files on several boards; each board opens them itself, as its runtime may not know them all.

    Arguments as for `pipeline.profile_files`.

    Raises:
        UsageError: a file is missing, none can be used, or the shapes or inputs do not fit them; nothing is measured.
        EdgeprofError: no board can be reached.
    """
    asked = measuring.shapes(shapes)
    given = None if inputs is None else measuring.read_inputs(inputs)
    files = measuring.present(paths)

    def measure(at: At) -> Outcome:
        at.connection.hold(f"edgeprof profile on {at.device.name}", "", ask.wait_s)
        missing = at.connection.provide(measuring.formats(files))
        artifacts, failures = measuring.ready(
            at.store, files, at.device, at.connection, at.progress, shapes=asked, given=given, missing=missing
        )
        outcome = profile_on(
            at.store,
            artifacts,
            at.device,
            at.connection,
            failures=failures,
            training=None,
            suite_sha=None,
            ask=ask,
            progress=at.progress,
        )
        return _light(outcome)

    with Boards(store.root, devices, progress) as boards:
        boards.reach(_greet)
        found = boards.measure(measure)
        return FleetOutcome(tuple(found.values()), tuple(boards.failures))


def _greet(at: At) -> None:
    measuring.refuse_impossible(at.device, measuring.facts(at.connection, full=False))


def _light(outcome: Outcome) -> Outcome:
    """Without the raw samples: those of all boards together would not be light."""
    return dataclasses.replace(outcome, measurements=())
