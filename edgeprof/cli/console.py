"""What people see: results on stdout, words and progress on stderr, errors with their exit codes.

The only module that prints and the only one that exits.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

from edgeprof.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, EdgeprofError, of_the_system
from edgeprof.progress import Clock, Lines, Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from edgeprof.records import Record

P = ParamSpec("P")
JSON_SCHEMA = 1


def out() -> Console:
    """Results. Wide when it is no terminal, so that nothing is cut in a file or a pipe."""
    from rich.console import Console

    class Out(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, which means something else here

    return Out(width=None if sys.stdout.isatty() else 160, soft_wrap=False, highlight=False)


def err() -> Console:
    """Words for people."""
    from rich.console import Console

    return Console(stderr=True, width=None if sys.stderr.isatty() else 160, highlight=False)


def say(text: str) -> None:
    """A line for people, on stderr, without markup; a device's or a file's words in it cannot steer the terminal."""
    plain = "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
    sys.stderr.write(plain + "\n")  # in one piece: `print` would write the end of the line by itself
    sys.stderr.flush()


def print_json(value: Any) -> None:
    """The one JSON document of a command: plain data or a record."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def print_record(record: Record) -> None:
    """A record as the one JSON document of a command."""
    print_json(record)


def reported(command: Callable[P, int | None]) -> Callable[P, None]:
    """Run a command; turn its errors into a sentence (or JSON under --json) and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        as_json = bool(kwargs.get("as_json"))
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            code = command(*args, **kwargs) or EXIT_OK
            sys.stdout.flush()
        except EdgeprofError as error:
            code = _tell(error.what, error.where, error.hint, error.exit_code, as_json)
        except KeyboardInterrupt:
            what = "interrupted; everything that was finished is kept"
            code = _tell(what, None, "run the same command again to go on", EXIT_INTERRUPTED, as_json)
        except BrokenPipeError:
            # The reader of our output went away (`edgeprof list | head`): nothing to say, nowhere to say it.
            _drop_stdout()
            code = EXIT_OK
        except OSError as error:
            code = _tell_os_error(error, as_json)
        except Exception as error:
            code = _tell_bug(error, as_json)
        if code != EXIT_OK:
            raise typer.Exit(code)

    return run


def run_app(app: typer.Typer) -> None:
    """Run the command line and exit; a usage error under --json is one JSON document like any other error."""
    try:
        if "--json" not in sys.argv:
            app()
        sys.exit(app(standalone_mode=False) or EXIT_OK)
    except _ClickException as error:
        error.show()
        sys.exit(_tell(error.format_message(), None, "see --help", error.exit_code, as_json=True, quiet=True))
    except OSError as error:  # help or completion to a full disk or a closed pipe
        sys.exit(_tell_os_error(error, as_json=False))


# Newer typer brings a click of its own; either way this is the base of its usage errors.
_ClickException: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tell(what: str, where: str | None, hint: str | None, code: int, as_json: bool, quiet: bool = False) -> int:
    if not quiet:
        say(f"error: {where}: {what}" if where else f"error: {what}")
        if hint:
            say(f"  hint: {hint}")
    if as_json:
        try:
            error = {"what": what, "where": where, "hint": hint, "exit_code": code}
            print_json({"schema": JSON_SCHEMA, "error": error})
        except OSError:  # stdout itself is what failed
            _drop_stdout()
    return code


def _drop_stdout() -> None:
    """Nobody can take what is still to be written: have Python's own flush at the end write it nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell_os_error(error: OSError, as_json: bool) -> int:
    if error.errno == errno.EPIPE:
        _drop_stdout()
        return EXIT_OK
    if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
        _drop_stdout()
    ours = of_the_system(error)
    if ours is None:
        return _tell_bug(error, as_json)
    return _tell(ours.what, ours.where, ours.hint, ours.exit_code, as_json)


def _tell_bug(error: Exception, as_json: bool) -> int:
    if os.environ.get("EDGEPROF_TRACEBACK"):
        traceback.print_exc()
    what = f"a bug in edgeprof: {type(error).__name__}: {error}"
    return _tell(what, None, "please report it with the output under EDGEPROF_TRACEBACK=1", EXIT_BUG, as_json)


# --- questions


def asked_yes(question: str) -> bool | None:
    """A person's yes or no; None where nobody can be asked."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    say(question + " (yes/no)")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def asked_secret(prompt: str) -> str | None:
    """What a person types unseen; None where nobody can be asked. Kept nowhere."""
    import getpass

    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    try:
        return getpass.getpass("".join(c if c.isprintable() else "?" for c in prompt))
    except EOFError:
        return None


# --- progress


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Live bars with time left on a terminal; plain lines otherwise. Always on stderr."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _bars() as bars:
            yield LiveProgress(bars)
    else:
        yield Lines(say, asked_secret)


def _bars() -> Bars:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    # auto_refresh off: a refreshing thread would be a busy parent beside the measurement. `advance` redraws.
    return Progress(
        TextColumn("[bold]{task.description:<8}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]:<9}"),
        TextColumn("{task.fields[detail]}", style="dim"),
        console=err(),
        auto_refresh=False,
    )


class LiveProgress:
    """Bars on a terminal. A stage of one of several devices ("pi: profile") takes the place of the device's last."""

    EVERY_S = 0.1

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, tuple[TaskID, Clock]] = {}
        self._over: dict[str, TaskID] = {}
        self._drawn = 0.0

    def start(self, stage: str, total: float) -> None:
        device, _, _ = stage.rpartition(": ")
        if device in self._over:
            self._bars.remove_task(self._over.pop(device))
        task = self._bars.add_task(stage, total=total, detail="", left="")
        self._tasks[stage] = (task, Clock(total))
        self._bars.refresh()

    def expect(self, stage: str, left: float) -> None:
        if stage in self._tasks:
            task, clock = self._tasks[stage]
            clock.total = clock.done + left
            self._bars.update(task, total=clock.total)

    def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
        if stage in self._tasks:
            task, clock = self._tasks[stage]
            clock.done += done
            self._bars.update(task, advance=done, detail=_plain(detail), left=clock.left())
            now = time.monotonic()
            if now - self._drawn >= self.EVERY_S:  # many devices at once tell more than anybody sees
                self._drawn = now
                self._bars.refresh()

    def finish(self, stage: str) -> None:
        if stage in self._tasks:
            task, _ = self._tasks.pop(stage)
            self._bars.update(task, detail="", left="", refresh=True)
            self._bars.stop_task(task)
            device, _, _ = stage.rpartition(": ")
            if device:
                self._over[device] = task

    def note(self, text: str) -> None:
        self._bars.console.print(_plain(text))

    def secret(self, prompt: str) -> str | None:
        self._bars.stop()  # else they would be drawn over what is typed
        try:
            return asked_secret(prompt)
        finally:
            self._bars.start()


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text))


def shown_path(path: Path) -> str:
    """A path as people type it: relative to the current folder when that is shorter."""
    with contextlib.suppress(ValueError):
        relative = path.resolve().relative_to(Path.cwd())
        return str(relative)
    return str(path)
