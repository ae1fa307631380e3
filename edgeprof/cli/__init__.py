"""The command line, thin over `edgeprof.api`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the `edgeprof` command."""
    # Started with a closed stdout or stderr (`>&-`): what is said there goes nowhere, and that is no error.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    from edgeprof.cli import console
    from edgeprof.cli.app import app

    console.run_app(app)
