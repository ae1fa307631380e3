"""A suite and its working folder, from Python: one class, its methods grouped by what they are for.

| methods | file of `edgeprof/api/` |
|---|---|
| what the suite's files say | here |
| `probe`, `doctor`, `add_device`, `trust_device`, `clean_device` | `devices.py` |
| `train`, `estimate`, `export`, `explain`, `explain_file`, `import_checkpoint` | `making.py` |
| `run`, `profile`, `fleet`, `compare`, `measure_more` | `measuring.py` |
| `gate`, `update_baseline`, `calibrate_gate` | `gating.py` |
| `latest`, `load_run`, `runs`, `report`, ... | `reading.py` |
| `accuracy`, `effect`, `history`, `proxies`, `compare_runs`, ... | `finding.py` |
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeprof import suite as suites
from edgeprof.api.asking import FilePath
from edgeprof.api.devices import DeviceMethods
from edgeprof.api.finding import FindingMethods
from edgeprof.api.gating import GateMethods
from edgeprof.api.making import MakingMethods
from edgeprof.api.measuring import MeasuringMethods
from edgeprof.api.place import Place, ours
from edgeprof.api.reading import ReadingMethods
from edgeprof.errors import EdgeprofError

if TYPE_CHECKING:
    from edgeprof.records import Device, Exporter, Training


class Suite(DeviceMethods, MakingMethods, MeasuringMethods, GateMethods, ReadingMethods, FindingMethods):
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

    written: tuple[Path, ...] = ()
    """By `init`: the files that it has written."""

    def __init__(self, path: FilePath | None = None, *, work: FilePath | None = None) -> None:
        with ours():
            files = suites.Suite.find(None if path is None else Path(path))
            self._place = Place(files, (files.work if work is None else Path(work)).absolute())

    @classmethod
    def init(cls, folder: FilePath) -> Suite:
        """A suite of one's own: copies the built-in one's files into `folder`; files that are there already stay.

        Raises:
            UsageError: the folder cannot be written.
        """
        with ours():
            written = suites.init(Path(folder))
        made = cls(folder)
        made.written = tuple(written)
        return made

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

    def models(self) -> tuple[str, ...]:
        """The models of all recipes, each once."""
        return tuple(self._place.files.models())

    def models_with_recipes(self) -> dict[str, tuple[str, ...]]:
        """The models of all recipes -> the recipes of `training/` that have them, by name."""
        return {name: tuple(recipes) for name, recipes in self._place.files.models().items()}

    def trainings(self) -> tuple[Training, ...]:
        """The recipes of `training/`."""
        return tuple(self._place.files.training(name) for name in self._place.files.names("training"))

    def exporters(self) -> tuple[Exporter, ...]:
        """The deployable forms of `exporters/`."""
        return tuple(self._place.files.exporter(name) for name in self._place.files.names("exporters"))

    def training_names(self) -> tuple[str, ...]:
        """The recipes of `training/` by name, whether or not their files are right."""
        return tuple(self._place.files.names("training"))

    def exporter_names(self) -> tuple[str, ...]:
        """The deployable forms of `exporters/` by name, whether or not their files are right."""
        return tuple(self._place.files.names("exporters"))

    def device_names(self) -> tuple[str, ...]:
        """The devices of `devices/` by name, whether or not their files are right."""
        return tuple(self._place.files.names("devices"))

    def devices(self, names: Sequence[str] | None = None) -> tuple[Device, ...]:
        """The devices of `devices/`: all, or those named; among the names may be "all" and tags ("tag:arm64").

        Raises:
            UsageError: there is no such device or tag.
        """
        return self._place.devices(names)

    def check(self) -> dict[Path, EdgeprofError | None]:
        """Every file of the suite -> what is wrong with it, or None."""
        return dict(self._place.files.check())
