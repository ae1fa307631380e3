"""Models by name: timm's names, and torchvision's classifiers as `torchvision:NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeprof.errors import TrainError, UsageError, nearest
from edgeprof.zoo import weights
from edgeprof.zoo.torchvision_ops import import_timm, import_torch, import_torchvision

if TYPE_CHECKING:
    from torch import nn

STUDY = (
    "tf_efficientnetv2_s",
    "efficientnet_b0",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "mobilenetv2_100",
    "torchvision:shufflenet_v2_x1_0",
    "torchvision:squeezenet1_1",
    "resnet18",
    "repvit_m1_0",
)
"""The nine models of the study that this project follows (arXiv 2607.01984)."""

PREFIX = "torchvision:"
# Their forward gives a tuple while training, which one recipe for all cannot honour.
_AUXILIARY = ("googlenet", "inception_v3")


def names() -> list[str]:
    """Every name that `create` takes, without timm's weight tags."""
    return [*import_timm().list_models(), *(PREFIX + name for name in _torchvision_names())]


def check_name(name: str) -> None:
    """Check that `create` knows the name. The study's nine are known without importing anything.

    Raises:
        UsageError: it does not; the hint names the nearest.
        MissingPackageError: timm or torchvision is not installed.
    """
    if name in STUDY:
        return
    if name.startswith(PREFIX):
        plain = name.removeprefix(PREFIX)
        known = _torchvision_names()
        if plain in _AUXILIARY:
            raise UsageError(f"the model {name!r} has auxiliary outputs and cannot be trained under a common recipe")
        if plain not in known:
            raise UsageError(
                f"torchvision has no classifier named {plain!r}",
                hint=nearest(name, [*(PREFIX + one for one in known), *STUDY]),
            )
        return
    timm = import_timm()
    plain, _, tag = name.partition(".")
    if not timm.is_model(plain):
        known = [*timm.list_models(), *(PREFIX + one for one in _torchvision_names())]
        hint = PREFIX + name if name in _torchvision_names() else nearest(name, known)
        raise UsageError(
            f"there is no model named {name!r}", hint=f"perhaps you meant: {hint}" if hint.startswith(PREFIX) else hint
        )
    if tag and name not in timm.list_pretrained(plain):
        raise UsageError(
            f"the model {plain!r} has no weights tagged {tag!r}", hint=nearest(name, timm.list_pretrained(plain))
        )


def create(name: str, num_classes: int, init: str = "scratch") -> nn.Module:
    """A module that takes float32 [N, 3, H, W] and gives logits [N, num_classes], in train mode on the CPU.

    Args:
        init: `scratch` (random, from torch's current seed), `pretrained` (the library's weights, from the local cache
            or the network) or `file:PATH`. A head of another size is left as it was made.

    Raises:
        UsageError: no such model or init.
        TrainError: the weights cannot be had, or do not fit.
    """
    check_name(name)
    if init == "scratch":
        return _random(name, num_classes)
    if init == "pretrained":
        if not name.startswith(PREFIX):
            return weights.timm_pretrained(name, num_classes)
        path = weights.torchvision_file(name.removeprefix(PREFIX))
    elif init.startswith("file:"):
        path = weights.local_file(init)
    else:
        raise UsageError(f"the init {init!r} is not allowed", hint="pretrained, scratch or file:PATH")
    module = _random(name, num_classes)
    weights.load_into(module, weights.read(path), head=head_names(name, num_classes), where=str(path), name=name)
    return module


def head_names(name: str, num_classes: int) -> frozenset[str]:
    """The tensors of the state dict whose shape depends on the number of classes."""
    torch = import_torch()
    with torch.random.fork_rng(devices=[]):
        one, other = (_random(name, count).state_dict() for count in (num_classes, num_classes + 1))
    return frozenset(key for key, value in one.items() if value.shape != other[key].shape)


def count_params(module: nn.Module) -> int:
    """How many trainable numbers the module has."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of one image of `image_size` squared in eval mode: convolutions and matrix products.

    Half of what torch's FlopCounterMode counts; equal to exact counts by hooks for CNNs.
    """
    torch = import_torch()
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    weight = next(module.parameters())
    image = torch.zeros(1, 3, image_size, image_size, device=weight.device, dtype=weight.dtype)
    was_training = module.training
    module.eval()
    try:
        # The fused attention kernels of the CPU are counted as nothing; the plain one is counted rightly.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(image)
    except (RuntimeError, AssertionError) as error:
        raise TrainError(
            f"the model does not run on images of {image_size} x {image_size}: {error}",
            where=type(module).__name__,
            hint="choose another preprocessing.image_size",
        ) from error
    finally:
        module.train(was_training)
    return int(counter.get_total_flops()) // 2


def _random(name: str, num_classes: int) -> Any:
    if name.startswith(PREFIX):
        models = import_torchvision().models
        return models.get_model(name.removeprefix(PREFIX), weights=None, num_classes=num_classes)
    return import_timm().create_model(name, pretrained=False, num_classes=num_classes)


def _torchvision_names() -> list[str]:
    models = import_torchvision().models
    return [name for name in models.list_models(module=models) if name not in _AUXILIARY]
