"""Where commands that add a file to the suite write it."""

from __future__ import annotations

from pathlib import Path

from edgeprof.cli import console
from edgeprof.cli.app import Options


def suite_to_write(options: Options) -> Path:
    """The folder of the suite that something is added to; in a folder without one, one is made."""
    from edgeprof import suite

    found = options.suite()
    if not found.builtin:
        return found.root
    here = options.work_dir or Path.cwd()
    written = suite.init(here)
    console.say(f"made a suite in {console.shown_path(here)}: training/, exporters/, devices/ ({len(written)} files)")
    return here
