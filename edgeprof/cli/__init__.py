"""The command line, thin over `edgeprof.pipeline`."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `edgeprof` command."""
    from edgeprof.cli.app import app

    app()
