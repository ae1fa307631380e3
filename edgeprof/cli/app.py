"""The root command, its options, and which group each command comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeprof import __version__

if TYPE_CHECKING:
    from edgeprof import api

app = typer.Typer(
    name="edgeprof",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="First result: `edgeprof run --device localhost`.  Results go to stdout, words and progress to stderr.",
)


@dataclass(frozen=True)
class Options:
    """The options of `edgeprof` itself; finding the suite waits until a command needs it."""

    suite_dir: Path | None
    work_dir: Path | None

    def api(self) -> api.Suite:
        """The suite that this command works on; the commands are thin over it."""
        from edgeprof import api

        return api.Suite(self.suite_dir, work=self.work_dir)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"edgeprof {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    suite: Annotated[
        Path | None,
        typer.Option(help="The suite's folder. Default: the current folder if it is one, else the built-in suite."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="Where .edgeprof/ and reports/runs/ are written. Default: the suite's folder."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Which image classifier to ship on an edge board: train, export, profile on the device, rank - with intervals."""
    context.obj = Options(suite_dir=suite, work_dir=work)


# Each group module adds its commands to `app` when imported; `--help` lists them in this order.
from edgeprof.cli import measure  # noqa: E402, F401  # isort: skip
from edgeprof.cli import device  # noqa: E402, F401  # isort: skip
from edgeprof.cli import compare  # noqa: E402, F401  # isort: skip
from edgeprof.cli import decide  # noqa: E402, F401  # isort: skip
from edgeprof.cli import choose  # noqa: E402, F401  # isort: skip
from edgeprof.cli import reporting  # noqa: E402, F401  # isort: skip
from edgeprof.cli import gate  # noqa: E402, F401  # isort: skip
from edgeprof.cli import training  # noqa: E402, F401  # isort: skip
from edgeprof.cli import make  # noqa: E402, F401  # isort: skip
from edgeprof.cli import importing  # noqa: E402, F401  # isort: skip
from edgeprof.cli import folders  # noqa: E402, F401  # isort: skip
