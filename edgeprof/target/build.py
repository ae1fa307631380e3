"""The agent as one file: a zip that Python runs."""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from edgeprof.store import Store

PACKAGE = "edgeprof_agent"
# In words that an old Python can still read, so that it can say what is wrong.
MAIN = f"""\
import sys

if sys.version_info < (3, 8):
    sys.exit("the agent needs Python 3.8 or newer; this is %d.%d" % sys.version_info[:2])

from {PACKAGE}.main import main

sys.exit(main())
"""
NO_TIME = (1980, 1, 1, 0, 0, 0)


def agent_zip(store: Store) -> tuple[Path, str]:
    """The agent in the store: its path and its sha256. The same sources give the same bytes."""
    sha = store.add_bytes(agent_bytes())
    return store.blob(sha), sha


@lru_cache(maxsize=1)
def agent_bytes() -> bytes:
    """The zip's bytes."""
    sources = {"__main__.py": MAIN.encode()}
    _gather(resources.files("edgeprof.agent"), PACKAGE, sources)
    data = io.BytesIO()
    # Stored, not deflated: what deflate makes depends on the version of zlib.
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(sources):
            info = zipfile.ZipInfo(name, NO_TIME)
            info.external_attr = 0o644 << 16
            archive.writestr(info, sources[name])
    return data.getvalue()


def _gather(folder: Traversable, prefix: str, sources: dict[str, bytes]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            _gather(entry, f"{prefix}/{entry.name}", sources)
        elif entry.name.endswith(".py"):
            sources[f"{prefix}/{entry.name}"] = entry.read_bytes()
