"""`Suite`: what is made without a device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from edgeprof.api import asking
from edgeprof.api.asking import FilePath, Means
from edgeprof.api.base import Based
from edgeprof.api.made import Explained, Exported, Imported, TrainingResult
from edgeprof.api.place import ours
from edgeprof.errors import UsageError
from edgeprof.progress import Progress, Silent

if TYPE_CHECKING:
    from edgeprof.api.types import Estimate, Explanation
    from edgeprof.records import Artifact, Identity, Training
    from edgeprof.suite import Suite as Files

DataSet = Literal["digits", "imagefolder", "cifar10", "cifar100", "tiny_imagenet"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]


class MakingMethods(Based):
    """Train, export, explain, and bring checkpoints from elsewhere."""

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
        asking.check(means, asking.Means)
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
        """How long `train` would take, after timing a few updates of each model; its cells as a data frame:
        `edgeprof.frames.table(found.cells)`. Arguments and errors as for `train`."""
        from edgeprof import pipeline

        recipe = self._place.recipe(training)
        asking.check(means, asking.Means)
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
            out: a folder to which each file is copied as it is ready, under a readable name.

        Raises:
            UsageError: there is no such recipe or exporter.
            others: see `train`.
        """
        from edgeprof import pipeline

        recipe = self._place.recipe(training)
        wanted = pipeline.exporters(self._place.files, exporters, None, recipe)
        with self._place.working(f"export --training {recipe.name}", wait_s) as store:
            written: dict[tuple[Identity, str], list[Path]] = {}

            def copied(artifact: Artifact) -> None:
                if out is not None:
                    key = artifact.identity, artifact.artifact_sha
                    written[key] = pipeline.write_artifact(store, artifact, Path(out))

            trained, failures = pipeline.train(self._place.files, store, recipe, progress or Silent())
            artifacts, more = pipeline.export(store, trained, wanted, progress or Silent(), copied)
        # In the order of the files, not in that in which they were ready.
        files = [path for one in artifacts for path in written.get((one.identity, one.artifact_sha), [])]
        return Exported(tuple(artifacts), tuple(trained), tuple(wanted), (*failures, *more), tuple(files))

    def explain(self, made: Exported, *, wait_s: float = 0.0, progress: Progress | None = None) -> Explained:
        """Where exported files lose accuracy: of each that names fewer images rightly than its checkpoint, gives other
        numbers, or failed parity (it is made again for that).

        Args:
            made: as `export` gives it.
        """
        from edgeprof import pipeline

        with self._place.working("export --explain", wait_s) as store:
            found, more = pipeline.explain_exported(
                store, made.trained, made.exporters, made.artifacts, made.failed, progress or Silent()
            )
        return Explained(tuple(found), (*(one for one in made.failed if one.parity is None), *more))

    def explain_file(
        self,
        file: FilePath,
        *,
        training: str | None = None,
        model: str | None = None,
        init: str | None = None,
        seed: int | None = None,
        expect: Literal["logits", "probabilities"] | None = None,
        seen: FilePath | None = None,
        wait_s: float = 0.0,
        progress: Progress | None = None,
    ) -> Explanation:
        """Where a ready file (.onnx, .xml, .tflite) loses accuracy against a checkpoint of the store.

        Args:
            training, model, init, seed: of the checkpoint, where several would fit.
            expect: what the file is to give; None: what its checkpoint gives.
            seen: an .npz with what a program of your own gave to it (in0) and got from it (out0) for the first test
                images: then the program is explained.

        Raises:
            UsageError: there is no such file or checkpoint, or several fit.
            ExportError: it cannot be opened or run, or is no classifier of such images.
        """
        from edgeprof import pipeline

        path = Path(file)
        with self._place.working(f"export --explain {path}", wait_s) as store:
            return pipeline.explain_file(
                store,
                path,
                pipeline.checkpoint_for(store, path, training, model, init, seed),
                progress or Silent(),
                probabilities=expect == "probabilities",
                seen=None if seen is None else Path(seen),
            )

    def import_checkpoint(
        self,
        checkpoint: FilePath,
        *,
        data: FilePath,
        model: str | None = None,
        factory: str | None = None,
        classes: int | None = None,
        name: str | None = None,
        data_set: DataSet | None = None,
        train_split: str = "train",
        test_split: str = "test",
        image_size: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        interpolation: Interpolation | None = None,
        crop_pct: float | None = None,
        force: bool = False,
        wait_s: float = 0.0,
        progress: Progress | None = None,
    ) -> Imported:
        """Bring a checkpoint of your own: evaluate it, and write `training/NAME.toml` for `export`, `run` and reports.

        With the built-in suite, one is made in the working folder, and this object is of that from now on.

        Args:
            checkpoint: its weights: .safetensors, or a .pth that holds tensors alone.
            data: the folder of the images it is for: ROOT/train/CLASS/ and ROOT/test/CLASS/, or a data set's.
            model: a name of timm, or "torchvision:NAME".
            factory: instead of `model`: "MODULE:FUNCTION" of yours, which makes the module.
            classes: how many it knows, to be compared with the data.
            name: of the recipe; None: the file's.
            data_set: which lies there; None: it is recognised.
            train_split, test_split: folders of the training images (they calibrate int8) and of the test images.
            image_size, mean, std, interpolation, crop_pct: how images are prepared (mean and std of red, green and blue
                in 0..1); None: as the model's library publishes it.
            force: replace a recipe of that name.

        Raises:
            UsageError: no such file or model, other classes, a factory without image_size, mean and std, or another
                recipe has the name.
            DataError, TrainError: the images or the checkpoint cannot be used.
        """
        from edgeprof import suite_files
        from edgeprof.pipeline import bring

        if (model is None) == (factory is None):
            raise UsageError("say what it is the checkpoint of: --model NAME, or --factory MODULE:FUNCTION")
        for what, numbers in (("mean", mean), ("std", std)):
            if numbers is not None and len(numbers) != 3:
                raise UsageError(f"{what} {tuple(numbers)} is not three numbers", hint="of red, green and blue")
        said: dict[str, Any] = {
            "image_size": image_size,
            "mean": None if mean is None else tuple(mean),
            "std": None if std is None else tuple(std),
            "interpolation": interpolation,
            "crop_pct": crop_pct,
        }
        told = progress or Silent()
        with ours():
            brought = bring.bring(
                Path(checkpoint).expanduser(),
                str(model) if factory is None else f"factory:{factory}",
                bring.data_at(str(data), data_set, train_split, test_split),
                name=name,
                classes=classes,
                said={key: value for key, value in said.items() if value is not None},
            )
            _check_free(self._place.files, brought.training, force)
        with self._place.working(f"import {brought.training.name}", wait_s) as store:
            found = bring.evaluate(self._place.files, store, brought, told)
        self._place = self._place.to_write(told)
        with ours():
            file = suite_files.write_training(self._place.files.root, brought.training)
        shares = found.shares
        return Imported(
            training=brought.training,
            file=file,
            classes=brought.classes,
            assumed=brought.assumed,
            trained=found.trained,
            images=shares.images,
            top1=shares.top1,
            top5=shares.top5,
            macro_f1=shares.macro_f1,
        )


def _check_free(files: Files, wanted: Training, force: bool) -> None:
    """Another recipe does not lose its name; the same import again is no other recipe. Before anything is made."""
    from edgeprof import suite_files

    text = suite_files.training_text(files.root, wanted)  # checks it
    path = files.root / "training" / f"{wanted.name}.toml"
    if not force and path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise UsageError(
            f"there is a training {wanted.name!r} already",
            where=str(path),
            hint="choose another --name, or replace it with --force",
        )
