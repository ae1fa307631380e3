"""The state after an epoch, in one safetensors file: model and optimizer tensors, the rest as a note in its header."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgspec

from edgeprof.errors import TrainError
from edgeprof.records import Record, Weights
from edgeprof.store import Store
from edgeprof.train.plan import state_file
from edgeprof.zoo import checkpoint
from edgeprof.zoo.torchvision_ops import import_torch

if TYPE_CHECKING:
    from torch import nn

_MODEL, _OPTIMIZER, _GROUP = "model.", "optimizer.", "group."


class Progressed(Record):
    """How far a training has come."""

    epoch: int = 0
    threads: int
    torch: str
    hardware: str = "cpu"
    mixed_precision: str = "no"
    processes: int = 1
    losses: tuple[float, ...] = ()
    train_top1: tuple[float, ...] = ()
    learning_rates: tuple[float, ...] = ()
    test_top1: tuple[float, ...] = ()
    seconds: float = 0.0
    weights: Weights | None = None
    """What it began from."""
    groups: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The optimizer's groups, without its tensors."""
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    """The optimizer's state that is no tensor, by `PARAMETER.NAME`."""
    scaler: dict[str, Any] = msgspec.field(default_factory=dict)
    """State of fp16's gradient scaler."""


def save(store: Store, key: str, progressed: Progressed, module: nn.Module, optimizer: Any, scaler: Any = None) -> None:
    """Keep the state, replacing the one before it.

    Raises:
        TrainError: the optimizer keeps something that is neither tensor nor number.
        RecordError: it cannot be written (disk full).
    """
    torch = import_torch()
    tensors = {_MODEL + name: tensor for name, tensor in module.state_dict().items()}
    values: dict[str, Any] = {}
    content = optimizer.state_dict()
    for number, entries in content["state"].items():
        for name, value in entries.items():
            if torch.is_tensor(value):
                tensors[f"{_OPTIMIZER}{number}.{name}"] = value
            else:
                values[f"{number}.{name}"] = value
    groups = []
    for number, group in enumerate(content["param_groups"]):
        tensors |= {f"{_GROUP}{number}.{name}": value for name, value in group.items() if torch.is_tensor(value)}
        groups.append({name: value for name, value in group.items() if not torch.is_tensor(value)})
    scales = scaler.state_dict() if scaler is not None else {}
    kept = msgspec.structs.replace(progressed, groups=groups, values=values, scaler=scales)
    try:
        data = checkpoint.to_bytes(tensors, note=msgspec.to_builtins(kept))
    except (TypeError, ValueError) as error:
        raise TrainError(
            f"the state of the optimizer {type(optimizer).__name__} cannot be kept: {error}",
            hint="choose another recipe.optimizer, for example adamw",
        ) from error
    store.write(state_file(store, key), data)


def load(store: Store, key: str) -> tuple[Progressed, dict[str, Any]] | None:
    """What was kept and its tensors; None where there is nothing whole."""
    path = state_file(store, key)
    try:
        progressed = msgspec.convert(checkpoint.note_of(path), Progressed)
        return progressed, checkpoint.from_bytes(path.read_bytes(), str(path))
    except (OSError, TrainError, msgspec.ValidationError):
        return None


def apply(
    progressed: Progressed, tensors: dict[str, Any], module: nn.Module, optimizer: Any, scaler: Any = None
) -> None:
    """Put a kept state into a fresh module and its optimizer."""
    if scaler is not None and progressed.scaler:
        scaler.load_state_dict(progressed.scaler)
    module.load_state_dict({n.removeprefix(_MODEL): t for n, t in tensors.items() if n.startswith(_MODEL)})
    entries: dict[int, dict[str, Any]] = {}
    found = {n.removeprefix(_OPTIMIZER): t for n, t in tensors.items() if n.startswith(_OPTIMIZER)}
    channels_last = import_torch().channels_last
    for name, value in {**found, **progressed.values}.items():
        number, _, plain = name.partition(".")
        if name in found and value.ndim == 4:
            # As the weights lie in memory: another order may change the last bits.
            value = value.contiguous(memory_format=channels_last)
        entries.setdefault(int(number), {})[plain] = value
    groups = [dict(group) for group in progressed.groups]
    for name, value in tensors.items():
        if name.startswith(_GROUP):
            number, _, plain = name.removeprefix(_GROUP).partition(".")
            groups[int(number)][plain] = value
    optimizer.load_state_dict({"state": entries, "param_groups": groups})


def remove(store: Store, key: str) -> None:
    """Forget the state of a finished training."""
    shutil.rmtree(state_file(store, key).parent, ignore_errors=True)
