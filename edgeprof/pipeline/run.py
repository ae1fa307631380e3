"""The main job, and profiling alone: each run is taken up where it stopped."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgeprof import measure as measuring
from edgeprof import target
from edgeprof.errors import UsageError
from edgeprof.pipeline.ask import Ask
from edgeprof.pipeline.make import export, exporters, fitting, train
from edgeprof.pipeline.read import Outcome, assemble
from edgeprof.pipeline.verify import verify
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Device, DeviceFacts, Exporter, Failure, Method, Run, TestImages, Training, digest
from edgeprof.store import Store
from edgeprof.suite import Suite
from edgeprof.target import Connection


def run(
    suite: Suite,
    store: Store,
    *,
    training: str | None = None,
    device: str,
    asked: Sequence[str] | None = None,
    ask: Ask = Ask(),  # noqa: B008 (frozen)
    progress: Progress,
) -> Outcome:
    """Train, export, profile on the device, join and report; an unfinished run of the same plan is taken up again.

    Args:
        training: name of a recipe; None for the suite's default.
        asked: names of exporters; None for the recipe's, else the device's, else those of the suite that are made for
            the device's architecture.
    """
    recipe = suite.training(training or suite.default_training())
    board = suite.device(device)
    wanted = exporters(suite, asked, board, recipe)
    with target.connect(board, store, progress) as connection:
        # Before hours of training: can the device be reached at all?
        found = measuring.facts(connection, full=False)
        measuring.refuse_impossible(board, found)
        if ask.energy:
            measuring.forewarn(found, progress)
        wanted = fitting(wanted, found, bool(asked), progress)
        plan = plan_sha(suite, recipe, wanted, board, ask)
        this = take_up(store, board.name, plan, ask.fresh, progress)
        if this is None:
            this = new_run(
                store,
                board,
                ask.method,
                plan,
                found,
                training=recipe.name,
                suite_sha=suite.sha(),
                test_images=ask.test_images,
                energy=ask.energy,
            )
        trained, failures = train(suite, store, recipe, progress)
        artifacts, more = export(store, trained, wanted, progress)
        return measured(store, this, artifacts, [*failures, *more], board, connection, ask=ask, progress=progress)


def profile(
    store: Store,
    artifacts: Sequence[Artifact],
    device: Device,
    *,
    failures: Sequence[Failure] = (),
    training: str | None = None,
    suite_sha: str | None = None,
    ask: Ask = Ask(),  # noqa: B008 (frozen)
    progress: Progress,
) -> Outcome:
    """Profile files that exist already: exported ones, or ready files that a user brings."""
    with target.connect(device, store, progress) as connection:
        return profile_on(
            store,
            artifacts,
            device,
            connection,
            failures=failures,
            training=training,
            suite_sha=suite_sha,
            ask=ask,
            progress=progress,
        )


def profile_on(
    store: Store,
    artifacts: Sequence[Artifact],
    device: Device,
    connection: Connection,
    *,
    failures: Sequence[Failure],
    training: str | None,
    suite_sha: str | None,
    ask: Ask,
    progress: Progress,
) -> Outcome:
    """`profile` over a connection that stands."""
    found = measuring.facts(connection, full=False)
    measuring.refuse_impossible(device, found)
    if ask.energy:
        measuring.forewarn(found, progress)
    # Other inputs, and other names for the same bytes, are another plan.
    files = sorted((one.artifact_sha, one.samples_sha or "", one.identity.label()) for one in artifacts)
    plan = digest("profile", files, device, ask.method, ask.per_op, ask.test_images, *_energy(ask))
    this = take_up(store, device.name, plan, ask.fresh, progress)
    if this is None:
        this = new_run(
            store,
            device,
            ask.method,
            plan,
            found,
            training=training,
            suite_sha=suite_sha,
            test_images=ask.test_images,
            energy=ask.energy,
        )
    return measured(store, this, artifacts, failures, device, connection, ask=ask, progress=progress)


def profile_exported(
    suite: Suite,
    store: Store,
    training: str | None,
    device: Device,
    *,
    asked: Sequence[str] | None = None,
    ask: Ask = Ask(),  # noqa: B008 (frozen)
    progress: Progress,
) -> Outcome:
    """Profile what is exported for a training, without making anything.

    Raises:
        UsageError: nothing is exported for it.
    """
    name = training or suite.default_training()
    wanted = {exporter.name for exporter in exporters(suite, asked, device, suite.training(name))}
    artifacts = [one for one in store.all(Artifact.KIND, Artifact) if one.training == name and one.exporter in wanted]
    if not artifacts:
        raise UsageError(
            f"nothing is exported for the training {name!r}", hint=f"first: edgeprof export --training {name}"
        )
    return profile(
        store,
        artifacts,
        device,
        training=name,
        suite_sha=suite.sha(),
        ask=ask,
        progress=progress,
    )


def profile_files(
    store: Store,
    paths: Sequence[Path],
    device: Device,
    *,
    shapes: Sequence[str] = (),
    inputs: Path | None = None,
    ask: Ask = Ask(),  # noqa: B008 (frozen)
    progress: Progress,
) -> Outcome:
    """Profile ready files; one that cannot be used is a Failure and the others go on.

    Args:
        shapes: `name=1x3x224x224` for inputs whose dimensions are not fixed.
        inputs: an .npz with an array for every input, by name; None: inputs are made up.

    Raises:
        UsageError: a file is missing, none can be used, or the shapes or inputs do not fit them; nothing is measured.
    """
    asked = measuring.shapes(shapes)
    given = None if inputs is None else measuring.read_inputs(inputs)
    files = measuring.present(paths)
    with target.connect(device, store, progress) as connection:
        connection.hold(f"edgeprof profile on {device.name}", "", ask.wait_s)
        missing = connection.provide(measuring.formats(files))
        artifacts, failures = measuring.ready(
            store, files, device, connection, progress, shapes=asked, given=given, missing=missing
        )
        return profile_on(
            store,
            artifacts,
            device,
            connection,
            failures=failures,
            training=None,
            suite_sha=None,
            ask=ask,
            progress=progress,
        )


def measured(
    store: Store,
    this: Run,
    artifacts: Sequence[Artifact],
    failures: Sequence[Failure],
    device: Device,
    connection: Connection,
    *,
    ask: Ask,
    progress: Progress,
) -> Outcome:
    """Measure what is missing of a run, then join and report. The run is finished when its report is written."""
    connection.hold(f"edgeprof run {this.run}", this.run, ask.wait_s)
    missing = connection.provide({one.format for one in artifacts})
    if device.state:  # set by the session, so that the facts are those of what is measured in
        connection.open_session(this.run)
    if not this.cells or this.facts is None:  # else they are those of what was measured already
        this = change(store, this, facts=measuring.facts(connection))
    assert this.facts is not None
    cells, impossible = measuring.cells(artifacts, device, this.facts, missing)
    this = change(store, this, cells=tuple(cells), failures=(*failures, *impossible))
    if cells:
        measuring.measure(store, this, artifacts, device, connection, progress)
        if ask.per_op:
            measuring.operators(store, this, artifacts, device, connection, progress)
        if ask.test_images is not None:
            verify(store, this, artifacts, device, connection, progress)
        if ask.energy:
            measuring.energy(store, this, artifacts, device, connection, progress)
    this = change(store, this, finished=True)
    return assemble(store, this)


def plan_sha(suite: Suite, recipe: Training, wanted: Sequence[Exporter], board: Device, ask: Ask) -> str:
    """What makes two runs one and the same."""
    recipes = [recipe, *suite.sources(recipe).values()]
    return digest("run", recipes, wanted, board, ask.method, ask.per_op, ask.test_images, *_energy(ask))


def _energy(ask: Ask) -> tuple[str, ...]:
    """In the plan where it is asked for, so that plans without it are those of before."""
    return ("energy",) if ask.energy else ()


def take_up(store: Store, device: str, plan: str, fresh: bool, progress: Progress) -> Run | None:
    """The newest unfinished run of the same plan on that device, unless a fresh one is asked for."""
    if fresh:
        return None
    for old in reversed(store.all(Run.KIND, Run)):
        if old.device == device and old.plan_sha == plan:
            if old.finished:
                return None
            progress.note(f"taking up run {old.run} where it stopped (--fresh begins anew)")
            return old
    return None


def new_run(
    store: Store,
    device: Device,
    method: Method,
    plan: str,
    facts: DeviceFacts,
    *,
    training: str | None = None,
    suite_sha: str | None = None,
    test_images: TestImages = None,
    energy: bool = False,
) -> Run:
    """A run of a new name, stored."""
    now = time.time()
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(4)}"
    new = Run(
        run=name,
        device=device.name,
        training=training,
        plan_sha=plan,
        suite_sha=suite_sha,
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        facts=facts,
        method=method,
        test_images=test_images,
        energy=energy,
        bound_to=device.cores,
    )
    store.put(Run.KIND, new.run, new, run=new.run)
    return new


def change(store: Store, this: Run, **fields: object) -> Run:
    """The run with other fields, stored."""
    changed = msgspec.structs.replace(this, **fields)
    store.put(Run.KIND, changed.run, changed, run=changed.run)
    return changed
