"""Pythons as boards have them: too old, without pip or venv, or none; each is a folder to put into PATH."""

from __future__ import annotations

import fnmatch
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ORDINARY = ("/usr/local/bin", "/usr/bin", "/bin")
SITE = """\
import sys
version, lacks = {version!r}, {lacks!r}
if version:
    numbers = [int(part) for part in version.split(".")]
    sys.hexversion = int("%02x%02x%02xf0" % tuple(numbers), 16)
    sys.version = version + " (default, Jan  1 2020, 00:00:00) \\n[GCC 8.4.0]"
    sys.version_info = type("version_info", (tuple,), dict(zip(("major", "minor", "micro"), numbers)))(
        numbers + ["final", 0])


class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in lacks else self.finder.find_spec(name, path, target)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def write_python(folder: Path, version: str | None = None, lacks: Sequence[str] = ()) -> Path:
    """A `python3` that says it is `version` (three numbers) and cannot import the modules in `lacks`.

    It is a virtual environment of this machine's Python with a .pth file; only `python3 -S` shows the truth.

    Returns: the folder for PATH.
    """
    real = shutil.which("python3", path=":".join(ORDINARY)) or "python3"
    subprocess.run([real, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "edgeprof_testbed_site.py").write_text(SITE.format(version=version, lacks=tuple(lacks)))
    (site / "edgeprof_testbed.pth").write_text("import edgeprof_testbed_site\n")
    return folder / "bin"


def write_programs(folder: Path, without: Sequence[str]) -> Path:
    """All programs of the ordinary PATH as links, without those that match a pattern, such as `python*`.

    Returns: the folder for PATH.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place in reversed(ORDINARY):
        for file in Path(place).iterdir():
            if not any(fnmatch.fnmatch(file.name, pattern) for pattern in without):
                link = folder / file.name
                link.unlink(missing_ok=True)
                link.symlink_to(file)
    return folder
