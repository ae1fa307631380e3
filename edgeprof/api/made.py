"""What making, bringing and keeping in order give back: records, and the same as data frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from edgeprof.api.types import Explanation
    from edgeprof.frames import DataFrame
    from edgeprof.records import Artifact, DeviceFacts, Exporter, Failure, Interval, Trained, Training


@dataclass(frozen=True)
class TrainingResult:
    """What a training came to."""

    trained: tuple[Trained, ...]
    failed: tuple[Failure, ...]

    def frame(self) -> DataFrame:
        """The checkpoints, a row each."""
        from edgeprof import frames

        return frames.trained(self.trained)

    def failures(self) -> DataFrame:
        """`failed`, a row each."""
        from edgeprof import frames

        return frames.failures(self.failed)


@dataclass(frozen=True)
class Exported:
    """What an export came to."""

    artifacts: tuple[Artifact, ...]
    trained: tuple[Trained, ...]
    """The checkpoints that they were exported from."""
    exporters: tuple[Exporter, ...]
    failed: tuple[Failure, ...]
    """Of training what was missing, and of exporting."""
    files: tuple[Path, ...] = ()
    """Written under readable names, where a folder for them was named."""

    def frame(self) -> DataFrame:
        """The exported files, a row each."""
        from edgeprof import frames

        return frames.artifacts(self.artifacts)

    def failures(self) -> DataFrame:
        """`failed`, a row each."""
        from edgeprof import frames

        return frames.failures(self.failed)


@dataclass(frozen=True)
class Explained:
    """Why files are not as accurate as their checkpoints."""

    explanations: tuple[Explanation, ...]
    """Of each file that lost something: `verdict` and `change` in words, then the numbers."""
    failed: tuple[Failure, ...]
    """What could not be exported or explained."""

    def frame(self) -> DataFrame:
        """The explanations, a row each: subject, cause, verdict, change, top1 of the checkpoint and of the file."""
        from edgeprof import frames
        from edgeprof.pipeline import Explanation

        return frames.table(self.explanations, Explanation)

    def layers(self) -> DataFrame:
        """Every layer that was looked at: subject, layer, sqnr_db, relative_error, ..."""
        from edgeprof import frames
        from edgeprof.pipeline import LayerError

        found = frames.table([layer for one in self.explanations for layer in one.layers], LayerError)
        found.insert(0, "subject", [one.subject for one in self.explanations for _ in one.layers])
        return found.astype({"subject": "string"})

    def failures(self) -> DataFrame:
        """`failed`, a row each."""
        from edgeprof import frames

        return frames.failures(self.failed)


@dataclass(frozen=True)
class Imported:
    """A checkpoint that was trained elsewhere, as a recipe of the suite."""

    training: Training
    file: Path
    """Of the recipe, as it was written."""
    classes: tuple[str, ...]
    assumed: dict[str, Any]
    """What was not said of the images' preparation, and is as the model's library publishes it."""
    trained: Trained
    """The checkpoint as it was evaluated."""
    images: int
    """Test images."""
    top1: Interval
    """Shares in 0..1 with 95% intervals over the test images."""
    top5: Interval
    macro_f1: Interval

    def frame(self) -> DataFrame:
        """The checkpoint, as a row."""
        from edgeprof import frames

        return frames.trained([self.trained])


class AddedDevice(NamedTuple):
    """A board that is in the suite now."""

    name: str
    file: Path
    """Of `devices/`."""
    host_key: str
    """Its fingerprint, SHA256:..."""
    facts: DeviceFacts


class TrustedKey(NamedTuple):
    """A host key that is known now."""

    device: str
    host: str
    """Whose key it is: the device's, or that of a jump host on the way to it."""
    jump: bool
    """Whether it is that of a jump host; the device's own is asked for next time."""
    host_key: str
    """Its fingerprint, SHA256:..."""
    kind: str
    """Such as ssh-ed25519."""
    file: Path | None
    """That holds it; None where it was known already."""


class Cleaned(NamedTuple):
    """What was removed from a board."""

    files: int
    bytes: int


class Reported(NamedTuple):
    """Reports that were written."""

    runs: tuple[str, ...]
    """By name."""
    files: dict[str, Path]
    """ "html", "json", "csv", "markdown", "parquet" (with pyarrow) -> file."""
    plots: tuple[Path, ...]
    """The drawings, where a folder for them was named."""
