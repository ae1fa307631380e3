"""Commands for a login shell that may be any: sh, bash, zsh, busybox, csh, fish."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence


def command_line(arguments: Sequence[str]) -> str:
    """A line that gives a program these arguments as they are; none of them may hold a line's end."""
    return " ".join(map(_quoted, arguments))


def _quoted(argument: str) -> str:
    # Between single quotes csh expands "!" and fish reads "\\" all the same; outside of them a backslash serves.
    parts = re.split(r"([!\\])", argument)
    return "".join("\\" + part if part in ("!", "\\") else shlex.quote(part) for part in parts if part) or "''"
