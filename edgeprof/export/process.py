"""One worker process: started, listened to, and ended with everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import edgeprof
from edgeprof.errors import EdgeprofError, ExportError
from edgeprof.export import words
from edgeprof.export.request import Made, News, Request, from_fault
from edgeprof.records import from_json, to_json
from edgeprof.store import writing

END_S = 10.0
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
        self.started = self._heard = time.monotonic()
        self._rest = b""
        ours, theirs = os.pipe()
        self._news = ours
        try:
            with writing(log.parent), log.open("wb") as output:
                self._process = subprocess.Popen(
                    # -P: a file of the current folder named like a package must not shadow it.
                    [sys.executable, "-P", "-m", MODULE, str(theirs)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(theirs,),
                    env=_environment(self.folder),
                    # Of its own, so that Ctrl-C comes to us alone and we can end whatever a converter starts.
                    start_new_session=True,
                )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(to_json(request) + b"\n")
            self._process.stdin.flush()

    def fileno(self) -> int:
        """The descriptor that news come from."""
        return self._news

    def read(self) -> bool:
        """Take what has come; True when there is nothing more to wait for."""
        data = os.read(self._news, 1 << 16)
        self._heard = time.monotonic()
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            news = from_json(line, News, where="the export worker")
            if news.made or news.fault:
                self.outcome = news
        return self.outcome is not None or not data

    def stop(self) -> None:
        """End the process and all it started; gives one that has finished a moment to end by itself."""
        if self._news < 0:
            return
        os.close(self._news)
        self._news = -1
        if self.outcome is not None or self._process.poll() is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(END_S)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def result(self) -> Made:
        """What was made; only after `read` said True. Stops the process.

        Raises:
            EdgeprofError: what the worker raised, or how it died.
        """
        if self.outcome is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        self.stop()
        if self.outcome is None:
            raise self._death()
        if self.outcome.fault is not None:
            raise from_fault(self.outcome.fault)
        assert self.outcome.made is not None
        return self.outcome.made

    def silent_for(self) -> float:
        """Seconds since it was last heard."""
        return time.monotonic() - self._heard

    def _death(self) -> EdgeprofError:
        if words.disk_full(self.folder):
            return words.disk_full_error(self.folder)
        code = self._process.returncode
        said = words.of_log(self.log)
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            how = f"the conversion was killed by {name}"
        else:
            how = f"the conversion ended with exit status {code} and no result"
        return ExportError(
            f"{how}; its last words: {said}" if said else how,
            hint="SIGKILL is often the system being out of memory" if code == -signal.SIGKILL else None,
        )


def _environment(out: Path) -> dict[str, str]:
    """Ours, and: find this very package, leave temporary files where they are removed, one thread, no network."""
    package = str(Path(edgeprof.__file__).parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([package, before] if before else [package]),
        "PYTHONHASHSEED": "0",
        "PYTHONFAULTHANDLER": "1",
        "TMPDIR": str(out),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "1",
    }
