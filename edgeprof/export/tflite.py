"""TFLite by litert_torch, without TensorFlow; half precision and 8 bits by ai-edge-quantizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.export import tflite_quantize
from edgeprof.records import Exporter, Precision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgeprof.export.calibrate import CalibrationImages

PACKAGES: tuple[str, ...] = ("litert-torch", "ai-edge-litert")
_QUANTIZER = ("ai-edge-quantizer",)
QUANTIZERS: Mapping[Precision, tuple[str, ...]] = {"fp16": _QUANTIZER, "int8": _QUANTIZER, "dynamic-int8": _QUANTIZER}


def convert(
    module: nn.Module,
    example: Tensor,
    exporter: Exporter,
    about: Mapping[str, str],
    out: Path,
    calibration: CalibrationImages | None = None,
) -> list[Path]:
    """One `model.tflite`; see `formats.Converter`. The format has no place for `about`: it travels in the record."""
    import litert_torch

    module = pad_apart(module, example)
    if exporter.layout == "NHWC":
        # Better than a transpose of our own: it is folded away, so the file has none.
        module = litert_torch.to_channel_last_io(module, args=[0]).eval()
        example = example.permute(0, 2, 3, 1).contiguous()
    path = out / "model.tflite"
    litert_torch.convert(module, (example,)).export(str(path))
    keep = exporter.keep_float
    if exporter.precision == "fp16":
        path.write_bytes(tflite_quantize.to_fp16(path))
    elif exporter.precision == "int8":
        assert calibration is not None
        arrays = calibration.arrays
        path.write_bytes(tflite_quantize.to_int8(path, arrays, per_channel=exporter.per_channel, keep_float=keep))
    elif exporter.precision == "dynamic-int8":
        path.write_bytes(tflite_quantize.to_dynamic_int8(path, keep_float=keep))
    return [path]


def pad_apart(module: nn.Module, example: Tensor) -> nn.Module:
    """A copy in which max-pooling of values that cannot be negative pads with zeros before it, not with -inf inside.

    The same values come out (a ReLU's output is never below 0, so a zero never wins wrongly), but XNNPACK takes the
    whole graph: it has no kernel for the converter's PADV2 with -inf and would hand over at every such place.
    A pooling is rewritten only where its input is, unchanged, the very tensor that a ReLU returned.
    """
    import copy

    import torch

    module = copy.deepcopy(module)
    names = {name: part for name, part in module.named_modules() if name}
    from_relu: dict[int, tuple[Any, int]] = {}
    fit: dict[str, bool] = {}

    def after_relu(part: Any, given: Any, result: Any) -> None:
        # The tensor is kept, so that no other can get its id.
        from_relu[id(result)] = (result, result._version)

    def before_pool(name: str) -> Any:
        def look(part: Any, given: Any) -> None:
            source, version = from_relu.get(id(given[0]), (None, -1))
            fit[name] = fit.get(name, True) and source is given[0] and given[0]._version == version

        return look

    hooks = []
    for name, part in names.items():
        if isinstance(part, torch.nn.ReLU | torch.nn.ReLU6):
            hooks.append(part.register_forward_hook(after_relu))
        elif isinstance(part, torch.nn.MaxPool2d) and _pads_plainly(part):
            hooks.append(part.register_forward_pre_hook(before_pool(name)))
    with torch.no_grad():
        module(example)
    for hook in hooks:
        hook.remove()
    for name in [name for name, good in fit.items() if good]:
        pool: Any = names[name]
        rows, columns = _pair(pool.padding)
        parent, _, last = name.rpartition(".")
        pad = torch.nn.ZeroPad2d((columns, columns, rows, rows))
        plain = torch.nn.MaxPool2d(pool.kernel_size, pool.stride, padding=0, dilation=pool.dilation)
        setattr(names[parent] if parent else module, last, torch.nn.Sequential(pad, plain).eval())
    return module


def _pads_plainly(pool: Any) -> bool:
    return any(_pair(pool.padding)) and not pool.ceil_mode and not pool.return_indices


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
