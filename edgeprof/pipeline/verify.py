"""Accuracy on the device: which test images a run takes there, and what their outputs say beside the host's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from edgeprof import measure as measuring
from edgeprof.errors import DataError, EdgeprofError
from edgeprof.progress import Progress
from edgeprof.records import Artifact, Cell, Data, Device, Failure, Measurement, OnDevice, Preprocessing, Run, Trained
from edgeprof.store import Store
from edgeprof.target import Connection

if TYPE_CHECKING:
    from edgeprof.measure import Images
    from edgeprof.zoo.images import Dataset

DIFFERS = "test images differ"


def verify(
    store: Store,
    this: Run,
    artifacts: Sequence[Artifact],
    device: Device,
    connection: Connection,
    progress: Progress,
) -> list[Failure]:
    """Run test images through each measured file on the device, as many as the run asks for; what exists is reused.

    Returns: what could not be run; stored as well.

    Raises:
        LinkError, DeviceError: see `measure.verify`.
    """
    chosen = _Chosen(store, this, progress)
    images: dict[str, Images] = {}
    measured = {one.cell.job for one in measuring.collect(store, this)}
    for cell in this.cells:
        artifact = _artifact_of(cell, artifacts)
        if cell.job not in measured or artifact is None or artifact.predictions_sha is None:
            continue
        try:
            images[cell.job] = chosen.images(artifact)
        except EdgeprofError as error:
            chosen.failures.append(_keep(store, this, cell, error, progress))
    failures = measuring.verify(store, this, artifacts, images, device, connection, progress)
    return [*chosen.failures, *failures]


class _Chosen:
    """The test images of each training, looked up once."""

    def __init__(self, store: Store, this: Run, progress: Progress) -> None:
        self.store = store
        self.this = this
        self.failures: list[Failure] = []
        self._trained = {one.checkpoint_sha: one for one in store.all(Trained.KIND, Trained)}
        self._datasets: dict[Data, Dataset] = {}
        self._images: dict[tuple[Data, Preprocessing], Images] = {}

    def images(self, artifact: Artifact) -> Images:
        """For the files of one training: those that the host ran.

        Raises:
            DataError: the images are gone or are others now.
        """
        from edgeprof.export.verify import spread
        from edgeprof.zoo import checkpoint
        from edgeprof.zoo.pixels import pixels

        trained = self._trained.get(artifact.checkpoint_sha or "")
        if trained is None or artifact.preprocessing is None or artifact.predictions_sha is None:
            raise DataError("the record of its checkpoint is missing", hint="run edgeprof train and export again")
        key = trained.data, artifact.preprocessing
        if key in self._images:
            return self._images[key]
        labels, _ = checkpoint.read_predictions(self.store.blob(artifact.predictions_sha))
        dataset = self._dataset(trained)
        if dataset.labels.tolist() != labels.tolist():
            raise DataError(
                "the test images are not those that the host ran", hint="was the data set changed? train again"
            )
        asked = self.this.test_images
        which = range(len(labels)) if asked == "all" else spread(labels, asked or 0).tolist()
        preprocessing = artifact.preprocessing
        self._images[key] = measuring.Images(
            which=tuple(which),
            preprocessing=preprocessing,
            pixels=lambda numbers: pixels(dataset, preprocessing, numbers),
        )
        return self._images[key]

    def _dataset(self, trained: Trained) -> Dataset:
        from edgeprof.zoo import images

        if trained.data not in self._datasets:
            dataset = images.open_split(trained.data, "test")
            if images.fingerprint(trained.data) != trained.data_sha:
                raise DataError("the data set was changed since the training", hint="train again, or bring it back")
            self._datasets[trained.data] = dataset
        return self._datasets[trained.data]


def on_device(store: Store, this: Run, artifacts: Sequence[Artifact]) -> list[OnDevice]:
    """What the files computed on the device beside what they compute on the host, in the order of the run's cells.

    Raises:
        RecordError, TrainError: outputs are missing or damaged.
    """
    if this.test_images is None:
        return []
    from edgeprof.stats.agreement import agreement
    from edgeprof.zoo import checkpoint

    there = measuring.collected(store, this)
    found = []
    for cell in this.cells:
        artifact = _artifact_of(cell, artifacts)
        if cell.job not in there or artifact is None or artifact.predictions_sha is None:
            continue
        which, logits = there[cell.job]
        labels, host = checkpoint.read_predictions(store.blob(artifact.predictions_sha))
        allowed = measuring.differs_above(cell.precision)
        found.append(agreement(cell.job, which, labels[which], host[which], logits, allowed))
    return found


def doubted(measurements: Sequence[Measurement], found: Sequence[OnDevice]) -> list[Measurement]:
    """The measurements, those of files that compute something else there no longer trusted."""
    differ = {one.job for one in found if one.verdict == "differs"}
    return [
        msgspec.structs.replace(one, trusted=False, reasons=(DIFFERS, *one.reasons)) if one.cell.job in differ else one
        for one in measurements
    ]


def _artifact_of(cell: Cell, artifacts: Sequence[Artifact]) -> Artifact | None:
    identity = msgspec.structs.replace(cell.identity, device=None, threads=None)
    return next((one for one in artifacts if (one.artifact_sha, one.identity) == (cell.artifact_sha, identity)), None)


def _keep(store: Store, this: Run, cell: Cell, error: EdgeprofError, progress: Progress) -> Failure:
    failure = Failure(
        stage="profile",
        identity=cell.identity,
        error=f"{measuring.NO_OUTPUTS}: {error}",
        error_class=type(error).__name__,
        transient=True,
        hint=error.hint,
    )
    store.put(Failure.KIND, measuring.images_key(this, cell.job), failure, run=this.run)
    progress.note(f"{cell.identity.label()}: {failure.error}")
    return failure
