"""Of which run an answer is: a profile of ready files takes over `latest`, and nobody should have to guess that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeprof.cli import console

if TYPE_CHECKING:
    from edgeprof.api import Suite
    from edgeprof.records import Run


def tell(suite: Suite, run: Run, *, named: bool, accuracy: bool) -> None:
    """One line on stdout; a hint on stderr where accuracy is asked of a run that knows none.

    Args:
        named: whether the run was asked for by its name.
        accuracy: whether accuracy was asked for.
    """
    print("".join(char if char.isprintable() else "\ufffd" for char in head(run)))
    if not accuracy or named or run.training is not None:
        return
    other = next((one for one in reversed(suite.finished_runs(run.device)) if one.training is not None), None)
    if other is not None:
        console.say(
            "  hint: the newest run is of ready files, and their accuracy is not known; the newest run of a training"
            f" on {run.device}: --run {other.run}"
        )


def head(run: Run) -> str:
    """The run, its device, what it is of, and when it began."""
    files = len({cell.artifact_sha for cell in run.cells})
    of = f"training {run.training}" if run.training else "1 ready file" if files == 1 else f"{files} ready files"
    return f"run {run.run} on {run.device}, {of}, started {run.started_at}"
