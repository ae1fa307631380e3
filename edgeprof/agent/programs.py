"""Whose a process is and what it runs, by names alone: the rest of a command line may hold secrets."""

from __future__ import annotations

import os
import re
from typing import List, Optional

from .readers import clean, text

NAMES = r"[\w.+-]{1,60}"
"""File names and modules that are shown: nothing that could be code or an assignment."""
FLAGS = "-[bBdEiIOPqsSuvx]+"
"""Options of Python that take nothing after them."""


def user(root: str, pid: int) -> Optional[str]:
    """The name of its real user, or the number where it has none; None if the process is not there."""
    found = re.search("^Uid:[ \t]+([0-9]{1,10})\\b", text(os.path.join(root, "proc", str(pid), "status")) or "", re.M)
    if not found:
        return None
    try:
        import pwd

        return clean(pwd.getpwuid(int(found.group(1))).pw_name) or found.group(1)
    except (ImportError, KeyError, OverflowError, OSError):
        return found.group(1)


def program(root: str, pid: int) -> Optional[str]:
    """`python3 train.py`: the file name of its program, and of the script or module that it interprets."""
    words = (text(os.path.join(root, "proc", str(pid), "cmdline")) or "").split("\0")
    # A process that renames itself writes it all into the first word.
    first = os.path.basename((words[0].split() or [""])[0]).rstrip(":")
    if not re.fullmatch(NAMES, first):
        return None
    script = _script(first, words[1:])
    return first if script is None else "%s %s" % (first, script)


def _script(program_name: str, words: List[str]) -> Optional[str]:
    """The file name of the script; None with options that are not known, since what follows may be anything."""
    python = re.fullmatch("(python|pypy)[0-9.]*", program_name)
    if not python and not re.fullmatch("(ba|da|z|k)?sh|perl|ruby|node", program_name):
        return None
    for at, word in enumerate(words):
        if python and re.fullmatch(FLAGS, word):
            continue
        if python and word == "-m":
            named = "-m %s" % words[at + 1] if at + 1 < len(words) else ""
            return named if re.fullmatch("-m " + NAMES, named) else None
        named = os.path.basename(word)
        return named if not word.startswith("-") and re.fullmatch(NAMES, named) else None
    return None
