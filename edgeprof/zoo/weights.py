"""Weights to begin from: reading a file of them, and putting them into a module.

Only tensors are read: safetensors, or .pth with torch's `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.errors import TrainError
from edgeprof.zoo.torchvision_ops import import_torch

if TYPE_CHECKING:
    from torch import nn

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


def local_file(init: str) -> Path:
    """The file that `file:PATH` names.

    Raises:
        TrainError: there is no such file.
    """
    path = Path(init.removeprefix("file:")).expanduser()
    if not path.is_file():
        raise TrainError(
            "there is no weights file here",
            where=str(path),
            hint="a relative path in a recipe counts from the suite's folder",
        )
    return path


def file_sha(init: str) -> str | None:
    """sha256 of the file that `file:PATH` names, None for other inits."""
    return sha(local_file(init)) if init.startswith("file:") else None


def file_name(init: str) -> str:
    """What a record calls the file that `file:PATH` names; its place does not count."""
    return f"file:{Path(init.removeprefix('file:')).name}"


def sha(path: Path) -> str:
    """sha256 (hex) of a file.

    Raises:
        TrainError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TrainError(f"cannot be read: {error.strerror}", where=str(path)) from error


def read(path: Path) -> dict[str, Any]:
    """The tensors of a weights file by name; wrappers such as `state_dict` are taken off.

    Raises:
        TrainError: it is truncated, or holds anything but tensors.
    """
    torch = import_torch()
    where = str(path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise TrainError(
                f"this is no whole safetensors file: {error}", where=where, hint="copy it again"
            ) from error
    try:
        with warnings.catch_warnings():
            # torch warns of pickles that it did not write; they are refused or read, and both is told.
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    # torch.load has no error of its own: a foreign file ends in any of these.
    except Exception as error:
        raise TrainError(
            f"this file cannot be read as tensors alone{_more_than_tensors(error)}",
            where=where,
            hint="it is truncated, or holds more than tensors; save the state dict alone, best as safetensors",
        ) from error
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    if not isinstance(loaded, Mapping) or not all(torch.is_tensor(value) for value in loaded.values()):
        raise TrainError("this file holds no state dict of tensors", where=where, hint="save module.state_dict()")
    return {str(key): value for key, value in loaded.items()}


def _more_than_tensors(error: BaseException) -> str:
    """What the file holds besides tensors, as far as torch names it.

    None of torch's other words: they advise to unpickle all the same, which would run the file's code.
    """
    found = re.search(r"GLOBAL ([A-Za-z_][\w.]{0,99})", str(error))
    return f": it asks for {found[1]}" if found and "." in found[1] else ""


def load_into(
    module: nn.Module, tensors: Mapping[str, Any], *, head: frozenset[str], where: str, name: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Copy `tensors` into `module`; tensors of `head` that are missing or of another shape stay as they are.

    Returns: the names of the tensors that were taken, and of those that stayed as they were.

    Raises:
        TrainError: any other tensor is missing, of another shape or not known; names the first five.
    """
    torch = import_torch()
    own = module.state_dict()
    wrong, missing = [], []
    for key, value in own.items():
        given = tensors.get(key)
        if given is not None and given.shape == value.shape:
            if given.is_floating_point() and not bool(torch.isfinite(given).all()):
                wrong.append(f"{key} holds NaN or infinity")
        elif key in head or (given is None and key.endswith("num_batches_tracked")):
            continue
        elif given is None:
            missing.append(f"{key} {tuple(value.shape)} is missing")
        else:
            wrong.append(f"{key} is {tuple(given.shape)}, not {tuple(value.shape)}")
    unknown = [f"{key} {tuple(tensors[key].shape)} is not the model's" for key in tensors if key not in own]
    # In turn, so that both sides of a mere difference in names are seen.
    wrong += [one for pair in zip_longest(missing, unknown) for one in pair if one is not None]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise TrainError(
            f"these weights do not fit {name}: {'; '.join(wrong[:5])}{more}",
            where=where,
            hint="they are damaged: a training that diverged?" if "NaN" in wrong[0] else "are they of another model?",
        )
    fitting = {key: tensors[key] for key, value in own.items() if key in tensors and tensors[key].shape == value.shape}
    module.load_state_dict(fitting, strict=False)
    return tuple(fitting), tuple(key for key in own if key not in fitting)
