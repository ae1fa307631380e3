"""The libraries' published weights: from their cache, else from the network. Every wait has a deadline."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from edgeprof.errors import TrainError, UsageError
from edgeprof.zoo.torchvision_ops import import_timm, import_torch, import_torchvision

REACH_S = 8.0
STALL_S = 20.0
LOCAL_HINT = 'give a local file in the recipe: inits = ["file:PATH"] (.safetensors or .pth)'


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
