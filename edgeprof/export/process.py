"""One worker process: started, listened to, and ended with everything it started."""

from __future__ import annotations

from pathlib import Path

from edgeprof.child import Child
from edgeprof.errors import EdgeprofError, ExportError
from edgeprof.export import words
from edgeprof.export.request import Made, News, Request, from_fault

MODULE = "edgeprof.export.worker"


class Worker:
    """A running worker. It has a `fileno` to select on; call `read` when there is something.

    Args:
        request: what to make; its folder must be there.
        log: where all that converters print goes.
    """

    def __init__(self, request: Request, log: Path) -> None:
        self.folder = Path(request.out)
        self.log = log
        self.outcome: News | None = None
        """What came out; None while it runs, and for ever if it died without a word."""
        # Temporary files where they are removed, one thread, no network.
        environment = {
            "TMPDIR": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "JAX_PLATFORMS": "cpu",
            "TF_CPP_MIN_LOG_LEVEL": "1",
        }
        self._child = Child(MODULE, log, environment)
        self.started = self._child.started
        self._child.ask(request)

    def fileno(self) -> int:
        """The descriptor that news come from."""
        return self._child.fileno()

    def read(self) -> bool:
        """Take what has come; True when there is nothing more to wait for."""
        news = self._child.read(News)
        for one in news or ():
            if one.made or one.fault:
                self.outcome = one
        return self.outcome is not None or news is None

    def stop(self) -> None:
        """End the process and all it started; gives one that has finished a moment to end by itself."""
        if self.outcome is not None:
            self._child.wait()
        self._child.stop()

    def result(self) -> Made:
        """What was made; only after `read` said True. Stops the process.

        Raises:
            EdgeprofError: what the worker raised, or how it died.
        """
        self._child.wait()
        self.stop()
        if self.outcome is None:
            raise self._death()
        if self.outcome.fault is not None:
            raise from_fault(self.outcome.fault)
        assert self.outcome.made is not None
        return self.outcome.made

    def silent_for(self) -> float:
        """Seconds since it was last heard."""
        return self._child.silent_for()

    def _death(self) -> EdgeprofError:
        if words.disk_full(self.folder):
            return words.disk_full_error(self.folder)
        how, hint = self._child.death("the conversion")
        said = words.of_log(self.log)
        return ExportError(f"{how}; its last words: {said}" if said else how, hint=hint)
