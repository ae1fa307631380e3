"""Models by name: timm's, torchvision's classifiers as `torchvision:NAME`, users' own as `factory:MODULE:FUNCTION`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.errors import TrainError, UsageError, nearest
from edgeprof.records import Weights
from edgeprof.zoo import download, factory, weights
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
    if factory.is_factory(name):
        factory.check(name)
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
    return begin(name, num_classes, init)[0]


def begin(
    name: str, num_classes: int, init: str = "scratch", *, replace_head: bool = True
) -> tuple[nn.Module, Weights | None]:
    """As `create`, and what the weights were taken from.

    Args:
        replace_head: whether a head of another size is left as it was made; else it is an error.
    """
    check_name(name)
    if init == "scratch":
        return _random(name, num_classes), None
    if init == "pretrained":
        path, source, tensors = _pretrained(name)
    elif init.startswith("file:"):
        path = weights.local_file(init)
        source, tensors = weights.file_name(init), weights.read(path)
    else:
        raise UsageError(f"the init {init!r} is not allowed", hint="pretrained, scratch or file:PATH")
    module = _random(name, num_classes)
    tensors = unwrapped(tensors, module)
    head = head_names(name, num_classes)
    if not replace_head:
        _check_head(module, tensors, head, num_classes, str(path))
    taken, left = weights.load_into(module, tensors, head=head, where=str(path), name=name)
    return module, Weights(source=source, sha256=weights.sha(path), taken=taken, left=left)


def unwrapped(tensors: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """Without the prefix `module.` that DataParallel gives to all names, unless they are the module's own."""
    if set(tensors) <= set(module.state_dict()) or not all(key.startswith("module.") for key in tensors):
        return tensors
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def check_logits(module: nn.Module, name: str, image_size: int, num_classes: int) -> None:
    """Check that a module gives logits [N, num_classes] for float32 [N, 3, image_size, image_size].

    Raises:
        TrainError: it raises, gives something else, or another number of classes.
    """
    torch = import_torch()
    was_training = module.training
    try:
        with torch.inference_mode():
            logits = module.eval()(torch.zeros(2, 3, image_size, image_size))
    # A user's module raises whatever it likes.
    except Exception as error:
        words = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise TrainError(
            f"the model does not run on images of {image_size} x {image_size}: {words}", where=name
        ) from error
    finally:
        module.train(was_training)
    if not torch.is_tensor(logits) or logits.ndim != 2 or len(logits) != 2:
        what = f"a tensor {list(logits.shape)}" if torch.is_tensor(logits) else type(logits).__name__
        raise TrainError(f"the model gives {what} for 2 images, not logits [2, classes]", where=name)
    if logits.shape[1] != num_classes:
        raise TrainError(f"the model gives {logits.shape[1]} classes, but the data has {num_classes}", where=name)


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


def _pretrained(name: str) -> tuple[Path, str, dict[str, Any]]:
    """The file of the libraries' own weights, their identifier, and their tensors."""
    if factory.is_factory(name):
        raise UsageError(f"{name} has no published weights", hint="pretrained is for models of timm and torchvision")
    if name.startswith(PREFIX):
        plain = name.removeprefix(PREFIX)
        path = download.torchvision_file(plain)
        return path, download.torchvision_source(plain), weights.read(path)
    path = download.timm_file(name)
    return path, download.timm_source(name), download.timm_tensors(name, path)


def _check_head(
    module: nn.Module, tensors: Mapping[str, Any], head: frozenset[str], num_classes: int, where: str
) -> None:
    """Weights of other classes are said to be so, rather than to have tensors of other shapes."""
    own = module.state_dict()
    for key in sorted(head & set(tensors)):
        given, wanted = tuple(tensors[key].shape), tuple(own[key].shape)
        if given != wanted and len(given) == len(wanted):
            theirs = next(size for size, other in zip(given, wanted, strict=True) if size != other)
            raise TrainError(
                f"the weights are of {theirs} classes, but the data has {num_classes}",
                where=where,
                hint="give the data that they were trained for; to train a new head, set recipe.epochs",
            )


def _random(name: str, num_classes: int) -> Any:
    if factory.is_factory(name):
        return factory.make(name, num_classes)
    if name.startswith(PREFIX):
        models = import_torchvision().models
        return models.get_model(name.removeprefix(PREFIX), weights=None, num_classes=num_classes)
    return import_timm().create_model(name, pretrained=False, num_classes=num_classes)


def _torchvision_names() -> list[str]:
    models = import_torchvision().models
    return [name for name in models.list_models(module=models) if name not in _AUXILIARY]
