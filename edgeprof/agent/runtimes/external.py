"""An ONNX file finds its external data beside itself, by name; a store of blobs keeps neither place nor name."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Iterator, Mapping

from .model import ModelError


@contextlib.contextmanager
def gathered(files: Mapping[str, str]) -> Iterator[str]:
    """The path of the .onnx file, in one folder with its external data under the names that it knows them by.

    The folder is gone afterwards; ONNX Runtime has the data mapped by then.

    Args:
        files: conventional name -> path: one .onnx and any number of others, which are its external data.

    Raises:
        ModelError: a name would lead out of the folder.
    """
    model = next(name for name in files if name.endswith(".onnx"))
    if len(files) == 1:
        yield files[model]
        return
    for name in files:
        if name != os.path.basename(name) or name in ("", ".", ".."):
            raise ModelError("external data must lie beside the model, this does not: %r" % name)
    largest = max(files.values(), key=os.path.getsize)
    home = os.path.dirname(os.path.abspath(largest))
    with tempfile.TemporaryDirectory(prefix="edgeprof-", dir=home if os.access(home, os.W_OK) else None) as folder:
        for name, path in files.items():
            place = os.path.join(folder, name)
            try:
                # Not symbolic links: since 1.24 ONNX Runtime follows none that leads out of the model's folder.
                os.link(os.path.realpath(path), place)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, place)
        yield os.path.join(folder, model)
