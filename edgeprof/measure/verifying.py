"""What each file says about test images on the device, a pass of its own after everything is measured.

The images travel as uint8 in parts, for all files once, and a window of parts at a time, so that a small disk holds
them. A part is run in one go and stored as it ends; a fault costs the part that is under way.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgeprof.errors import DeviceBusyError, DeviceError, EdgeprofError, LinkError, RecordError
from edgeprof.measure.images import Images, npy, windows, written
from edgeprof.measure.outputs import logits_of
from edgeprof.measure.session import GRACE_S, RECONNECTS, failure_key, failure_of, plans, stored_rounds
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Device, Failure, Run, Verified
from edgeprof.store import Store
from edgeprof.target import AgentChannel, Connection
from edgeprof.target.protocol import CellPlan, Done, Evaluate, Evaluated, Event, Failed, Part

STAGE = "test images"
SLOWER = 10.0
"""By how much an inference may be slower than measured before it counts as hanging."""
NO_OUTPUTS = "no outputs on test images"


def verify(
    store: Store,
    run: Run,
    artifacts: Sequence[Artifact],
    images: Mapping[str, Images],
    device: Device,
    connection: Connection,
    progress: Progress,
) -> list[Failure]:
    """Run the images that were not run yet through each cell on the device.

    Args:
        images: job -> those for it; cells that share images share the object. Cells without any are left out.

    Returns: what could not be run; stored as well. The cell's latency stands all the same.

    Raises:
        LinkError: the agent was lost and could not be had again; the parts that ended are kept.
        DeviceError: the exported files cannot be brought to the device, or it is somebody else's now.
    """
    work = _Pass(store, run, artifacts, images, device, connection, progress)
    sets = list({id(one): one for one in images.values()}.values())
    left = sum(len(numbers) for one in sets for part, numbers in enumerate(one.parts()) for _ in work.due(one, [part]))
    if not left:
        return []
    progress.start(STAGE, left)
    try:
        for one in sets:
            found = windows(one, run)
            for window in found:
                work.window(one, window, keep=len(found) == 1)
    finally:
        work.close()
        progress.finish(STAGE)
    return work.failures


class _Pass:
    """The cells, what is known of them, and an agent to ask."""

    def __init__(
        self,
        store: Store,
        run: Run,
        artifacts: Sequence[Artifact],
        images: Mapping[str, Images],
        device: Device,
        connection: Connection,
        progress: Progress,
    ) -> None:
        self.store = store
        self.run = run
        self.artifacts = artifacts
        self.images = images
        self.device = device
        self.connection = connection
        self.progress = progress
        self.failures: list[Failure] = []
        self.cells: dict[str, Cell] = {cell.job: cell for cell in run.cells if cell.job in images}
        for job in list(self.cells):
            failure = store.get(Failure.KIND, images_key(run, job), Failure)
            if failure is not None and failure.transient:
                store.delete(Failure.KIND, images_key(run, job))
            elif failure is not None:
                del self.cells[job]
        self.rounds = stored_rounds(store, run)
        self.done: dict[str, set[int]] = defaultdict(set)
        for one in store.all(Verified.KIND, Verified, run=run.run):
            self.done[one.job].add(one.part)
        self._plans: dict[str, CellPlan] = {}
        self._channel: AgentChannel | None = None
        self._kept = 0

    def due(self, images: Images, parts: Collection[int]) -> list[str]:
        """The jobs that these images are for and that lack one of these parts."""
        return [
            job
            for job in self.cells
            if self.images[job] is images and any(part not in self.done[job] for part in parts)
        ]

    def window(self, images: Images, window: Mapping[int, tuple[int, ...]], *, keep: bool) -> None:
        """All cells on the images of a window, which are removed from the device afterwards unless they are to stay."""
        if not self.due(images, window):
            return
        with written(self.store, self.run, images, window) as files:
            losses = 0
            while jobs := self.due(images, window):
                kept = self._kept
                try:
                    self._jobs(jobs, images, window, files)
                except LinkError as error:
                    self.close()
                    losses = losses + 1 if self._kept == kept else 1
                    if losses > RECONNECTS:
                        raise
                    self.progress.note(f"{STAGE}: {error}; starting the agent again ({losses} of {RECONNECTS})")
                    time.sleep(losses)
            self.close()
            if not keep:
                self.connection.forget([sha for sha, _ in files.values()])

    def close(self) -> None:
        """End the agent; a later window starts another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _jobs(
        self,
        jobs: Sequence[str],
        images: Images,
        window: Mapping[int, tuple[int, ...]],
        files: Mapping[int, tuple[str, Path]],
    ) -> None:
        """Ask for what is due of each job."""
        for job in jobs:
            self._plan(job)
        try:
            paths = self.connection.push(dict(files.values()))
        except (LinkError, DeviceBusyError):
            raise
        except DeviceError as error:  # no room there: what was measured stands all the same
            for job in self.due(images, window):
                self._fail(job, error, "error")
            return
        if self._channel is None:
            self._channel = self.connection.open_session(self.run.run)
        for job in jobs:
            timeout_s = self._timeout_s(job, max(len(numbers) for numbers in window.values()))
            while self._channel.unfinished:  # of an earlier host
                self._take(self._channel.receive(timeout_s + GRACE_S), images)
            due = [part for part in window if part not in self.done[job]]
            if not due or job not in self.cells:
                continue
            preprocessing = images.preprocessing
            call = Evaluate(
                job=_name(job),
                cell=msgspec.structs.replace(self._plans[job], samples=None, wrong_above=None),
                layout=self._layout(job),
                mean=preprocessing.mean,
                std=preprocessing.std,
                parts=tuple(Part(part=part, images=paths[files[part][0]]) for part in due),
                timeout_s=timeout_s,
                allow_fallback=self.run.method.allow_fallback,
            )
            self._channel.send(call)
            while not self._take(self._channel.receive(timeout_s + GRACE_S), images):
                pass
        if left := self.due(images, window):
            raise LinkError(f"the agent ended with images left for {len(left)} files", where=self.device.name)

    def _plan(self, job: str) -> None:
        """Have the file on the device; one that is damaged here fails alone."""
        if job in self._plans:
            return
        rest = (self.store, self.run, self.artifacts, self.device, self.connection)
        try:
            self._plans |= plans({job: self.cells[job]}, *rest)
        except RecordError as error:
            self._fail(job, error, "damaged")

    def _fail(self, job: str, error: EdgeprofError, error_class: str) -> None:
        """Give up for now what may go another time."""
        identity = self.cells[job].identity
        failure = Failure(
            stage="profile",
            identity=identity,
            error=str(error),
            error_class=error_class,
            transient=True,
            hint=error.hint,
        )
        self._give_up(job, failure)

    def _take(self, event: Event, images: Images) -> bool:
        """Keep what an event tells; whether it was the last of its call."""
        if isinstance(event, Evaluated):
            self._keep(event)
        elif isinstance(event, Failed):
            job = _job(event.job)
            if job in self.cells:  # else it was told twice, or is an old round's
                self._give_up(job, failure_of(event, self.cells[job], self.device))
        # What else an earlier host asked for, whose session was found, is nothing to this pass.
        return isinstance(event, Done)

    def _keep(self, event: Evaluated) -> None:
        job = _job(event.job)
        if job not in self.cells or event.part in self.done[job]:
            return  # told twice
        numbers = self.images[job].parts()[event.part]
        logits = logits_of(event, len(numbers), self.device.name)
        told = msgspec.structs.asdict(event)
        for name in ("job", "images", "classes", "logits"):
            del told[name]
        record = Verified(
            run=self.run.run,
            job=job,
            artifact_sha=self.cells[job].artifact_sha,
            which=numbers,
            logits_sha=self.store.add_bytes(npy(logits)),
            agent_sha=self.connection.agent_sha,
            **told,
        )
        self.store.put(Verified.KIND, f"{self.run.run}/{job}/{event.part}", record, run=self.run.run)
        self.done[job].add(event.part)
        self._kept += 1
        self.progress.advance(STAGE, len(numbers), self.cells[job].identity.label())

    def _give_up(self, job: str, failure: Failure) -> None:
        failure = msgspec.structs.replace(failure, error=f"{NO_OUTPUTS}: {failure.error}")
        del self.cells[job]
        self.store.put(Failure.KIND, images_key(self.run, job), failure, run=self.run.run)
        self.failures.append(failure)
        self._kept += 1
        self.progress.note(f"{failure.identity.label()}: {failure.error}")

    def _layout(self, job: str) -> Literal["NCHW", "NHWC"]:
        cell = self.cells[job]
        artifact = next(one for one in self.artifacts if one.artifact_sha == cell.artifact_sha)
        return (artifact.inputs[0].layout if artifact.inputs else None) or "NCHW"

    def _timeout_s(self, job: str, count: int) -> float:
        """For a part: as for a round, and what so many inferences may take."""
        medians = [float(np.median(one.samples_ns)) for one in self.rounds[job] if one.samples_ns]
        return self.run.method.timeout_s + SLOWER * count * max(medians, default=0.0) / 1e9


def _name(job: str) -> str:
    """Of a job in this pass, so that what comes of it is never taken for a round's."""
    return f"{job}/images"


def _job(name: str) -> str:
    return name.removesuffix("/images") if name.endswith("/images") else ""


def images_key(run: Run, job: str) -> str:
    """Of the record that a cell's outputs on test images could not be had."""
    return f"{failure_key(run, job)}/images"
