"""Where the Python API works: a suite's files, a working folder and its store. Who holds it; whose its errors are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeprof import suite as suites
from edgeprof.errors import of_the_system
from edgeprof.progress import Progress
from edgeprof.suite import Suite

if TYPE_CHECKING:
    from edgeprof.records import Device, Training
    from edgeprof.store import Store


@dataclass(frozen=True)
class Place:
    """The files of a suite, and the folder where `.edgeprof/` and `reports/runs/` lie."""

    files: Suite
    work: Path

    @property
    def root(self) -> Path:
        """The store's folder."""
        from edgeprof import pipeline

        return pipeline.store_root(self.work)

    def recipe(self, training: str | None) -> Training:
        """The training of that name, or the suite's default."""
        return self.files.training(training or self.files.default_training())

    def devices(self, names: Sequence[str] | None = None) -> tuple[Device, ...]:
        """Those named, in words as for `--device`; None: all."""
        wanted = self.files.names("devices") if names is None else names
        return tuple(self.files.devices(wanted)) if wanted else ()

    def to_write(self, progress: Progress) -> Place:
        """Where files of the suite are written: here, or beside the built-in suite a new one in the working folder.

        Raises:
            UsageError: the folder cannot be written.
        """
        if not self.files.builtin:
            return self
        with ours():
            written = suites.init(self.work)
        whole, here = self.work.resolve(), Path.cwd()
        where = whole.relative_to(here) if whole.is_relative_to(here) else self.work
        progress.note(f"made a suite in {where}: training/, exporters/, devices/ ({len(written)} files)")
        return Place(Suite(self.work), self.work)

    def reading(self) -> contextlib.AbstractContextManager[Store]:
        """See `reading`."""
        return reading(self.root)

    def working(
        self, what: str, wait_s: float, devices: Sequence[Device] = ()
    ) -> contextlib.AbstractContextManager[Store]:
        """The store, held; whoever finds it so is told what for."""
        words = " ".join(["edgeprof", what, *(f"--device {one.name}" for one in devices)])
        return writing(self.root, words, wait_s)


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """Within it all errors are edgeprof's own, the system's faults too; what is left is a bug."""
    try:
        yield
    except OSError as error:
        told = of_the_system(error)
        if told is None:
            raise
        raise told from error


@contextlib.contextmanager
def reading(root: Path) -> Iterator[Store]:
    """The store, for reading alone.

    Raises:
        UsageError: nothing has been made there.
    """
    from edgeprof.store import Store

    with ours(), contextlib.closing(Store(root, read_only=True)) as store:
        yield store


@contextlib.contextmanager
def writing(root: Path, what: str | None = None, wait_s: float = 0.0) -> Iterator[Store]:
    """The store, made if missing; with `what` held against others, who are told it.

    Raises:
        UsageError: the folder cannot be written.
        DeviceBusyError: somebody else holds it and did not let go within `wait_s`.
    """
    from edgeprof.store import Store

    with ours(), contextlib.closing(Store(root)) as store, contextlib.ExitStack() as stack:
        if what is not None:
            stack.enter_context(store.lock(what, wait_s))
        yield store
