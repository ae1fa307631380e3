"""What a training is done on, through accelerate: the device, mixed precision, several processes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeprof.errors import MissingPackageError, UsageError
from edgeprof.train.how import How
from edgeprof.zoo.torchvision_ops import import_timm, import_torch

# What launchers and batch systems set; a training that is one process must not wait for others because of them.
_OF_GROUPS = (
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    *("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_SIZE"),
)


@dataclass(frozen=True)
class Hardware:
    """Attributes:
    device: `cpu` or `cuda`.
    name: `cpu`, or the GPU's name.
    gpus: how many of them may be used.
    mixed_precision: `no`, `bf16` or `fp16`.
    """

    device: str
    name: str
    gpus: int
    mixed_precision: str


def hardware(how: How) -> Hardware:
    """What `how` means on this machine.

    Raises:
        UsageError: it asks for what is not here.
    """
    torch = import_torch()
    there = bool(torch.cuda.is_available())
    if how.accelerator == "cuda" and not there:
        built = torch.version.cuda is not None
        raise UsageError(
            "a GPU was asked for, and torch finds none"
            + (" (its driver or the device is missing)" if built else f": torch {torch.__version__} has no CUDA in it"),
            where="--accelerator cuda",
            hint="leave it out to train on the processor"
            + (
                ", or see what is wrong with: nvidia-smi"
                if built
                else ", or install a CUDA build: https://pytorch.org/get-started/locally/"
            ),
        )
    if there and how.accelerator != "cpu":
        precision = how.mixed_precision
        bf16 = bool(torch.cuda.is_bf16_supported(including_emulation=False))
        if precision == "auto":
            precision = "bf16" if bf16 else "fp16"
        name = str(torch.cuda.get_device_name(0))
        if precision == "bf16" and not bf16:
            raise UsageError(f"{name} does not compute in bf16", where="--mixed-precision bf16", hint="fp16, or no")
        return Hardware(device="cuda", name=name, gpus=int(torch.cuda.device_count()), mixed_precision=precision)
    precision = "no" if how.mixed_precision == "auto" else how.mixed_precision
    if precision == "fp16":
        raise UsageError(
            "on a processor torch trains in fp32 or bf16", where="--mixed-precision fp16", hint="bf16, or no"
        )
    return Hardware(device="cpu", name="cpu", gpus=0, mixed_precision=precision)


class Machine:
    """One process's place in a training. In a process group it is one of several; else it is alone.

    Args:
        on: what to train on.
        threads: of torch's operators on the CPU.
        group: whether this process was started as one of several (`jobs.Seat` sets RANK and the others).
    """

    def __init__(self, on: Hardware, threads: int, *, group: bool = False) -> None:
        torch = import_torch()
        try:
            from accelerate import Accelerator
            from accelerate.state import AcceleratorState
        except ModuleNotFoundError as error:
            raise MissingPackageError("accelerate", "train") from error
        # It keeps what it was first told for the whole process; the next cell may be told otherwise.
        AcceleratorState._reset_state(reset_partial_state=True)
        hidden = {} if group else {name: os.environ.pop(name) for name in _OF_GROUPS if name in os.environ}
        try:
            self._accelerator: Any = Accelerator(cpu=on.device == "cpu", mixed_precision=on.mixed_precision)
        finally:
            os.environ.update(hidden)
        torch.set_num_threads(threads)
        self.device = self._accelerator.device
        self.rank = int(self._accelerator.process_index)
        self.processes = int(self._accelerator.num_processes)
        self.scaler = self._accelerator.scaler
        """Of fp16's gradients; None in other precisions."""

    @property
    def first(self) -> bool:
        """Whether this process tells and keeps what comes out."""
        return self.rank == 0

    def place(self, module: Any) -> Any:
        """The module on the device, channels last, with BatchNorm over all images of a batch wherever they are.

        torch synchronises it on GPUs only: processes on CPUs take the statistics of their own share.
        """
        if self.processes > 1 and self.device.type == "cuda":
            # timm's own conversion: torch's would lose the activations inside its norm layers.
            module = import_timm().layers.convert_sync_batchnorm(module)
        # Channels last makes depthwise convolutions two to three times faster, and changes no result's meaning.
        return module.to(device=self.device, memory_format=import_torch().channels_last)

    def shared(self, module: Any) -> Any:
        """What to call for a training step: averages the gradients over the processes."""
        if self.processes == 1:
            return module
        devices = None if self.device.type == "cpu" else [self.device]
        return import_torch().nn.parallel.DistributedDataParallel(module, device_ids=devices)

    def prepared(self, optimizer: Any) -> Any:
        """The optimizer whose `step` minds the gradient scaler, where there is one."""
        if self.scaler is None:
            return optimizer
        return self._accelerator.prepare_optimizer(optimizer, device_placement=False)

    def autocast(self) -> AbstractContextManager[Any]:
        """Inside it operators run in the mixed precision."""
        found: AbstractContextManager[Any] = self._accelerator.autocast()
        return found

    def backward(self, loss: Any) -> None:
        """Gradients of the loss, scaled where the precision needs it."""
        if self.scaler is None:
            loss.backward()
        else:
            self._accelerator.backward(loss)

    def unscale(self) -> None:
        """Gradients as they are, to be clipped."""
        if self.scaler is not None:
            self._accelerator.unscale_gradients()

    def summed(self, numbers: list[float]) -> list[float]:
        """The sums over the processes."""
        if self.processes == 1:
            return numbers
        torch = import_torch()
        tensor = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        return [float(value) for value in self._accelerator.reduce(tensor, reduction="sum")]

    def gathered(self, items: list[Any]) -> list[Any]:
        """The items of all processes, one process after the other."""
        if self.processes == 1:
            return items
        from accelerate.utils import gather_object

        return list(gather_object(items))

    def release(self) -> None:
        """Let go of the machine. The group of several processes lasts as long as they do, for all that they train.

        Left while one of gloo's threads still drops its tensors, for which it waits for Python's lock, a group may
        never end: its destructor holds that lock and waits for the thread.
        """
        if self.processes == 1:
            self._accelerator.end_training()


@contextmanager
def settled() -> Iterator[None]:
    """Deterministic operators while training; the process's generators and settings are as before afterwards."""
    torch = import_torch()
    # Imported before the states are taken: imports may draw random numbers.
    import_timm()
    # cuBLAS reads it when it is first used; without it the sums of a matrix product may change from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    tuned, tf32 = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        # What is called fp32 is fp32, as on the CPU that checks the exported files.
        torch.backends.cudnn.allow_tf32 = False
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = tuned, tf32
        torch.set_num_threads(threads)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
