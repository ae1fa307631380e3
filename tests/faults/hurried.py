"""The `edgeprof` command with other time limits: `hurried.py [keep=SECONDS] [MODULE.NAME=SECONDS ...] -- ARGUMENTS`."""

from __future__ import annotations

import importlib
import sys

from edgeprof.cli import main
from edgeprof.target.ssh.connection import SshConnection


def hurried(words: list[str]) -> list[str]:
    """Set the limits; returns the arguments that follow them."""
    cut = words.index("--")
    for word in words[:cut]:
        name, _, seconds = word.partition("=")
        if name == "keep":
            SshConnection.__init__.__defaults__ = (float(seconds),)
            continue
        module, _, limit = name.rpartition(".")
        found = importlib.import_module(module)
        assert hasattr(found, limit), name
        setattr(found, limit, float(seconds))
    return words[cut + 1 :]


if __name__ == "__main__":
    sys.argv[1:] = hurried(sys.argv[1:])
    main()
