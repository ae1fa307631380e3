"""Weights to begin from: a local file, or the libraries' pretrained ones from their cache or the network.

Only tensors are read: safetensors, or .pth with torch's `weights_only=True`. Every wait has a deadline.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.errors import TrainError, UsageError
from edgeprof.zoo.torchvision_ops import import_timm, import_torch, import_torchvision

if TYPE_CHECKING:
    from torch import nn

REACH_S = 8.0
STALL_S = 20.0
LOCAL_HINT = 'give a local file in the recipe: inits = ["file:PATH"] (.safetensors or .pth)'
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


def local_file(init: str) -> Path:
    """The file that `file:PATH` names.

    Raises:
        TrainError: there is no such file.
    """
    path = Path(init.removeprefix("file:")).expanduser()
    if not path.is_file():
        raise TrainError(
            "there is no weights file here", where=str(path), hint="paths are taken from the current folder"
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


def timm_file(name: str) -> Path:
    """timm's pretrained weights for a name: from the local cache, else downloaded.

    Raises:
        TrainError: there are none, or they cannot be reached within `REACH_S` seconds.
    """
    config = import_timm().get_pretrained_cfg(name)
    repository = config and config.hf_hub_id
    if not repository:
        if config and config.url:
            return _downloaded(config.url, name)
        raise TrainError(f"{name} has no pretrained weights", hint=LOCAL_HINT)
    import huggingface_hub as hub

    repository, _, revision = repository.partition("@")
    asked = config.hf_hub_filename
    files = (asked,) if asked else ("model.safetensors", "pytorch_model.bin")
    for file in files:
        cached = hub.try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    if hub.constants.HF_HUB_OFFLINE:
        raise _unreachable(name, "HF_HUB_OFFLINE is set and they are not in the local cache")
    _reach(hub.hf_hub_url(repository, files[0], revision=revision or None), name)
    for file in files:
        try:
            return Path(hub.hf_hub_download(repository, file, revision=revision or None, library_name="timm"))
        except hub.errors.EntryNotFoundError:
            continue
        # The hub's errors come from several libraries; all mean the same to the user.
        except Exception as error:
            raise _unreachable(name, _first_line(error)) from error
    raise _unreachable(name, f"{repository} holds none of {', '.join(files)}")


def torchvision_file(name: str) -> Path:
    """torchvision's default pretrained weights for a classifier: from torch's cache, else downloaded.

    Raises:
        TrainError: there are none, or they cannot be reached within `REACH_S` seconds.
    """
    weights = import_torchvision().models.get_model_weights(name)
    return _downloaded(weights.DEFAULT.url, name)


def timm_source(name: str) -> str:
    """The identifier of timm's pretrained weights for a name: `timm/resnet18.a1_in1k`."""
    config = import_timm().get_pretrained_cfg(name)
    return "timm/" + ".".join(part for part in (config.architecture or name.partition(".")[0], config.tag) if part)


def torchvision_source(name: str) -> str:
    """The identifier of torchvision's default weights: `torchvision/ResNet18_Weights.IMAGENET1K_V1`."""
    return f"torchvision/{import_torchvision().models.get_model_weights(name).DEFAULT}"


def timm_tensors(name: str, path: Path) -> dict[str, Any]:
    """timm's pretrained tensors in `path`, renamed by timm's own filter where they are older than its code.

    They go through a module of the classes that they were trained for, since timm checks none that it must adapt.

    Raises:
        TrainError: they are truncated, hold more than tensors, or do not fit.
    """
    timm, torch = import_timm(), import_torch()
    try:
        with torch.random.fork_rng(devices=[]):
            module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
        return dict(module.state_dict())
    # timm raises whatever the reader or the module raised.
    except Exception as error:
        raise TrainError(
            f"the pretrained weights of {name} could not be loaded: {_first_line(error)}",
            where=str(path),
            hint=f"remove the file to fetch it again, or {LOCAL_HINT}",
        ) from error


def _downloaded(url: str, name: str) -> Path:
    folder = Path(import_torch().hub.get_dir()) / "checkpoints"
    target = folder / url.rpartition("/")[2]
    if target.is_file():
        return target
    _reach(url, name)
    # Libraries put the first digits of the sha256 into the file's name.
    expected = re.search(r"-([0-9a-f]{8,})\.", target.name)
    total = hashlib.sha256()
    temporary = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(_https(url), timeout=STALL_S) as answer,  # noqa: S310 - checked by _https
            tempfile.NamedTemporaryFile(dir=folder, delete=False) as file,
        ):
            temporary = Path(file.name)
            while block := answer.read(1 << 20):
                total.update(block)
                file.write(block)
        if expected and not total.hexdigest().startswith(expected[1]):
            raise TrainError("the downloaded weights are damaged: their sha256 differs", where=url, hint="try again")
        os.replace(temporary, target)
    except OSError as error:
        raise _unreachable(name, _first_line(error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return target


def _reach(url: str, name: str) -> None:
    """Ask for the head of `url` in a thread, because a resolver may wait longer than any socket's deadline."""
    outcome: list[str | None] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(_https(url), method="HEAD")  # noqa: S310
            with urllib.request.urlopen(request, timeout=REACH_S):  # noqa: S310
                outcome.append(None)
        except urllib.error.HTTPError as error:
            # "Not found" is an answer of the place itself; another file name may be there.
            outcome.append(None if error.code == 404 else f"{error.code} {error.reason}")
        except (OSError, ValueError) as error:
            outcome.append(_first_line(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_S)
    if not outcome:
        raise _unreachable(name, f"no answer within {REACH_S:.0f} s")
    if outcome[0] is not None:
        raise _unreachable(name, outcome[0])


def _https(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"weights can be fetched over http only, not from {url!r}", hint=LOCAL_HINT)
    return url


def _unreachable(name: str, why: str) -> TrainError:
    return TrainError(f"the pretrained weights of {name} cannot be fetched: {why}", hint=LOCAL_HINT)


def _first_line(error: BaseException) -> str:
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, OSError) and error.reason.strerror:
        return error.reason.strerror
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
